/* `dpumesh uninstall`: takes the operator away; what runs goes on running, unless asked. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/memory.h"
#include "ctl/cluster/claim.h"
#include "ctl/cluster/cluster.h"
#include "ctl/cluster/dig.h"
#include "ctl/cluster/manifests.h"
#include "ctl/cluster/remove.h"
#include "ctl/cluster/verbs.h"
#include "ctl/terminal.h"

struct uninstall {
    struct cluster_options cluster;
    bool crd, yes;
    uint64_t timeout_ns;
};

static const struct option_entry entries[] = {
    CLUSTER_ENTRIES(struct uninstall, cluster),
    {'n', "namespace", OPTION_TO_STRING(struct uninstall, cluster.namespace), .argument = "NAME",
     .fallback = CLUSTER_NAMESPACE, .help = "Where the operator runs."},
    {0, "crd", OPTION_TO_FLAG(struct uninstall, crd),
     .help = "Delete the CRD too, and with it all DpuServices of the cluster, their Services and "
             "their pods."},
    {'y', "yes", OPTION_TO_FLAG(struct uninstall, yes),
     .help = "With --crd: delete them although there are some."},
    {0, "timeout", OPTION_TO_DURATION(struct uninstall, timeout_ns), .argument = "TIME",
     .fallback = "2m", .min = NS_PER_S, .max = 3600 * NS_PER_S,
     .help = "With --crd: how long to wait until all is gone."},
};

static const char *const description[] = {
    "Deletes the operator and what it may do, as far as they are ours. The CRD and the DpuServices "
    "stay, and what runs goes on running, without anybody who looks after it. The next install "
    "finds them again.",
    "The namespace goes when install made it and nothing but the operator is in it.",
    NULL,
};

static const struct option_status statuses[] = {
    {CLUSTER_OK, "deleted, or nothing was there"},
    {CLUSTER_FAILED, "the cluster refused or was not reached, something was not gone in time, or "
                     "the rights belong to an operator in another namespace"},
    {CLUSTER_USAGE, "usage, no cluster is configured, or --crd without --yes while there are "
                    "DpuServices"},
};

/* Lists what --crd would delete, and refuses to without --yes. 0, or the exit status. */
static int check_crd(const struct cluster *cluster, const struct uninstall *given,
                     json_t **ret_services)
{
    cleanup_error struct error *err = NULL;
    json_auto_t *services = NULL, *namespaces = json_object();
    size_t i;
    json_t *service;
    int r = cluster_list(cluster, &cluster_dpuservices, NULL, NULL, &services, &err);
    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return complain(CLUSTER_FAILED, "%s", error_message(err));
    json_array_foreach(services, i, service) json_object_set_new(
        namespaces, dig_text(service, "metadata", "namespace", NULL), json_true());
    *ret_services = json_incref(services);
    if (json_array_size(services) == 0 || given->yes)
        return 0;
    return complain(CLUSTER_USAGE,
                    "--crd would delete %zu DpuService%s in %zu namespace%s, with all their "
                    "Services and pods; nothing was deleted. Add --yes if that is meant",
                    json_array_size(services), json_array_size(services) == 1 ? "" : "s",
                    json_object_size(namespaces), json_object_size(namespaces) == 1 ? "" : "s");
}

/* Whether a namespace holds something beside the operator. */
static int is_in_use(const struct cluster *cluster, const char *namespace, bool *ret_in_use,
                     struct error **err)
{
    json_auto_t *services = NULL, *pods = NULL;
    size_t i;
    json_t *pod;
    int r = cluster_list(cluster, &cluster_dpuservices, namespace, NULL, &services, err);
    if (r < 0 && r != -ENOENT)
        return r;
    r = cluster_list(cluster, &cluster_pods, namespace, NULL, &pods, err);
    if (r < 0)
        return r;
    *ret_in_use = json_array_size(services) > 0;
    json_array_foreach(pods, i, pod)
    {
        if (strcmp(dig_label(pod, "app.kubernetes.io/name"), CLUSTER_OPERATOR_NAME) != 0)
            *ret_in_use = true;
    }
    return 0;
}

static void tell(const struct kube_resource *resource, const char *name, const char *what)
{
    printf("%s/%s %s\n", resource->plural, name, what);
    fflush(stdout);
}

/* Deletes one object if it is there and ours. */
static int delete_one(const struct cluster *cluster, const struct kube_resource *resource,
                      const char *namespace, const char *name, struct error **err)
{
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    bool in_use = false;
    int r = kube_get(cluster->client, resource, namespace, name, &result);
    if (r == -ENOENT || dig(result.object, "metadata", "deletionTimestamp", NULL))
        return 0;
    if (r < 0)
        return cluster_error(cluster, r, &result, err);
    if (resource != &cluster_crds &&
        strcmp(dig_label(result.object, "app.kubernetes.io/part-of"), "mubench-dpu") != 0) {
        tell(resource, name, "is not ours, and left as it is");
        return 0;
    }
    if (strcmp(resource->kind, "Namespace") == 0) {
        r = is_in_use(cluster, name, &in_use, err);
        if (r < 0)
            return r;
    }
    if (in_use) {
        tell(resource, name, "holds more than the operator, and stays");
        return 0;
    }
    cleanup_free char *uid = xstrdup(dig_text(result.object, "metadata", "uid", NULL));
    r = kube_delete(cluster->client, resource, namespace, name, uid, &result);
    if (r < 0 && r != -ENOENT)
        return cluster_error(cluster, r, &result, err);
    tell(resource, name, "deleted");
    return 0;
}

static int wait_gone(const struct cluster *cluster, uint64_t deadline_ns, struct error **err)
{
    static const struct timespec look = {.tv_nsec = 200 * NS_PER_MS};
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    while (clock_monotonic_ns() < deadline_ns) {
        int r = kube_get(cluster->client, &cluster_crds, NULL, CLUSTER_CRD_NAME, &result);
        if (r < 0)
            return r == -ENOENT ? 0 : cluster_error(cluster, r, &result, err);
        nanosleep(&look, NULL);
    }
    return error_make(
        err, ETIMEDOUT,
        "the CRD is still there: a DpuService has a finalizer that nobody takes away");
}

/* All ConfigMaps of the operator, whatever hashes their names end with. */
static int delete_config_maps(const struct cluster *cluster, const struct kube_resource *resource,
                              const char *namespace, struct error **err)
{
    json_auto_t *list = NULL;
    size_t i;
    json_t *one;
    int r = cluster_list(cluster, resource, namespace, CLUSTER_OPERATOR_SELECTOR, &list, err);
    json_array_foreach(list, i, one)
    {
        if (r == 0)
            r = delete_one(cluster, resource, namespace, dig_text(one, "metadata", "name", NULL),
                           err);
    }
    return r == -ENOENT ? 0 : r;
}

/* Everything but the CRD, what runs first; with_claim: also what a cluster has one of. */
static int delete_all(const struct cluster *cluster, const json_t *objects, bool with_claim,
                      struct error **err)
{
    int r = 0;
    for (size_t i = json_array_size(objects); i-- > 0 && r == 0;) {
        const json_t *object = json_array_get(objects, i);
        const struct kube_resource *resource = manifest_resource(object);
        const char *namespace = json_string_value(dig(object, "metadata", "namespace", NULL));
        if (strcmp(resource->kind, "ConfigMap") == 0)
            r = delete_config_maps(cluster, resource, namespace, err);
        else if (strcmp(resource->kind, cluster_crds.kind) != 0 &&
                 (with_claim || !claim_is_of(resource)))
            r = delete_one(cluster, resource, namespace, dig_text(object, "metadata", "name", NULL),
                           err);
    }
    return r;
}

static int uninstall(const struct uninstall *given, const json_t *objects)
{
    cleanup_cluster struct cluster cluster = CLUSTER_INIT;
    cleanup_error struct error *err = NULL;
    json_auto_t *services = NULL;
    cleanup_free char *other = NULL;
    uint64_t deadline_ns = clock_monotonic_ns() + given->timeout_ns;
    int r = cluster_open(&given->cluster, 0, &cluster, &err);
    if (r < 0)
        return complain(CLUSTER_USAGE, "%s", error_message(err));
    if (claim_find(&cluster, given->cluster.namespace, &other, &err) < 0)
        return complain(CLUSTER_FAILED, "%s", error_message(err));
    if (other && given->crd)
        return complain(CLUSTER_FAILED,
                        "--crd would take all DpuServices from the operator in %s; nothing was "
                        "deleted. Give -n %s if that is meant",
                        other, other);
    int status = given->crd ? check_crd(&cluster, given, &services) : CLUSTER_OK;
    if (status != CLUSTER_OK)
        return status;
    if (services)
        r = remove_services(&cluster, services, deadline_ns, &err);
    if (r == 0)
        r = delete_all(&cluster, objects, !other, &err);
    if (r == 0 && given->crd)
        r = delete_one(&cluster, &cluster_crds, NULL, CLUSTER_CRD_NAME, &err);
    if (r == 0 && given->crd)
        r = wait_gone(&cluster, deadline_ns, &err);
    if (r < 0)
        return complain(CLUSTER_FAILED, "%s", error_message(err));
    if (other)
        return complain(CLUSTER_FAILED,
                        "the ClusterRole and the ClusterRoleBinding " CLUSTER_OPERATOR_NAME
                        " belong to the operator in %s, and stay",
                        other);
    if (!given->crd)
        say("the CRD and all DpuServices stay; --crd deletes them too");
    return CLUSTER_OK;
}

static int run(const struct option_command *command, int argc, char **argv)
{
    struct uninstall given;
    cleanup_options struct options options = OPTIONS_INIT;
    cleanup_error struct error *err = NULL;
    json_auto_t *objects = NULL;
    int r = options_parse(command, argc, argv, &given, &options, &err);
    if (r == 0 && given.yes && !given.crd)
        r = error_make(&err, EINVAL, "--yes is for --crd; without, no DpuService is deleted");
    if (r != 0)
        return options_exit(command, r, err);
    struct manifest_options how = {.namespace = given.cluster.namespace};
    if (manifests_render(&how, &objects, &err) < 0)
        return complain(CLUSTER_FAILED, "%s", error_message(err));
    return uninstall(&given, objects);
}

const struct option_command verb_uninstall = {
    .name = "uninstall",
    .parent = "dpumesh",
    .summary = "take the operator out of a cluster",
    .description = description,
    OPTION_ENTRIES(entries),
    OPTION_STATUSES(statuses),
    .run = run,
};
