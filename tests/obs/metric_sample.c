/* metric_sample text|openmetrics: prints a registry that holds every kind of family. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "obs/metric.h"

static const double mub_buckets[] = {0.5, 1, 10, 100, 1000, 10000};
static const double fine_buckets[] = {0, 0.00001, 0.0005, 0.1, 2.5, 123456, 1e6, 1.5e9};

static double depth(void *context)
{
    (void)context;
    return 17;
}

static double infinite(void *context)
{
    return *(double *)context;
}

/* muBench's two families of one measure: the histogram's name is the summary's and "_bucket". */
static void observe_mub(struct metrics *metrics)
{
    static const struct metric_spec summary = {
        "mub_response_size", "Size of the answer.", .kind = METRIC_SUMMARY,
        .labels = {"zone", "app_name", "method", "endpoint"}};
    static const struct metric_spec histogram = {
        "mub_response_size_bucket",
        "Size of the answer.",
        .kind = METRIC_HISTOGRAM,
        .labels = {"zone", "app_name", "method", "endpoint"},
        mub_buckets,
        6};
    static const char *const values[] = {"default", "s0", "POST", "/api/v1"};
    struct metric *plain = metric_series(metrics_family(metrics, &summary), values);
    struct metric *buckets = metric_series(metrics_family(metrics, &histogram), values);
    for (int i = 0; i < 100; i++) {
        metric_observe(plain, i * i);
        metric_observe(buckets, i * i);
    }
}

static void count_answers(struct metrics *metrics)
{
    static const struct metric_spec requests = {
        "dpumesh_requests_total", "Requests answered; a \\ and\na \"line\".",
        .kind = METRIC_COUNTER, .labels = {"protocol", "code"}};
    struct metric_family *family = metrics_family(metrics, &requests);
    metric_add(metric_series(family, (const char *[]){"tcp", "200"}), 3);
    metric_add(metric_series(family, (const char *[]){"a\"b\\c\nd", NULL}), 0.1);
    metric_add(metric_series(family, (const char *[]){"\xff{,}=", "\xc3\xa4"}), 1e300);
}

int main(int argc, char **argv)
{
    static const struct metric_spec queue = {"dpumesh_queue_depth", "Descriptors in the queue.",
                                             .kind = METRIC_GAUGE, .labels = {"queue"}};
    static const struct metric_spec bound = {"dpumesh_bound", "An infinite value.",
                                             .kind = METRIC_GAUGE};
    static const struct metric_spec latency = {"dpumesh_latency_seconds", "Latency.",
                                               .kind = METRIC_HISTOGRAM, .buckets = fine_buckets,
                                               .bucket_count = 8};
    static double infinity = -INFINITY;
    enum metrics_format format = argc > 1 && strcmp(argv[1], "openmetrics") == 0
                                     ? METRICS_OPENMETRICS_TEXT
                                     : METRICS_PROMETHEUS_TEXT;
    cleanup_buffer struct buffer out = BUFFER_INIT(1 << 20);
    struct metrics *metrics = metrics_new();
    metrics_thread_attach(metrics);
    observe_mub(metrics);
    count_answers(metrics);
    metric_callback(metric_series(metrics_family(metrics, &queue), (const char *[]){"ingress_sq"}),
                    depth, NULL);
    metric_callback(metric_series(metrics_family(metrics, &bound), NULL), infinite, &infinity);
    struct metric *series = metric_series(metrics_family(metrics, &latency), NULL);
    metric_observe(series, 0.0625);
    metric_observe(series, 0.0);
    metric_observe(series, 1e12);
    metrics_declare_process(metrics, "sample");
    int ret = metrics_expose(metrics, format, &out);
    if (ret == 0 && fwrite(out.data, 1, out.length, stdout) != out.length)
        ret = -1;
    metrics_free(metrics);
    return ret < 0 || fflush(stdout) != 0;
}
