#include "ctl/cluster/cluster.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "ctl/cluster/dig.h"
#include "ctl/terminal.h"

const struct kube_resource cluster_dpuservices = {"dpumesh.io", "v1alpha1", "dpuservices",
                                                  "DpuService", true};
const struct kube_resource cluster_crds = {
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", false};
const struct kube_resource cluster_namespaces = {"", "v1", "namespaces", "Namespace", false};
const struct kube_resource cluster_deployments = {"apps", "v1", "deployments", "Deployment", true};
const struct kube_resource cluster_pods = {"", "v1", "pods", "Pod", true};
const struct kube_resource cluster_leases = {"coordination.k8s.io", "v1", "leases", "Lease", true};
const struct kube_resource cluster_jobs = {"batch", "v1", "jobs", "Job", true};

/* Somebody waits at a terminal: an API server that is not there is told at once. */
enum { TRIES = 3, CONNECTIONS = 8 };
#define TIMEOUT_NS (15 * NS_PER_S)

int cluster_open(const struct cluster_options *options, uint64_t timeout_ns,
                 struct cluster *ret_cluster, struct error **err)
{
    struct kube_config_options where = {.kubeconfig = options->kubeconfig,
                                        .context = options->context,
                                        .namespace = options->namespace};
    struct kube_client_options how = {.user_agent = "kubectl-dpumesh/" DPUMESH_VERSION,
                                      .timeout_ns = timeout_ns ? timeout_ns : TIMEOUT_NS,
                                      .tries_max = TRIES,
                                      .idle_max = CONNECTIONS,
                                      .http1 = true};
    cleanup_kube_config struct kube_config *config = NULL;

    int r = kube_config_load(&where, &config, err);
    if (r == 0)
        r = kube_client_new(config, &how, &ret_cluster->client, err);
    if (r == 0)
        ret_cluster->config = STEAL_POINTER(config);
    return r;
}

void cluster_close(struct cluster *cluster)
{
    kube_client_free(STEAL_POINTER(cluster->client));
    kube_config_free(STEAL_POINTER(cluster->config));
}

int cluster_error(const struct cluster *cluster, int ret, const struct kube_result *result,
                  struct error **err)
{
    const char *message = result->message ? result->message : strerror(-ret);
    if (result->status == 0 && ret != -ECANCELED)
        return error_make(err, -ret, "no answer from the cluster %s (%s): %s",
                          cluster->config->server, cluster->config->source, message);
    return error_make(err, -ret, "%s", message);
}

int cluster_complain(const struct cluster *cluster, int ret, const struct kube_result *result)
{
    cleanup_error struct error *err = NULL;
    cluster_error(cluster, ret, result, &err);
    return complain(CLUSTER_FAILED, "%s", error_message(err));
}

static int append(void *context, json_t *object)
{
    json_array_append(context, object);
    return 0;
}

int cluster_list(const struct cluster *cluster, const struct kube_resource *resource,
                 const char *namespace, const char *selector, json_t **ret_list, struct error **err)
{
    struct kube_list_options options = {.label_selector = selector, .strip_managed_fields = true};
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    json_auto_t *list = json_array();

    int r = kube_list(cluster->client, resource, namespace, &options, append, list, NULL, NULL,
                      &result);
    if (r == -ENOENT && resource == &cluster_dpuservices)
        return error_make(err, ENOENT,
                          "the cluster %s does not know DpuServices: the CRD %s is not there; "
                          "\"kubectl dpumesh install\" brings it",
                          cluster->config->server, CLUSTER_CRD_NAME);
    if (r < 0)
        return cluster_error(cluster, r, &result, err);
    *ret_list = STEAL_POINTER(list);
    return 0;
}

char *cluster_page_path(const json_t *pod, int port)
{
    return xasprintf("/api/v1/namespaces/%s/pods/%s:%d/proxy/metrics",
                     dig_text(pod, "metadata", "namespace", NULL),
                     dig_text(pod, "metadata", "name", NULL), port);
}

static int take(void *context, const char *data, size_t size)
{
    return buffer_append(context, data, size) < 0 ? -EFBIG : 0;
}

int cluster_read_page(const struct cluster *cluster, const char *path, struct buffer *page,
                      struct error **err)
{
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    int r = kube_read(cluster->client, path, NULL, take, page, &result);
    return r < 0 ? error_make(err, -r, "%s", result.message) : 0;
}
