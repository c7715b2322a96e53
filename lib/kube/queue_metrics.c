/* What a queue tells of itself, under client-go's names (k8s.io/client-go/util/workqueue/metrics.go
 * and controller-runtime's pkg/internal/metrics/workqueue.go, whose buckets these are). */
#include "base/clock.h"
#include "kube/queue_private.h"

static const double durations_s[] = {1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3,
                                     1e-2, 1e-1, 1,    10,   100,  1000};

static const struct metric_spec depth_spec = {.name = "workqueue_depth",
                                              .help = "Keys that wait in the queue.",
                                              .kind = METRIC_GAUGE,
                                              .labels = {"name"}};
static const struct metric_spec adds_spec = {.name = "workqueue_adds_total",
                                             .help = "Keys added to the queue.",
                                             .kind = METRIC_COUNTER,
                                             .labels = {"name"}};
static const struct metric_spec retries_spec = {
    .name = "workqueue_retries_total",
    .help = "Keys added again after a failure.",
    .kind = METRIC_COUNTER,
    .labels = {"name"},
};
static const struct metric_spec queue_duration_spec = {
    .name = "workqueue_queue_duration_seconds",
    .help = "How long a key waits in the queue before it is taken.",
    .kind = METRIC_HISTOGRAM,
    .labels = {"name"},
    .buckets = durations_s,
    .bucket_count = sizeof(durations_s) / sizeof(durations_s[0]),
};
static const struct metric_spec work_duration_spec = {
    .name = "workqueue_work_duration_seconds",
    .help = "How long a key is worked on.",
    .kind = METRIC_HISTOGRAM,
    .labels = {"name"},
    .buckets = durations_s,
    .bucket_count = sizeof(durations_s) / sizeof(durations_s[0]),
};
static const struct metric_spec unfinished_spec = {
    .name = "workqueue_unfinished_work_seconds",
    .help = "Time spent so far on the keys that are worked on, summed; what grows is stuck.",
    .kind = METRIC_GAUGE,
    .labels = {"name"},
};
static const struct metric_spec longest_spec = {
    .name = "workqueue_longest_running_processor_seconds",
    .help = "Time spent so far on the key that is worked on longest.",
    .kind = METRIC_GAUGE,
    .labels = {"name"},
};

static double locked(struct kube_queue *queue, double (*read)(const struct kube_queue *queue))
{
    pthread_mutex_lock(&queue->lock);
    double value = read(queue);
    pthread_mutex_unlock(&queue->lock);
    return value;
}

static double read_depth(const struct kube_queue *queue)
{
    return (double)queue->depth;
}

static double read_adds(const struct kube_queue *queue)
{
    return (double)queue->adds;
}

static double read_retries(const struct kube_queue *queue)
{
    return (double)queue->retries;
}

static double read_unfinished(const struct kube_queue *queue)
{
    uint64_t now = clock_monotonic_ns(), sum = 0;
    for (const struct queue_entry *entry = queue->working.first; entry; entry = entry->next)
        sum += now - entry->since_ns;
    return (double)sum / (double)NS_PER_S;
}

static double read_longest(const struct kube_queue *queue)
{
    /* The list is in the order of taking. */
    const struct queue_entry *entry = queue->working.first;
    return entry ? (double)(clock_monotonic_ns() - entry->since_ns) / (double)NS_PER_S : 0;
}

static double depth(void *queue)
{
    return locked(queue, read_depth);
}

static double adds(void *queue)
{
    return locked(queue, read_adds);
}

static double retries(void *queue)
{
    return locked(queue, read_retries);
}

static double unfinished(void *queue)
{
    return locked(queue, read_unfinished);
}

static double longest(void *queue)
{
    return locked(queue, read_longest);
}

static struct metric *declare(struct metrics *metrics, const struct metric_spec *spec,
                              const char *name)
{
    const char *labels[] = {name ? name : ""};
    return metric_series(metrics_family(metrics, spec), labels);
}

void queue_metrics_declare(struct kube_queue *queue, const struct kube_queue_options *options)
{
    struct metrics *registry = options->metrics;
    struct queue_metrics *metrics = &queue->metrics;
    if (!registry)
        return;
    metrics->depth = declare(registry, &depth_spec, options->name);
    metrics->adds = declare(registry, &adds_spec, options->name);
    metrics->retries = declare(registry, &retries_spec, options->name);
    metrics->queue_duration = declare(registry, &queue_duration_spec, options->name);
    metrics->work_duration = declare(registry, &work_duration_spec, options->name);
    metrics->unfinished = declare(registry, &unfinished_spec, options->name);
    metrics->longest = declare(registry, &longest_spec, options->name);
    metric_callback(metrics->depth, depth, queue);
    metric_callback(metrics->adds, adds, queue);
    metric_callback(metrics->retries, retries, queue);
    metric_callback(metrics->unfinished, unfinished, queue);
    metric_callback(metrics->longest, longest, queue);
}

void queue_metrics_withdraw(struct kube_queue *queue)
{
    struct queue_metrics *metrics = &queue->metrics;
    struct metric *const asked[] = {metrics->depth, metrics->adds, metrics->retries,
                                    metrics->unfinished, metrics->longest};
    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++)
        if (asked[i])
            metric_callback(asked[i], NULL, NULL);
}
