/* The one write of the autoscaler. */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "operator/autoscaler_private.h"
#include "operator/child.h"

/*
 * The newest version that has the spec which was read: status is written meanwhile, most of all in
 * a burst. False: the spec is another one, or the DpuService is.
 */
static bool take_version(struct autoscaler *a, struct scaled *scaled)
{
    struct kube_store *store = kube_controller_store(a->options.controller, SOURCE_DPUSERVICES);
    cleanup_kube_object const struct kube_object *kept =
        kube_store_get(store, scaled->namespace, scaled->name);
    if (!kept || trim_uid(kept->uid) != scaled->uid ||
        trim_dpuservice_digest(kept) != scaled->digest)
        return false;
    free(scaled->resource_version);
    scaled->resource_version = xstrdup(kept->resource_version);
    return true;
}

/*
 * With that resourceVersion: what somebody changed since (replicas, the policy, or the whole
 * DpuService) is looked at again before it is scaled.
 */
bool autoscaler_write(struct autoscaler *a, struct scaled *scaled,
                      const struct scale_decision *decision, char **ret_failure)
{
    static const struct kube_write_options options = {
        .subresource = "scale", .manager = AUTOSCALER_MANAGER, .answer = KUBE_ANSWER_BARE};
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    if (!take_version(a, scaled)) {
        metric_add(a->conflicts, 1);
        return false;
    }
    json_auto_t *patch =
        json_pack("{s:{s:s}, s:{s:i}}", "metadata", "resourceVersion", scaled->resource_version,
                  "spec", "replicas", (int)decision->desired);
    if (!operator_may_write(a->options.operator))
        return false;
    int failed = kube_patch(a->options.operator->client, &operator_dpuservices, scaled->namespace,
                            scaled->name, KUBE_PATCH_MERGE, patch, &options, &result);
    if (failed == 0) {
        scaled->written_version = object_version(result.object);
        scaled->written_ns = clock_monotonic_ns();
        return true;
    }
    if (failed == -ESTALE)
        metric_add(a->conflicts, 1);
    else if (failed != -ENOENT && failed != -ECANCELED)
        *ret_failure = xstrdup(result.message);
    return false;
}
