/* The autoscaler's thread, and the table of the services that it scales. */
#include "operator/autoscaler.h"

#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "operator/autoscaler_private.h"

/* How old the figures of a condition's message may be. */
#define VIEW_AGE_NS (60 * NS_PER_S)

/* ---- the table ---- */

static void scaled_free(struct scaled *scaled)
{
    scale_state_free(&scaled->state);
    free(scaled->namespace);
    free(scaled->name);
    free(scaled->object_uid);
    free(scaled->resource_version);
    free(scaled->pods);
    free(scaled->owner);
    free(scaled->view.message);
    free(scaled);
}

/* Where it is linked, or would be. Only the thread changes the table, with the lock; so the thread
 * may read it without. */
static struct scaled **place_of(struct autoscaler *a, const char *namespace, const char *name)
{
    uint64_t hash = written_name(namespace, name);
    struct scaled **at = &a->buckets[(hash ^ hash >> 32) % SCALED_BUCKETS];
    while (*at && ((*at)->name_hash != hash || strcmp((*at)->name, name) != 0 ||
                   strcmp((*at)->namespace, namespace) != 0))
        at = &(*at)->next;
    return at;
}

/* Takes it out and frees it. */
static void scaled_drop(struct autoscaler *a, struct scaled **at)
{
    struct scaled *scaled = *at;
    kube_bell_lock(&a->bell);
    *at = scaled->next;
    kube_bell_unlock(&a->bell);
    __atomic_fetch_sub(&a->count, 1, __ATOMIC_RELAXED);
    scaled_free(scaled);
}

struct scaled *autoscaler_find(struct autoscaler *a, const char *namespace, const char *name,
                               const char *uid)
{
    struct scaled **at = place_of(a, namespace, name);
    if (*at && (*at)->uid != trim_uid(uid)) { /* its predecessor's past is not its own */
        scaled_drop(a, at);
        at = place_of(a, namespace, name);
    }
    if (*at)
        return *at;
    struct scaled *scaled = xcalloc(1, sizeof *scaled);
    scaled->namespace = xstrdup(namespace);
    scaled->name = xstrdup(name);
    scaled->name_hash = written_name(namespace, name);
    scaled->uid = trim_uid(uid);
    scaled->object_uid = xstrdup(uid);
    scaled->replicas_known = -1;
    scaled->tried = -1;
    kube_bell_lock(&a->bell);
    *at = scaled;
    kube_bell_unlock(&a->bell);
    __atomic_fetch_add(&a->count, 1, __ATOMIC_RELAXED);
    return scaled;
}

void autoscaler_sweep(struct autoscaler *a)
{
    for (size_t i = 0; i < SCALED_BUCKETS; i++)
        for (struct scaled **at = &a->buckets[i]; *at;) {
            if ((*at)->round == a->round)
                at = &(*at)->next;
            else
                scaled_drop(a, at);
        }
}

/* ---- what reconciles see ---- */

void autoscaler_publish(struct autoscaler *a, struct scaled *scaled, bool active,
                        const char *reason, const char *message, uint64_t now_ns)
{
    struct autoscaler_view *view = &scaled->view;
    kube_bell_lock(&a->bell);
    bool other = !scaled->viewed || view->active != active || strcmp(view->reason, reason) != 0;
    bool old =
        !other && now_ns - scaled->viewed_ns >= VIEW_AGE_NS && strcmp(view->message, message) != 0;
    if (other || old) {
        free(view->message);
        view->message = xstrdup(message);
        view->active = active;
        snprintf(view->reason, sizeof view->reason, "%s", reason);
        scaled->viewed = true;
        scaled->viewed_ns = now_ns;
    }
    kube_bell_unlock(&a->bell);
    if (!other && !old)
        return;
    cleanup_free char *key = xasprintf("%s/%s", scaled->namespace, scaled->name);
    kube_queue_add(kube_controller_queue(a->options.controller), key, KUBE_LANE_LOW);
}

bool autoscaler_view(struct autoscaler *a, const char *namespace, const char *name, uint64_t uid,
                     struct autoscaler_view *ret_view)
{
    kube_bell_lock(&a->bell);
    const struct scaled *scaled = *place_of(a, namespace, name);
    bool viewed = scaled && scaled->uid == uid && scaled->viewed;
    if (viewed) {
        *ret_view = scaled->view;
        ret_view->message = xstrdup(scaled->view.message);
    }
    kube_bell_unlock(&a->bell);
    return viewed;
}

/* ---- the thread ---- */

bool autoscaler_ends(struct autoscaler *a)
{
    kube_bell_lock(&a->bell);
    bool ends = a->stopping;
    kube_bell_unlock(&a->bell);
    return ends;
}

/* Sleeps until the instant; false when it is time to end. */
static bool sleep_until(struct autoscaler *a, uint64_t at_ns)
{
    kube_bell_lock(&a->bell);
    while (!a->stopping && clock_monotonic_ns() < at_ns)
        kube_bell_wait(&a->bell, at_ns);
    bool goes_on = !a->stopping;
    kube_bell_unlock(&a->bell);
    return goes_on;
}

static void *run(void *context)
{
    struct autoscaler *a = context;
    uint64_t next_ns = clock_monotonic_ns();
    metrics_thread_attach(a->options.metrics);
    while (sleep_until(a, next_ns)) {
        uint64_t begun_ns = clock_monotonic_ns();
        a->round++;
        /* What was known is of another time when we lead again: as new. */
        if (operator_may_write(a->options.operator) &&
            kube_controller_synced(a->options.controller))
            autoscaler_look(a);
        autoscaler_sweep(a);
        autoscaler_forget_hpas(a);
        next_ns += a->options.interval_ns;
        if (next_ns < begun_ns) /* it took longer than that: no looks in a row to catch up */
            next_ns = begun_ns + a->options.interval_ns;
    }
    metrics_thread_detach();
    return NULL;
}

/* ---- its life ---- */

static double services(void *context)
{
    const struct autoscaler *a = context;
    return (double)__atomic_load_n(&a->count, __ATOMIC_RELAXED);
}

static void declare_metrics(struct autoscaler *a)
{
    static const char *const directions[] = {"up", "down"};
    static const double seconds[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
    struct metrics *m = a->options.metrics;
    struct metric_spec count = {.name = "dpumesh_operator_autoscaled_services",
                                .help = "DpuServices whose replicas the operator sets.",
                                .kind = METRIC_GAUGE};
    struct metric_spec rescales = {.name = "dpumesh_operator_rescales_total",
                                   .help = "Times that the number of replicas was set.",
                                   .kind = METRIC_COUNTER,
                                   .labels = {"direction"}};
    struct metric_spec failures = {.name = "dpumesh_operator_rescale_failures_total",
                                   .help = "Times that it could not be set.",
                                   .kind = METRIC_COUNTER};
    struct metric_spec conflicts = {.name = "dpumesh_operator_rescale_conflicts_total",
                                    .help = "Times that it was left to the next look, because the "
                                            "DpuService had changed meanwhile.",
                                    .kind = METRIC_COUNTER};
    struct metric_spec look = {.name = "dpumesh_operator_autoscale_duration_seconds",
                               .help = "How long one look at all autoscaled DpuServices takes.",
                               .kind = METRIC_HISTOGRAM,
                               .buckets = seconds,
                               .bucket_count = sizeof seconds / sizeof *seconds};
    a->services = metric_series(metrics_family(m, &count), NULL);
    metric_callback(a->services, services, a);
    struct metric_family *family = metrics_family(m, &rescales);
    for (size_t i = 0; i < 2; i++)
        a->rescales[i] = metric_series(family, &directions[i]);
    a->failures = metric_series(metrics_family(m, &failures), NULL);
    a->conflicts = metric_series(metrics_family(m, &conflicts), NULL);
    a->look_seconds = metric_series(metrics_family(m, &look), NULL);
}

static void autoscaler_free(struct autoscaler *a)
{
    metric_callback(a->services, NULL, NULL);
    a->round++;
    autoscaler_sweep(a);
    autoscaler_forget_hpas(a);
    scraper_free(a->scraper);
    kube_bell_destroy(&a->bell);
    free(a);
}

int autoscaler_start(const struct autoscaler_options *options, struct autoscaler **ret_autoscaler,
                     struct error **err)
{
    struct autoscaler *a = xcalloc(1, sizeof *a);
    struct scraper_options pages = {.connections = options->connections,
                                    .timeout_ns = options->page_timeout_ns,
                                    .query = AGENT_FIGURES_SCALING_QUERY,
                                    .metrics = options->metrics};
    a->options = *options;
    a->scraper = scraper_new(&pages);
    kube_bell_init(&a->bell);
    declare_metrics(a);
    int failed = kube_thread_start(&a->thread, "the autoscaler", run, a, err);
    if (failed < 0) {
        autoscaler_free(a);
        return failed;
    }
    *ret_autoscaler = a;
    return 0;
}

void autoscaler_stop(struct autoscaler *a)
{
    if (!a)
        return;
    kube_bell_lock(&a->bell);
    a->stopping = true;
    kube_bell_ring(&a->bell);
    kube_bell_unlock(&a->bell);
    scraper_cancel(a->scraper);
    pthread_join(a->thread, NULL);
    autoscaler_free(a);
}
