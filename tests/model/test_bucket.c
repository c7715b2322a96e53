/* The arithmetic of token buckets, under a clock of our own. */
#include <criterion/criterion.h>

#include "model/bucket.h"
#include "model/random.h"

#define S UINT64_C(1000000000)

static unsigned take_all(struct bucket *bucket, double rate, double burst, uint64_t now_ns)
{
    unsigned taken = 0;
    while (bucket_take(bucket, rate, burst, now_ns))
        taken++;
    return taken;
}

Test(bucket, begins_full_and_fills_at_its_rate)
{
    struct bucket bucket = {0};
    cr_assert_eq(take_all(&bucket, 10, 5, 77 * S), 5);
    cr_assert_eq(take_all(&bucket, 10, 5, 77 * S + S / 10 - 1000), 0, "a microsecond too early");
    cr_assert_eq(take_all(&bucket, 10, 5, 77 * S + S / 10), 1);
    cr_assert_eq(take_all(&bucket, 10, 5, 77 * S + 4 * S / 10), 3);
    cr_assert_eq(take_all(&bucket, 10, 5, 1000 * S), 5, "it holds no more than its burst");
}

Test(bucket, time_that_stands_still_or_goes_back_gives_nothing)
{
    struct bucket bucket = {0};
    cr_assert_eq(take_all(&bucket, 1e6, 3, S), 3);
    cr_assert_eq(take_all(&bucket, 1e6, 3, S), 0);
    cr_assert_eq(take_all(&bucket, 1e6, 3, S / 2), 0);
    cr_assert_eq(take_all(&bucket, 1e6, 3, S + 1000), 1);
}

Test(bucket, odd_rates_in_odd_steps_lose_nothing)
{
    /* However the time is cut, what passes in it is burst + rate * time, to one. */
    static const double rates[] = {0.3, 1, 3, 7.77, 1000.0 / 3, 123456.7};
    struct random_stream dice;
    random_seed(&dice, 5, 0);
    for (unsigned i = 0; i < sizeof rates / sizeof *rates; i++) {
        double burst = 4, passed = 0, span_ns = 20000 * 1e9 / rates[i];
        struct bucket bucket = {0};
        uint64_t begin = 12345, now = begin;
        while ((double)(now - begin) < span_ns) {
            now += random_range(&dice, 0, (uint64_t)(0.4e9 / rates[i]));
            passed += bucket_take(&bucket, rates[i], burst, now);
        }
        double expected = burst + rates[i] * (double)(now - begin) / 1e9;
        cr_assert(passed <= expected + 1e-6 && passed > expected - 2, "%g of %g at %g/s", passed,
                  expected, rates[i]);
    }
}

Test(bucket, a_refusal_costs_nothing_and_a_token_can_be_given_back)
{
    struct bucket bucket = {0};
    take_all(&bucket, 1, 2, S);
    for (unsigned i = 0; i < 1000; i++)
        cr_assert_not(bucket_take(&bucket, 1, 2, S));
    bucket_give(&bucket);
    cr_assert_eq(take_all(&bucket, 1, 2, S), 1);
    cr_assert_eq(take_all(&bucket, 1, 2, 2 * S), 1);
    struct bucket full = {0};
    bucket_give(&full);
    cr_assert_eq(take_all(&full, 1, 2, S), 2, "it can't be more than full");
}

Test(bucket, retry_after_is_when_a_token_is_there)
{
    static const double rates[] = {0.001, 0.1, 0.3, 1, 50};
    for (unsigned i = 0; i < sizeof rates / sizeof *rates; i++) {
        struct bucket bucket = {0};
        take_all(&bucket, rates[i], 3, S);
        uint32_t s = bucket_retry_s(&bucket, rates[i], 3);
        cr_assert_geq(s, 1);
        struct bucket early = bucket;
        cr_assert(bucket_take(&bucket, rates[i], 3, S + s * S), "%g/s: not after %u s", rates[i],
                  s);
        if (s > 1)
            cr_assert_not(bucket_take(&early, rates[i], 3, S + (s - 1) * S), "%g/s", rates[i]);
    }
    struct bucket bucket = {0};
    take_all(&bucket, 1e-9, 1, S);
    cr_assert_eq(bucket_retry_s(&bucket, 1e-9, 1), 1000000);
}

Test(bucket, a_reload_keeps_what_was_taken)
{
    struct bucket bucket = {0};
    take_all(&bucket, 1, 10, S);
    cr_assert_eq(take_all(&bucket, 1, 12, S), 2, "two more fit now");
    cr_assert_eq(take_all(&bucket, 1, 1, 2 * S), 0, "twelve are missing, less one");
    cr_assert_eq(take_all(&bucket, 100, 1, 3 * S), 1);
}
