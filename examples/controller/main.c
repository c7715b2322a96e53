/* Gives every Namespace labelled example.dpumesh.io/pods=N a ResourceQuota of N pods. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "kube/controller.h"
#include "kube/lease.h"

#define LABEL "example.dpumesh.io/pods"
#define NAME  "pod-quota"

static const struct kube_resource namespaces = {"", "v1", "namespaces", "Namespace", false};
static const struct kube_resource quotas = {"", "v1", "resourcequotas", "ResourceQuota", true};

static struct kube_client *client, *lease_client;
static struct kube_controller *controller;
static struct kube_lease *lease;

static int keep_label(void *context, const json_t *namespace, struct buffer *out)
{
    const json_t *labels = json_object_get(json_object_get(namespace, "metadata"), "labels");
    const char *pods = json_string_value(json_object_get(labels, LABEL));
    return buffer_puts(out, pods ? pods : "");
}

static int keep_hard(void *context, const json_t *quota, struct buffer *out)
{
    const json_t *hard = json_object_get(json_object_get(quota, "spec"), "hard");
    const char *pods = json_string_value(json_object_get(hard, "pods"));
    return buffer_puts(out, pods ? pods : "");
}

static bool key_of_quota(void *context, const struct kube_object *quota, struct buffer *ret_key)
{
    return strcmp(quota->name, NAME) == 0 && buffer_puts(ret_key, quota->namespace) == 0;
}

static int apply_quota(const struct kube_object *namespace, struct kube_result *result)
{
    static const struct kube_write_options options = {.manager = NAME, .force = true};
    json_auto_t *quota =
        json_pack("{s:s, s:s, s:{s:s, s:s, s:{s:s}, s:[{s:s, s:s, s:s, s:s}]}, s:{s:{s:s}}}",
                  "apiVersion", "v1", "kind", "ResourceQuota", "metadata", "name", NAME,
                  "namespace", namespace->name, "labels", "app.kubernetes.io/managed-by", NAME,
                  "ownerReferences", "apiVersion", "v1", "kind", "Namespace", "name",
                  namespace->name, "uid", namespace->uid, "spec", "hard", "pods", namespace->data);
    return kube_apply(client, &quotas, quota, &options, result);
}

static struct kube_outcome reconcile(void *context, struct kube_controller *self, const char *none,
                                     const char *name)
{
    cleanup_kube_object const struct kube_object *namespace =
        kube_store_get(kube_controller_store(self, 0), "", name);
    cleanup_kube_object const struct kube_object *quota =
        kube_store_get(kube_controller_store(self, 1), name, NAME);
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    int r = 0;
    if (!kube_lease_leading(lease))
        return (struct kube_outcome){.kind = KUBE_DONE};
    if (namespace && (!quota || strcmp(quota->data, namespace->data) != 0))
        r = apply_quota(namespace, &result);
    else if (quota && !namespace)
        r = kube_delete(client, &quotas, name, NAME, quota->uid, &result);
    if (r < 0 && r != -ENOENT)
        return (struct kube_outcome){.kind = KUBE_RETRY, .message = STEAL_POINTER(result.message)};
    return (struct kube_outcome){.kind = KUBE_DONE};
}

static void failed(void *context, const char *what, const char *key, const char *message)
{
    log_warn("failed", LOG_STR("what", what), LOG_STR("key", key), LOG_STR("why", message));
}

static void changed(void *context, bool leading)
{
    cleanup_error struct error *err = NULL;
    log_info(leading ? "leading" : "not leading");
    if (!leading)
        kube_controller_rest(controller);
    else if (kube_controller_work(controller, &err) < 0)
        log_error("can't work", LOG_ERROR(err));
}

int main(void)
{
    static const struct kube_controller_source sources[] = {
        {.resource = &namespaces, .label_selector = LABEL, .store.transform = keep_label},
        {.resource = &quotas,
         .label_selector = "app.kubernetes.io/managed-by=" NAME,
         .store.transform = keep_hard,
         .key = key_of_quota},
    };
    static const struct kube_controller_options options = {.name = NAME,
                                                           .sources = sources,
                                                           .source_count = 2,
                                                           .reconcile = reconcile,
                                                           .failed = failed};
    static const struct kube_config_options as_kubectl = {.kubeconfig = NULL};
    struct kube_lease_options election = {.name = NAME, .changed = changed};
    struct kube_client_options calls = {.user_agent = NAME,
                                        .timeout_ns = kube_lease_timeout_ns(&election)};
    cleanup_kube_config struct kube_config *config = NULL;
    cleanup_error struct error *err = NULL;
    char host[65] = "";
    sigset_t ends;
    int ended_by;

    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ends, NULL);
    gethostname(host, sizeof(host) - 1);
    cleanup_free char *identity = xasprintf("%s_%d", host, getpid());
    election.identity = identity;
    if (kube_config_load(&as_kubectl, &config, &err) == 0)
        election.namespace = config->namespace;
    if (err || kube_client_new(config, &calls, &client, &err) < 0 ||
        kube_client_new(config, &calls, &lease_client, &err) < 0 ||
        kube_controller_new(client, &options, &controller, &err) < 0 ||
        kube_controller_watch(controller, &err) < 0 ||
        kube_lease_start(lease_client, &election, &lease, &err) < 0)
        log_error("can't start", LOG_ERROR(err));
    else
        sigwait(&ends, &ended_by);
    kube_lease_stop(lease);
    kube_controller_free(controller);
    kube_client_free(lease_client);
    kube_client_free(client);
    return err ? 1 : 0;
}
