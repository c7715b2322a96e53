/* The threads that take keys out of a controller's queue, and the one that puts them in again. */
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "kube/controller_private.h"
#include "kube/hash.h"

enum { RESYNC_SLICES = 64 };

/* controller-runtime's (pkg/internal/controller/metrics), but for 0.15, 0.35, 0.45, 0.7, 0.9, 1.75,
 * 9 and 50. */
static const double times_s[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6,
                                 0.8,   1,    1.25,  1.5,  2,   2.5, 3,    3.5, 4,   4.5, 5,
                                 6,     7,    8,     10,   15,  20,  25,   30,  40,  60};

static const struct metric_spec results_spec = {
    .name = "controller_runtime_reconcile_total",
    .help = "Reconciles, by what came of them.",
    .kind = METRIC_COUNTER,
    .labels = {"controller", "result"},
};
static const struct metric_spec errors_spec = {
    .name = "controller_runtime_reconcile_errors_total",
    .help = "Reconciles that failed.",
    .kind = METRIC_COUNTER,
    .labels = {"controller"},
};
static const struct metric_spec time_spec = {
    .name = "controller_runtime_reconcile_time_seconds",
    .help = "How long a reconcile takes.",
    .kind = METRIC_HISTOGRAM,
    .labels = {"controller"},
    .buckets = times_s,
    .bucket_count = sizeof(times_s) / sizeof(times_s[0]),
};
static const struct metric_spec active_spec = {
    .name = "controller_runtime_active_workers",
    .help = "Workers that are at a reconcile.",
    .kind = METRIC_GAUGE,
    .labels = {"controller"},
};
static const struct metric_spec most_spec = {
    .name = "controller_runtime_max_concurrent_reconciles",
    .help = "Workers there are.",
    .kind = METRIC_GAUGE,
    .labels = {"controller"},
};

static double count_workers(void *controller)
{
    return ((const struct kube_controller *)controller)->options.workers;
}

void controller_metrics_declare(struct kube_controller *controller)
{
    static const char *const results[CONTROLLER_RESULTS] = {
        [KUBE_DONE] = "success", [KUBE_RETRY] = "error", [KUBE_AFTER] = "requeue_after"};
    struct metrics *registry = controller->options.metrics;
    struct controller_metrics *metrics = &controller->metrics;
    const char *labels[] = {controller->options.name, NULL};
    if (!registry)
        return;
    struct metric_family *family = metrics_family(registry, &results_spec);
    for (size_t i = 0; i < CONTROLLER_RESULTS; i++) {
        labels[1] = results[i];
        metrics->results[i] = metric_series(family, labels);
    }
    metrics->errors = metric_series(metrics_family(registry, &errors_spec), labels);
    metrics->time = metric_series(metrics_family(registry, &time_spec), labels);
    metrics->active = metric_series(metrics_family(registry, &active_spec), labels);
    metrics->most = metric_series(metrics_family(registry, &most_spec), labels);
    metric_callback(metrics->most, count_workers, controller);
}

/* Whether there is work to be done: the stores are complete, and we are still wanted. */
static bool wait_until_synced(struct kube_controller *controller)
{
    kube_bell_lock(&controller->bell);
    while (controller->working && !kube_controller_synced(controller))
        kube_bell_wait(&controller->bell, UINT64_MAX);
    bool working = controller->working;
    kube_bell_unlock(&controller->bell);
    return working;
}

static struct kube_outcome reconcile(struct kube_controller *controller, const char *key)
{
    const struct kube_controller_options *options = &controller->options;
    const struct controller_metrics *metrics = &controller->metrics;
    const char *slash = strchr(key, '/');
    cleanup_free char *namespace = xstrndup(key, slash ? (size_t)(slash - key) : 0);
    uint64_t began_ns = clock_monotonic_ns();
    if (metrics->active)
        metric_add(metrics->active, 1);
    struct kube_outcome outcome =
        options->reconcile(options->context, controller, namespace, slash ? slash + 1 : key);
    if (!metrics->active)
        return outcome;
    metric_add(metrics->active, -1);
    metric_add(metrics->results[outcome.kind], 1);
    if (outcome.kind == KUBE_RETRY)
        metric_add(metrics->errors, 1);
    metric_observe(metrics->time, (double)(clock_monotonic_ns() - began_ns) / (double)NS_PER_S);
    return outcome;
}

static void apply(struct kube_controller *controller, const char *key,
                  const struct kube_outcome *outcome)
{
    const struct kube_controller_options *options = &controller->options;
    if (outcome->kind == KUBE_RETRY) {
        if (options->failed)
            options->failed(options->context, options->name, key,
                            outcome->message ? outcome->message : "reconcile failed");
        kube_queue_retry(controller->queue, key);
    } else {
        kube_queue_forget(controller->queue, key);
        if (outcome->kind == KUBE_AFTER)
            kube_queue_add_after(controller->queue, key, outcome->after_ns);
    }
    /* Last, so that what was just said of the key holds before another worker can take it. */
    kube_queue_done(controller->queue, key);
}

void *controller_work(void *context)
{
    struct kube_controller *controller = context;
    if (controller->options.metrics)
        metrics_thread_attach(controller->options.metrics);
    bool working = wait_until_synced(controller);
    while (working) {
        cleanup_free char *key = kube_queue_take(controller->queue);
        if (!key)
            break;
        struct kube_outcome outcome = reconcile(controller, key);
        apply(controller, key, &outcome);
        free(outcome.message);
    }
    if (controller->options.metrics)
        metrics_thread_detach();
    return NULL;
}

struct slice {
    const struct controller_source *source;
    unsigned number;
};

static int add_slice(void *context, const struct kube_object *object)
{
    const struct slice *slice = context;
    cleanup_buffer struct buffer key = BUFFER_INIT(KUBE_KEY_BYTES_MAX);
    if (!controller_key(slice->source, object, &key))
        return 0;
    const char *text = buffer_terminate(&key);
    if (kube_hash_text(text, 0) % RESYNC_SLICES == slice->number)
        kube_queue_add(slice->source->controller->queue, text, KUBE_LANE_LOW);
    return 0;
}

/* Sleeps until the instant; whether we are still wanted then. */
static bool sleep_working(struct kube_controller *controller, uint64_t until_ns)
{
    kube_bell_lock(&controller->bell);
    while (controller->working && clock_monotonic_ns() < until_ns)
        kube_bell_wait(&controller->bell, until_ns);
    bool working = controller->working;
    kube_bell_unlock(&controller->bell);
    return working;
}

void *controller_resync(void *context)
{
    struct kube_controller *controller = context;
    uint64_t slice_ns = controller->options.resync_ns / RESYNC_SLICES;
    if (slice_ns < NS_PER_MS)
        slice_ns = NS_PER_MS;
    /* A key's slice is by its hash, so that each comes once a period and all of them spread over
     * it, and nothing has to be remembered of any. */
    struct slice slice = {.source = &controller->sources[0]};
    bool working = wait_until_synced(controller);
    uint64_t due_ns = clock_monotonic_ns();
    while (working) {
        due_ns += slice_ns;
        working = sleep_working(controller, due_ns);
        if (!working)
            break;
        kube_store_each(slice.source->store, -1, NULL, add_slice, &slice);
        slice.number = (slice.number + 1) % RESYNC_SLICES;
    }
    return NULL;
}
