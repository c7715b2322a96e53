/*
 * Private to the configuration: credential plugins, programs that print who we are
 * (https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins,
 * client.authentication.k8s.io/v1 and v1beta1). What runs here is a service: a plugin never gets
 * the terminal, and one that wants it (interactiveMode: Always) is refused.
 */
#ifndef DPUMESH_KUBE_EXEC_H
#define DPUMESH_KUBE_EXEC_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"

enum { KUBE_EXEC_OUTPUT_MAX = 1 << 20 /* bytes; room for a token, a certificate and a key */ };

#define KUBE_EXEC_TIMEOUT_NS (60 * NS_PER_S)

/* How to run one. Immutable. */
struct kube_exec {
    char *where;       /* for messages: "/root/.kube/config: user a: exec plugin gke-auth" */
    char *api_version; /* "client.authentication.k8s.io/v1" */
    char **arguments;  /* NULL at the end; [0] is the command, with a path or to be found in PATH */
    char **environment;     /* "NAME=value" beside our own environment, NULL at the end */
    char *install_hint;     /* or NULL */
    bool cluster_info;      /* provideClusterInfo */
    json_t *cluster_config; /* what the cluster says to plugins; or NULL */
    char *info;             /* KUBERNETES_EXEC_INFO; set by kube_exec_describe() */
};

/* The cluster, as a plugin may be told. All but server may be NULL. */
struct kube_exec_cluster {
    const char *server, *tls_server_name, *proxy_url;
    bool insecure;
    const char *ca_pem;
};

/* Writes exec->info, and takes exec->cluster_config for it. Call once. */
void kube_exec_describe(struct kube_exec *exec, const struct kube_exec_cluster *cluster);

/* What a plugin printed. */
struct kube_exec_answer {
    char *token;              /* or NULL */
    char *cert_pem, *key_pem; /* both or none */
    uint64_t expires_unix_ns; /* UINT64_MAX: when the server says so */
};

#define KUBE_EXEC_ANSWER_INIT                                                                      \
    {                                                                                              \
        .expires_unix_ns = UINT64_MAX                                                              \
    }

/*
 * Runs the plugin, at most timeout_ns, in a process group of its own; its standard error is ours.
 * 0, or -errno and a sentence: -ENOENT when it is not installed, -ETIMEDOUT, -EPROTO when it fails
 * or prints something else. Any thread.
 */
int kube_exec_run(const struct kube_exec *exec, uint64_t timeout_ns,
                  struct kube_exec_answer *ret_answer, struct error **err);

/* Reads an ExecCredential. 0, or -EPROTO and a sentence without a word of what was printed. */
int kube_exec_parse(const struct kube_exec *exec, const char *text, size_t length,
                    struct kube_exec_answer *ret_answer, struct error **err);

/* Whether a token can stand in a header: not empty, printable ASCII, no blanks. */
bool kube_token_valid(const char *token);

/* What is wrong with a PEM certificate, or a private key, at first sight; NULL: nothing. The end of
 * a sentence: "holds no PEM certificate; ...". */
const char *kube_pem_certificate_problem(const char *pem);
const char *kube_pem_key_problem(const char *pem);

/* Wipe and free; NULL is fine, and the answer is empty again. */
void kube_exec_free(struct kube_exec *exec);
void kube_exec_answer_free(struct kube_exec_answer *answer);
#define cleanup_exec_answer CLEANUP(kube_exec_answer_free)

#endif
