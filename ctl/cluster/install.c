/* `dpumesh install`: what kubectl apply -k deploy/ does, and waiting until it is done. */
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
#include "ctl/cluster/rollout.h"
#include "ctl/cluster/verbs.h"
#include "ctl/terminal.h"
#include "spec/children.h"

/* Whose the fields are that it applies. */
#define MANAGER "dpumesh-install"

struct install {
    struct cluster_options cluster;
    const char *image;
    uint64_t timeout_ns;
    bool dry_run, no_wait;
};

static const struct option_entry entries[] = {
    CLUSTER_ENTRIES(struct install, cluster),
    {'n', "namespace", OPTION_TO_STRING(struct install, cluster.namespace), .argument = "NAME",
     .fallback = CLUSTER_NAMESPACE,
     .help = "Where the operator shall run; made when it is not there."},
    {0, "image", OPTION_TO_STRING(struct install, image), .argument = "IMAGE",
     .help = "The operator's image with its tag. Default: mubench-dpu-operator:latest."},
    {0, "timeout", OPTION_TO_DURATION(struct install, timeout_ns), .argument = "TIME",
     .fallback = "2m", .min = NS_PER_S, .max = 3600 * NS_PER_S,
     .help = "How long to wait until the operator is available."},
    {0, "no-wait", OPTION_TO_FLAG(struct install, no_wait),
     .help = "Do not wait for the operator's pods."},
    {0, "dry-run", OPTION_TO_FLAG(struct install, dry_run),
     .help = "Print what would be applied, one v1 List in JSON, and ask no cluster."},
};

static const char *const description[] = {
    "Puts the CRD and the operator into a cluster: the objects of deploy/, applied on the server's "
    "side (field manager " MANAGER "), the CRD first. Then waits until the operator is available, "
    "or says why its pods do not run.",
    "Run again it changes only what differs: an upgrade is the same command of the new version. "
    "Fields that others have set meanwhile are set back.",
    NULL,
};

static const struct option_example examples[] = {
    {"kubectl dpumesh install", "from nothing to a running operator"},
    {"kubectl dpumesh install --image registry.example/mubench-dpu-operator:0.1.0",
     "with the image in a registry of yours"},
    {"kubectl dpumesh install --dry-run | kubectl diff -f -", "what an upgrade would change"},
};

static const struct option_status statuses[] = {
    {CLUSTER_OK, "installed and available; with --no-wait or --dry-run: applied or printed"},
    {CLUSTER_FAILED,
     "the cluster refused or was not reached, an operator is in another namespace, or "
     "this one was not available in time"},
    {CLUSTER_USAGE, "usage, or no cluster is configured"},
};

static void tell(const json_t *object, const char *what)
{
    const struct kube_resource *resource = manifest_resource(object);
    const char *namespace = dig_text(object, "metadata", "namespace", NULL);
    printf("%s/%s%s%s %s\n", resource->plural, dig_text(object, "metadata", "name", NULL),
           *namespace ? " -n " : "", namespace, what);
    fflush(stdout);
}

/* A Namespace that was there before is its owner's: our labels would change what may run in it. */
static bool is_foreign(const json_t *before)
{
    return strcmp(dig_text(before, "kind", NULL), "Namespace") == 0 &&
           strcmp(dig_label(before, "app.kubernetes.io/part-of"), "mubench-dpu") != 0;
}

/* Gets what stands there; what is on its way out is waited for. 0, -ENOENT, or -errno and a
 * sentence. */
static int get_present(const struct cluster *cluster, const json_t *object, uint64_t deadline_ns,
                       struct kube_result *result, struct error **err)
{
    static const struct timespec look = {.tv_nsec = 300 * NS_PER_MS};
    const struct kube_resource *resource = manifest_resource(object);
    const char *namespace = json_string_value(dig(object, "metadata", "namespace", NULL));
    const char *name = dig_text(object, "metadata", "name", NULL);
    for (bool told = false;; told = true) {
        int r = kube_get(cluster->client, resource, namespace, name, result);
        if (r < 0)
            return r == -ENOENT ? r : cluster_error(cluster, r, result, err);
        if (!dig(result->object, "metadata", "deletionTimestamp", NULL))
            return 0;
        if (clock_monotonic_ns() >= deadline_ns)
            return error_make(err, ETIMEDOUT, "%s/%s is being deleted, and is not gone in time",
                              resource->plural, name);
        if (!told)
            say("waiting until %s/%s is gone", resource->plural, name);
        nanosleep(&look, NULL);
    }
}

static int apply(const struct cluster *cluster, const json_t *object, uint64_t deadline_ns,
                 struct error **err)
{
    static const struct kube_write_options how = {.manager = MANAGER, .force = true};
    const struct kube_resource *resource = manifest_resource(object);
    cleanup_kube_result struct kube_result before = KUBE_RESULT_INIT, after = KUBE_RESULT_INIT;

    int r = get_present(cluster, object, deadline_ns, &before, err);
    if (r < 0 && r != -ENOENT)
        return r;
    if (r == 0 && is_foreign(before.object)) {
        tell(object, "is not ours, and left as it is");
        return 0;
    }
    const char *old = r == 0 ? dig_text(before.object, "metadata", "resourceVersion", NULL) : "";
    r = kube_apply(cluster->client, resource, object, &how, &after);
    if (r < 0)
        return cluster_error(cluster, r, &after, err);
    bool same = strcmp(old, dig_text(after.object, "metadata", "resourceVersion", NULL)) == 0;
    tell(object, !*old ? "created" : same ? "unchanged" : "changed");
    return 0;
}

static int apply_all(const struct cluster *cluster, const json_t *objects, uint64_t deadline_ns,
                     struct error **err)
{
    size_t i;
    json_t *object;
    json_array_foreach(objects, i, object)
    {
        int r = apply(cluster, object, deadline_ns, err);
        if (r == 0 && strcmp(dig_text(object, "kind", NULL), "CustomResourceDefinition") == 0)
            r = rollout_wait_crd(cluster, dig_text(object, "metadata", "name", NULL), deadline_ns,
                                 err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* A second operator would take the first one's rights away: there is one ClusterRoleBinding. */
static int check_claim(const struct cluster *cluster, const char *namespace, struct error **err)
{
    cleanup_free char *other = NULL;
    int r = claim_find(cluster, namespace, &other, err);
    if (r < 0 || !other)
        return r;
    return error_make(err, EEXIST,
                      "the ClusterRoleBinding " CLUSTER_OPERATOR_NAME
                      " belongs to the operator in %s; nothing was installed. \"kubectl dpumesh "
                      "uninstall -n %s\" first takes that one away",
                      other, other);
}

static int install(const struct install *given, const json_t *objects)
{
    cleanup_cluster struct cluster cluster = CLUSTER_INIT;
    cleanup_error struct error *err = NULL;
    uint64_t begun_ns = clock_monotonic_ns(), deadline_ns = begun_ns + given->timeout_ns;
    if (cluster_open(&given->cluster, 0, &cluster, &err) < 0)
        return complain(CLUSTER_USAGE, "%s", error_message(err));
    int r = check_claim(&cluster, given->cluster.namespace, &err);
    if (r == 0)
        r = apply_all(&cluster, objects, deadline_ns, &err);
    if (r == 0 && !given->no_wait)
        r = rollout_wait_deployment(&cluster, given->cluster.namespace, CLUSTER_OPERATOR_NAME,
                                    CLUSTER_OPERATOR_SELECTOR, deadline_ns, &err);
    if (r < 0)
        return complain(CLUSTER_FAILED, "%s", error_message(err));
    if (!given->no_wait)
        printf("the operator is available in %s (%.1f s)\n", given->cluster.namespace,
               (double)(clock_monotonic_ns() - begun_ns) / 1e9);
    return CLUSTER_OK;
}

static void print(json_t *objects)
{
    json_auto_t *list =
        json_pack("{s:s, s:s, s:O}", "apiVersion", "v1", "kind", "List", "items", objects);
    cleanup_free char *text = spec_json_text(list);
    puts(text);
}

static int run(const struct option_command *command, int argc, char **argv)
{
    struct install given;
    cleanup_options struct options options = OPTIONS_INIT;
    cleanup_error struct error *err = NULL;
    json_auto_t *objects = NULL;
    int r = options_parse(command, argc, argv, &given, &options, &err);
    if (r != 0)
        return options_exit(command, r, err);
    struct manifest_options how = {.namespace = given.cluster.namespace, .image = given.image};
    if (manifests_render(&how, &objects, &err) < 0)
        return complain(CLUSTER_FAILED, "%s", error_message(err));
    if (!given.dry_run)
        return install(&given, objects);
    print(objects);
    return CLUSTER_OK;
}

const struct option_command verb_install = {
    .name = "install",
    .parent = "dpumesh",
    .summary = "put the CRD and the operator into a cluster, or upgrade them",
    .description = description,
    OPTION_ENTRIES(entries),
    OPTION_EXAMPLES(examples),
    OPTION_STATUSES(statuses),
    .run = run,
};
