#include <criterion/criterion.h>

#include "base/clock.h"
#include "dice.h"
#include "scale/history.h"

/* The same by keeping everything, as HPA does. */
enum { LOOKS = 3000 };

static int32_t slow_extreme(const int32_t *values, const uint64_t *at_ns, size_t count,
                            bool highest, int32_t value, uint64_t now_ns, uint64_t window_ns)
{
    for (size_t i = 0; i < count; i++)
        if (at_ns[i] + window_ns > now_ns && (highest ? values[i] > value : values[i] < value))
            value = values[i];
    return value;
}

Test(history, extremes_are_those_of_a_full_list)
{
    int32_t values[LOOKS];
    uint64_t at_ns[LOOKS], now_ns = 0, seed = 11, windows[] = {0, 1, 60, 300};

    for (size_t w = 0; w < 4; w++) {
        struct scale_points highest = {.count = 0}, lowest = {.count = 0};
        uint64_t window_ns = windows[w] * NS_PER_S;
        for (size_t i = 0; i < LOOKS; i++) {
            now_ns += (uint64_t)dice(&seed, 0, 10) * NS_PER_S;
            values[i] = (int32_t)dice(&seed, 0, 20);
            at_ns[i] = now_ns;
            cr_assert_eq(scale_extreme(&highest, true, values[i], now_ns, window_ns),
                         slow_extreme(values, at_ns, i, true, values[i], now_ns, window_ns));
            cr_assert_eq(scale_extreme(&lowest, false, values[i], now_ns, window_ns),
                         slow_extreme(values, at_ns, i, false, values[i], now_ns, window_ns));
            scale_extreme_record(&highest, true, values[i], now_ns);
            scale_extreme_record(&lowest, false, values[i], now_ns);
            /* One point for each value at most. */
            cr_assert(highest.count <= 21 && lowest.count <= 21);
        }
        scale_points_free(&highest);
        scale_points_free(&lowest);
    }
}

Test(history, equal_recommendations_are_one_point)
{
    struct scale_points points = {.count = 0};

    for (uint64_t s = 0; s < 100; s++)
        scale_extreme_record(&points, true, 7, s * NS_PER_S);
    cr_expect_eq(points.count, 1);
    cr_expect_eq(scale_extreme(&points, true, 3, 108 * NS_PER_S, 10 * NS_PER_S), 7, "the latest");
    cr_expect_eq(scale_extreme(&points, true, 3, 109 * NS_PER_S, 10 * NS_PER_S), 3);
    scale_points_free(&points);
}

Test(history, changes_are_bounded_and_err_to_the_safe_side)
{
    struct scale_points changes = {.count = 0};
    const uint64_t keep_ns = 1800 * NS_PER_S;

    for (uint64_t s = 1; s <= 1000; s++) {
        scale_changes_add(&changes, 1, s * NS_PER_S, keep_ns);
        cr_assert_leq(changes.count, SCALE_CHANGES_MAX);
        for (uint64_t period = 1; period <= 1800; period += 300) {
            int64_t sum = scale_changes_sum(&changes, s * NS_PER_S, period * NS_PER_S);
            uint64_t exact = period < s ? period : s;
            cr_assert(sum >= (int64_t)exact && sum <= (int64_t)s);
            if (s <= SCALE_CHANGES_MAX || period < SCALE_CHANGES_MAX)
                cr_assert_eq(sum, (int64_t)exact);
        }
    }
    /* What is older than the longest period goes. */
    scale_changes_add(&changes, 5, 5000 * NS_PER_S, keep_ns);
    cr_expect_eq(changes.count, 1);
    cr_expect_eq(scale_changes_sum(&changes, 5000 * NS_PER_S, keep_ns), 5);
    /* Exactly a period ago is outside, as HPA's After(). */
    cr_expect_eq(scale_changes_sum(&changes, 5010 * NS_PER_S, 10 * NS_PER_S), 0);
    cr_expect_eq(scale_changes_sum(&changes, 5010 * NS_PER_S - 1, 10 * NS_PER_S), 5);
    scale_points_free(&changes);
}
