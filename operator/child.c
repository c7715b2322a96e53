#include "operator/child_private.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"

void visit_obstacle(struct visit *visit, bool stalled, const char *reason, const char *format, ...)
{
    if (*visit->obstacle.reason)
        return;
    va_list arguments;
    va_start(arguments, format);
    cleanup_free char *message = xvasprintf(format, arguments);
    va_end(arguments);
    status_obstacle_set(&visit->obstacle, stalled, reason, message);
}

void visit_problems(struct visit *visit, const char *reason, const struct problems *problems)
{
    cleanup_buffer struct buffer text = BUFFER_INIT(2048);
    for (size_t i = 0; i < problems->count && i < 3; i++)
        buffer_printf(&text, "%s%s", i ? "; " : "", problems->texts[i]);
    if (problems->count > 3)
        buffer_printf(&text, "; and %zu more", problems->count - 3);
    visit_obstacle(visit, true, reason, "%s", buffer_terminate(&text));
}

void visit_failed(struct visit *visit, const char *message)
{
    if (!visit->failure)
        visit->failure = xstrdup(message ? message : "a request failed");
}

uint64_t object_version(const json_t *object)
{
    const char *version =
        json_string_value(json_object_get(json_object_get(object, "metadata"), "resourceVersion"));
    return version ? strtoull(version, NULL, 10) : 0;
}

static const char *name_of(const json_t *object)
{
    return json_string_value(json_object_get(json_object_get(object, "metadata"), "name"));
}

struct kube_reference visit_reference(const struct visit *v)
{
    return (struct kube_reference){.api_version = DPUSERVICE_API_VERSION,
                                   .kind = DPUSERVICE_KIND,
                                   .namespace = v->namespace,
                                   .name = v->name,
                                   .uid = v->uid};
}

/* ---- whose it is ---- */

enum whose { OURS, PREDECESSORS, FOREIGN };

/*
 * A child is ours when this DpuService controls it; also when nobody controls it and it was applied
 * by us: somebody took the owner reference away, or the DpuService was deleted without its
 * children (--cascade=orphan) and is here again. One that belongs to a DpuService of another uid
 * is what a deleted one of the same name left behind, and the garbage collector is on its way.
 */
static enum whose whose_is(const struct visit *v, const struct child_view *view)
{
    if (view->owner == v->id.uid)
        return OURS;
    if (view->owner) {
        cleanup_free char *namesake = xasprintf("%s %s", DPUSERVICE_KIND, v->name);
        return strcmp(view->owner_text, namesake) == 0 ? PREDECESSORS : FOREIGN;
    }
    return view->applied && !*view->owner_text ? OURS : FOREIGN;
}

/* Says who has the name; true when the child is ours. */
static bool claim(struct visit *v, enum child_kind kind, const char *name,
                  const struct child_view *view)
{
    const char *what = child_resource(kind)->kind;
    switch (whose_is(v, view)) {
    case OURS:
        return true;
    case PREDECESSORS:
        visit_obstacle(v, false, "WaitingForPredecessor",
                       "%s %s is still that of an earlier DpuService %s, and is being collected",
                       what, name, v->name);
        v->waits = true;
        return false;
    case FOREIGN:
        break;
    }
    if (*view->owner_text)
        visit_obstacle(v, true, "NameTaken", "%s %s belongs to %s; rename this DpuService", what,
                       name, view->owner_text);
    else
        visit_obstacle(v, true, "NameTaken",
                       "%s %s exists and was not made for this DpuService; delete it or rename "
                       "this DpuService",
                       what, name);
    return false;
}

/* ---- writing ---- */

static void put_owner(const struct visit *v, json_t *desired)
{
    json_t *metadata = json_object_get(desired, "metadata");
    json_object_set_new(metadata, "namespace", json_string(v->namespace));
    json_object_set_new(metadata, "ownerReferences",
                        json_pack("[{s:s, s:s, s:s, s:s, s:b, s:b}]", "apiVersion",
                                  DPUSERVICE_API_VERSION, "kind", DPUSERVICE_KIND, "name", v->name,
                                  "uid", v->uid, "controller", 1, "blockOwnerDeletion", 1));
}

/* Failures in a row from which on a DpuService's status tells of what may go away by itself. */
enum { TELL_FAILURES = 3 };

static bool failed_before(const struct visit *v)
{
    cleanup_free char *key = xasprintf("%s/%s", v->namespace, v->name);
    return kube_queue_failures(kube_controller_queue(v->controller), key) >= TELL_FAILURES;
}

/* Says why a write was refused, and that the visit failed. */
static void explain(struct visit *v, enum child_kind kind, const char *name, int failed,
                    const struct kube_result *result)
{
    const char *what = child_resource(kind)->kind;
    const char *said = result->message ? result->message : "no answer";
    if (result->status == 403 && strstr(said, "exceeded quota"))
        visit_obstacle(v, true, "QuotaExceeded", "%s %s is refused: %s", what, name, said);
    else if (result->status == 403 && strstr(said, "being terminated"))
        visit_obstacle(v, true, "NamespaceTerminating", "%s %s is refused: %s", what, name, said);
    else if (result->status == 403)
        visit_obstacle(v, true, "Forbidden",
                       "%s %s can't be written; give the operator's role this verb: %s", what, name,
                       said);
    else if (failed == -EINVAL)
        visit_obstacle(v, true, "Rejected", "%s %s is refused: %s", what, name, said);
    else if (failed_before(v))
        visit_obstacle(v, false, "ApiServerFailed", "%s %s could not be written: %s", what, name,
                       said);
    else
        v->behind = true;
    visit_failed(v, said);
}

/* The server's answer is the newest that is known of the child. */
static void take_answer(struct visit *v, enum child_kind kind, uint64_t desired,
                        const json_t *object)
{
    child_view_of(kind, object, &v->scratch[kind], &v->views[kind]);
    v->present[kind] = true;
    written_child(v->operator->written, v->id, kind, desired, v->views[kind].fingerprint,
                  object_version(object), clock_monotonic_ns());
    if (v->operator->applied[kind])
        metric_add(v->operator->applied[kind], 1);
}

/*
 * Applies the child. uid: of the one that is there, so that one which took its place is not hit;
 * NULL: it is to be made. Then a resourceVersion that no object has makes the server refuse (409)
 * when there is one already, and makes it all the same when there is none: creation by server-side
 * apply that never takes over what is there.
 */
static int apply(struct visit *v, enum child_kind kind, json_t *desired, const char *uid,
                 struct kube_result *result)
{
    /* A Deployment's managed fields tell who scales it. */
    struct kube_write_options options = {.manager = OPERATOR_MANAGER,
                                         .force = true,
                                         .answer = kind == CHILD_DEPLOYMENT ? KUBE_ANSWER_WHOLE
                                                                            : KUBE_ANSWER_BARE};
    json_t *metadata = json_object_get(desired, "metadata");
    if (!operator_may_write(v->operator)) {
        v->cancelled = true;
        return -ECANCELED;
    }
    json_object_del(metadata, "resourceVersion");
    if (uid)
        json_object_set_new(metadata, "uid", json_string(uid));
    else
        json_object_set_new(metadata, "resourceVersion", json_string("1"));
    return kube_apply(v->operator->client, child_resource(kind), desired, &options, result);
}

/*
 * The name is taken by something that the store does not show: it lacks our labels, or the store is
 * behind. Looks; when it is ours, applies onto it. 0, or a negative value after an obstacle.
 */
static int apply_onto_unseen(struct visit *v, enum child_kind kind, json_t *desired,
                             struct kube_result *result)
{
    const char *name = name_of(desired);
    int failed = kube_get(v->operator->client, child_resource(kind), v->namespace, name, result);
    if (failed < 0)
        return failed;
    struct child_view view;
    child_view_of(kind, result->object, &v->scratch[kind], &view);
    if (!claim(v, kind, name, &view))
        return -EEXIST;
    cleanup_free char *uid = xstrdup(
        json_string_value(json_object_get(json_object_get(result->object, "metadata"), "uid")));
    return apply(v, kind, desired, uid, result);
}

/* Notes it for the one event that a visit ends with: an event is a request too. */
static void note_applied(struct visit *v, enum child_kind kind, const char *name, bool made)
{
    buffer_printf(&v->applied, "%s%s %s %s", v->applied.length ? ", " : "",
                  made ? "made" : "updated", child_resource(kind)->kind, name);
    v->made |= made;
}

void visit_tell_applied(struct visit *v)
{
    struct kube_reference reference = visit_reference(v);
    if (v->applied.length == 0 || !v->operator->events)
        return;
    kube_event(v->operator->events, &reference, "Normal", v->made ? "Created" : "Updated",
               v->made ? "Creating" : "Updating", "%s", buffer_terminate(&v->applied));
}

static bool write_child(struct visit *v, enum child_kind kind, json_t *desired, uint64_t digest,
                        const char *uid)
{
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    const char *name = name_of(desired);
    int failed = apply(v, kind, desired, uid, &result);
    if (failed == -ESTALE && !uid)
        failed = apply_onto_unseen(v, kind, desired, &result);
    else if (failed < 0 && uid && child_untangle(v, kind, desired, uid, failed, &result) == 0)
        failed = apply(v, kind, desired, uid, &result);
    if (failed == 0) {
        take_answer(v, kind, digest, result.object);
        note_applied(v, kind, name, !uid);
        return true;
    }
    if (failed == -ECANCELED)
        v->cancelled = true;
    else if (failed == -EEXIST) /* the obstacle says whose; nothing tells us when that goes */
        visit_failed(v, v->obstacle.message);
    else if (failed == -ESTALE) /* it was replaced, and the store is behind: an event will tell */
        v->waits = v->behind = true;
    else
        explain(v, kind, name, failed, &result);
    return false;
}

/* Leaves the replicas to the controller that scales the Deployment. */
static void leave_replicas(json_t *desired, const struct child_view *live)
{
    json_object_set_new(json_object_get(desired, "spec"), "replicas", json_integer(live->wanted));
}

static unsigned replicas_of(const json_t *deployment)
{
    return (unsigned)json_integer_value(
        json_object_get(json_object_get(deployment, "spec"), "replicas"));
}

/*
 * The Deployment has other replicas than it should. Who did that stands in its managed fields,
 * which the stores do without (they are half of an object): they are asked for now. 0, or a
 * negative value after an obstacle.
 */
static int look_for_scaler(struct visit *v, enum child_kind kind, const char *name)
{
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    int failed = kube_get(v->operator->client, child_resource(kind), v->namespace, name, &result);
    if (failed == -ENOENT || failed == -ECANCELED) {
        v->cancelled |= failed == -ECANCELED;
        return failed; /* its deletion is an event that comes */
    }
    if (failed < 0) {
        explain(v, kind, name, failed, &result);
        return failed;
    }
    struct child_view live;
    child_view_of(kind, result.object, &v->scratch[kind], &live);
    v->views[kind].scaler = live.scaler;
    return 0;
}

static enum written_verdict judge(const struct visit *v, enum child_kind kind, uint64_t digest)
{
    const struct kube_object *kept = v->held[kind];
    return written_judge(v->operator->written, v->id, kind, digest, kept != NULL,
                         kept ? v->views[kind].fingerprint : 0,
                         kept ? strtoull(kept->resource_version, NULL, 10) : 0,
                         clock_monotonic_ns());
}

/*
 * Whether the DpuService goes without its children (--cascade=orphan), although the store does not
 * show it yet: its finalizer is there before the first child loses its owner reference. To put that
 * back would have the garbage collector delete what is to stay.
 */
static bool is_leaving(struct visit *v)
{
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    int failed =
        kube_get(v->operator->client, &operator_dpuservices, v->namespace, v->name, &result);
    const json_t *metadata = json_object_get(result.object, "metadata");
    const char *uid = json_string_value(json_object_get(metadata, "uid"));
    if (failed == -ECANCELED) {
        v->cancelled = true;
    } else if (failed < 0 && failed != -ENOENT) {
        visit_failed(v, result.message);
        v->behind = true;
    } else {
        v->gone = failed < 0 || !uid || strcmp(uid, v->uid) != 0 ||
                  json_object_get(metadata, "deletionTimestamp");
    }
    return failed < 0 || v->gone;
}

/* A child that nobody controls: who applied it stands in the managed fields, which the store has
 * not. */
static void look_closer(struct visit *v, enum child_kind kind, const char *name)
{
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    if (is_leaving(v))
        return;
    int failed = kube_get(v->operator->client, child_resource(kind), v->namespace, name, &result);
    if (failed == 0)
        child_view_of(kind, result.object, &v->scratch[kind], &v->views[kind]);
    else if (failed == -ECANCELED)
        v->cancelled = true;
    else if (failed != -ENOENT)
        explain(v, kind, name, failed, &result);
    else
        v->waits = v->behind = true;
}

void child_look(struct visit *v, enum child_kind kind)
{
    struct kube_store *store =
        kube_controller_store(v->controller, SOURCE_CHILDREN + (unsigned)kind);
    struct child_identity identity = spec_child_identity(kind);
    cleanup_free char *name = xasprintf("%s%s", v->name, identity.suffix);
    struct child_view *view = &v->views[kind];
    v->held[kind] = kube_store_get(store, v->namespace, name);
    if (!v->held[kind])
        return;
    child_view_read(v->held[kind], view);
    if (view->owner == 0 && !*view->owner_text)
        look_closer(v, kind, name);
    v->present[kind] = whose_is(v, view) == OURS;
}

bool child_sync(struct visit *v, enum child_kind kind, json_t *desired)
{
    const struct kube_object *kept = v->held[kind];
    const struct child_view *view = &v->views[kind];
    const char *name = name_of(desired);
    if (kept && !claim(v, kind, name, view))
        return false;
    if (kept && view->deleting) {
        visit_obstacle(v, false, "WaitingForDeletion", "%s %s is being deleted",
                       child_resource(kind)->kind, name);
        return false;
    }
    put_owner(v, desired);
    uint64_t digest = spec_child_fingerprint(kind, desired);
    enum written_verdict verdict = judge(v, kind, digest);
    bool scaled = false;
    if (verdict == WRITTEN_DRIFT && kept && kind == CHILD_DEPLOYMENT &&
        view->wanted != replicas_of(desired)) {
        if (look_for_scaler(v, kind, name) < 0)
            return false;
        scaled = *view->scaler;
    }
    if (scaled) {
        leave_replicas(desired, view);
        digest = spec_child_fingerprint(kind, desired);
        verdict = judge(v, kind, digest);
        json_object_del(json_object_get(desired, "spec"), "replicas");
    }
    if (verdict == WRITTEN_DRIFT)
        return write_child(v, kind, desired, digest, kept ? kept->uid : NULL);
    v->waits |= verdict == WRITTEN_WAIT;
    v->behind |= verdict == WRITTEN_WAIT;
    return true;
}

bool child_remove(struct visit *v, enum child_kind kind)
{
    const struct kube_object *kept = v->held[kind];
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    if (!v->present[kind] || v->views[kind].deleting)
        return true;
    if (!operator_may_write(v->operator)) {
        v->cancelled = true;
        return false;
    }
    int failed = kube_delete(v->operator->client, child_resource(kind), v->namespace, kept->name,
                             kept->uid, &result);
    if (failed == -ECANCELED)
        v->cancelled = true;
    else if (failed == -ESTALE) /* another one has the name, and the store is behind */
        v->waits = true;
    else if (failed < 0 && failed != -ENOENT)
        explain(v, kind, kept->name, failed, &result);
    return !v->cancelled;
}

const struct kube_resource *child_resource(enum child_kind kind)
{
    static const struct kube_resource resources[CHILD_KINDS] = {
        [CHILD_CONFIG_MAP] = {"", "v1", "configmaps", "ConfigMap", true},
        [CHILD_SERVICE] = {"", "v1", "services", "Service", true},
        [CHILD_DEPLOYMENT] = {"apps", "v1", "deployments", "Deployment", true},
        [CHILD_AUTOSCALER] = {"autoscaling", "v2", "horizontalpodautoscalers",
                              "HorizontalPodAutoscaler", true},
        [CHILD_DISRUPTION_BUDGET] = {"policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget",
                                     true},
    };
    return &resources[kind];
}
