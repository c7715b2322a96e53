/*
 * Where the API server is and who we are: from a pod's service account files, from kubeconfig
 * files, or from flags. Follows client-go's clientcmd (k8s.io/client-go/tools/clientcmd):
 * KUBECONFIG may name several files, colon-separated; the first one that sets a value wins;
 * relative paths in a file are relative to that file. A kubeconfig without any entry counts as
 * none.
 *
 * As clientcmd has it: with a server of http:// nobody is told who we are, only whom we act as; a
 * server given as an option puts the cluster's tls-server-name out of force; a token file goes
 * before a token. Stricter than clientcmd: what would be left out in silence is refused (auth
 * providers, unknown fields of a user, interactive plugins).
 *
 *     struct kube_config_options options = {.context = "prod"};
 *     cleanup_kube_config struct kube_config *config = NULL;
 *     if (kube_config_load(&options, &config, &err) < 0)
 *         ...                                   the sentence names file, field and remedy
 *
 * A config is immutable after it was loaded but for its credential, which kube_credential() renews
 * (token files and client certificates in files are read again when they changed, exec plugins run
 * again when what they gave expires); that is guarded by a lock inside. Any thread.
 */
#ifndef DPUMESH_KUBE_CONFIG_H
#define DPUMESH_KUBE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

enum {
    KUBE_CONFIG_BYTES_MAX = 4 << 20, /* a kubeconfig file, a certificate file */
    KUBE_TOKEN_BYTES_MAX = 64 << 10  /* a token; API servers take no longer header */
};

/* Where a pod finds its service account; tests give another directory. */
#define KUBE_SERVICE_ACCOUNT_DIRECTORY "/var/run/secrets/kubernetes.io/serviceaccount"

/* All may be NULL, empty or zero. */
struct kube_config_options {
    const char *kubeconfig;                /* --kubeconfig: this file alone; NULL: $KUBECONFIG or
                                              else ~/.kube/config, then in-cluster */
    const char *context;                   /* --context; NULL: current-context */
    const char *server;                    /* --server: replaces the cluster's */
    const char *namespace;                 /* -n: replaces the context's */
    const char *service_account_directory; /* NULL: KUBE_SERVICE_ACCOUNT_DIRECTORY */
    bool in_cluster;                       /* look at the service account only */
};

struct kube_config {
    char *server;          /* "https://10.0.0.1:6443", without a final slash; may have a path */
    char *namespace;       /* never NULL; "default" when nothing says otherwise */
    char *source;          /* for messages: "/root/.kube/config, context prod", "in-cluster" */
    char *ca_file;         /* read again by each new connection, so that a rotated CA is seen; or */
    char *ca_pem;          /* inline; both NULL: the system's */
    char *client_cert_pem; /* with client_key_pem; or NULL. What stands in two files is not here but
                              with kube_credential_certificate() */
    char *client_key_pem;
    char *tls_server_name; /* verify against this name instead of the URL's host; or NULL */
    char *proxy_url; /* http, https or socks5h, as libcurl takes it (Go's socks5 lets the proxy look
                        names up, as curl's socks5h); or NULL: the environment's proxies count */
    char **impersonate; /* whom we act as: lines of each request's head ("Impersonate-User: a"),
                           NULL at the end; or NULL */
    bool insecure;      /* insecure-skip-tls-verify */
    struct kube_credential_source *credential; /* private */
};

/* Loads it; token files are read, plugins are not run yet. 0 and *ret_config (owned by the caller),
 * or -errno and a sentence: -ENOENT when there is neither a kubeconfig nor a service account,
 * -EINVAL for a file that can't be understood, what open() said for one that can't be read. Reads
 * the environment: call before other threads change it. */
int kube_config_load(const struct kube_config_options *options, struct kube_config **ret_config,
                     struct error **err);

/*
 * The value for the Authorization header ("Bearer ..." or "Basic ..."), or an empty buffer when the
 * credential is a client certificate or none. stale: the server just refused the last one (401): an
 * exec plugin runs again, a token file is read again now. When ret still holds what was refused and
 * that is not the present credential any more, the present one is given at once; and callers that
 * come while a plugin runs take what that run gives, so that many refusals cost one run.
 *
 * Token files are looked at once a second, and read when they changed, and once a minute; a token
 * stays in use while its file is away. Plugins run again ten seconds (at most a tenth of the
 * credential's life) before what they gave expires; while that takes, or when it fails, others go
 * on with what has not expired. May block while a plugin runs (at most a minute).
 *
 * A client certificate in files is looked at once a second as well (two stat(2)), and read when the
 * files changed, and once a minute. It is taken when both files are whole and belong together;
 * until then the one before stays in force.
 *
 * ret's content is replaced (cap it with KUBE_TOKEN_BYTES_MAX + 16 and wipe it with
 * kube_credential_wipe()). 0 or -errno and a sentence, which never holds the secret; then ret is
 * untouched.
 */
int kube_credential(const struct kube_config *config, bool stale, struct buffer *ret,
                    struct error **err);

/* Overwrites and frees a buffer that held a secret. */
void kube_credential_wipe(struct buffer *secret);

/*
 * The client certificate that may change: of an exec plugin, or else of files; PEM, or NULLs. Both
 * are borrowed; when another one takes its place they stay valid for a minute more, so use or copy
 * them at once. Returns its number: as long as the number is the same, so are the pointers, and
 * another number means that connections made before are with another certificate. As of the last
 * kube_credential().
 */
unsigned kube_credential_certificate(const struct kube_config *config, const char **ret_cert_pem,
                                     const char **ret_key_pem);

/* Wipes secrets and frees it; NULL is fine. */
void kube_config_free(struct kube_config *config);

static inline void kube_config_cleanup_fn(struct kube_config **config)
{
    kube_config_free(*config);
}
#define cleanup_kube_config CLEANUP(kube_config_cleanup_fn)

#endif
