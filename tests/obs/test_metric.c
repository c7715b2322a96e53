#include "obs/metric.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static const double bounds[] = {0.5, 1, 10};

static const struct metric_spec counter_spec = {
    "requests_total", "Requests.", .kind = METRIC_COUNTER, .labels = {"protocol", "code"}};
static const struct metric_spec gauge_spec = {"depth", "Depth.", .kind = METRIC_GAUGE};
static const struct metric_spec histogram_spec = {
    "latency", "Latency.", .kind = METRIC_HISTOGRAM, .labels = {"stage"}, bounds, 3};
static const struct metric_spec summary_spec = {"size", "Size.", .kind = METRIC_SUMMARY,
                                                .labels = {"stage"}};

static struct metrics *metrics;
static char text[1 << 20];

static void setup(void)
{
    metrics = metrics_new();
    metrics_thread_attach(metrics);
}

static void teardown(void)
{
    metrics_free(metrics);
}

static const char *exposed(enum metrics_format format)
{
    cleanup_buffer struct buffer out = BUFFER_INIT(sizeof(text) - 1);
    cr_assert_eq(metrics_expose(metrics, format, &out), 0);
    memcpy(text, buffer_terminate(&out), out.length + 1);
    return text;
}

TestSuite(metric, .init = setup, .fini = teardown);

static double twelve(void *context)
{
    return *(int *)context * 12;
}

Test(metric, exposes_every_kind)
{
    static int factor = 1;
    cr_assert_str_eq(exposed(METRICS_PROMETHEUS_TEXT), "");
    cr_assert_str_eq(exposed(METRICS_OPENMETRICS_TEXT), "# EOF\n");
    struct metric_family *requests = metrics_family(metrics, &counter_spec);
    cr_assert_str_eq(exposed(METRICS_PROMETHEUS_TEXT), "", "a family without series");
    struct metric *tcp = metric_series(requests, (const char *[]){"tcp", "200"});
    struct metric *depth = metric_series(metrics_family(metrics, &gauge_spec), NULL);
    struct metric *latency =
        metric_series(metrics_family(metrics, &histogram_spec), (const char *[]){"dma"});
    struct metric *size =
        metric_series(metrics_family(metrics, &summary_spec), (const char *[]){""});
    metric_add(tcp, 1);
    metric_add(tcp, 0.5);
    metric_add(depth, 3);
    metric_add(depth, -4);
    static const double observed[] = {0.5, 0.6, 1, 10, 10.1, NAN};
    for (size_t i = 0; i < 5; i++) {
        metric_observe(latency, observed[i]);
        metric_observe(size, observed[i]);
    }
    cr_assert_str_eq(exposed(METRICS_PROMETHEUS_TEXT),
                     "# HELP requests_total Requests.\n"
                     "# TYPE requests_total counter\n"
                     "requests_total{protocol=\"tcp\",code=\"200\"} 1.5\n"
                     "# HELP depth Depth.\n"
                     "# TYPE depth gauge\n"
                     "depth -1\n"
                     "# HELP latency Latency.\n"
                     "# TYPE latency histogram\n"
                     "latency_bucket{stage=\"dma\",le=\"0.5\"} 1\n"
                     "latency_bucket{stage=\"dma\",le=\"1.0\"} 3\n"
                     "latency_bucket{stage=\"dma\",le=\"10.0\"} 4\n"
                     "latency_bucket{stage=\"dma\",le=\"+Inf\"} 5\n"
                     "latency_sum{stage=\"dma\"} 22.2\n"
                     "latency_count{stage=\"dma\"} 5\n"
                     "# HELP size Size.\n"
                     "# TYPE size summary\n"
                     "size_sum{stage=\"\"} 22.2\n"
                     "size_count{stage=\"\"} 5\n");
    cr_assert_not_null(strstr(exposed(METRICS_OPENMETRICS_TEXT),
                              "# HELP requests Requests.\n# TYPE requests counter\n"
                              "requests_total{protocol=\"tcp\",code=\"200\"} 1.5\n"));
    cr_assert_eq(metric_value(tcp), 1.5);
    cr_assert_eq(metric_count(latency), 5);
    cr_assert_eq(metric_count(size), 5);
    cr_assert_eq(metric_count(tcp), 0);

    /* A NaN is counted, in the last bucket. */
    metric_observe(latency, observed[5]);
    cr_assert_not_null(strstr(exposed(METRICS_PROMETHEUS_TEXT),
                              "le=\"10.0\"} 4\nlatency_bucket{stage=\"dma\",le=\"+Inf\"} 6\n"
                              "latency_sum{stage=\"dma\"} NaN\n"));

    metric_callback(depth, twelve, &factor);
    cr_assert_eq(metric_value(depth), 12);
    factor = 2;
    cr_assert_not_null(strstr(exposed(METRICS_PROMETHEUS_TEXT), "\ndepth 24\n"));
    metric_callback(depth, NULL, NULL);
    cr_assert_eq(metric_value(depth), -1);
}

Test(metric, a_histogram_is_printed_as_a_summary_too)
{
    static const double limits[] = {1, 10};
    struct metric_spec spec = {.name = "size_bucket",
                               .help = "Size.",
                               .kind = METRIC_HISTOGRAM,
                               .labels = {"path"},
                               .buckets = limits,
                               .bucket_count = 2,
                               .series_max = 1,
                               .summary = "size"};
    struct metric_family *family = metrics_family(metrics, &spec);
    cr_assert_eq(metrics_family(metrics, &spec), family);
    cr_assert_str_eq(exposed(METRICS_PROMETHEUS_TEXT), "");
    struct metric *series = metric_series(family, (const char *[]){"/"});
    metric_observe(series, 1);
    metric_observe(series, 5);
    metric_observe(metric_series(family, (const char *[]){"/past/the/cap"}), 100);
    cr_assert_str_eq(exposed(METRICS_PROMETHEUS_TEXT),
                     "# HELP size Size.\n"
                     "# TYPE size summary\n"
                     "size_sum{path=\"/\"} 6\n"
                     "size_count{path=\"/\"} 2\n"
                     "size_sum{path=\"other\"} 100\n"
                     "size_count{path=\"other\"} 1\n"
                     "# HELP size_bucket Size.\n"
                     "# TYPE size_bucket histogram\n"
                     "size_bucket_bucket{path=\"/\",le=\"1.0\"} 1\n"
                     "size_bucket_bucket{path=\"/\",le=\"10.0\"} 2\n"
                     "size_bucket_bucket{path=\"/\",le=\"+Inf\"} 2\n"
                     "size_bucket_sum{path=\"/\"} 6\n"
                     "size_bucket_count{path=\"/\"} 2\n"
                     "size_bucket_bucket{path=\"other\",le=\"1.0\"} 0\n"
                     "size_bucket_bucket{path=\"other\",le=\"10.0\"} 0\n"
                     "size_bucket_bucket{path=\"other\",le=\"+Inf\"} 1\n"
                     "size_bucket_sum{path=\"other\"} 100\n"
                     "size_bucket_count{path=\"other\"} 1\n");
}

/* What a family's name and kind leave free is not free when it has a summary. */
static void declare_with_summary(enum metric_kind kind, const char *summary, const char *other)
{
    static const double limits[] = {1};
    struct metric_spec spec = {.name = "size_bucket",
                               .help = "Size.",
                               .kind = kind,
                               .buckets = kind == METRIC_HISTOGRAM ? limits : NULL,
                               .bucket_count = kind == METRIC_HISTOGRAM,
                               .summary = summary};
    metrics_family(metrics, &spec);
    struct metric_spec second = {.name = other, .help = "", .kind = METRIC_SUMMARY};
    if (other)
        metrics_family(metrics, &second);
}

Test(metric, a_summary_of_a_gauge_aborts, .signal = SIGABRT)
{
    declare_with_summary(METRIC_GAUGE, "size", NULL);
}

Test(metric, a_summary_under_the_histograms_own_name_aborts, .signal = SIGABRT)
{
    declare_with_summary(METRIC_HISTOGRAM, "size_bucket", NULL);
}

Test(metric, a_summary_that_is_no_name_aborts, .signal = SIGABRT)
{
    declare_with_summary(METRIC_HISTOGRAM, "si ze", NULL);
}

Test(metric, a_second_family_of_a_summarys_name_aborts, .signal = SIGABRT)
{
    declare_with_summary(METRIC_HISTOGRAM, "size", "size");
}

Test(metric, prints_numbers_that_read_back)
{
    static const struct {
        double value;
        const char *want;
    } cases[] = {
        {0, "0"},
        {1, "1"},
        {-3, "-3"},
        {0.1, "0.1"},
        {1.0 / 3, "0.3333333333333333"},
        {1e15, "1000000000000000"},
        {9007199254740991, "9007199254740991"},
        {1e16, "1e+16"},
        {1e300, "1e+300"},
        {INFINITY, "+Inf"},
        {-INFINITY, "-Inf"},
        {NAN, "NaN"},
        {1e-9, "1e-09"},
        {123456789.125, "123456789.125"},
        {0.30000000000000004, "0.30000000000000004"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char line[100];
        struct metrics *fresh = metrics_new();
        metrics_thread_attach(fresh);
        metric_add(metric_series(metrics_family(fresh, &gauge_spec), NULL), cases[i].value);
        cleanup_buffer struct buffer out = BUFFER_INIT(1000);
        cr_assert_eq(metrics_expose(fresh, METRICS_PROMETHEUS_TEXT, &out), 0);
        snprintf(line, sizeof(line), "gauge\ndepth %s\n", cases[i].want);
        cr_assert_not_null(strstr(buffer_terminate(&out), line), "%s: %s", cases[i].want, out.data);
        metrics_free(fresh);
    }
}

Test(metric, labels_are_escaped_and_bounded)
{
    static const struct metric_spec spec = {"x_total", "A \\ \"quote\"\nand more.",
                                            .kind = METRIC_COUNTER, .labels = {"l"},
                                            .series_max = 3};
    struct metric_family *family = metrics_family(metrics, &spec);
    char huge[2000];
    memset(huge, 'h', sizeof(huge) - 1);
    huge[sizeof(huge) - 1] = '\0';
    memcpy(huge + 254, "\xe2\x82\xac", 3); /* cut where a character would be torn */
    metric_add(metric_series(family, (const char *[]){"a\\b\"c\nd"}), 1);
    metric_add(metric_series(family, (const char *[]){huge}), 2);
    metric_add(metric_series(family, (const char *[]){"\xff\xc3\xa4"}), 3);
    /* The family is full: what is known stays known, all else is one series. */
    for (int i = 0; i < 1000; i++) {
        char label[20];
        snprintf(label, sizeof(label), "more%d", i);
        metric_add(metric_series(family, (const char *[]){label}), 1);
    }
    metric_add(metric_series(family, (const char *[]){"\xff\xc3\xa4"}), 3);
    metric_add(metric_series(family, (const char *[]){"other"}), 0.5);
    char want[2000];
    snprintf(want, sizeof(want),
             "# HELP x_total A \\\\ \"quote\"\\nand more.\n# TYPE x_total counter\n"
             "x_total{l=\"a\\\\b\\\"c\\nd\"} 1\nx_total{l=\"%.254s\"} 2\n"
             "x_total{l=\"\xef\xbf\xbd\xc3\xa4\"} 6\nx_total{l=\"other\"} 1000.5\n",
             huge);
    cr_assert_str_eq(exposed(METRICS_PROMETHEUS_TEXT), want);
    cr_assert_not_null(
        strstr(exposed(METRICS_OPENMETRICS_TEXT), "# HELP x A \\\\ \\\"quote\\\"\\nand more.\n"));
}

Test(metric, cells_run_out_in_good_order)
{
    /* Two families that want more cells than there are: both end in their overflow series. */
    static const struct metric_spec many = {"many_total", "Many.", .kind = METRIC_COUNTER,
                                            .labels = {"l"}, .series_max = 1000000};
    static const struct metric_spec late = {
        "late",          "Late.",           .kind = METRIC_HISTOGRAM,
        .labels = {"l"}, .buckets = bounds, .bucket_count = 3};
    struct metric_family *many_family = metrics_family(metrics, &many);
    struct metric_family *late_family = metrics_family(metrics, &late);
    char label[20];
    for (int i = 0; i < METRIC_CELLS_MAX + 1000; i++) {
        snprintf(label, sizeof(label), "%d", i);
        metric_add(metric_series(many_family, (const char *[]){label}), 1);
    }
    struct metric *overflow = metric_series(many_family, (const char *[]){"one more"});
    /* All cells but those kept for the two overflow series: 1 and 3 + 2. */
    cr_assert_eq(metric_value(overflow), 1000 + 6);
    struct metric *other = metric_series(late_family, (const char *[]){"x"});
    cr_assert_eq(other, metric_series(late_family, (const char *[]){"y"}));
    metric_observe(other, 0.7);
    cr_assert_eq(metric_count(other), 1);
    cr_assert_eq(metric_value(overflow), 1000 + 6, "no cell is shared");
    snprintf(label, sizeof(label), "%d", METRIC_CELLS_MAX - 7);
    cr_assert_eq(metric_value(metric_series(many_family, (const char *[]){label})), 1);
}

Test(metric, families_and_series_are_found_again)
{
    struct metric_family *family = metrics_family(metrics, &counter_spec);
    cr_assert_eq(metrics_family(metrics, &counter_spec), family);
    struct metric *series[500];
    char first[20], second[20];
    for (int i = 0; i < 500; i++) {
        snprintf(first, sizeof(first), "%d", i / 20);
        snprintf(second, sizeof(second), "%d", i % 20);
        series[i] = metric_series(family, (const char *[]){first, second});
    }
    for (int i = 499; i >= 0; i--) {
        snprintf(first, sizeof(first), "%d", i / 20);
        snprintf(second, sizeof(second), "%d", i % 20);
        cr_assert_eq(metric_series(family, (const char *[]){first, second}), series[i]);
        for (int j = 0; j < i; j++)
            cr_assert_neq(series[i], series[j]);
    }
    /* NULL reads "". */
    cr_assert_eq(metric_series(family, (const char *[]){NULL, "x"}),
                 metric_series(family, (const char *[]){"", "x"}));
}

Test(metric, a_cap_is_all_or_nothing)
{
    metric_add(metric_series(metrics_family(metrics, &gauge_spec), NULL), 1);
    size_t whole = strlen(exposed(METRICS_OPENMETRICS_TEXT));
    for (size_t cap = 0; cap <= whole; cap++) {
        cleanup_buffer struct buffer out = BUFFER_INIT(cap + 3);
        buffer_puts(&out, "old");
        cr_assert_eq(metrics_expose(metrics, METRICS_OPENMETRICS_TEXT, &out),
                     cap == whole ? 0 : -ENOBUFS);
        cr_assert_eq(out.length, cap == whole ? whole + 3 : 3);
    }
}

static void *count_in_thread(void *series)
{
    metric_add(series, 100); /* not attached: nothing */
    metrics_thread_attach(metrics);
    metrics_thread_attach(metrics);
    metric_add(series, 1);
    return NULL;
}

Test(metric, counts_survive_their_thread_and_cost_little)
{
    struct metric *series = metric_series(metrics_family(metrics, &gauge_spec), NULL);
    for (int i = 0; i < 50; i++) {
        pthread_t thread;
        cr_assert_eq(pthread_create(&thread, NULL, count_in_thread, series), 0);
        cr_assert_eq(pthread_join(thread, NULL), 0);
    }
    cr_assert_eq(metric_value(series), 50);

    /* One registry at a time; back in the first one, the counts go on. */
    struct metrics *second = metrics_new();
    struct metric *there = metric_series(metrics_family(second, &gauge_spec), NULL);
    metric_add(series, 1);
    metrics_thread_attach(second);
    metric_add(there, 7);
    metrics_thread_attach(metrics);
    metric_add(series, 1);
    cr_assert_eq(metric_value(series), 52);
    cr_assert_eq(metric_value(there), 7);
    metrics_free(second);
    metrics_thread_detach();
    metrics_thread_detach();
    metric_add(series, 1);
    cr_assert_eq(metric_value(series), 52);

    /* A block is half a megabyte of addresses; what is touched is a page, also after a scrape. */
    metrics_thread_attach(metrics);
    metric_add(series, 1);
    exposed(METRICS_PROMETHEUS_TEXT);
    unsigned char resident[METRIC_CELLS_MAX * sizeof(double) / 4096];
    cr_assert_eq(mincore(metrics_thread_cells, METRIC_CELLS_MAX * sizeof(double), resident), 0);
    size_t pages = 0;
    for (size_t i = 0; i < sizeof(resident); i++)
        pages += resident[i] & 1;
    cr_assert_leq(pages, 2, "%zu pages", pages);
}

/* How a child ends that declares `spec` after the standard families. */
static bool aborts(const struct metric_spec *spec)
{
    int status;
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        close(STDERR_FILENO);
        metrics_family(metrics, spec);
        _exit(0);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

Test(metric, declarations_are_checked)
{
    static const double unsorted[] = {1, 1}, infinite[] = {1, INFINITY}, negative[] = {-1, 1};
    static const struct metric_spec bad[] = {
        {"requests_total", "Other labels.", .kind = METRIC_COUNTER, .labels = {"protocol"}},
        {"requests_total", "Other labels.", .kind = METRIC_COUNTER, .labels = {"protocol", "kind"}},
        {"depth", "Other kind.", .kind = METRIC_SUMMARY},
        {"no-name", "Name.", .kind = METRIC_GAUGE},
        {"", "Name.", .kind = METRIC_GAUGE},
        {"9x", "Name.", .kind = METRIC_GAUGE},
        {"x", "No _total.", .kind = METRIC_COUNTER},
        {"_total", "Only that.", .kind = METRIC_COUNTER},
        {"x", "Label.", .kind = METRIC_GAUGE, .labels = {"no-name"}},
        {"x", "Label.", .kind = METRIC_GAUGE, .labels = {"__name"}},
        {"x", "Label.", .kind = METRIC_GAUGE, .labels = {"a", "a"}},
        {"x", "Label.", .kind = METRIC_HISTOGRAM, .labels = {"le"}, .buckets = bounds,
         .bucket_count = 3},
        {"x", "Label.", .kind = METRIC_SUMMARY, .labels = {"quantile"}},
        {"x", "Buckets.", .kind = METRIC_HISTOGRAM},
        {"x", "Buckets.", .kind = METRIC_GAUGE, .buckets = bounds, .bucket_count = 3},
        {"x", "Buckets.", .kind = METRIC_HISTOGRAM, .buckets = unsorted, .bucket_count = 2},
        {"x", "Buckets.", .kind = METRIC_HISTOGRAM, .buckets = infinite, .bucket_count = 2},
        {"x", "Buckets.", .kind = METRIC_HISTOGRAM, .buckets = negative, .bucket_count = 2},
        {"x", "Buckets.", .kind = METRIC_HISTOGRAM, .buckets = bounds,
         .bucket_count = METRIC_BUCKETS_MAX + 1},
        {"latency_sum", "Taken.", .kind = METRIC_GAUGE},
        {"latency_bucket", "Taken.", .kind = METRIC_GAUGE},
        {"latency_bucket", "Taken.", .kind = METRIC_SUMMARY},
        {"size_count", "Taken.", .kind = METRIC_GAUGE},
        {"requests", "Taken in OpenMetrics.", .kind = METRIC_GAUGE},
        {"depth_total", "Taken in OpenMetrics.", .kind = METRIC_COUNTER},
    };
    static const struct metric_spec good[] = {
        {"requests_total", "Words may differ.", .kind = METRIC_COUNTER,
         .labels = {"protocol", "code"}},
        {"size_bucket", "muBench's way.", .kind = METRIC_HISTOGRAM, .labels = {"stage"},
         .buckets = bounds, .bucket_count = 3},
        {"latency_buckets", "Another name.", .kind = METRIC_GAUGE},
        {"depths", "Another name.", .kind = METRIC_GAUGE},
        {"_x:y", "Colons are for rules.", .kind = METRIC_GAUGE},
    };
    metrics_family(metrics, &counter_spec);
    metrics_family(metrics, &gauge_spec);
    metrics_family(metrics, &histogram_spec);
    metrics_family(metrics, &summary_spec);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_assert(aborts(&bad[i]), "%s: %s", bad[i].name, bad[i].help);
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        cr_assert_eq(aborts(&good[i]), strchr(good[i].name, ':') != NULL, "%s", good[i].name);
}
