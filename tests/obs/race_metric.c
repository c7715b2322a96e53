/*
 * Threads add and observe, start and end, and see new labels, while another scrapes all the time.
 * Every scrape is consistent, no counter ever goes back, and in the end nothing is lost.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "obs/metric.h"

enum { THREADS = 4, ROUNDS = 8, STEPS = 4000, LABELS = STEPS / 20 };

static const double bounds[] = {1, 10, 100};
static const struct metric_spec counter_spec = {"adds_total", "Adds.", .kind = METRIC_COUNTER};
static const struct metric_spec label_spec = {"labels_total", "Labels.", .kind = METRIC_COUNTER,
                                              .labels = {"label"}, .series_max = ROUNDS * LABELS};
static const struct metric_spec histogram_spec = {"values", "Values.", .kind = METRIC_HISTOGRAM,
                                                  .buckets = bounds, .bucket_count = 3};
static const struct metric_spec summary_spec = {"sizes", "Sizes.", .kind = METRIC_SUMMARY};

static struct metrics *metrics;
static pthread_barrier_t start;
static int round_number; /* written while no thread runs */
static atomic_bool done;
static atomic_int failures;

static void fail(const char *what)
{
    fprintf(stderr, "%s\n", what);
    atomic_fetch_add(&failures, 1);
}

static void *work(void *unused)
{
    struct metric *adds = metric_series(metrics_family(metrics, &counter_spec), NULL);
    struct metric *values = metric_series(metrics_family(metrics, &histogram_spec), NULL);
    struct metric *sizes = metric_series(metrics_family(metrics, &summary_spec), NULL);
    struct metric_family *labels = metrics_family(metrics, &label_spec);
    (void)unused;
    metric_add(adds, 1000); /* not attached yet: counts nothing */
    metrics_thread_attach(metrics);
    pthread_barrier_wait(&start); /* so that all see the new labels at once */
    for (int i = 0; i < STEPS; i++) {
        metric_add(adds, 1);
        metric_observe(values, i % 200);
        metric_observe(sizes, 2);
        if (i % 20 == 0) {
            char label[16];
            snprintf(label, sizeof(label), "l%d", round_number * LABELS + i / 20);
            metric_add(metric_series(labels, (const char *[]){label}), 1);
        }
    }
    /* Every second thread leaves this to the end of the thread. */
    if ((uintptr_t)unused % 2)
        metrics_thread_detach();
    return NULL;
}

/* The value behind a series' name and labels in an exposition. */
static double value_of(const char *text, const char *series)
{
    const char *at = strstr(text, series);
    return at ? strtod(at + strlen(series), NULL) : 0;
}

static void *scrape(void *unused)
{
    cleanup_buffer struct buffer out = BUFFER_INIT(1 << 20);
    double before = 0;
    (void)unused;
    for (int i = 0; !atomic_load(&done); i++) {
        buffer_clear(&out);
        if (metrics_expose(metrics, i % 2 ? METRICS_OPENMETRICS_TEXT : METRICS_PROMETHEUS_TEXT,
                           &out) < 0)
            fail("scrape failed");
        const char *text = buffer_terminate(&out);
        double adds = value_of(text, "\nadds_total ");
        if (adds < before || adds > (double)THREADS * ROUNDS * STEPS)
            fail("a counter went back");
        before = adds;
        if (value_of(text, "values_bucket{le=\"+Inf\"} ") != value_of(text, "values_count "))
            fail("the last bucket is not the count");
        if (value_of(text, "values_bucket{le=\"1.0\"} ") >
            value_of(text, "values_bucket{le=\"10.0\"} "))
            fail("buckets do not ascend");
    }
    return NULL;
}

static void expect(const char *what, double got, double want)
{
    if (got == want)
        return;
    fprintf(stderr, "%s: %.17g, not %.17g\n", what, got, want);
    fail("a total is wrong");
}

int main(void)
{
    pthread_t threads[THREADS], scraper;
    const double total = (double)THREADS * ROUNDS * STEPS;
    metrics = metrics_new();
    pthread_barrier_init(&start, NULL, THREADS);
    pthread_create(&scraper, NULL, scrape, NULL);
    for (round_number = 0; round_number < ROUNDS; round_number++) {
        for (uintptr_t i = 0; i < THREADS; i++)
            pthread_create(&threads[i], NULL, work, (void *)i);
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
    }
    atomic_store(&done, true);
    pthread_join(scraper, NULL);

    struct metric *values = metric_series(metrics_family(metrics, &histogram_spec), NULL);
    struct metric *sizes = metric_series(metrics_family(metrics, &summary_spec), NULL);
    expect("adds", metric_value(metric_series(metrics_family(metrics, &counter_spec), NULL)),
           total);
    expect("observations", (double)metric_count(values), total);
    expect("sum of observations", metric_value(values), total / 200 * 199 * 100);
    expect("sizes", (double)metric_count(sizes), total);
    expect("sum of sizes", metric_value(sizes), total * 2);
    for (int i = 0; i < ROUNDS * LABELS; i++) {
        char label[16];
        snprintf(label, sizeof(label), "l%d", i);
        struct metric *series =
            metric_series(metrics_family(metrics, &label_spec), (const char *[]){label});
        expect(label, metric_value(series), THREADS);
    }
    metrics_free(metrics);
    return atomic_load(&failures) > 0;
}
