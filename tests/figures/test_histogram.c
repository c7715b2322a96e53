#include "figures/histogram.h"

#include <criterion/criterion.h>
#include <math.h>

/* quantile.test.yaml has the same buckets and the same answers, for Prometheus itself. */
Test(histogram, quantiles_as_prometheus_has_them)
{
    struct agent_histogram h = {
        .bound_count = 4, .bounds = {0.5, 1, 10, INFINITY}, .counts = {2, 10, 90, 100}};

    cr_assert_float_eq(agent_quantile(&h, 0), 0, 1e-12);
    cr_assert_float_eq(agent_quantile(&h, 0.01), 0.25, 1e-12);
    cr_assert_float_eq(agent_quantile(&h, 0.02), 0.5, 1e-12);
    cr_assert_float_eq(agent_quantile(&h, 0.06), 0.75, 1e-12);
    cr_assert_float_eq(agent_quantile(&h, 0.5), 5.5, 1e-12);
    cr_assert_float_eq(agent_quantile(&h, 0.9), 10, 1e-12);
    cr_assert_float_eq(agent_quantile(&h, 0.91), 10, 1e-12);
    cr_assert_float_eq(agent_quantile(&h, 1), 10, 1e-12);
}

Test(histogram, empty_buckets)
{
    struct agent_histogram h = {
        .bound_count = 4, .bounds = {0, 1, 10, INFINITY}, .counts = {0, 0, 10, 10}};

    cr_assert_float_eq(agent_quantile(&h, 0.5), 5.5, 1e-12, "in the only bucket that has any");
    h.counts[0] = h.counts[1] = 10;
    cr_assert_eq(agent_quantile(&h, 0.5), 0, "the first bound is 0");
}

Test(histogram, what_has_no_quantile)
{
    struct agent_histogram h = {.bound_count = 0};

    cr_assert(isnan(agent_quantile(&h, 0.5)) && isnan(agent_histogram_count(&h)));
    h = (struct agent_histogram){.bound_count = 1, .bounds = {INFINITY}, .counts = {5}};
    cr_assert(isnan(agent_quantile(&h, 0.5)), "nothing but +Inf");
    cr_assert_eq(agent_histogram_count(&h), 5);
    h = (struct agent_histogram){.bound_count = 2, .bounds = {1, INFINITY}, .counts = {0, 0}};
    cr_assert(isnan(agent_quantile(&h, 0.5)), "no observations");
    h.counts[0] = h.counts[1] = 1;
    cr_assert(isnan(agent_quantile(&h, -0.1)) && isnan(agent_quantile(&h, 1.1)) &&
              isnan(agent_quantile(&h, NAN)));
    cr_assert_eq(agent_quantile(&h, 1), 1);
}
