#include "kube/reflector.h"

#include "base/clock.h"
#include "base/memory.h"
#include "kube/hash.h"
#include "kube/reflector_private.h"

#define BACKOFF_FIRST_NS (800 * NS_PER_MS)
#define BACKOFF_MOST_NS  (30 * NS_PER_S)

static const struct metric_spec lists_spec = {.name = "reflector_lists_total",
                                              .help = "Complete lists, paged or streaming.",
                                              .kind = METRIC_COUNTER,
                                              .labels = {"resource"}};
static const struct metric_spec list_duration_spec = {
    .name = "reflector_list_duration_seconds",
    .help = "How long a complete list takes, from the request until the store holds it.",
    .kind = METRIC_SUMMARY,
    .labels = {"resource"},
};
static const struct metric_spec watches_spec = {.name = "reflector_watches_total",
                                                .help = "Watches begun.",
                                                .kind = METRIC_COUNTER,
                                                .labels = {"resource"}};
static const struct metric_spec watch_failures_spec = {
    .name = "reflector_watch_failures_total",
    .help = "Watches that ended in a failure.",
    .kind = METRIC_COUNTER,
    .labels = {"resource"},
};
static const struct metric_spec items_spec = {.name = "reflector_items",
                                              .help = "Objects in the store.",
                                              .kind = METRIC_GAUGE,
                                              .labels = {"resource"}};
static const struct metric_spec bytes_spec = {.name = "reflector_bytes",
                                              .help = "Memory that the store takes.",
                                              .kind = METRIC_GAUGE,
                                              .labels = {"resource"}};

static double count_items(void *store)
{
    return (double)kube_store_count(store);
}

static double count_bytes(void *store)
{
    return (double)kube_store_bytes(store);
}

static struct metric *declare(struct metrics *registry, const struct metric_spec *spec,
                              const char *name)
{
    const char *labels[] = {name};
    return metric_series(metrics_family(registry, spec), labels);
}

static void declare_metrics(struct kube_reflector *reflector)
{
    const struct kube_reflector_options *options = &reflector->options;
    struct reflector_metrics *metrics = &reflector->metrics;
    const char *name = options->name ? options->name : options->resource->plural;
    if (!options->metrics)
        return;
    metrics->lists = declare(options->metrics, &lists_spec, name);
    metrics->list_duration = declare(options->metrics, &list_duration_spec, name);
    metrics->watches = declare(options->metrics, &watches_spec, name);
    metrics->watch_failures = declare(options->metrics, &watch_failures_spec, name);
    metrics->items = declare(options->metrics, &items_spec, name);
    metrics->bytes = declare(options->metrics, &bytes_spec, name);
    metric_callback(metrics->items, count_items, options->store);
    metric_callback(metrics->bytes, count_bytes, options->store);
}

static void withdraw_metrics(struct kube_reflector *reflector)
{
    if (!reflector->options.metrics)
        return;
    metric_callback(reflector->metrics.items, NULL, NULL);
    metric_callback(reflector->metrics.bytes, NULL, NULL);
}

void reflector_heard(struct kube_reflector *reflector)
{
    __atomic_store_n(&reflector->heard_ns, clock_monotonic_ns(), __ATOMIC_RELAXED);
}

void reflector_report(struct kube_reflector *reflector, const char *message)
{
    const struct kube_reflector_options *options = &reflector->options;
    if (options->failed)
        options->failed(options->context, options->resource, message);
}

void reflector_complete(struct kube_reflector *reflector, uint32_t mark, uint64_t began_ns,
                        char *resource_version)
{
    const struct kube_reflector_options *options = &reflector->options;
    kube_store_replace_end(options->store, mark, options->namespace, options->change,
                           options->context);
    free(reflector->resource_version);
    reflector->resource_version = resource_version;
    reflector_heard(reflector);
    reflector_count(reflector->metrics.lists);
    if (reflector->metrics.list_duration)
        metric_observe(reflector->metrics.list_duration,
                       (double)(clock_monotonic_ns() - began_ns) / (double)NS_PER_S);
    if (reflector->synced)
        return;
    kube_bell_lock(&reflector->bell);
    __atomic_store_n(&reflector->synced, true, __ATOMIC_RELEASE);
    kube_bell_ring(&reflector->bell);
    kube_bell_unlock(&reflector->bell);
    if (options->synced)
        options->synced(options->context);
}

/* The delay before what has failed is tried again: none after a session that lasted, then first,
 * doubling to most, of which a half to the whole is drawn. */
static uint64_t next_delay_ns(struct kube_reflector *reflector)
{
    const struct kube_reflector_options *options = &reflector->options;
    unsigned failures = reflector->short_sessions++;
    uint64_t delay_ns = failures ? options->backoff_first_ns : 0;
    for (unsigned i = 1; i < failures && delay_ns < options->backoff_most_ns; i++)
        delay_ns *= 2;
    if (delay_ns > options->backoff_most_ns)
        delay_ns = options->backoff_most_ns;
    delay_ns = delay_ns / 2 + kube_hash_random() % (delay_ns / 2 + 1);
    return delay_ns > reflector->retry_after_ns ? delay_ns : reflector->retry_after_ns;
}

static void pause_before_retry(struct kube_reflector *reflector)
{
    uint64_t delay_ns = next_delay_ns(reflector), until_ns = clock_monotonic_ns() + delay_ns;
    reflector->retry_after_ns = 0;
    kube_bell_lock(&reflector->bell);
    while (!reflector->stop && clock_monotonic_ns() < until_ns)
        kube_bell_wait(&reflector->bell, until_ns);
    kube_bell_unlock(&reflector->bell);
}

static void *run(void *context)
{
    struct kube_reflector *reflector = context;
    if (reflector->options.metrics)
        metrics_thread_attach(reflector->options.metrics);
    while (!reflector_stopping(reflector)) {
        bool streaming = reflector->streaming && !reflector->paged_next;
        if (!reflector->resource_version && !streaming && reflector_list(reflector) < 0) {
            if (!reflector->short_sessions)
                reflector->short_sessions = 1;
            pause_before_retry(reflector);
            continue;
        }
        uint64_t began_ns = clock_monotonic_ns();
        reflector_watch(reflector);
        /* A server that ends each watch at once must not be asked all the time: only one that
         * lasted counts as a success. */
        if (clock_monotonic_ns() - began_ns >= reflector->options.backoff_first_ns)
            reflector->short_sessions = 0;
        pause_before_retry(reflector);
    }
    if (reflector->options.metrics)
        metrics_thread_detach();
    return NULL;
}

static char *copy_text(const char *text)
{
    return text ? xstrdup(text) : NULL;
}

static void free_texts(struct kube_reflector_options *options)
{
    const char *const texts[] = {options->namespace, options->label_selector,
                                 options->field_selector};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        free((void *)(uintptr_t)texts[i]);
}

static void reflector_free(struct kube_reflector *reflector)
{
    withdraw_metrics(reflector);
    kube_bell_destroy(&reflector->bell);
    free_texts(&reflector->options);
    free(reflector->resource_version);
    free(reflector);
}

int kube_reflector_start(struct kube_client *client, const struct kube_reflector_options *options,
                         struct kube_reflector **ret_reflector, struct error **err)
{
    struct kube_reflector *reflector = xcalloc(1, sizeof(*reflector));
    reflector->client = client;
    reflector->options = *options;
    reflector->options.namespace = copy_text(options->namespace);
    reflector->options.label_selector = copy_text(options->label_selector);
    reflector->options.field_selector = copy_text(options->field_selector);
    if (!reflector->options.backoff_first_ns)
        reflector->options.backoff_first_ns = BACKOFF_FIRST_NS;
    if (!reflector->options.backoff_most_ns)
        reflector->options.backoff_most_ns = BACKOFF_MOST_NS;
    reflector->streaming = !options->paged_only;
    kube_bell_init(&reflector->bell);
    declare_metrics(reflector);
    int r = kube_thread_start(&reflector->thread, options->resource->plural, run, reflector, err);
    if (r < 0) {
        reflector_free(reflector);
        return r;
    }
    *ret_reflector = reflector;
    return 0;
}

bool kube_reflector_synced(const struct kube_reflector *reflector)
{
    return __atomic_load_n(&reflector->synced, __ATOMIC_ACQUIRE);
}

bool kube_reflector_wait(struct kube_reflector *reflector, uint64_t deadline_ns)
{
    kube_bell_lock(&reflector->bell);
    while (!reflector->synced && clock_monotonic_ns() < deadline_ns)
        kube_bell_wait(&reflector->bell, deadline_ns);
    bool synced = reflector->synced;
    kube_bell_unlock(&reflector->bell);
    return synced;
}

uint64_t kube_reflector_heard_ns(const struct kube_reflector *reflector)
{
    return __atomic_load_n(&reflector->heard_ns, __ATOMIC_RELAXED);
}

void kube_reflector_ask_stop(struct kube_reflector *reflector)
{
    kube_bell_lock(&reflector->bell);
    __atomic_store_n(&reflector->stop, true, __ATOMIC_RELEASE);
    kube_bell_ring(&reflector->bell);
    kube_bell_unlock(&reflector->bell);
    kube_client_wake(reflector->client); /* it sleeps for seconds otherwise */
}

void kube_reflector_stop(struct kube_reflector *reflector)
{
    if (!reflector)
        return;
    kube_reflector_ask_stop(reflector);
    pthread_join(reflector->thread, NULL);
    reflector_free(reflector);
}
