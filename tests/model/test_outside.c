/* What simulated callees do with calls: closed forms, and the same again. Statistical bounds are
 * five standard deviations: a right implementation fails one in about a million. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "model/outside.h"

enum { CALLS = 200000 };

static const struct distribution constant = {.kind = DISTRIBUTION_CONSTANT,
                                             .value_ns = 10 * NS_PER_MS};
static const struct distribution exponential = {.kind = DISTRIBUTION_EXPONENTIAL,
                                                .value_ns = 10 * NS_PER_MS};

static void expect_share(uint64_t count, uint64_t of, double p, const char *what)
{
    double n = (double)of, bound = 5 * sqrt(n * p * (1 - p)) + 1;
    cr_assert_lt(fabs((double)count - n * p), bound, "%s: %lu of %lu, not %g", what,
                 (unsigned long)count, (unsigned long)of, p);
}

static bool same(const struct outside_call *a, const struct outside_call *b)
{
    return a->result == b->result && a->error == b->error && a->lost == b->lost &&
           a->delay_ns == b->delay_ns && a->loss_ns == b->loss_ns;
}

static struct outside_error two_errors[] = {{500, 0.1}, {404, 0.02}};
static const struct outside_faults all = {.error_count = 2,
                                          .errors = two_errors,
                                          .partial = 0.05,
                                          .silent = 0.03,
                                          .slow = {NS_PER_S, NS_PER_S / 4, 3, NS_PER_MS},
                                          .loss = {0.2, 100 * NS_PER_MS, 2}};

Test(outside, a_call_is_a_function_of_stream_and_number)
{
    uint64_t one = outside_stream(7, "s1", 2), two = outside_stream(7, "s2", 2);
    unsigned differ = 0, from_next = 0;
    cr_assert_eq(one, outside_stream(7, "s1__9", 2), "the name ends where it is said to");
    cr_assert_neq(one, outside_stream(8, "s1", 2));
    for (unsigned n = 0; n < 1000; n++) { /* asked for from the end, and in between others */
        uint64_t number = 999 - n;
        struct outside_call first = outside_call(&exponential, &all, one, number, false);
        struct outside_call other = outside_call(&exponential, &all, two, n, false);
        struct outside_call next = outside_call(&exponential, &all, one, number + 1, false);
        struct outside_call again = outside_call(&exponential, &all, one, number, false);
        cr_assert(same(&first, &again));
        differ += !same(&first, &other);
        from_next += !same(&first, &next);
    }
    cr_assert_geq(differ, 999);
    cr_assert_geq(from_next, 999);
}

Test(outside, results_have_their_fractions)
{
    uint64_t stream = outside_stream(1, "s1", 2), errors[2] = {0}, results[OUTSIDE_LOST + 1] = {0};
    struct outside_faults faults = all;
    faults.loss.probability = 0;
    for (uint64_t n = 0; n < CALLS; n++) {
        struct outside_call call = outside_call(&constant, &faults, stream, n, false);
        results[call.result]++;
        if (call.result == OUTSIDE_ERROR)
            errors[call.error]++;
        cr_assert_eq(call.delay_ns, 10 * NS_PER_MS);
    }
    expect_share(errors[0], CALLS, 0.1, "500");
    expect_share(errors[1], CALLS, 0.02, "404");
    expect_share(results[OUTSIDE_PARTIAL], CALLS, 0.05, "partial");
    expect_share(results[OUTSIDE_SILENT], CALLS, 0.03, "silent");
    expect_share(results[OUTSIDE_ANSWERED], CALLS, 0.8, "answered");
    cr_assert_eq(results[OUTSIDE_LOST], 0);
}

Test(outside, all_of_them_and_none)
{
    static struct outside_error each[] = {{500, 0.1}, {501, 0.2}, {502, 0.7}};
    const struct outside_faults certain = {.error_count = 3, .errors = each};
    const struct outside_faults silent = {.silent = 1}, none = {0};
    for (uint64_t n = 0; n < 10000; n++) {
        cr_assert_eq(outside_call(&constant, &silent, 5, n, false).result, OUTSIDE_SILENT);
        cr_assert_eq(outside_call(&constant, &none, 5, n, true).result, OUTSIDE_ANSWERED);
        cr_assert_eq(outside_call(&constant, &certain, 5, n, false).result, OUTSIDE_ERROR);
    }
}

Test(outside, a_fault_leaves_the_others_what_they_were)
{
    struct outside_faults few = {.error_count = 2, .errors = two_errors};
    for (uint64_t n = 0; n < 1000; n++) {
        struct outside_call bare = outside_call(&exponential, NULL, 3, n, false);
        struct outside_call some = outside_call(&exponential, &few, 3, n, false);
        struct outside_call more = outside_call(&exponential, &all, 3, n, false);
        cr_assert_eq(bare.delay_ns, some.delay_ns);
        if (some.result == OUTSIDE_ERROR && more.result != OUTSIDE_LOST)
            cr_assert(more.result == OUTSIDE_ERROR && more.error == some.error);
        if (more.result != OUTSIDE_LOST)
            cr_assert_eq(more.delay_ns, bare.delay_ns + more.loss_ns);
    }
}

Test(outside, latencies_keep_their_distribution)
{
    double sum = 0;
    uint64_t below = 0;
    for (uint64_t n = 0; n < CALLS; n++) {
        uint64_t ns =
            outside_call(&exponential, NULL, outside_stream(2, "x", 1), n, false).delay_ns;
        sum += (double)ns;
        below += ns < 10 * NS_PER_MS;
    }
    cr_assert_lt(fabs(sum / CALLS / 1e7 - 1), 5 / sqrt(CALLS));
    expect_share(below, CALLS, 1 - exp(-1), "below the mean");
}

Test(outside, slow_calls_take_factor_times_as_long_and_extra)
{
    for (uint64_t n = 0; n < 1000; n++) {
        struct outside_faults slow = {.slow = {1, 1, 2.5, 7 * NS_PER_MS}};
        uint64_t good = outside_call(&exponential, &slow, 3, n, false).delay_ns;
        uint64_t bad = outside_call(&exponential, &slow, 3, n, true).delay_ns;
        cr_assert_leq(fabs((double)bad - (2.5 * (double)good + 7e6)), 1);
    }
    /* Nothing overflows. */
    const struct distribution longest = {.kind = DISTRIBUTION_CONSTANT,
                                         .value_ns = DISTRIBUTION_DRAW_MAX_NS};
    cr_assert_eq(outside_call(&longest, &all, 3, 1, true).delay_ns, DISTRIBUTION_DRAW_MAX_NS);
}

/* ---- packet loss ---- */

Test(outside, retransmission_timeouts_double_up_to_a_minute)
{
    cr_assert_eq(outside_retransmission_ns(NS_PER_S, 0), 0);
    cr_assert_eq(outside_retransmission_ns(NS_PER_S, 1), NS_PER_S);
    cr_assert_eq(outside_retransmission_ns(NS_PER_S, 3), 7 * NS_PER_S);
    cr_assert_eq(outside_retransmission_ns(NS_PER_S, 6), 63 * NS_PER_S);
    cr_assert_eq(outside_retransmission_ns(NS_PER_S, 7), 123 * NS_PER_S, "60 and not 64");
    cr_assert_eq(outside_retransmission_ns(NS_PER_S, 9), 243 * NS_PER_S);
    cr_assert_eq(outside_retransmission_ns(NS_PER_MS, 16), 65535 * NS_PER_MS,
                 "2^15 ms and no more");
    cr_assert_eq(outside_retransmission_ns(NS_PER_MS, 18), 185535 * NS_PER_MS, "then 60 s twice");
}

Test(outside, losses_are_geometric_and_their_mean_is_the_closed_form)
{
    static const struct {
        double p;
        unsigned most;
    } cases[] = {{0.01, 6}, {0.3, 3}, {0.6, 4}, {0.5, 5}, {1, 2}, {0.2, 0}};
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        double p = cases[c].p, q = 2 * p, sum = 0, squares = 0;
        unsigned most = cases[c].most;
        struct outside_faults faults = {.loss = {p, 100 * NS_PER_MS, most}};
        uint64_t at_least[8] = {0};
        for (uint64_t n = 0; n < CALLS; n++) {
            struct outside_call call = outside_call(&constant, &faults, 11 + c, n, false);
            for (unsigned i = 0; i <= call.lost; i++)
                at_least[i]++;
            cr_assert_leq(call.lost, most + 1);
            cr_assert_eq(call.result == OUTSIDE_LOST, call.lost == most + 1);
            cr_assert_eq(call.delay_ns,
                         call.loss_ns + (call.result == OUTSIDE_LOST ? 0 : 10 * NS_PER_MS));
            sum += (double)call.loss_ns;
            squares += (double)call.loss_ns * (double)call.loss_ns;
        }
        for (unsigned i = 1; i <= most + 1; i++)
            expect_share(at_least[i], CALLS, pow(p, i), "lost at least so often");
        /* rto (p + 2 p^2 + 4 p^3 + ...), most + 1 terms. */
        double closed = 1e8 * p * (q == 1 ? most + 1 : (1 - pow(q, most + 1)) / (1 - q));
        double mean = sum / CALLS, deviation = sqrt((squares / CALLS - mean * mean) / CALLS);
        cr_assert_lt(fabs(outside_retransmission_mean_ns(&faults) - closed), 1e-9 * closed);
        cr_assert_leq(fabs(mean - closed), 5 * deviation + 1e-9 * closed, "p %g: %g, not %g", p,
                      mean, closed);
    }
}

/* ---- slow periods ---- */

Test(outside, the_share_of_slow_time_and_the_mean_lengths_are_the_closed_form)
{
    /* 400 callees, each looked at every 10 ms for 200 s: 20000 s of good periods of 0.5 s in the
     * mean and slow ones of 0.2 s. */
    struct outside_faults faults = {.slow = {NS_PER_S / 2, NS_PER_S / 5, 2, 0}};
    enum { CALLEES = 400, SECONDS = 200 };
    const uint64_t step = 10 * NS_PER_MS;
    double share = slow_periods_share(&faults), sum = 0, squares = 0;
    uint64_t starts = 0, begun_slow = 0;
    cr_assert_lt(fabs(share - 2.0 / 7), 1e-12);
    for (unsigned c = 0; c < CALLEES; c++) {
        struct slow_periods periods = {0};
        uint64_t stream = outside_stream(c, "s1", 2), slow = 0, looked = 0;
        bool before = false;
        for (uint64_t at = 0; at < SECONDS * NS_PER_S; at += step) {
            bool now = slow_periods_at(&periods, &faults, stream, at);
            begun_slow += at == 0 && now;
            starts += now && !before && at > 0;
            slow += now;
            looked++;
            before = now;
        }
        double part = (double)slow / (double)looked;
        sum += part;
        squares += part * part;
    }
    double mean = sum / CALLEES, error = sqrt((squares / CALLEES - mean * mean) / CALLEES);
    cr_assert_lt(fabs(mean - share), 5 * error, "%g, not %g", mean, share);
    expect_share(begun_slow, CALLEES, share, "slow from the start");
    /* A cycle takes 0.7 s. Those that fit between two looks are not seen: a slow period is missed
     * with up to 1 - e^(-0.05), a good one that parts two slow ones with up to 1 - e^(-0.02). */
    double cycles = CALLEES * SECONDS / 0.7;
    cr_assert_lt((double)starts, cycles + 5 * sqrt(cycles));
    cr_assert_gt((double)starts, 0.93 * cycles - 5 * sqrt(cycles));
}

Test(outside, slow_periods_are_a_function_of_time)
{
    struct outside_faults faults = {.slow = {NS_PER_S / 10, NS_PER_S / 20, 2, 0}};
    uint64_t stream = outside_stream(4, "s1", 2), step = 3 * NS_PER_MS + 17;
    struct slow_periods forward = {0}, back = {0};
    enum { LOOKS = 50000 }; /* 150 s: four stretches of 256 cycles */
    static bool seen[LOOKS];
    for (unsigned i = 0; i < LOOKS; i++)
        seen[i] = slow_periods_at(&forward, &faults, stream, i * step);
    unsigned slow = 0;
    for (unsigned i = LOOKS - 1; i > 10; i -= 10) { /* each from the beginning of its stretch */
        cr_assert_eq(slow_periods_at(&back, &faults, stream, i * step), seen[i], "look %u", i);
        slow += seen[i];
    }
    cr_assert_gt(slow, 0);
    /* A year later, at once. */
    (void)slow_periods_at(&forward, &faults, stream, UINT64_C(365) * 86400 * NS_PER_S);
    cr_assert_leq(forward.count, 2000);
    /* None, whatever the time. */
    faults.slow.length_ns = 0;
    cr_assert_not(slow_periods_at(&back, &faults, stream, NS_PER_S));
    cr_assert_eq(slow_periods_share(&faults), 0);
}

Test(outside, calls_in_a_row_are_correlated_by_slow_periods)
{
    /* The correlation of two looks t apart is e^(-t (1/good + 1/slow)). */
    struct outside_faults faults = {.slow = {NS_PER_S, NS_PER_S, 2, 0}};
    enum { PAIRS = 20000 };
    double both = 0;
    for (unsigned i = 0; i < PAIRS; i++) {
        struct slow_periods periods = {0};
        uint64_t stream = outside_stream(i, "pair", 4);
        double first = slow_periods_at(&periods, &faults, stream, 10 * NS_PER_S) - 0.5;
        double later =
            slow_periods_at(&periods, &faults, stream, 10 * NS_PER_S + NS_PER_S / 2) - 0.5;
        both += 4 * first * later;
    }
    cr_assert_lt(fabs(both / PAIRS - exp(-1)), 5 / sqrt(PAIRS));
}
