#include <errno.h>
#include <string.h>

#include "operator/child_private.h"

static json_t *replace(const json_t *list)
{
    json_t *made = json_pack("[{s:s}]", "$patch", "replace");
    json_array_extend(made, (json_t *)(uintptr_t)list);
    return made;
}

static const json_t *agent_of(const json_t *deployment)
{
    const json_t *template = json_object_get(json_object_get(deployment, "spec"), "template");
    const json_t *pod = json_object_get(template, "spec");
    return json_array_get(json_object_get(pod, "containers"), 0);
}

/* A strategic merge patch that makes the lists of the child as desired has them; NULL: it has no
 * such lists. */
static json_t *make_patch(enum child_kind kind, const json_t *desired, const char *uid)
{
    if (kind == CHILD_SERVICE) {
        const json_t *ports = json_object_get(json_object_get(desired, "spec"), "ports");
        return json_pack("{s:{s:s}, s:{s:o}}", "metadata", "uid", uid, "spec", "ports",
                         replace(ports));
    }
    if (kind == CHILD_DEPLOYMENT) {
        const json_t *agent = agent_of(desired);
        return json_pack("{s:{s:s}, s:{s:{s:{s:[{s:O, s:o, s:o}]}}}}", "metadata", "uid", uid,
                         "spec", "template", "spec", "containers", "name",
                         json_object_get(agent, "name"), "ports",
                         replace(json_object_get(agent, "ports")), "volumeMounts",
                         replace(json_object_get(agent, "volumeMounts")));
    }
    return NULL;
}

/* Refused because two entries would have the same name, or node port. */
static bool is_duplicate(int failed, const struct kube_result *result)
{
    return (failed == -EINVAL || failed == -EREMOTEIO) && result->message &&
           strcasestr(result->message, "duplicate");
}

int child_untangle(struct visit *v, enum child_kind kind, const json_t *desired, const char *uid,
                   int failed, const struct kube_result *why)
{
    static const struct kube_write_options options = {.manager = OPERATOR_MANAGER};
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    json_auto_t *patch = is_duplicate(failed, why) ? make_patch(kind, desired, uid) : NULL;
    const json_t *metadata = json_object_get(desired, "metadata");
    if (!patch)
        return failed;
    if (!operator_may_write(v->operator))
        return -ECANCELED;
    return kube_patch(v->operator->client, child_resource(kind), v->namespace,
                      json_string_value(json_object_get(metadata, "name")), KUBE_PATCH_STRATEGIC,
                      patch, &options, &result);
}
