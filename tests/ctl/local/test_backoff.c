#include "ctl/local/backoff.h"

#include <criterion/criterion.h>

/* random 0.5 is no jitter. */
Test(backoff, doubles_from_100_ms_to_10_s)
{
    static const uint64_t expected_ms[] = {100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000};
    struct backoff backoff = {0};
    for (size_t i = 0; i < sizeof(expected_ms) / sizeof(expected_ms[0]); i++)
        cr_expect_eq(backoff_next_ns(&backoff, NS_PER_S, 0.5), expected_ms[i] * NS_PER_MS,
                     "death %zu", i);
}

Test(backoff, begins_again_after_30_s_of_life)
{
    struct backoff backoff = {0};
    for (int i = 0; i < 5; i++)
        backoff_next_ns(&backoff, 0, 0.5);
    cr_expect_eq(backoff_next_ns(&backoff, 30 * NS_PER_S - 1, 0.5), 3200 * NS_PER_MS);
    cr_expect_eq(backoff_next_ns(&backoff, 30 * NS_PER_S, 0.5), 100 * NS_PER_MS);
    cr_expect_eq(backoff_next_ns(&backoff, 0, 0.5), 200 * NS_PER_MS);
}

Test(backoff, jitters_a_quarter_each_way_and_never_overflows)
{
    struct backoff low = {0}, high = {0};
    cr_expect_eq(backoff_next_ns(&low, 0, 0.0), 75 * NS_PER_MS);
    uint64_t most = backoff_next_ns(&high, 0, 0.999999);
    cr_expect(most > 124 * NS_PER_MS && most <= 125 * NS_PER_MS);
    struct backoff old = {.deaths = UINT32_MAX};
    cr_expect_eq(backoff_next_ns(&old, 0, 0.5), 10 * NS_PER_S);
    cr_expect_eq(backoff_next_ns(&old, 0, 0.5), 10 * NS_PER_S);
}
