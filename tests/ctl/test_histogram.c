#include "ctl/histogram.h"

#include <criterion/criterion.h>

#include "model/random.h"

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Every bucket begins where the one before it ends, so each value has one and only one. */
Test(histogram, buckets_cover_all_values)
{
    unsigned last = 0;
    for (uint64_t value = 0; value < 100000; value++) {
        unsigned bucket = histogram_bucket(value);
        cr_assert(bucket == last || bucket == last + 1, "value %zu", (size_t)value);
        last = bucket;
    }
    for (unsigned bits = 17; bits < HISTOGRAM_MAX_BITS; bits++) {
        uint64_t power = UINT64_C(1) << bits;
        cr_assert_eq(histogram_bucket(power), histogram_bucket(power - 1) + 1);
    }
    cr_assert_eq(histogram_bucket(HISTOGRAM_VALUE_MAX), HISTOGRAM_BUCKETS - 1);
    cr_assert_eq(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
}

/* Against the exact nearest rank of the sorted values, over six orders of magnitude. */
Test(histogram, quantiles_are_within_half_a_percent)
{
    enum { COUNT = 20000 };
    static uint64_t values[COUNT];
    static const double quantiles[] = {0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999};
    cleanup_histogram struct histogram *histogram = histogram_new();
    struct random_stream random;
    double sum = 0;

    random_seed(&random, 7, 1);
    for (int i = 0; i < COUNT; i++) {
        values[i] = (uint64_t)random_exponential(&random, i % 2 ? 3e3 : 4e9);
        histogram_record(histogram, values[i]);
        sum += (double)values[i];
    }
    qsort(values, COUNT, sizeof(values[0]), by_value);
    for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++) {
        double exact = (double)values[(size_t)__builtin_ceil(quantiles[i] * COUNT) - 1];
        double got = (double)histogram_quantile(histogram, quantiles[i]);
        cr_assert(got >= exact * 0.995 - 1 && got <= exact * 1.005 + 1, "p%g: %g is not %g",
                  quantiles[i] * 100, got, exact);
    }
    cr_assert_eq(histogram_quantile(histogram, 1), values[COUNT - 1]);
    cr_assert_eq(histogram->min, values[0]);
    cr_assert_eq(histogram->max, values[COUNT - 1]);
    cr_assert_float_eq(histogram_mean(histogram), sum / COUNT, 1);
}

Test(histogram, edges_and_merge)
{
    cleanup_histogram struct histogram *a = histogram_new(), *b = histogram_new();
    cr_assert_eq(histogram_quantile(a, 0.5), 0);
    cr_assert_eq(histogram_mean(a), 0);

    histogram_record(a, 1000003);
    /* one value: every quantile is that value, though its bucket's middle is another */
    cr_assert_eq(histogram_quantile(a, 0), 1000003);
    cr_assert_eq(histogram_quantile(a, 0.5), 1000003);
    cr_assert_eq(histogram_quantile(a, 1), 1000003);

    for (uint64_t i = 0; i < 99; i++)
        histogram_record(b, 5);
    histogram_record(b, UINT64_MAX);
    cr_assert_eq(histogram_quantile(b, 0.99), 5);
    cr_assert_eq(histogram_quantile(b, 1), UINT64_MAX);

    histogram_merge(a, b);
    cr_assert_eq(a->count, 101);
    cr_assert_eq(a->min, 5);
    cr_assert_eq(a->max, UINT64_MAX);
    cr_assert_eq(histogram_quantile(a, 0.5), 5);
    histogram_clear(a);
    cr_assert_eq(a->count, 0);
    cr_assert_eq(histogram_quantile(a, 0.5), 0);
}
