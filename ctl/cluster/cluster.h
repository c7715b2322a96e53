/*
 * What the verbs for a cluster have in common: kubectl's options, a client, and one sentence for
 * whatever fails.
 *
 *     struct status { struct cluster_options cluster; ... };
 *     static const struct option_entry entries[] = {
 *         CLUSTER_ENTRIES(struct status, cluster),
 *         ...
 *     };
 *     cleanup_cluster struct cluster cluster = CLUSTER_INIT;
 *     if (cluster_open(&status.cluster, 0, &cluster, &err) < 0)
 *         return complain(STATUS_USAGE, "%s", error_message(err));
 *     if ((r = kube_get(cluster.client, ..., &result)) < 0)
 *         return cluster_complain(&cluster, r, &result);
 *
 * A cluster belongs to its caller; any thread may call its client.
 */
#ifndef DPUMESH_CTL_CLUSTER_CLUSTER_H
#define DPUMESH_CTL_CLUSTER_CLUSTER_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/option.h"
#include "kube/client.h"
#include "kube/config.h"

/* Exit statuses of all these verbs. */
enum {
    CLUSTER_OK = 0,
    CLUSTER_FAILED = 1, /* the cluster refused, was not reached, or was not so in time */
    CLUSTER_USAGE = 2   /* the command line, or no cluster is configured */
};

/* As kubectl has them; NULL: not given. */
struct cluster_options {
    const char *kubeconfig, *context, *namespace;
};

#define CLUSTER_ENTRIES(type, member)                                                              \
    {0, "kubeconfig", OPTION_TO_STRING(type, member.kubeconfig), .argument = "FILE",               \
     .help = "How to reach the cluster. Default: $KUBECONFIG, ~/.kube/config, or in a pod its "    \
             "service account."},                                                                  \
    {                                                                                              \
        0, "context", OPTION_TO_STRING(type, member.context),                                      \
            .argument = "NAME", .help = "The kubeconfig's context to use."                         \
    }

struct cluster {
    struct kube_config *config;
    struct kube_client *client;
};

#define CLUSTER_INIT                                                                               \
    {                                                                                              \
        .config = NULL, .client = NULL                                                             \
    }

extern const struct kube_resource cluster_dpuservices, cluster_crds, cluster_namespaces,
    cluster_deployments, cluster_pods, cluster_leases, cluster_jobs;

/* The name of the CRD, and where `dpumesh install` puts the operator unless told otherwise. */
#define CLUSTER_CRD_NAME          "dpuservices.dpumesh.io"
#define CLUSTER_NAMESPACE         "dpumesh-system"
#define CLUSTER_OPERATOR_NAME     "dpumesh-operator"
/* The operator's pods, and an agent's of any DpuService. */
#define CLUSTER_OPERATOR_SELECTOR "app.kubernetes.io/name=" CLUSTER_OPERATOR_NAME
#define CLUSTER_AGENT_SELECTOR    "app.kubernetes.io/name=dpumesh-agent"

/*
 * Reads the configuration and makes a client; nothing is sent. timeout_ns: of a call, 0: 15 s. 0
 * and *ret_cluster (cluster_close() it), or -errno and a sentence: no cluster is configured, or not
 * well.
 */
int cluster_open(const struct cluster_options *options, uint64_t timeout_ns,
                 struct cluster *ret_cluster, struct error **err);

/* Frees both; the struct is empty again. */
void cluster_close(struct cluster *cluster);
#define cleanup_cluster CLEANUP(cluster_close)

/* Makes the sentence for a call that returned ret (negative), which it returns. */
int cluster_error(const struct cluster *cluster, int ret, const struct kube_result *result,
                  struct error **err);

/* Prints it; returns CLUSTER_FAILED. */
int cluster_complain(const struct cluster *cluster, int ret, const struct kube_result *result);

/*
 * Lists objects into *ret_list, an array (owned by the caller). namespace NULL: all; selector may
 * be NULL. DpuServices without their CRD are said so. 0, or -errno and a sentence.
 */
int cluster_list(const struct cluster *cluster, const struct kube_resource *resource,
                 const char *namespace, const char *selector, json_t **ret_list,
                 struct error **err);

/* Where a pod's page of metrics on this port is found, through the API server's proxy; owned by the
 * caller. */
char *cluster_page_path(const json_t *pod, int port);

/* Reads such a page into an empty buffer. 0, or -errno and a sentence; -EFBIG: it is longer than
 * the buffer may be. */
int cluster_read_page(const struct cluster *cluster, const char *path, struct buffer *page,
                      struct error **err);

#endif
