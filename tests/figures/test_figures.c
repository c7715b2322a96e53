#include "figures/figures.h"

#include <errno.h>
#include <math.h>

#include "page.h"

static struct agent_figures read_text(const char *text)
{
    struct agent_figures figures;
    cleanup_error struct error *err = NULL;
    memset(&figures, 1, sizeof(figures));
    cr_assert_eq(agent_figures_read(text, strlen(text), &figures, &err), 0, "%s: %s", text,
                 error_message(err));
    return figures;
}

static void expect_nothing_known(const struct agent_figures *f)
{
    cr_assert(isnan(f->requests_total) && isnan(f->rejected_total) && isnan(f->in_flight) &&
              isnan(f->queue_depth) && isnan(f->queue_capacity) && isnan(f->cpu_seconds) &&
              isnan(f->start_seconds) && isnan(f->host_cpu_seconds) && isnan(f->host_busy));
    for (unsigned i = 0; i < AGENT_UNITS; i++)
        cr_assert(isnan(f->dpu_busy_seconds[i]) && isnan(f->dpu_servers[i]));
    cr_assert(f->latency.bound_count == 0 && isnan(f->latency.sum) &&
              isnan(agent_histogram_count(&f->latency)));
}

Test(figures, reads_a_real_agents_page)
{
    static const double bounds[] = {0.5, 1, 10, 100, 1000, 10000, INFINITY};
    static const double counts[] = {405, 819, 4236, 4924, 4924, 4924, 4924};
    struct agent_figures f;

    page_load("before", &f);
    cr_assert_eq(f.requests_total, 4839 + 109);
    cr_assert_eq(f.rejected_total, 4);
    cr_assert_eq(f.in_flight, 20);
    cr_assert_eq(f.queue_depth, 0);
    cr_assert_eq(f.queue_capacity, 4096);
    cr_assert_eq(f.cpu_seconds, 0.626300496);
    cr_assert_eq(f.start_seconds, 1795787812.8210447);
    cr_assert_float_eq(f.host_cpu_seconds, 0.180485163 + 0.00194312, 1e-12);
    cr_assert_eq(f.dpu_busy_seconds[AGENT_UNIT_IO], 0.443865934);
    cr_assert(isnan(f.dpu_busy_seconds[AGENT_UNIT_ARM]), "an agent without a model");
    cr_assert_eq(f.latency.bound_count, 7);
    for (unsigned i = 0; i < 7; i++) {
        cr_assert_eq(f.latency.bounds[i], bounds[i]);
        cr_assert_eq(f.latency.counts[i], counts[i], "%u: %g", i, f.latency.counts[i]);
    }
    cr_assert_float_eq(f.latency.sum, 16.46226 + 25523.563967999955, 1e-9);
    cr_assert_eq(agent_histogram_count(&f.latency), 4924);
}

Test(figures, reads_openmetrics_too)
{
    struct agent_figures f;

    page_load("openmetrics", &f);
    cr_assert(f.requests_total > 12172 && f.rejected_total == 4 && f.queue_capacity == 4096);
    cr_assert(f.start_seconds == 1795787812.8210447 && f.dpu_busy_seconds[AGENT_UNIT_IO] > 0);
    cr_assert_geq(agent_histogram_count(&f.latency), 12148);
}

Test(figures, knows_nothing_of_latency_before_the_first_request)
{
    struct agent_figures f;

    page_load("fresh", &f);
    cr_assert(f.requests_total == 0 && f.rejected_total == 0 && f.in_flight == 0);
    cr_assert(f.latency.bound_count == 0 && isnan(f.latency.sum));
}

Test(figures, a_missing_family_is_unknown_and_not_zero)
{
    struct agent_figures f = read_text("");

    expect_nothing_known(&f);
    agent_figures_clear(&f);
    expect_nothing_known(&f);
    f = read_text("other 1\ndpumesh_requests 1\ndpumesh_requests_total_x 1\n"
                  "dpumesh_queue_depth 1\ndpumesh_queue_depth{queue=\"egress_submission\"} 1\n"
                  "mub_request_processing_latency_milliseconds_count 3\n"
                  "mub_request_processing_latency_milliseconds_bucket 3\n"
                  "mub_request_processing_latency_milliseconds_bucket_created 3\n");
    expect_nothing_known(&f);
    f = read_text("dpumesh_datapath_host_busy 1\n");
    cr_assert_eq(f.host_busy, 1);
    f = read_text("dpumesh_requests_in_flight 0\n");
    cr_assert_eq(f.in_flight, 0);
    cr_assert(isnan(f.requests_total));
}

Test(figures, a_value_that_can_not_be_is_unknown)
{
    static const char *const values[] = {"-1", "NaN", "+Inf", "-Inf", "9007199254740994", "1e300"};
    char text[600];

    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        snprintf(text, sizeof(text),
                 "dpumesh_requests_total{protocol=\"a\"} 1\n"
                 "dpumesh_requests_total{protocol=\"b\"} %s\n"
                 "dpumesh_requests_total{protocol=\"c\"} 1\n"
                 "dpumesh_dpu_busy_seconds_total{unit=\"arm\"} %s\n"
                 "dpumesh_dpu_busy_seconds_total{unit=\"dma\"} 2\n"
                 "dpumesh_requests_in_flight %s\n"
                 "process_cpu_seconds_total 3\n",
                 values[i], values[i], values[i]);
        struct agent_figures f = read_text(text);
        cr_assert(isnan(f.requests_total) && isnan(f.dpu_busy_seconds[AGENT_UNIT_ARM]) &&
                      f.dpu_busy_seconds[AGENT_UNIT_DMA] == 2 && isnan(f.in_flight),
                  "%s", values[i]);
        cr_assert_eq(f.cpu_seconds, 3, "what is right stays");
    }
    struct agent_figures f = read_text("dpumesh_requests_total{protocol=\"a\"} 9007199254740992\n");
    cr_assert_eq(f.requests_total, AGENT_FIGURE_MAX);
    f = read_text("dpumesh_requests_total{protocol=\"a\"} 9007199254740992\n"
                  "dpumesh_requests_total{protocol=\"b\"} 9007199254740992\n");
    cr_assert(isnan(f.requests_total), "the sum is past the most");
    f = read_text("process_cpu_seconds_total 1\nprocess_cpu_seconds_total 1\n");
    cr_assert(isnan(f.cpu_seconds), "one process has it once");
}

Test(figures, a_queue_has_a_capacity_that_it_keeps)
{
    static const struct {
        int depth, capacity;
        double ret_depth, ret_capacity;
    } cases[] = {{0, 1, 0, 1}, {8, 8, 8, 8}, {9, 8, NAN, NAN}, {0, 0, 0, NAN}, {5, 0, 5, NAN}};
    char text[200];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(text, sizeof(text),
                 "dpumesh_queue_depth{queue=\"ingress_submission\"} %d\n"
                 "dpumesh_queue_depth{queue=\"egress_submission\"} 77\n"
                 "dpumesh_queue_capacity{queue=\"ingress_submission\"} %d\n",
                 cases[i].depth, cases[i].capacity);
        struct agent_figures f = read_text(text);
        cr_assert(f.queue_depth == cases[i].ret_depth ||
                  (isnan(f.queue_depth) && isnan(cases[i].ret_depth)));
        cr_assert(f.queue_capacity == cases[i].ret_capacity ||
                  (isnan(f.queue_capacity) && isnan(cases[i].ret_capacity)));
    }
}

#define H "mub_request_processing_latency_milliseconds_bucket"

Test(figures, sums_histograms_by_le_whatever_their_order)
{
    struct agent_figures f =
        read_text(H "_bucket{le=\"+Inf\",from=\"a\"} 5\n" H "_bucket{le=\"10\",from=\"a\"} 4\n" H
                    "_bucket{le=\"1\",from=\"a\"} 2\n" H "_sum{from=\"a\"} 50\n" H
                    "_count{from=\"a\"} 5\n" H "_bucket{from=\"b\",le=\"1.0\"} 1\n" H
                    "_bucket{from=\"b\",le=\"1e1\"} 1\n" H "_bucket{from=\"b\",le=\"Inf\"} 2\n" H
                    "_sum{from=\"b\"} 3.5\n" H "_count{from=\"b\"} 2\n");
    cr_assert_eq(f.latency.bound_count, 3);
    cr_assert(f.latency.bounds[0] == 1 && f.latency.bounds[1] == 10 && isinf(f.latency.bounds[2]));
    cr_assert(f.latency.counts[0] == 3 && f.latency.counts[1] == 5 && f.latency.counts[2] == 7);
    cr_assert_eq(f.latency.sum, 53.5);
}

Test(figures, a_histogram_that_is_none_is_unknown)
{
    static const struct {
        const char *text;
        bool known, sum_known;
    } cases[] = {
        {H "_bucket{le=\"1\"} 1\n" H "_bucket{le=\"+Inf\"} 2\n" H "_count 2\n" H "_sum 3\n", true,
         true},
        {H "_bucket{le=\"+Inf\"} 0\n" H "_count 0\n" H "_sum 0\n", true, true},
        {H "_bucket{le=\"+Inf\"} 2\n" H "_count 2\n", true, false},
        {H "_bucket{le=\"+Inf\"} 2\n" H "_count 2\n" H "_sum 9007199254740992\n" H
           "_sum{a=\"b\"} 9007199254740992\n",
         true, false},
        {H "_bucket{le=\"+Inf\"} 2\n" H "_sum 3\n", false, false},
        {H "_bucket{le=\"+Inf\"} 2\n" H "_count 3\n" H "_sum 3\n", false, false},
        {H "_count 2\n" H "_sum 3\n", false, false},
        {H "_bucket{le=\"1\"} 2\n" H "_count 2\n" H "_sum 3\n", false, false},
        {H "_bucket{le=\"1\"} 3\n" H "_bucket{le=\"+Inf\"} 2\n" H "_count 2\n" H "_sum 3\n", false,
         false},
        {H "_bucket{le=\"1\"} -1\n" H "_bucket{le=\"+Inf\"} 2\n" H "_count 2\n" H "_sum 3\n", false,
         false},
        {H "_bucket{le=\"x\"} 1\n" H "_bucket{le=\"+Inf\"} 2\n" H "_count 2\n" H "_sum 3\n", false,
         false},
        {H "_bucket{le=\"NaN\"} 1\n" H "_bucket{le=\"+Inf\"} 2\n" H "_count 2\n" H "_sum 3\n",
         false, false},
        {H "_bucket{le=\"-1\"} 1\n" H "_bucket{le=\"+Inf\"} 2\n" H "_count 2\n" H "_sum 3\n", false,
         false},
        {H "_bucket 1\n" H "_bucket{le=\"+Inf\"} 2\n" H "_count 2\n" H "_sum 3\n", false, false},
        {H "_bucket{le=\"+Inf\"} 2\n" H "_count NaN\n" H "_count{a=\"b\"} 2\n" H "_sum 3\n", false,
         false},
        {H "_bucket{le=\"+Inf\"} 2\n" H "_count 2\n" H "_sum NaN\n" H "_sum{a=\"b\"} 3\n", false,
         false},
        {H "_bucket{le=\"+Inf\"} 9007199254740992\n" H
           "_bucket{le=\"+Inf\",a=\"b\"} 9007199254740992\n" H "_count 9007199254740992\n" H
           "_count{a=\"b\"} 9007199254740992\n" H "_sum 3\n",
         false, false},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct agent_figures f = read_text(cases[i].text);
        cr_assert_eq(f.latency.bound_count > 0, cases[i].known, "%s", cases[i].text);
        cr_assert_eq(!isnan(f.latency.sum), cases[i].sum_known, "%s", cases[i].text);
    }
}

Test(figures, keeps_so_many_bounds_and_no_more)
{
    for (unsigned count = AGENT_BOUNDS_MAX; count <= AGENT_BOUNDS_MAX + 1; count++) {
        cleanup_buffer struct buffer text = BUFFER_INIT(1 << 16);
        buffer_puts(&text, H "_bucket{le=\"+Inf\"} 0\n" H "_count 0\n" H "_sum 0\n");
        for (unsigned i = 1; i < count; i++)
            buffer_printf(&text, H "_bucket{le=\"%u\"} 0\n", 100 - i);
        struct agent_figures f = read_text(buffer_terminate(&text));
        cr_assert_eq(f.latency.bound_count, count == AGENT_BOUNDS_MAX ? count : 0);
        for (unsigned i = 1; i < f.latency.bound_count; i++)
            cr_assert_gt(f.latency.bounds[i], f.latency.bounds[i - 1]);
    }
}

Test(figures, says_why_a_page_is_none)
{
    struct agent_figures f = {.in_flight = 42};
    cleanup_error struct error *err = NULL;

    cr_assert_eq(agent_figures_read("<html>\n", 7, &f, &err), -EINVAL);
    cr_assert_str_eq(error_message(err), "line 1: it begins with neither a metric's name nor '#'");
    cr_assert_eq(agent_figures_read("dpumesh_requests_in_flight 1", 28, &f, NULL), -EINVAL);
    cr_assert_eq(f.in_flight, 42, "untouched");
}
