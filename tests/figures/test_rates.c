#include "figures/rates.h"

#include <math.h>

#include "base/clock.h"
#include "page.h"

static void expect_nothing_known(const struct agent_rates *r, const char *why)
{
    cr_assert(isnan(r->requests_per_s) && isnan(r->rejects_per_s) && isnan(r->cpu_cores) &&
                  isnan(r->host_cores) && isnan(r->dpu_cores) && isnan(r->dpu_utilization) &&
                  r->latency.bound_count == 0 && isnan(r->latency.sum),
              "%s", why);
}

Test(rates, of_a_real_agent)
{
    struct agent_figures before, after;
    struct agent_rates r;

    page_load("before", &before);
    page_load("after", &after);
    agent_rates(&before, &after, 2 * NS_PER_S, &r);
    cr_assert_float_eq(r.requests_per_s, (12172 - 4948) / 2.0, 1e-9);
    cr_assert_eq(r.rejects_per_s, 0);
    cr_assert_float_eq(r.cpu_cores, (0.978671748 - 0.626300496) / 2, 1e-9);
    cr_assert_float_eq(r.host_cores, (0.247515043 + 0.00195701 - 0.180485163 - 0.00194312) / 2,
                       1e-9);
    cr_assert_float_eq(r.dpu_cores, (0.729194016 - 0.443865934) / 2, 1e-9);
    cr_assert_eq(r.dpu_utilization, r.dpu_cores);
    cr_assert_eq(agent_histogram_count(&r.latency), 12148 - 4924);
    cr_assert_eq(r.latency.counts[0], 1005 - 405);
    cr_assert_float_eq(r.latency.sum, 65503.40540200009 - 25523.563967999955, 1e-6);
    /* Rank 3612 of 7224; 1229 are <= 1 ms, and 4928 more are <= 10 ms. */
    cr_assert_float_eq(agent_quantile(&r.latency, 0.5), 1 + 9 * (3612 - 1229) / 4928.0, 1e-9);
}

Test(rates, another_process_is_another_agent)
{
    struct agent_figures before, after, other;
    struct agent_rates r;

    page_load("before", &before);
    page_load("after", &after);
    agent_rates(&before, &after, 0, &r);
    expect_nothing_known(&r, "no time in between");
    other = after;
    other.start_seconds += 1;
    agent_rates(&before, &other, NS_PER_S, &r);
    expect_nothing_known(&r, "another start");
    other.start_seconds = NAN;
    agent_rates(&before, &other, NS_PER_S, &r);
    expect_nothing_known(&r, "one page alone has a start");
    agent_rates(&other, &after, NS_PER_S, &r);
    expect_nothing_known(&r, "one page alone has a start");
    other = before;
    other.start_seconds = after.start_seconds = NAN;
    agent_rates(&other, &after, NS_PER_S, &r);
    cr_assert(r.requests_per_s == 12172 - 4948, "neither page tells, and all grew");

    double *const fallen[] = {&other.requests_total, &other.rejected_total, &other.cpu_seconds};
    for (size_t i = 0; i < 3; i++) {
        double kept = *fallen[i];
        *fallen[i] = 1e6;
        agent_rates(&other, &after, NS_PER_S, &r);
        expect_nothing_known(&r, "it fell");
        *fallen[i] = kept;
    }
}

Test(rates, what_is_unknown_or_fell_is_unknown_by_itself)
{
    struct agent_figures before, after, other;
    struct agent_rates r;

    page_load("before", &before);
    page_load("after", &after);
    other = before;
    other.requests_total = other.rejected_total = other.cpu_seconds = NAN;
    agent_rates(&other, &after, NS_PER_S, &r);
    cr_assert(isnan(r.requests_per_s) && isnan(r.rejects_per_s) && isnan(r.cpu_cores));
    cr_assert(r.host_cores > 0 && r.dpu_cores > 0 && r.latency.bound_count == 7);
    agent_rates(&after, &after, NS_PER_S, &r);
    cr_assert(r.requests_per_s == 0 && r.dpu_utilization == 0);
    cr_assert_eq(agent_histogram_count(&r.latency), 0);
    cr_assert(isnan(agent_quantile(&r.latency, 0.5)));
    other = before;
    other.host_cpu_seconds = other.dpu_busy_seconds[AGENT_UNIT_IO] = 10;
    agent_rates(&other, &after, NS_PER_S, &r);
    cr_assert(isnan(r.host_cores) && isnan(r.dpu_cores) && isnan(r.dpu_utilization));
    cr_assert_gt(r.requests_per_s, 0);
}

/* As busy as the busiest of its units, each a part of its servers. */
Test(rates, a_dpu_is_as_busy_as_its_busiest_unit)
{
    static const struct {
        double io, arm, dma, arm_servers, dma_servers, ret_cores, ret_utilization;
    } rows[] = {
        {0.5, 2, 0.4, 8, 4, 2, 0.5},         {0.1, 6, 0.4, 8, 4, 6, 0.75},
        {0.1, 2, 3.2, 8, 4, 2, 0.8},         {0.1, 9, 3.2, 8, 4, 9, 1},
        {0.5, 0, 0, 0, 0, 0.5, 0.5},         {0.5, NAN, NAN, NAN, NAN, 0.5, 0.5},
        {NAN, NAN, NAN, NAN, NAN, NAN, NAN}, {0.5, 2, NAN, 8, NAN, 2, 0.5},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct agent_figures before, after;
        struct agent_rates r;
        page_load("before", &before);
        page_load("after", &after);
        double *was = before.dpu_busy_seconds, *is = after.dpu_busy_seconds;
        was[AGENT_UNIT_IO] = was[AGENT_UNIT_ARM] = was[AGENT_UNIT_DMA] = 0;
        is[AGENT_UNIT_IO] = 2 * rows[i].io;
        is[AGENT_UNIT_ARM] = 2 * rows[i].arm;
        is[AGENT_UNIT_DMA] = 2 * rows[i].dma;
        after.dpu_servers[AGENT_UNIT_ARM] = rows[i].arm_servers;
        after.dpu_servers[AGENT_UNIT_DMA] = rows[i].dma_servers;
        agent_rates(&before, &after, 2 * NS_PER_S, &r);
        cr_expect(isnan(rows[i].ret_cores) ? isnan(r.dpu_cores) : r.dpu_cores == rows[i].ret_cores,
                  "row %zu: %g cores", i, r.dpu_cores);
        cr_expect(isnan(rows[i].ret_utilization)
                      ? isnan(r.dpu_utilization)
                      : fabs(r.dpu_utilization - rows[i].ret_utilization) < 1e-12,
                  "row %zu: %g busy", i, r.dpu_utilization);
    }
}

Test(rates, histograms_that_do_not_go_together_are_unknown)
{
    struct agent_figures before, after, other;
    struct agent_rates r;

    page_load("before", &before);
    page_load("after", &after);
    other = before;
    other.latency.bounds[2] = 20;
    agent_rates(&other, &after, NS_PER_S, &r);
    cr_assert(r.latency.bound_count == 0 && isnan(r.latency.sum));
    other = before;
    other.latency.bound_count = 6;
    agent_rates(&other, &after, NS_PER_S, &r);
    cr_assert_eq(r.latency.bound_count, 0);
    other = before;
    other.latency.bound_count = 0;
    agent_rates(&other, &after, NS_PER_S, &r);
    cr_assert_eq(r.latency.bound_count, 0);
    after.latency.bound_count = 0;
    agent_rates(&before, &after, NS_PER_S, &r);
    cr_assert_eq(r.latency.bound_count, 0);
    page_load("after", &after);
    other = before;
    other.latency.counts[1] = other.latency.counts[0] = 10000; /* it fell */
    agent_rates(&other, &after, NS_PER_S, &r);
    cr_assert_eq(r.latency.bound_count, 0);
    other = before;
    other.latency.counts[0] = 0; /* 1005 more are <= 0.5, and only 48 <= 1 */
    other.latency.counts[1] = 2000;
    agent_rates(&other, &after, NS_PER_S, &r);
    cr_assert_eq(r.latency.bound_count, 0, "the bucket between lost some");
}
