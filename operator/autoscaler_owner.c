/*
 * Who else sets the number of replicas. One decision has one owner: the autoscaler stands back from
 * a HorizontalPodAutoscaler of somebody's, from another controller that used the scale subresource,
 * and from an applier that has spec.replicas among its fields; a person's kubectl is none of these,
 * as a HorizontalPodAutoscaler has it. HPAs are listed, so that one is seen before it first writes,
 * and its mark on the object counts for nothing when it is gone.
 *
 * Not everybody leaves a mark: where no manager has spec.replicas (the field is the schema's
 * default), the API server (1.34) records nobody for a write of the scale subresource. So whoever
 * takes our number back again and again is taken for an owner too, for a while.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "operator/autoscaler_private.h"
#include "operator/child.h"
#include "operator/trim_private.h"

/* For how many looks what was found out may be used: half a minute by default. */
enum { OWNER_LOOKS = 6 };

/* So many times in so many looks (five minutes by default) is no accident; and as long we stand
 * back then. */
enum { RIVAL_TIMES = 3, RIVAL_LOOKS = 60 };

/* Kubernetes' own, whose HPAs are listed. */
#define HPA_MANAGER "kube-controller-manager"

/* ---- HorizontalPodAutoscalers ---- */

/* Whether it is a child of a DpuService: that is the one of engine hpa, about to go. */
static bool is_child(const json_t *hpa)
{
    size_t i;
    const json_t *owner;
    json_array_foreach(json_object_get(json_object_get(hpa, "metadata"), "ownerReferences"), i,
                       owner) if (strcmp(trim_text(owner, "kind"), DPUSERVICE_KIND) == 0 &&
                                  json_is_true(json_object_get(owner, "controller"))) return true;
    return false;
}

static int note_hpa(void *context, json_t *object)
{
    json_t *targets = context;
    const json_t *target = json_object_get(json_object_get(object, "spec"), "scaleTargetRef");
    cleanup_free char *key =
        xasprintf("%s/%s", trim_text(target, "kind"), trim_text(target, "name"));
    if (!is_child(object))
        json_object_set(targets, key, json_object_get(json_object_get(object, "metadata"), "name"));
    return 0;
}

static struct scaled_hpas *hpas_of(struct autoscaler *a, const char *namespace)
{
    for (size_t i = 0; i < a->hpas_count; i++)
        if (strcmp(a->hpas[i].namespace, namespace) == 0)
            return &a->hpas[i];
    a->hpas = xreallocarray(a->hpas, a->hpas_count + 1, sizeof *a->hpas);
    a->hpas[a->hpas_count] = (struct scaled_hpas){.namespace = xstrdup(namespace)};
    return &a->hpas[a->hpas_count++];
}

/* The namespace's HPAs by target, listed anew when that is long ago. 0 and *ret_targets, which may
 * be old ones; -errno: they were never listed, and result tells why. */
static int list_hpas(struct autoscaler *a, const char *namespace, uint64_t now_ns,
                     const json_t **ret_targets, struct kube_result *result)
{
    struct scaled_hpas *hpas = hpas_of(a, namespace);
    struct kube_list_options options = {.strip_managed_fields = true, .resource_version = "0"};
    json_auto_t *targets = json_object();
    hpas->round = a->round;
    *ret_targets = hpas->targets;
    if (hpas->at_ns != 0 && now_ns - hpas->at_ns < OWNER_LOOKS * a->options.interval_ns)
        return 0;
    int failed = kube_list(a->options.operator->client, child_resource(CHILD_AUTOSCALER), namespace,
                           &options, note_hpa, targets, NULL, NULL, result);
    if (failed < 0)
        return hpas->targets ? 0 : failed;
    hpas->at_ns = now_ns;
    json_decref(hpas->targets);
    *ret_targets = hpas->targets = json_incref(targets);
    return 0;
}

void autoscaler_forget_hpas(struct autoscaler *a)
{
    size_t kept = 0;
    for (size_t i = 0; i < a->hpas_count; i++) {
        if (a->hpas[i].round == a->round) {
            a->hpas[kept++] = a->hpas[i];
            continue;
        }
        free(a->hpas[i].namespace);
        json_decref(a->hpas[i].targets);
    }
    a->hpas_count = kept;
    if (kept > 0)
        return;
    free(a->hpas);
    a->hpas = NULL;
}

/* The HPA that scales the service, or its Deployment behind its back; NULL: none. */
static const char *hpa_of(const json_t *targets, const struct scaled *scaled)
{
    struct child_identity deployment = spec_child_identity(CHILD_DEPLOYMENT);
    cleanup_free char *self = xasprintf(DPUSERVICE_KIND "/%s", scaled->name);
    cleanup_free char *child =
        xasprintf("%s/%s%s", deployment.kind, scaled->name, deployment.suffix);
    const char *name = json_string_value(json_object_get(targets, self));
    return name ? name : json_string_value(json_object_get(targets, child));
}

/* ---- field managers ---- */

/* The manager that owns spec.replicas of the object and is a controller or an applier of its own;
 * NULL: nobody. */
static const char *manager_of(const json_t *object)
{
    size_t i;
    const json_t *entry;
    json_array_foreach(json_object_get(json_object_get(object, "metadata"), "managedFields"), i,
                       entry)
    {
        const json_t *spec = json_object_get(json_object_get(entry, "fieldsV1"), "f:spec");
        const char *manager = trim_text(entry, "manager");
        bool scales = strcmp(trim_text(entry, "subresource"), "scale") == 0;
        bool applies = strcmp(trim_text(entry, "operation"), "Apply") == 0;
        if (json_object_get(spec, "f:replicas") && (scales || applies) &&
            strncmp(manager, "kubectl", 7) != 0 && strcmp(manager, HPA_MANAGER) != 0 &&
            strcmp(manager, AUTOSCALER_MANAGER) != 0 && strcmp(manager, OPERATOR_MANAGER) != 0)
            return manager;
    }
    return NULL;
}

/* A sentence on who owns the number, owned by the caller; NULL: nobody. 0, or -errno: not known. */
static int ask_owner(struct autoscaler *a, const struct scaled *scaled, char **ret_owner,
                     struct kube_result *result)
{
    int failed = kube_get(a->options.operator->client, &operator_dpuservices, scaled->namespace,
                          scaled->name, result);
    if (failed < 0)
        return failed;
    const char *manager = manager_of(result->object);
    *ret_owner = manager ? xasprintf("%s sets spec.replicas; leave it out there, or take "
                                     "spec.autoscaling away",
                                     manager)
                         : NULL;
    return 0;
}

/* ---- rivals ---- */

/* A write that failed was carried out all the same: the number is ours. */
static void take_tried(struct scaled *scaled, uint64_t now_ns)
{
    if (scaled->tried != scaled->replicas || scaled->replicas == scaled->replicas_known)
        return;
    if (scaled->replicas_known >= 0)
        scale_applied(&scaled->state, &scaled->policy, scaled->replicas_known, scaled->replicas,
                      now_ns);
    scaled->replicas_known = scaled->replicas;
    scaled->ours = true;
    scaled->tried = -1;
}

/* Counts when somebody set another number than ours, which was the last that was set. */
static void watch_rival(struct autoscaler *a, struct scaled *scaled, uint64_t now_ns)
{
    uint64_t span_ns = RIVAL_LOOKS * a->options.interval_ns;
    if (!scaled->ours || scaled->replicas == scaled->replicas_known)
        return;
    scaled->ours = false;
    if (scaled->rival_times == 0 || now_ns - scaled->rival_since_ns > span_ns) {
        scaled->rival_times = 0;
        scaled->rival_since_ns = now_ns;
    }
    if (++scaled->rival_times < RIVAL_TIMES)
        return;
    scaled->rival_times = 0;
    scaled->rival_until_ns = now_ns + span_ns;
}

/* ---- all of them ---- */

static void set_owner(struct scaled *scaled, char *owner, int32_t known)
{
    free(scaled->owner);
    scaled->owner = owner;
    scaled->replicas_known = known;
}

int autoscaler_look_owner(struct autoscaler *a, struct scaled *scaled, uint64_t now_ns,
                          char **ret_failure)
{
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    const json_t *targets;
    take_tried(scaled, now_ns);
    watch_rival(a, scaled, now_ns);
    if (now_ns < scaled->rival_until_ns) {
        set_owner(scaled,
                  xasprintf("somebody else set spec.replicas %d times after the autoscaler did, "
                            "which now stands back for %" PRIu64 " s; take spec.autoscaling away "
                            "if that is to be",
                            RIVAL_TIMES, RIVAL_LOOKS * a->options.interval_ns / NS_PER_S),
                  -1);
        return 0;
    }
    int failed = list_hpas(a, scaled->namespace, now_ns, &targets, &result);
    const char *hpa = failed < 0 ? NULL : hpa_of(targets, scaled);
    if (hpa) {
        set_owner(scaled,
                  xasprintf("the HorizontalPodAutoscaler %s scales it; delete that, or take "
                            "spec.autoscaling away",
                            hpa),
                  -1); /* ask when it is gone */
        return 0;
    }
    if (failed == 0 && scaled->replicas_known == scaled->replicas &&
        (!scaled->owner || now_ns - scaled->owner_at_ns < OWNER_LOOKS * a->options.interval_ns))
        return 0;
    char *owner = NULL;
    if (failed == 0)
        failed = ask_owner(a, scaled, &owner, &result);
    if (failed == 0) {
        set_owner(scaled, owner, scaled->replicas);
        scaled->owner_at_ns = now_ns;
    } else if (scaled->replicas_known < 0) {
        *ret_failure = xstrdup(result.message);
        return failed;
    }
    return 0;
}
