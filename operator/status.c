#include "operator/status.h"

#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "kube/time.h"
#include "spec/latency.h"

/* One condition's state of affairs. */
struct verdict {
    bool ready, reconciling, stalled;
    const char *reason; /* of Ready, and of what is True of the others */
    char *message;      /* owned */
};

static const json_t *condition_of(const json_t *status, const char *type)
{
    size_t i;
    const json_t *condition;
    json_array_foreach(json_object_get(status, "conditions"), i, condition)
    {
        const char *text = json_string_value(json_object_get(condition, "type"));
        if (text && strcmp(text, type) == 0)
            return condition;
    }
    return NULL;
}

static const char *member_of(const json_t *status, const char *type, const char *key)
{
    const char *text = json_string_value(json_object_get(condition_of(status, type), key));
    return text ? text : "";
}

const char *status_reason(const json_t *status, const char *type)
{
    return member_of(status, type, "reason");
}

const char *status_message(const json_t *status, const char *type)
{
    return member_of(status, type, "message");
}

bool status_is_true(const json_t *status, const char *type)
{
    return strcmp(member_of(status, type, "status"), "True") == 0;
}

/* What is no UTF-8 becomes '?': a JSON text can't hold it, and a proxy may say anything. */
static char *clean(const char *text)
{
    char *made = xstrndup(text, strnlen(text, STATUS_MESSAGE_MAX));
    size_t length = strlen(made), at = 0;
    while (at < length) {
        uint32_t code;
        size_t size = text_utf8_decode(made + at, length - at, &code);
        if (size == 0 && text[length] && length - at < 4) {
            made[at] = '\0'; /* the cut went through a character */
            break;
        }
        if (size == 0)
            made[at] = '?';
        at += size ? size : 1;
    }
    return made;
}

void status_obstacle_set(struct status_obstacle *obstacle, bool stalled, const char *reason,
                         const char *message)
{
    free(obstacle->message);
    obstacle->message = clean(message);
    obstacle->stalled = stalled;
    snprintf(obstacle->reason, sizeof obstacle->reason, "%s", reason);
}

void status_obstacle_free(struct status_obstacle *obstacle)
{
    free(obstacle->message);
    *obstacle = (struct status_obstacle){.message = NULL};
}

/* Reasons are CamelCase words: what a container runtime says need not be one. */
static const char *known_cause(const char *cause)
{
    static const char *const known[] = {"ImagePullBackOff",
                                        "ErrImagePull",
                                        "ErrImageNeverPull",
                                        "InvalidImageName",
                                        "CrashLoopBackOff",
                                        "Unschedulable",
                                        "CreateContainerConfigError",
                                        "CreateContainerError",
                                        "RunContainerError",
                                        "OOMKilled",
                                        "Evicted",
                                        "Error",
                                        "Completed",
                                        "ContainerCannotRun"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i], cause) == 0)
            return known[i];
    return "PodFailed";
}

static struct verdict stalled(const char *reason, char *message)
{
    return (struct verdict){.stalled = true, .reason = reason, .message = message};
}

static struct verdict reconciling(const char *reason, char *message)
{
    return (struct verdict){.reconciling = true, .reason = reason, .message = message};
}

/* A pod does not run. One that has ended is replaced, so that this is no standstill. */
static struct verdict judge_pod(const struct status_input *in)
{
    const struct child_view *d = in->deployment;
    const char *reason = known_cause(in->pod_cause);
    char *message = xasprintf("%u of %u replicas are ready; %s%s", d->ready, d->wanted,
                              in->pod_message, in->pods_failing > 1 ? " (and others)" : "");
    return in->pod_ended ? reconciling(reason, message) : stalled(reason, message);
}

/* "; a pod waits until there are Secret a and ConfigMap b", or "": nobody else would tell. Owned by
 * the caller. */
static char *waits_for(const struct status_input *in)
{
    cleanup_free char *needed = in->service ? spec_needed_objects(in->service) : NULL;
    return needed ? xasprintf("; a pod waits until there are %s", needed) : xstrdup("");
}

/* What a Deployment tells. */
static struct verdict judge_deployment(const struct status_input *in)
{
    const struct child_view *d = in->deployment;
    unsigned wanted = d->wanted;
    /* What it says is of an earlier version, and so are the pods that fail. */
    if (d->observed_generation < d->generation)
        return reconciling("RollingOut",
                           xstrdup("the Deployment's change has not been taken up yet"));
    if (d->replicas == wanted && d->updated == wanted && d->available == wanted &&
        d->ready == wanted)
        return (struct verdict){.ready = true,
                                .reason = wanted ? "AllReplicasReady" : "ScaledToZero",
                                .message =
                                    xasprintf("%u of %u replicas are ready", wanted, wanted)};
    if (d->replica_failure)
        return stalled(strstr(d->message, "exceeded quota") ? "QuotaExceeded" : "PodsRefused",
                       xasprintf("pods can't be made: %s", d->message));
    if (*in->pod_cause)
        return judge_pod(in);
    cleanup_free char *waits = waits_for(in);
    if (d->late)
        return stalled("ProgressDeadlineExceeded", xasprintf("%u of %u replicas are ready%s; %s",
                                                             d->ready, wanted, waits, d->message));
    return reconciling("RollingOut",
                       xasprintf("%u of %u replicas are ready, %u of the current version%s",
                                 d->ready, wanted, d->updated, waits));
}

static struct verdict judge(const struct status_input *in)
{
    const struct status_obstacle *obstacle = in->obstacle;
    if (obstacle && *obstacle->reason)
        return obstacle->stalled ? stalled(obstacle->reason, xstrdup(obstacle->message))
                                 : reconciling(obstacle->reason, xstrdup(obstacle->message));
    if (!in->deployment)
        return reconciling("CreatingChildren", xstrdup("the Deployment is not seen yet"));
    return judge_deployment(in);
}

/* Puts a condition in; its time stays when its status stays. */
static void put_condition(json_t *conditions, const json_t *old, const char *type, bool is,
                          const char *reason, const char *message, int64_t generation,
                          const char *now)
{
    const json_t *before = condition_of(old, type);
    const char *word = is ? "True" : "False";
    const char *since = json_string_value(json_object_get(before, "lastTransitionTime"));
    const char *was = json_string_value(json_object_get(before, "status"));
    bool stays = since && was && strcmp(was, word) == 0;
    json_array_append_new(
        conditions, json_pack("{s:s, s:s, s:I, s:s, s:s, s:s}", "type", type, "status", word,
                              "observedGeneration", (json_int_t)generation, "lastTransitionTime",
                              stays ? since : now, "reason", reason, "message", message));
}

/* All that we ever write, in no order. */
static const char *const our_conditions[] = {"Ready", "Reconciling", "Stalled", "Scaling",
                                             "Autoscaling"};
static const char *const our_members[] = {"observedGeneration", "replicas",    "readyReplicas",
                                          "desiredReplicas",    "ready",       "selector",
                                          "endpoint",           "latencyAsked"};

/* Whether both have it alike, or neither has. */
static bool alike(const json_t *a, const json_t *b)
{
    return a && b ? json_equal(a, b) : a == b;
}

bool status_same(const json_t *status, const json_t *old)
{
    for (size_t i = 0; i < sizeof our_members / sizeof our_members[0]; i++)
        if (!alike(json_object_get(status, our_members[i]), json_object_get(old, our_members[i])))
            return false;
    for (size_t i = 0; i < sizeof our_conditions / sizeof our_conditions[0]; i++)
        if (!alike(condition_of(status, our_conditions[i]), condition_of(old, our_conditions[i])))
            return false;
    return true;
}

static json_t *make_conditions(const struct status_input *in, const json_t *old,
                               const struct verdict *verdict, const char *now)
{
    json_t *conditions = json_array();
    const char *scaler = in->deployment ? in->deployment->scaler : "";
    put_condition(conditions, old, "Ready", verdict->ready, verdict->reason, verdict->message,
                  in->generation, now);
    put_condition(conditions, old, "Reconciling", verdict->reconciling,
                  verdict->reconciling ? verdict->reason : "Settled",
                  verdict->reconciling ? verdict->message : "nothing is under way", in->generation,
                  now);
    put_condition(conditions, old, "Stalled", verdict->stalled,
                  verdict->stalled ? verdict->reason : "NoObstacle",
                  verdict->stalled ? verdict->message : "nothing stands in the way", in->generation,
                  now);
    if (*scaler) {
        cleanup_free char *message =
            xasprintf("%s scales the Deployment itself; spec.replicas is not applied", scaler);
        put_condition(conditions, old, "Scaling", true, "ScaledByOthers", message, in->generation,
                      now);
    }
    if (in->scaling_reason && *in->scaling_reason) {
        cleanup_free char *message = clean(in->scaling_message);
        put_condition(conditions, old, "Autoscaling", in->scaling_active, in->scaling_reason,
                      message, in->generation, now);
    } else if (!in->scaling_reason && condition_of(old, "Autoscaling")) {
        json_array_append_new(conditions, json_deep_copy(condition_of(old, "Autoscaling")));
    }
    return conditions;
}

/* "s0.shop.svc:5005", and where nodes answer. */
static char *make_endpoint(const struct status_input *in)
{
    unsigned port = in->service->service.bridge_port;
    unsigned node_port = in->front ? in->front->node_ports[0] : 0;
    return node_port ? xasprintf("%s.%s.svc:%u,NODE:%u", in->name, in->namespace, port, node_port)
                     : xasprintf("%s.%s.svc:%u", in->name, in->namespace, port);
}

json_t *status_make(const struct status_input *in, const json_t *old, uint64_t now_ns)
{
    char now[KUBE_TIME_TEXT_MAX];
    struct verdict verdict = judge(in);
    const struct child_view *d = in->deployment;
    unsigned wanted = d ? d->wanted : in->service ? in->service->replicas : 0;
    unsigned ready = d ? d->ready : 0;
    cleanup_free char *count = xasprintf("%u/%u", ready, wanted);
    cleanup_free char *selector =
        xasprintf("app.kubernetes.io/instance=%s,app.kubernetes.io/name=dpumesh-agent", in->name);
    json_t *status =
        json_pack("{s:I, s:i, s:i, s:i, s:s, s:s}", "observedGeneration",
                  (json_int_t)in->generation, "replicas", d ? (int)d->replicas : 0, "readyReplicas",
                  (int)ready, "desiredReplicas", (int)wanted, "ready", count, "selector", selector);
    if (in->service) {
        cleanup_free char *endpoint = make_endpoint(in);
        char latency[LATENCY_TEXT_MAX];
        json_object_set_new(status, "endpoint", json_string(endpoint));
        if (in->service->egress.mode == EGRESS_SIMULATE)
            json_object_set_new(status, "latencyAsked",
                                json_string(latency_format(&in->service->egress.latency, latency)));
    }
    json_object_set_new(status, "conditions",
                        make_conditions(in, old, &verdict, kube_time_format(now_ns, now)));
    free(verdict.message);
    return status;
}
