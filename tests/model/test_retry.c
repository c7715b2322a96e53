/* The budget of further attempts and the waits before them. */
#include <criterion/criterion.h>

#include "model/outside.h"
#include "model/retry.h"

static const struct retry_settings settings = {
    .most = 3, .budget_percent = 20, .backoff_ns = 1000, .on = RETRY_CONNECT};

static unsigned take_all(struct retry_budget *budget)
{
    unsigned taken = 0;
    while (taken < 1000 && retry_take(budget))
        taken++;
    return taken;
}

Test(retry, ten_are_in_hand)
{
    struct retry_budget budget = {0};
    cr_assert_eq(take_all(&budget), 10);
    cr_assert_not(retry_take(&budget));
}

Test(retry, each_hundred_calls_earn_the_budgets_percent)
{
    struct retry_budget budget = {0};
    cr_assert_eq(take_all(&budget), 10);
    for (unsigned i = 0; i < 100; i++)
        retry_earn(&budget, &settings);
    cr_assert_eq(take_all(&budget), 20);
}

Test(retry, a_long_quiet_time_earns_no_storm)
{
    struct retry_budget budget = {0};
    for (unsigned i = 0; i < 100000; i++)
        retry_earn(&budget, &settings);
    cr_assert_eq(take_all(&budget), 100);
}

Test(retry, waits_double_and_are_drawn_from_0_on)
{
    cr_assert_eq(retry_wait_ns(&settings, 0, 0), 0);
    cr_assert_eq(retry_wait_ns(&settings, 0, 0.5), 500);
    cr_assert_eq(retry_wait_ns(&settings, 3, 0.5), 4000);
}

/* The first attempt is what it is without retries; further ones are drawn anew, each the same
 * whenever it is asked for. */
Test(retry, attempts_of_a_call_have_streams_of_their_own)
{
    uint64_t stream = outside_stream(7, "s1", 2);
    cr_assert_eq(outside_attempt_stream(stream, 0), stream);
    for (unsigned i = 1; i < 11; i++) {
        cr_assert_eq(outside_attempt_stream(stream, i), outside_attempt_stream(stream, i));
        for (unsigned j = 0; j < i; j++)
            cr_assert_neq(outside_attempt_stream(stream, i), outside_attempt_stream(stream, j));
    }
}

/* Attempts fail independently: of 20,000 calls that fail half of the time, a quarter fail twice.
 * Five standard deviations: a false alarm once in two million runs, but the draws are fixed. */
Test(retry, further_attempts_fail_independently_of_the_first)
{
    enum { CALLS = 20000 };
    struct outside_error error = {503, 0.5};
    struct outside_faults faults = {.error_count = 1, .errors = &error};
    struct distribution latency = {.kind = DISTRIBUTION_CONSTANT, .value_ns = 1};
    uint64_t stream = outside_stream(7, "s1", 2), again = outside_attempt_stream(stream, 1);
    unsigned first = 0, both = 0;
    for (uint64_t i = 0; i < CALLS; i++) {
        bool fails = outside_call(&latency, &faults, stream, i, false).result == OUTSIDE_ERROR;
        first += fails;
        both += fails && outside_call(&latency, &faults, again, i, false).result == OUTSIDE_ERROR;
    }
    cr_assert_float_eq(first, 0.5 * CALLS, 5 * 71, "%u", first);
    cr_assert_float_eq(both, 0.25 * CALLS, 5 * 62, "%u", both);
}

Test(retry, waits_are_the_same_for_the_same_call)
{
    uint64_t stream = outside_stream(7, "s1", 2);
    double sum = 0;
    for (uint64_t i = 0; i < 1000; i++) {
        double unit = outside_wait_unit(stream, i, 1);
        cr_assert(unit >= 0 && unit < 1);
        cr_assert_eq(unit, outside_wait_unit(stream, i, 1));
        sum += unit;
    }
    cr_assert_float_eq(sum, 500, 5 * 9.2, "%g", sum);
}
