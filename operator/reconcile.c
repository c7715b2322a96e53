#include "operator/reconcile.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "kube/time.h"
#include "operator/autoscaler.h"
#include "operator/child.h"
#include "operator/profile.h"
#include "operator/status.h"

const struct kube_resource operator_dpuservices = {"dpumesh.io", "v1alpha1", "dpuservices",
                                                   DPUSERVICE_KIND, true};
static const struct kube_resource pods = {"", "v1", "pods", "Pod", true};

/* Keys that wait from which on children of new DpuServices go before all else. */
enum { CROWD = 16 };

bool operator_may_write(const struct operator* operator)
{
    return !operator->lease || kube_lease_leading(operator->lease);
}

/* ---- what a visit reads ---- */

/* Reads the spec; an obstacle instead when it is none of ours to understand. */
static void read_spec(struct visit *v)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    struct document document = {.file = v->file, .root = v->object};
    if (dpuservice_parse(&document, &v->service, &problems) == 0)
        return;
    visit_problems(v, "InvalidSpec", &problems);
}

/* The pod that stands for all that do not run: one that is still there before one that ended, and
 * of those the first by name, so that status does not change without reason. */
struct pod_search {
    const struct visit *visit;
    unsigned failing;
    const struct kube_object *chosen; /* a reference */
    struct pod_view view;             /* of chosen */
};

/* Whether it is a pod of the current version; of any, when that is not known. */
static bool is_current(const struct pod_search *search, const struct pod_view *pod)
{
    const char *hash = search->visit->views[CHILD_DEPLOYMENT].template_hash;
    return !*hash || strcmp(pod->template_hash, hash) == 0;
}

static int look_at_pod(void *context, const struct kube_object *object)
{
    struct pod_search *search = context;
    struct pod_view pod;
    pod_view_read(object, &pod);
    if (strcmp(object->namespace, search->visit->namespace) != 0 || pod.deleting || !*pod.cause ||
        !is_current(search, &pod))
        return 0;
    search->failing++;
    if (search->chosen &&
        (pod.ended != search->view.ended ? pod.ended
                                         : strcmp(object->name, search->chosen->name) > 0))
        return 0;
    kube_object_unref(search->chosen);
    search->chosen = kube_object_ref(object);
    pod_view_read(search->chosen, &search->view);
    return 0;
}

/* ---- status ---- */

/* Tells of what changed for the better or the worse, once. */
static void tell(const struct visit *v, const json_t *old, const json_t *status)
{
    struct kube_reference about = visit_reference(v);
    if (!v->operator->events)
        return;
    const char *reason = status_reason(status, "Stalled");
    if (status_is_true(status, "Stalled") &&
        (!status_is_true(old, "Stalled") || strcmp(status_reason(old, "Stalled"), reason) != 0))
        kube_event(v->operator->events, &about, "Warning", reason, "Reconciling", "%s",
                   status_message(status, "Stalled"));
    if (status_is_true(status, "Ready") && !status_is_true(old, "Ready"))
        kube_event(v->operator->events, &about, "Normal", "Ready", "Reconciling", "%s",
                   status_message(status, "Ready"));
}

/* What its autoscaler says of itself, into input; view owns the text of ours. */
static void add_scaling(const struct visit *v, struct status_input *input,
                        struct autoscaler_view *view)
{
    const struct autoscaling_settings *asked = v->service ? &v->service->autoscaling : NULL;
    const struct child_view *hpa = &v->views[CHILD_AUTOSCALER];
    struct autoscaler *builtin = v->operator->autoscaler;
    if (!asked || !asked->given) {
        input->scaling_reason = asked ? "" : NULL;
    } else if (asked->engine == AUTOSCALING_HPA) {
        if (!v->present[CHILD_AUTOSCALER] || !*hpa->reason)
            return;
        input->scaling_reason = hpa->reason;
        input->scaling_message = hpa->message;
        input->scaling_active = hpa->active;
    } else if (builtin && autoscaler_view(builtin, v->namespace, v->name, v->id.uid, view)) {
        input->scaling_reason = view->reason;
        input->scaling_message = view->message;
        input->scaling_active = view->active;
    }
}

/* The status as it should be; owned by the caller. */
static json_t *make_status(struct visit *v)
{
    struct autoscaler_view view = {.message = NULL};
    struct pod_search search = {.visit = v, .view = {.cause = ""}};
    struct status_input input = {
        .service = v->service,
        .generation = v->generation,
        .obstacle = &v->obstacle,
        .deployment = v->present[CHILD_DEPLOYMENT] ? &v->views[CHILD_DEPLOYMENT] : NULL,
        .front = v->present[CHILD_SERVICE] ? &v->views[CHILD_SERVICE] : NULL,
        .namespace = v->namespace,
        .name = v->name};
    if (input.deployment)
        kube_store_each(kube_controller_store(v->controller, SOURCE_PODS), 0, v->name, look_at_pod,
                        &search);
    cleanup_kube_object const struct kube_object *pod = search.chosen;
    cleanup_free char *message =
        pod ? xasprintf("pod %s: %s%s%s", pod->name, search.view.cause,
                        *search.view.message ? ": " : "", search.view.message)
            : xstrdup("");
    input.pod_cause = search.view.cause;
    input.pod_message = message;
    input.pods_failing = search.failing;
    input.pod_ended = search.view.ended;
    add_scaling(v, &input, &view);
    json_t *status = status_make(&input, v->status, kube_time_now_ns());
    free(view.message);
    return status;
}

/* Remembers what was written, unless the store has it already. */
static void remember_status(const struct visit *v, uint64_t version, json_t *status)
{
    struct kube_store *store = kube_controller_store(v->controller, SOURCE_DPUSERVICES);
    cleanup_kube_object const struct kube_object *kept =
        kube_store_get(store, v->namespace, v->name);
    if (kept && strtoull(kept->resource_version, NULL, 10) < version)
        written_status(v->operator->written, v->id, version, status);
}

/* Writes status when it changed. */
static void write_status(struct visit *v)
{
    json_auto_t *status = make_status(v);
    if (status_same(status, v->status))
        return;
    if (!operator_may_write(v->operator)) {
        v->cancelled = true;
        return;
    }
    json_auto_t *body =
        json_pack("{s:s, s:s, s:{s:s, s:s, s:s}, s:O}", "apiVersion", DPUSERVICE_API_VERSION,
                  "kind", DPUSERVICE_KIND, "metadata", "name", v->name, "namespace", v->namespace,
                  "uid", v->uid, "status", status);
    static const struct kube_write_options options = {.subresource = "status",
                                                      .manager = OPERATOR_MANAGER,
                                                      .force = true,
                                                      .answer = KUBE_ANSWER_METADATA};
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    int failed = kube_apply(v->operator->client, &operator_dpuservices, body, &options, &result);
    if (failed == -ECANCELED) {
        v->cancelled = true;
    } else if (failed == -ESTALE) {
        /* It was made anew under its name, and the store will tell; or others wrote so much that
         * the server gave up, and nothing will. */
        v->waits = true;
    } else if (failed < 0 && failed != -ENOENT) {
        visit_failed(v, result.message);
    } else if (failed == 0) {
        remember_status(v, object_version(result.object), status);
        if (v->operator->statuses)
            metric_add(v->operator->statuses, 1);
        tell(v, v->status, status);
    } /* else it was deleted meanwhile */
}

bool operator_busy(struct kube_controller *controller)
{
    return kube_queue_depth(kube_controller_queue(controller)) >= CROWD;
}

/*
 * Whether status can wait: children were just made, their first status tells nobody anything yet,
 * and others wait for theirs. The events of these children bring us back, or else a second does.
 */
static bool first_status_waits(struct visit *v)
{
    return v->made && !v->status && !v->failure && !*v->obstacle.reason &&
           operator_busy(v->controller);
}

/* ---- the visit ---- */

static void sync_children(struct visit *v)
{
    struct children children = CHILDREN_INIT;
    callers_resolve(v->operator->callers, kube_controller_store(v->controller, SOURCE_DPUSERVICES),
                    v->id.name, v->namespace, v->service);
    spec_children(v->service, &children);
    for (unsigned kind = 0; kind < CHILD_KINDS; kind++) {
        bool goes_on = children.objects[kind]
                           ? child_sync(v, (enum child_kind)kind, children.objects[kind])
                           : child_remove(v, (enum child_kind)kind);
        /* A Deployment without its ConfigMap would only crash: what comes later waits. */
        if (!goes_on)
            break;
    }
    children_free(&children);
    visit_tell_applied(v);
}

static void visit_end(struct visit *v)
{
    json_decref(v->object);
    json_decref(v->status);
    dpuservice_free(v->service);
    status_obstacle_free(&v->obstacle);
    free(v->failure);
    free(v->file);
    for (unsigned i = 0; i < CHILD_KINDS; i++) {
        kube_object_unref(v->held[i]);
        buffer_free(&v->scratch[i]);
    }
    buffer_free(&v->applied);
}

static struct kube_outcome outcome_of(struct visit *v)
{
    if (v->cancelled) /* on standby all are visited when we lead again; else the lease lapsed */
        return (struct kube_outcome){.kind = atomic_load(&v->operator->standby) ? KUBE_DONE
                                                                                : KUBE_AFTER,
                                     .after_ns = NS_PER_S};
    if (v->failure)
        return (struct kube_outcome){.kind = KUBE_RETRY, .message = STEAL_POINTER(v->failure)};
    if (v->waits)
        return (struct kube_outcome){.kind = KUBE_AFTER, .after_ns = NS_PER_S};
    return (struct kube_outcome){.kind = KUBE_DONE};
}

/* Before what waits because of our own writes: a pod of the caller may be about to start. */
static void queue_caller(void *controller, const char *key)
{
    kube_queue_add(kube_controller_queue(controller), key, KUBE_LANE_HIGH);
}

/* Reads the DpuService that the visit is about; false when there is nothing to do. */
static bool visit_begin(struct visit *v)
{
    struct kube_store *store = kube_controller_store(v->controller, SOURCE_DPUSERVICES);
    cleanup_kube_object const struct kube_object *kept =
        kube_store_get(store, v->namespace, v->name);
    v->id.name = written_name(v->namespace, v->name);
    callers_each(v->operator->callers, store, v->id.name, v->namespace, v->name, queue_caller,
                 v->controller);
    if (!kept) { /* its children go with it: they name it as their owner */
        written_forget(v->operator->written, v->id.name);
        callers_forget(v->operator->callers, v->id.name);
        return false;
    }
    if (trim_dpuservice_read(kept, &v->object, &v->status) < 0)
        return false;
    const json_t *metadata = json_object_get(v->object, "metadata");
    v->uid = json_string_value(json_object_get(metadata, "uid"));
    v->generation = json_integer_value(json_object_get(metadata, "generation"));
    v->version = strtoull(kept->resource_version, NULL, 10);
    if (!v->uid || json_object_get(metadata, "deletionTimestamp"))
        return false;
    v->id.uid = trim_uid(v->uid);
    return true;
}

static void visit_run(struct visit *v)
{
    json_t *written = written_status_after(v->operator->written, v->id, v->version);
    if (written) {
        json_decref(v->status);
        v->status = written;
    }
    v->file = xasprintf("%s %s/%s", DPUSERVICE_KIND, v->namespace, v->name);
    for (unsigned kind = 0; kind < CHILD_KINDS; kind++)
        child_look(v, (enum child_kind)kind);
    if (v->cancelled || v->gone)
        return;
    read_spec(v);
    /* Without its profile what stands is left alone, as with a spec that is wrong. */
    if (v->service && visit_find_profile(v))
        sync_children(v);
    if (v->cancelled || v->behind)
        return;
    if (first_status_waits(v))
        v->waits = true;
    else
        write_status(v);
}

struct kube_outcome operator_reconcile(void *context, struct kube_controller *controller,
                                       const char *namespace, const char *name)
{
    struct visit v = {
        .operator= context, .controller = controller, .namespace = namespace, .name = name};
    atomic_fetch_add(&v.operator->visits, 1);
    for (unsigned i = 0; i < CHILD_KINDS; i++)
        v.scratch[i] = (struct buffer)BUFFER_INIT(4096);
    v.applied = (struct buffer)BUFFER_INIT(4096);
    if (visit_begin(&v)) {
        v.cancelled = !operator_may_write(v.operator);
        if (!v.cancelled)
            visit_run(&v);
    }
    struct kube_outcome outcome = outcome_of(&v);
    visit_end(&v);
    return outcome;
}

/* ---- what is watched ---- */

/* Our own writing of status is no news. What else changed is, also when both come as one event,
 * as they do after a new list. */
static bool service_matters(void *context, const struct kube_object *before,
                            const struct kube_object *after)
{
    const struct operator* operator= context;
    struct written_id id = {written_name(after->namespace, after->name), trim_uid(after->uid)};
    bool ours =
        written_status_seen(operator->written, id, strtoull(after->resource_version, NULL, 10));
    return ours ? trim_dpuservice_differs(before, after) : trim_matters(context, before, after);
}

void operator_sources(const char *selector,
                      struct kube_controller_source ret_sources[OPERATOR_SOURCES])
{
    for (unsigned i = 0; i < OPERATOR_SOURCES; i++) {
        struct kube_controller_source *source = &ret_sources[i];
        *source = (struct kube_controller_source){.label_selector =
                                                      "app.kubernetes.io/managed-by=dpumesh",
                                                  .key = trim_key_child,
                                                  .matters = trim_matters};
        trim_store_options((enum operator_source)i, &source->store);
        source->secondary = i != SOURCE_DPUSERVICES;
        if (i >= SOURCE_CHILDREN && i < SOURCE_CHILDREN + CHILD_KINDS)
            source->resource = child_resource((enum child_kind)(i - SOURCE_CHILDREN));
    }
    ret_sources[SOURCE_DPUSERVICES].resource = &operator_dpuservices;
    ret_sources[SOURCE_DPUSERVICES].label_selector = selector;
    ret_sources[SOURCE_DPUSERVICES].key = trim_key_self;
    ret_sources[SOURCE_DPUSERVICES].matters = service_matters;
    ret_sources[SOURCE_PODS].resource = &pods;
    ret_sources[SOURCE_PODS].key = trim_key_pod;
    operator_profile_source(&ret_sources[SOURCE_PROFILES]);
}
