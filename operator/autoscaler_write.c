/* The one write of the autoscaler. */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "operator/autoscaler_private.h"
#include "operator/child.h"

/*
 * With the resourceVersion that was read: what somebody changed since (replicas, the policy, or the
 * whole DpuService) is looked at again before it is scaled.
 */
bool autoscaler_write(struct autoscaler *a, struct scaled *scaled,
                      const struct scale_decision *decision, char **ret_failure)
{
    static const struct kube_write_options options = {
        .subresource = "scale", .manager = AUTOSCALER_MANAGER, .answer = KUBE_ANSWER_BARE};
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
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
    if (failed != -ESTALE && failed != -ENOENT && failed != -ECANCELED)
        *ret_failure = xstrdup(result.message);
    return false;
}
