#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "model/distribution.h"

enum { DRAWS = 1000000 };

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/*
 * Draws a million, compares mean and quantiles with what the distribution says of itself.
 * Tolerances are five standard errors: of the mean sd / sqrt(n); of a quantile sqrt(q (1 - q) / n)
 * / density. A right implementation fails once in some ten thousand seeds; the seed is fixed.
 */
static void check(const struct distribution *distribution, double sd_ns, const char *what)
{
    static const double quantiles[] = {0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999};
    uint64_t *draws = malloc(DRAWS * sizeof *draws);
    struct random_stream stream;
    double sum = 0, root_n = sqrt(DRAWS);

    random_seed(&stream, 20240607, 1);
    for (size_t i = 0; i < DRAWS; i++) {
        draws[i] = distribution_draw(distribution, &stream);
        sum += (double)draws[i];
    }
    qsort(draws, DRAWS, sizeof *draws, compare_u64);

    cr_assert_float_eq(sum / DRAWS, distribution_mean_ns(distribution), 5 * sd_ns / root_n + 1,
                       "%s: mean %g, expected %g", what, sum / DRAWS,
                       distribution_mean_ns(distribution));
    for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++) {
        double q = quantiles[i], step = 5 * sqrt(q * (1 - q) / DRAWS);
        double got = (double)draws[(size_t)(q * DRAWS)];
        cr_assert(got + 1 >= distribution_quantile_ns(distribution, q - step) &&
                      got - 1 <= distribution_quantile_ns(distribution, fmin(q + step, 0.999999)),
                  "%s: quantile %g is %g, expected %g", what, q, got,
                  distribution_quantile_ns(distribution, q));
    }
    free(draws);
}

Test(distribution, mean_and_quantiles)
{
    struct distribution constant = {.kind = DISTRIBUTION_CONSTANT, .value_ns = 50 * NS_PER_MS};
    struct distribution uniform = {
        .kind = DISTRIBUTION_UNIFORM, .low_ns = 10 * NS_PER_MS, .high_ns = 30 * NS_PER_MS};
    struct distribution exponential = {.kind = DISTRIBUTION_EXPONENTIAL, .value_ns = 5 * NS_PER_MS};

    check(&constant, 0, "constant");
    check(&uniform, 20e6 / sqrt(12), "uniform");
    check(&exponential, 5e6, "exponential");
}

Test(distribution, edges)
{
    struct random_stream stream, untouched;
    random_seed(&stream, 1, 0);
    untouched = stream;

    struct distribution constant = {.kind = DISTRIBUTION_CONSTANT, .value_ns = UINT64_MAX};
    cr_assert_eq(distribution_draw(&constant, &stream), DISTRIBUTION_DRAW_MAX_NS);
    cr_assert_eq(stream.state[0], untouched.state[0], "a constant draws nothing");

    struct distribution point = {.kind = DISTRIBUTION_UNIFORM, .low_ns = 7, .high_ns = 7};
    cr_assert_eq(distribution_draw(&point, &stream), 7);

    struct distribution nothing = {.kind = DISTRIBUTION_EXPONENTIAL, .value_ns = 0};
    cr_assert_eq(distribution_draw(&nothing, &stream), 0);

    struct distribution huge = {.kind = DISTRIBUTION_EXPONENTIAL, .value_ns = UINT64_MAX};
    for (unsigned i = 0; i < 1000; i++)
        cr_assert_leq(distribution_draw(&huge, &stream), DISTRIBUTION_DRAW_MAX_NS);
}

/* The standard deviation of a distribution, by its quantiles, for check()'s tolerance. */
static double deviation(const struct distribution *distribution)
{
    enum { STEPS = 20000 };
    double mean = 0, squares = 0;

    for (unsigned i = 0; i < STEPS; i++) {
        double ns = distribution_quantile_ns(distribution, (i + 0.5) / STEPS);
        mean += ns / STEPS;
        squares += ns * ns / STEPS;
    }
    return sqrt(squares - mean * mean);
}

Test(distribution, shaped_kinds)
{
    static const struct {
        enum distribution_kind kind;
        double shape;
        const char *what;
    } cases[] = {
        {DISTRIBUTION_LOGNORMAL, 0.6, "lognormal"}, {DISTRIBUTION_PARETO, 3.5, "pareto"},
        {DISTRIBUTION_WEIBULL, 0.7, "weibull 0.7"}, {DISTRIBUTION_WEIBULL, 2, "weibull 2"},
        {DISTRIBUTION_GAMMA, 0.4, "gamma 0.4"},     {DISTRIBUTION_GAMMA, 7, "gamma 7"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct distribution plain = {
            .kind = cases[i].kind, .shape = cases[i].shape, .value_ns = 10 * NS_PER_MS};
        cr_assert_eq(distribution_check(&plain, NULL), 0);
        check(&plain, deviation(&plain), cases[i].what);
    }
}

Test(distribution, normal_is_cut_off_below_zero)
{
    static const uint64_t deviations_ns[] = {NS_PER_MS, 15 * NS_PER_MS, 100 * NS_PER_MS};

    for (size_t i = 0; i < sizeof deviations_ns / sizeof deviations_ns[0]; i++) {
        struct distribution normal = {.kind = DISTRIBUTION_NORMAL,
                                      .value_ns = 10 * NS_PER_MS,
                                      .deviation_ns = deviations_ns[i]};
        cr_assert_eq(distribution_check(&normal, NULL), 0);
        check(&normal, deviation(&normal), "normal");
    }
    /* Half a normal distribution: the mean of its absolute value. */
    struct distribution half = {.kind = DISTRIBUTION_NORMAL, .deviation_ns = NS_PER_MS};
    cr_assert_float_eq(distribution_mean_ns(&half), 1e6 * sqrt(2 / M_PI), 1);
    check(&half, deviation(&half), "half normal");
}

Test(distribution, shifted_and_capped)
{
    struct distribution weibull = {.kind = DISTRIBUTION_WEIBULL,
                                   .shape = 0.7,
                                   .value_ns = 10 * NS_PER_MS,
                                   .shift_ns = NS_PER_MS,
                                   .cap_ns = 40 * NS_PER_MS};
    struct distribution pareto = {
        .kind = DISTRIBUTION_PARETO, .shape = 0.9, .value_ns = NS_PER_MS, .cap_ns = NS_PER_S};
    struct random_stream stream;

    check(&weibull, deviation(&weibull), "weibull, shifted and capped");
    check(&pareto, deviation(&pareto), "pareto without a mean, capped");
    pareto.cap_ns = 0;
    cr_assert_eq(distribution_mean_ns(&pareto), INFINITY);
    random_seed(&stream, 4, 0);
    for (unsigned i = 0; i < 100000; i++) {
        uint64_t ns = distribution_draw(&weibull, &stream);
        cr_assert(ns >= NS_PER_MS && ns <= 40 * NS_PER_MS);
        cr_assert_leq(distribution_draw(&pareto, &stream), DISTRIBUTION_DRAW_MAX_NS);
    }
}

Test(distribution, tables_and_mixtures)
{
    static const struct distribution_point points[] = {{0, NS_PER_MS},
                                                       {0.5, 2 * NS_PER_MS},
                                                       {0.9, 5 * NS_PER_MS},
                                                       {0.99, 50 * NS_PER_MS},
                                                       {1, 200 * NS_PER_MS}};
    struct distribution table = {.kind = DISTRIBUTION_EMPIRICAL,
                                 .table = points,
                                 .point_count = sizeof points / sizeof points[0]};
    const struct distribution_part parts[] = {
        {9, {.kind = DISTRIBUTION_UNIFORM, .low_ns = NS_PER_MS, .high_ns = 2 * NS_PER_MS}},
        {1, {.kind = DISTRIBUTION_EXPONENTIAL, .value_ns = 10 * NS_PER_MS}},
    };
    struct distribution mixture = {.kind = DISTRIBUTION_MIXTURE, .parts = parts, .part_count = 2};

    cr_assert_eq(distribution_check(&table, NULL), 0);
    check(&table, deviation(&table), "quantile table");
    cr_assert_float_eq(distribution_quantile_ns(&table, 0.9), 5e6, 1);
    cr_assert_eq(distribution_check(&mixture, NULL), 0);
    check(&mixture, deviation(&mixture), "mixture");
    mixture.cap_ns = 5 * NS_PER_MS;
    mixture.shift_ns = NS_PER_MS;
    check(&mixture, deviation(&mixture), "mixture, shifted and capped");
}

/* One of each kind that draws; tables and mixtures are beside. */
static const struct distribution each[] = {
    {.kind = DISTRIBUTION_CONSTANT, .value_ns = 9 * NS_PER_MS},
    {.kind = DISTRIBUTION_UNIFORM, .low_ns = NS_PER_MS, .high_ns = 15 * NS_PER_MS},
    {.kind = DISTRIBUTION_EXPONENTIAL, .value_ns = 8 * NS_PER_MS},
    {.kind = DISTRIBUTION_NORMAL, .value_ns = 8 * NS_PER_MS, .deviation_ns = 6 * NS_PER_MS},
    {.kind = DISTRIBUTION_LOGNORMAL, .value_ns = 8 * NS_PER_MS, .shape = 0.6},
    {.kind = DISTRIBUTION_PARETO, .value_ns = 4 * NS_PER_MS, .shape = 1.5},
    {.kind = DISTRIBUTION_WEIBULL, .value_ns = 8 * NS_PER_MS, .shape = 0.7},
    {.kind = DISTRIBUTION_GAMMA, .value_ns = 5 * NS_PER_MS, .shape = 1.7},
};
enum { EACH = sizeof each / sizeof each[0] };

Test(distribution, each_kind_shifted_and_capped, .timeout = 120)
{
    for (size_t i = 0; i < EACH; i++) {
        char what[40];
        struct distribution both = each[i];
        struct random_stream stream;
        random_seed(&stream, i, 0);
        both.shift_ns = 2 * NS_PER_MS;
        both.cap_ns = 14 * NS_PER_MS;
        snprintf(what, sizeof what, "kind %zu, shifted and capped", i);
        check(&both, deviation(&both), what);
        cr_assert_leq(distribution_mean_ns(&both), 14e6, "%s", what);
        both.cap_ns = NS_PER_MS; /* below the shift: all draws are the cap */
        for (unsigned k = 0; k < 1000; k++)
            if (distribution_draw(&both, &stream) != NS_PER_MS)
                cr_assert_fail("kind %zu, capped below its shift", i);
        cr_assert_float_eq(distribution_mean_ns(&both), 1e6, 1, "%s", what);
    }
}

Test(distribution, extremes, .timeout = 120)
{
    static const struct {
        struct distribution distribution;
        const char *what;
    } cases[] = {
        {{.kind = DISTRIBUTION_GAMMA, .value_ns = NS_PER_S, .shape = 0.01}, "gamma 0.01"},
        {{.kind = DISTRIBUTION_GAMMA, .value_ns = 1000, .shape = 1e4}, "gamma 10000"},
        {{.kind = DISTRIBUTION_WEIBULL, .value_ns = NS_PER_MS, .shape = 0.2, .cap_ns = NS_PER_S},
         "weibull 0.2, capped"},
        {{.kind = DISTRIBUTION_WEIBULL, .value_ns = NS_PER_MS, .shape = 50}, "weibull 50"},
        {{.kind = DISTRIBUTION_LOGNORMAL, .value_ns = NS_PER_MS, .shape = 1e-6}, "lognormal 1e-6"},
        {{.kind = DISTRIBUTION_LOGNORMAL, .value_ns = NS_PER_MS, .shape = 3, .cap_ns = NS_PER_S},
         "lognormal 3, capped"},
        {{.kind = DISTRIBUTION_PARETO, .value_ns = 1000, .shape = 0.1, .cap_ns = NS_PER_S},
         "pareto 0.1, capped"},
        {{.kind = DISTRIBUTION_NORMAL, .value_ns = NS_PER_MS, .deviation_ns = 1}, "normal, 1 ns"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_assert_eq(distribution_check(&cases[i].distribution, NULL), 0, "%s", cases[i].what);
        check(&cases[i].distribution, deviation(&cases[i].distribution), cases[i].what);
    }
}

/* The same seed gives the same draws on every machine, up to the last bit of its logarithms. */
Test(distribution, draws_of_a_seed_are_these)
{
    static const uint64_t expected[EACH][3] = {
        {9000000, 9000000, 9000000},  {5534681, 5037457, 14953219}, {3131383, 2721800, 45610607},
        {6254746, 5741388, 24462722}, {6082154, 5723524, 40722639}, {5192644, 5018399, 178962857},
        {2094865, 1714686, 96173519}, {4495893, 38107883, 9590047},
    };

    for (size_t i = 0; i < EACH; i++) {
        struct random_stream stream;
        random_seed(&stream, 6, 3);
        for (size_t k = 0; k < 3; k++) {
            double ns = (double)distribution_draw(&each[i], &stream);
            cr_assert_float_eq(ns, (double)expected[i][k], 1.5, "kind %zu, draw %zu: %.0f", i, k,
                               ns);
        }
    }
}

Test(distribution, samples_become_a_table)
{
    enum { SAMPLES = 50000 };
    struct distribution exponential = {.kind = DISTRIBUTION_EXPONENTIAL, .value_ns = NS_PER_MS};
    double *samples = calloc(SAMPLES, sizeof *samples);
    struct distribution_point *points = NULL;
    cleanup_error struct error *err = NULL;
    struct random_stream stream;

    random_seed(&stream, 8, 0);
    for (unsigned i = 0; i < SAMPLES; i++)
        samples[i] = (double)distribution_draw(&exponential, &stream);
    cr_assert_eq(distribution_from_samples(samples, SAMPLES, &points, &err), 0);
    struct distribution table = {
        .kind = DISTRIBUTION_EMPIRICAL, .table = points, .point_count = SAMPLES + 2};
    cr_assert_eq(distribution_check(&table, &err), 0);
    cr_assert_float_eq(distribution_mean_ns(&table) / 1e6, 1, 5 / sqrt(SAMPLES));
    cr_assert_float_eq(distribution_quantile_ns(&table, 0.5) / 1e6 / log(2), 1, 0.03);
    check(&table, 1e6, "samples");
    samples[7] = -1;
    cr_assert_eq(distribution_from_samples(samples, SAMPLES, &points, &err), -EINVAL);
    cr_assert_eq(distribution_from_samples(samples, 0, &points, &err), -EINVAL);
    free(points);
    free(samples);
}

Test(distribution, nonsense_is_refused)
{
    static const struct distribution_point falling[] = {{0, 5}, {0.5, 4}, {1, 9}};
    static const struct distribution_point open_ended[] = {{0, 5}, {0.9, 6}};
    const struct distribution_part weightless[] = {{0, {.kind = DISTRIBUTION_CONSTANT}}};
    const struct distribution_part broken[] = {{1, {.kind = DISTRIBUTION_GAMMA}}};
    struct distribution nested[DISTRIBUTION_DEPTH_MAX + 1];
    struct distribution_part links[DISTRIBUTION_DEPTH_MAX + 1];
    const struct distribution bad[] = {
        {.kind = DISTRIBUTION_UNIFORM, .low_ns = 2, .high_ns = 1},
        {.kind = DISTRIBUTION_NORMAL, .value_ns = 1},
        {.kind = DISTRIBUTION_WEIBULL, .shape = 0},
        {.kind = DISTRIBUTION_PARETO, .shape = NAN},
        {.kind = DISTRIBUTION_EMPIRICAL, .table = falling, .point_count = 3},
        {.kind = DISTRIBUTION_EMPIRICAL, .table = open_ended, .point_count = 2},
        {.kind = DISTRIBUTION_MIXTURE},
        {.kind = DISTRIBUTION_MIXTURE, .parts = weightless, .part_count = 1},
        {.kind = DISTRIBUTION_MIXTURE, .parts = broken, .part_count = 1},
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cleanup_error struct error *err = NULL;
        cr_assert_eq(distribution_check(&bad[i], &err), -EINVAL, "%zu", i);
        cr_assert(err);
    }
    nested[0] = (struct distribution){.kind = DISTRIBUTION_CONSTANT};
    for (unsigned i = 1; i <= DISTRIBUTION_DEPTH_MAX; i++) {
        links[i] = (struct distribution_part){1, nested[i - 1]};
        nested[i] = (struct distribution){
            .kind = DISTRIBUTION_MIXTURE, .parts = &links[i], .part_count = 1};
    }
    cr_assert_eq(distribution_check(&nested[DISTRIBUTION_DEPTH_MAX - 1], NULL), 0);
    cr_assert_eq(distribution_check(&nested[DISTRIBUTION_DEPTH_MAX], NULL), -EINVAL);
}
