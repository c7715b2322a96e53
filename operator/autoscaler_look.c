/* One look at all services that are scaled here: read the stores, ask the agents, decide, write. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "operator/autoscale_policy.h"
#include "operator/autoscaler_private.h"
#include "operator/trim.h"

/* How long a write may be away from the store before we go by the store again. */
#define WRITE_PATIENCE_NS (120 * NS_PER_S)

/* A pod in this look. One that is not ready gets no requests: it is not asked, and its figures
 * count as one's that has not started. */
struct seen_pod {
    uint64_t uid;
    enum scale_phase phase;
    size_t target; /* of the scraper's; NO_TARGET: it is not asked */
};
#define NO_TARGET SIZE_MAX

/* A service in this look: its pods are pods[first .. first + count). */
struct seen_service {
    struct scaled *scaled;
    size_t first, count;
};

struct look {
    struct autoscaler *autoscaler;
    uint64_t now_ns;
    size_t service_count, pod_count, target_count;
    size_t service_room, pod_room, target_room;
    struct seen_service *services;
    struct seen_pod *pods;
    struct scrape_target *targets;
    struct scrape_result *results;
    const char *namespace; /* while the pods of one service are gathered */
};

/* Room for one more. */
#define GROW(array, count, room)                                                                   \
    do {                                                                                           \
        if ((count) == (room)) {                                                                   \
            (room) = (room) ? (room)*2 : 16;                                                       \
            (array) = xreallocarray((array), (room), sizeof *(array));                             \
        }                                                                                          \
    } while (0)

/* ---- what is to be looked at ---- */

/* Reads the spec when it is not the one that was read last. */
static void read_service(struct scaled *scaled, const struct kube_object *kept)
{
    uint64_t digest = trim_dpuservice_digest(kept);
    free(scaled->resource_version);
    scaled->resource_version = xstrdup(kept->resource_version);
    if (digest == scaled->digest)
        return;
    scaled->digest = digest;
    scaled->valid = false;
    json_auto_t *object = NULL, *status = NULL;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_dpuservice struct dpuservice *service = NULL;
    char file[] = DPUSERVICE_KIND;
    if (trim_dpuservice_read(kept, &object, &status) < 0)
        return;
    struct document document = {.file = file, .root = object};
    /* What is wrong with it, the reconcile tells. */
    if (json_object_get(json_object_get(object, "metadata"), "deletionTimestamp") ||
        dpuservice_parse(&document, &service, &problems) < 0)
        return;
    scaled->replicas = (int32_t)service->replicas;
    scaled->cpu_milli = autoscale_cpu_milli(service);
    scaled->valid = autoscale_policy_make(service, &scaled->policy, NULL) == 0;
}

static int compare_uids(const void *a, const void *b)
{
    uint64_t x = ((const struct scaled_pod *)a)->uid, y = ((const struct scaled_pod *)b)->uid;
    return (x > y) - (x < y);
}

/* What is kept of the pod; NULL: nothing. */
static const struct scaled_pod *kept_pod(const struct scaled *scaled, uint64_t uid)
{
    struct scaled_pod key = {.uid = uid};
    return scaled->pod_count
               ? bsearch(&key, scaled->pods, scaled->pod_count, sizeof key, compare_uids)
               : NULL;
}

static int see_pod(void *context, const struct kube_object *object)
{
    struct look *look = context;
    struct seen_service *service = &look->services[look->service_count - 1];
    struct pod_view view;
    pod_view_read(object, &view);
    if (strcmp(object->namespace, look->namespace) != 0 || view.deleting || view.ended ||
        service->count == SCALE_PODS_MAX)
        return 0;
    bool ready = view.running && view.ready && *view.address;
    struct seen_pod pod = {.uid = trim_uid(object->uid),
                           .phase = ready ? SCALE_POD_READY : SCALE_POD_PENDING,
                           .target = NO_TARGET};
    if (pod.phase == SCALE_POD_READY) {
        GROW(look->targets, look->target_count, look->target_room);
        struct scrape_target *target = &look->targets[look->target_count];
        const struct scaled_pod *before = kept_pod(service->scaled, pod.uid);
        /* Its context: NULL when it is asked behind all others. */
        *target = (struct scrape_target){.port = CHILD_HTTP_PORT,
                                         .context = before && before->silent ? NULL : look};
        snprintf(target->address, sizeof target->address, "%s", view.address);
        pod.target = look->target_count++;
    }
    GROW(look->pods, look->pod_count, look->pod_room);
    look->pods[look->pod_count++] = pod;
    service->count++;
    return 0;
}

static int see_service(void *context, const struct kube_object *kept)
{
    struct look *look = context;
    struct autoscaler *a = look->autoscaler;
    struct scaled *scaled = autoscaler_find(a, kept->namespace, kept->name, kept->uid);
    scaled->round = a->round;
    read_service(scaled, kept);
    if (!scaled->valid)
        return 0;
    GROW(look->services, look->service_count, look->service_room);
    look->services[look->service_count++] =
        (struct seen_service){.scaled = scaled, .first = look->pod_count};
    look->namespace = kept->namespace;
    kube_store_each(kube_controller_store(a->options.controller, SOURCE_PODS), 0, kept->name,
                    see_pod, look);
    return 0;
}

/* ---- asking ---- */

/*
 * The order in which the targets are asked: from another one on each time, and those that did not
 * answer the last time behind all others. Many silent ones (a policy in the way of one namespace's)
 * would take the time of all otherwise. Owned by the caller.
 */
static size_t *make_order(const struct look *look)
{
    size_t count = look->target_count, at = 0;
    size_t turn = count ? look->autoscaler->turn % count : 0;
    size_t *order = xcalloc(count + 1, sizeof *order);
    for (int silent = 0; silent < 2; silent++)
        for (size_t i = 0; i < count; i++) {
            size_t target = (turn + i) % count;
            if ((look->targets[target].context == NULL) == silent)
                order[at++] = target;
        }
    return order;
}

/* Asks all agents. Results are in the order of the targets. */
static int ask(struct look *look)
{
    struct autoscaler *a = look->autoscaler;
    size_t count = look->target_count;
    cleanup_free size_t *order = make_order(look);
    struct scrape_target *ordered = xcalloc(count + 1, sizeof *ordered);
    struct scrape_result *results = xcalloc(count + 1, sizeof *results);
    look->results = xcalloc(count + 1, sizeof *look->results);
    for (size_t i = 0; i < count; i++)
        ordered[i] = look->targets[order[i]];
    int stopped =
        scraper_run(a->scraper, ordered, count, look->now_ns + a->options.interval_ns, results);
    for (size_t i = 0; i < count; i++) {
        look->results[order[i]] = results[i];
        a->turn += results[i].status != SCRAPE_UNASKED;
    }
    free(ordered);
    free(results);
    return stopped;
}

/* ---- deciding ---- */

/* The pods as lib/scale wants them, owned by the caller. Their pages take the place of those that
 * were kept; a pod that does not answer keeps its last one, and what it would say is not known. */
static struct scale_pod *read_pods(const struct look *look, const struct seen_service *service)
{
    struct scaled *scaled = service->scaled;
    struct scale_pod *pods = xcalloc(service->count + 1, sizeof *pods);
    struct scaled_pod *kept = xcalloc(service->count + 1, sizeof *kept);
    for (size_t i = 0; i < service->count; i++) {
        const struct seen_pod *seen = &look->pods[service->first + i];
        const struct scaled_pod *before = kept_pod(scaled, seen->uid);
        kept[i] = before ? *before : (struct scaled_pod){.uid = seen->uid};
        pods[i].phase = seen->phase;
        /* Whatever is said of it, what it is a part of is known. */
        pods[i].figures[SCALE_CPU].of_milli = scaled->cpu_milli;
        if (seen->target == NO_TARGET)
            continue;
        const struct scrape_result *result = &look->results[seen->target];
        if (result->status != SCRAPE_UNASKED)
            kept[i].silent = result->status != SCRAPE_OK;
        if (result->status != SCRAPE_OK)
            continue;
        autoscale_page_figures(&kept[i].page, &result->figures, result->taken_ns, scaled->cpu_milli,
                               pods[i].figures);
        autoscale_page_keep(&result->figures, result->taken_ns, &kept[i].page);
    }
    qsort(kept, service->count, sizeof *kept, compare_uids); /* kept_pod() searches them */
    free(scaled->pods);
    scaled->pods = kept;
    scaled->pod_count = service->count;
    return pods;
}

/*
 * Whether the store has our last write, or is so late that it will not get it any more: a watch
 * that is made anew takes a minute at worst. Until then nothing is decided, and nobody is taken for
 * a rival.
 */
static bool store_is_current(const struct scaled *scaled, uint64_t now_ns)
{
    return strtoull(scaled->resource_version, NULL, 10) >= scaled->written_version ||
           now_ns - scaled->written_ns >= WRITE_PATIENCE_NS;
}

static void tell(struct autoscaler *a, const struct scaled *scaled,
                 const struct scale_decision *decision, const char *failure)
{
    struct kube_reference about = {.api_version = DPUSERVICE_API_VERSION,
                                   .kind = DPUSERVICE_KIND,
                                   .namespace = scaled->namespace,
                                   .name = scaled->name,
                                   .uid = scaled->object_uid,
                                   .resource_version = scaled->resource_version};
    struct kube_events *events = a->options.operator->events;
    if (failure)
        kube_event(events, &about, "Warning", "FailedRescale", "Scaling",
                   "%d replicas instead of %d could not be set: %s", decision->desired,
                   scaled->replicas, failure);
    else
        kube_event(events, &about, "Normal", "SuccessfulRescale", "Scaling",
                   "%d replicas instead of %d; reason: %s: %s", decision->desired, scaled->replicas,
                   scale_reason_name(decision->reason), decision->message);
}

/* Sets the number that was decided. False: it failed, and that was published. */
static bool rescale(struct autoscaler *a, struct scaled *scaled,
                    const struct scale_decision *decision, const struct look *look)
{
    cleanup_free char *failure = NULL;
    uint64_t begun_ns = clock_monotonic_ns();
    int32_t from = scaled->replicas;
    if (!autoscaler_write(a, scaled, decision, &failure)) {
        if (!failure)
            return true;
        scaled->tried = decision->desired;
        metric_add(a->failures, 1);
        tell(a, scaled, decision, failure);
        autoscaler_publish(a, scaled, false, "FailedUpdateScale", failure, look->now_ns);
        return false;
    }
    uint64_t now_ns = clock_monotonic_ns();
    tell(a, scaled, decision, NULL);
    metric_add(a->rescales[decision->desired < from], 1);
    log_info("rescaled", LOG_STR("namespace", scaled->namespace), LOG_STR("name", scaled->name),
             LOG_I64("from", from), LOG_I64("to", decision->desired),
             LOG_STR("reason", scale_reason_name(decision->reason)),
             LOG_U64("asked_us", (begun_ns - look->now_ns) / NS_PER_US),
             LOG_U64("written_us", (now_ns - begun_ns) / NS_PER_US));
    scale_applied(&scaled->state, &scaled->policy, from, decision->desired, now_ns);
    scaled->replicas_known = decision->desired;
    scaled->ours = true;
    scaled->tried = -1;
    return true;
}

static void decide(const struct look *look, const struct seen_service *service)
{
    struct autoscaler *a = look->autoscaler;
    struct scaled *scaled = service->scaled;
    struct scale_pod *pods = read_pods(look, service);
    struct scale_decision decision;
    struct scale_input input = {.current = scaled->replicas,
                                .pod_count = service->count,
                                .pods = pods,
                                .now_ns = clock_monotonic_ns()};
    cleanup_free char *failure = NULL;
    bool current = store_is_current(scaled, look->now_ns);
    if (current && autoscaler_look_owner(a, scaled, look->now_ns, &failure) < 0) {
        autoscaler_publish(a, scaled, false, "FailedGetScale", failure, look->now_ns);
    } else if (scaled->owner) {
        scale_state_free(&scaled->state); /* as new when it is ours again */
        autoscaler_publish(a, scaled, false, "ScaledByOthers", scaled->owner, look->now_ns);
    } else if (current) {
        scale_decide(&scaled->state, &scaled->policy, &input, &decision);
        bool fine = decision.desired == scaled->replicas || rescale(a, scaled, &decision, look);
        bool active = decision.reason != SCALE_NO_FIGURES && decision.reason != SCALE_DISABLED;
        /* The first look has no rates: it says nothing of the second. */
        if (fine && (active || decision.reason == SCALE_DISABLED || scaled->looks > 0))
            autoscaler_publish(a, scaled, active, scale_reason_name(decision.reason),
                               decision.message, look->now_ns);
        scaled->looks++;
        scale_decision_free(&decision);
    }
    free(pods);
}

void autoscaler_look(struct autoscaler *a)
{
    struct look look = {.autoscaler = a, .now_ns = clock_monotonic_ns()};
    kube_store_each(kube_controller_store(a->options.controller, SOURCE_DPUSERVICES), 0,
                    TRIM_AUTOSCALED, see_service, &look);
    if (ask(&look) == 0)
        for (size_t i = 0; i < look.service_count && !autoscaler_ends(a); i++)
            decide(&look, &look.services[i]);
    if (look.service_count)
        metric_observe(a->look_seconds, (double)(clock_monotonic_ns() - look.now_ns) / NS_PER_S);
    free(look.services);
    free(look.pods);
    free(look.targets);
    free(look.results);
}
