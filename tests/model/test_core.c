#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "model/coalescer.h"
#include "model/core.h"
#include "model/cost.h"
#include "model/latency.h"
#include "model/path.h"
#include "model/station.h"

/* Offers one, after the rounds that are due before; returns how many messages those held. */
static unsigned offer(struct core *core, double now_ns, double service_ns)
{
    unsigned messages = 0;

    while (core_due_ns(core) < now_ns)
        messages += core_round(core).messages;
    core_offer(core, now_ns, service_ns, 100);
    return messages;
}

/* With no wake-up and one message a round it is a plain server. */
Test(core, of_single_messages_is_a_station)
{
    struct core_settings settings = {.share = 1, .batch_max = 1, .wake_before = 1};
    struct core core;
    struct station station;
    struct random_stream stream;
    double now_ns = 0, done_ns[2000];
    unsigned done = 0;

    random_seed(&stream, 3, 0);
    core_init(&core, &settings, 1);
    station_init(&station, 1);
    for (unsigned i = 0; i < 2000; i++) {
        now_ns += random_exponential(&stream, 1000);
        for (; core_due_ns(&core) < now_ns; done++) {
            struct core_round round = core_round(&core);
            cr_assert_float_eq(round.end_ns, done_ns[done], 1e-3);
        }
        core_offer(&core, now_ns, 800, 0);
        done_ns[i] = station_serve(&station, now_ns, 800, 0);
    }
    cr_assert_gt(done, 1900);
    for (; core_due_ns(&core) < INFINITY; done++)
        core_round(&core);
    cr_assert_float_eq(core.account.busy_ns, station.account.busy_ns, 1);
    cr_assert_float_eq(core.account.wait_ns, station.account.wait_ns,
                       1e-6 * station.account.wait_ns);
}

/* What is offered is served once, the oldest first, and the CPU is that of messages and rounds. */
Test(core, conserves_work_and_order)
{
    struct random_stream stream;

    random_seed(&stream, 9, 0);
    for (unsigned round = 0; round < 300; round++) {
        struct core_settings settings = {
            .wake_ns = (double)random_range(&stream, 0, 5000),
            .wake_before = random_unit(&stream),
            .holdoff_ns = round % 3 ? (double)random_range(&stream, 0, 20000) : 0,
            .polls = round % 7 < 3,
            .eager_bytes = round % 4 ? 0 : 700,
            .share = round % 2 ? 1 : 0.5 + 0.5 * random_unit(&stream),
            .stall_ns = round % 5 ? 0 : 30000,
            .batch_max = (unsigned)random_range(&stream, 0, 20)};
        struct core core;
        double now_ns = 0, work_ns = 0, last_end_ns = 0;
        unsigned served = 0;
        core_init(&core, &settings, round);
        for (unsigned i = 0; i < 1000; i++) {
            now_ns += random_exponential(&stream, 2000);
            while (core_due_ns(&core) < now_ns) {
                double due_ns = core_due_ns(&core);
                struct core_round got = core_round(&core);
                cr_assert_eq(got.begin_ns, due_ns);
                cr_assert_geq(got.begin_ns, last_end_ns, "one round after the other");
                cr_assert_geq(got.end_ns, got.begin_ns + settings.wake_ns);
                cr_assert_leq(got.done_ns, got.end_ns);
                cr_assert_geq(got.done_ns, got.begin_ns);
                cr_assert_float_eq(got.end_ns - got.done_ns,
                                   (1 - settings.wake_before) * settings.wake_ns, 1e-3);
                cr_assert(got.messages > 0);
                cr_assert(settings.batch_max == 0 || got.messages <= settings.batch_max);
                served += got.messages;
                last_end_ns = got.end_ns;
            }
            cr_assert_eq(served + (unsigned)core.waiting, i, "nobody is lost");
            core_offer(&core, now_ns, 500, 100);
            work_ns += 500;
        }
        while (core_due_ns(&core) < INFINITY)
            served += core_round(&core).messages;
        cr_assert_eq(served, 1000);
        work_ns += settings.wake_ns * (double)core.account.operations;
        cr_assert_float_eq(core.account.busy_ns, work_ns, 1e-6 * work_ns);
        cr_assert_eq(core.account.messages, 1000);
        cr_assert_eq(core.account.bytes, 100000);
        cr_assert_leq(core.account.busy_ns, settings.share * core.free_ns * 1.2 + 100000);
    }
}

/* The wake-up is why a message costs less at a higher rate. */
Test(core, spreads_the_wake_up_over_a_batch)
{
    struct core_settings settings = {.wake_ns = 10000, .share = 1};
    double cost_ns[3];
    static const double gaps_ns[] = {50000, 5000, 2000};

    for (int k = 0; k < 3; k++) {
        struct core core;
        core_init(&core, &settings, 1);
        for (unsigned i = 1; i <= 10000; i++)
            offer(&core, i * gaps_ns[k], 1000);
        cost_ns[k] = core.account.busy_ns / (double)core.account.messages;
    }
    cr_assert_float_eq(cost_ns[0], 11000, 1, "alone it pays for all: %g", cost_ns[0]);
    cr_assert_float_eq(cost_ns[1], 5000, 30, "a full core: the gap: %g", cost_ns[1]);
    cr_assert_float_eq(cost_ns[2], 2000, 30, "%g", cost_ns[2]);
}

/* A DPU sees a message once it is served, a proxy writes all at the end of its turn. */
Test(core, hands_on_one_by_one_or_at_once)
{
    struct core_settings settings = {.wake_ns = 10000, .wake_before = 0.4, .share = 1};
    struct core core;

    core_init(&core, &settings, 1);
    for (unsigned i = 0; i < 4; i++)
        core_offer(&core, 500, 1000, 100);
    struct core_round round = core_round(&core);
    cr_assert_eq(round.messages, 4);
    cr_assert_float_eq(round.serve_ns, 500 + 4000, 1e-6);
    for (unsigned i = 0; i < 4; i++) {
        cr_assert_float_eq(core_served_ns(&round, i, true), 500 + 4000 + (i + 1) * 1000, 1e-6);
        cr_assert_eq(core_served_ns(&round, i, false), round.done_ns);
    }
    cr_assert_eq(core_served_ns(&round, 3, true), round.done_ns, "to the last bit");
}

/* Stalls take what the share leaves, and a core that is not full does not pay for them. */
Test(core, stalls_take_their_part)
{
    struct core_settings settings = {.share = 0.9, .stall_ns = 100000};
    struct core core;

    core_init(&core, &settings, 7);
    for (unsigned i = 0; i < 2000000; i++)
        offer(&core, i * 1000.0, 1100); /* more than it can do */
    cr_assert_float_eq(core.account.busy_ns / core.free_ns, 0.9, 0.01, "%g",
                       core.account.busy_ns / core.free_ns);
    core_init(&core, &settings, 7);
    for (unsigned i = 0; i < 2000000; i++)
        offer(&core, i * 1000.0, 300);
    cr_assert_float_eq(core.account.busy_ns / 2e9, 0.3, 0.001);
}

/* After an idle time of any length, others have the core as often as ever, and are anywhere in
 * their turn. */
Test(core, stalls_of_an_idle_time_are_not_drawn)
{
    enum { MESSAGES = 100000 };
    struct core_settings settings = {.share = 0.8, .stall_ns = 1000};
    struct core core;
    double delayed = 0, delay_ns = 0;

    core_init(&core, &settings, 7);
    for (unsigned i = 1; i <= MESSAGES; i++) {
        double at_ns = i * 1e12; /* 200 million stalls later */
        core_offer(&core, at_ns, 0, 8);
        double end_ns = core_round(&core).end_ns;
        delayed += end_ns > at_ns;
        delay_ns += end_ns - at_ns;
    }
    /* 0.2 +- 6 standard deviations; half a stall, of which the clock's digits show 1/64 ns here. */
    cr_assert_float_eq(delayed / MESSAGES, 0.2, 0.008, "%g", delayed / MESSAGES);
    cr_assert_float_eq(delay_ns / delayed, 500, 15, "%g", delay_ns / delayed);
}

/* Who finds that others have the core waits for the rest of their turn, and that once. */
Test(core, waits_for_a_stall_once)
{
    enum { MESSAGES = 200000 };

    for (unsigned k = 0; k < 5; k++) {
        double share = 0.02 + 0.24 * k;
        struct core_settings settings = {.share = share, .stall_ns = 1000};
        struct random_stream stream;
        struct core core;
        double delay_ns = 0, at_ns = 0;

        random_seed(&stream, 3, 0);
        core_init(&core, &settings, 7);
        for (unsigned i = 0; i < MESSAGES; i++) {
            at_ns = fmax(at_ns, core.free_ns) + random_exponential(&stream, 20000);
            core_offer(&core, at_ns, 0, 8);
            delay_ns += core_round(&core).end_ns - at_ns;
        }
        cr_assert_float_eq(delay_ns / MESSAGES, 500 * (1 - share), 10, "%g: %g", share,
                           delay_ns / MESSAGES);
    }
}

/* Stalls that a late clock has no digits for are not looked for one by one. */
Test(core, stalls_without_digits_are_even)
{
    struct core_settings settings = {.share = 0.1, .stall_ns = 100};
    struct random_stream before;
    struct core core;

    core_init(&core, &settings, 7);
    core_offer(&core, 1e20, 1e9, 8);
    before = core.stream;
    cr_assert_eq(core_due_ns(&core), 1e20);
    cr_assert_eq(memcmp(&before, &core.stream, sizeof before), 0, "nothing is drawn");
    double taken_ns = core_round(&core).end_ns - 1e20;
    cr_assert_float_eq(taken_ns, 1e10, 1e6, "%g", taken_ns);
}

/* Many short stalls during a work take their mean, also those too short for the clock's digits. */
Test(core, many_stalls_are_their_mean)
{
    for (int exponent = -300; exponent < 6; exponent += 6) {
        double stall_ns = pow(10, exponent);
        struct core_settings settings = {.share = 0.75, .stall_ns = stall_ns};
        struct core core;
        double end_ns = 1e15;

        core_init(&core, &settings, 7);
        for (unsigned i = 0; i < 20; i++) {
            core_offer(&core, end_ns, 3e12, 8);
            end_ns = core_round(&core).end_ns;
        }
        cr_assert_float_eq(end_ns - 1e15, 20 * 4e12, 1e11, "%g: %g", stall_ns, end_ns - 1e15);
        for (unsigned i = 0; i < 20; i++) {
            core_offer(&core, end_ns, stall_ns, 8);
            end_ns = core_round(&core).end_ns;
        }
        cr_assert(isfinite(end_ns));
    }
}

Test(core, hold_off_and_eagerness)
{
    struct core_settings settings = {.wake_ns = 100, .holdoff_ns = 1e9, .share = 1};
    struct core core;
    unsigned served = 0;

    core_init(&core, &settings, 1);
    for (unsigned i = 1; i <= 100; i++)
        served += offer(&core, i * 1000, 10);
    cr_assert_eq(served, 1, "the first wakes it, the others wait for the hold-off");
    settings.eager_bytes = 1000; /* ten messages */
    core_init(&core, &settings, 1);
    for (unsigned i = 1; i <= 100; i++)
        served += offer(&core, i * 1000, 10);
    cr_assert_eq(core.account.operations, 10, "%lu", (unsigned long)core.account.operations);
    settings.eager_messages = 4;
    core_init(&core, &settings, 1);
    for (unsigned i = 1; i <= 100; i++)
        served += offer(&core, i * 1000, 10);
    cr_assert_eq(core.account.operations, 25, "the first, and then of four each: %lu",
                 (unsigned long)core.account.operations);
}

/* Who polls pauses after a round, evenly up to twice the mean; else the hold-off is from its begin.
 */
Test(core, pauses_or_holds_off)
{
    enum { ROUNDS = 20000 };

    for (int polls = 0; polls <= 1; polls++) {
        struct core_settings settings = {
            .wake_ns = 3000, .holdoff_ns = 1000, .polls = polls, .share = 1};
        struct core core;
        double pauses_ns = 0, longest_ns = 0, end_ns = 0;
        core_init(&core, &settings, 3);
        for (unsigned i = 0; i < ROUNDS; i++) {
            core_offer(&core, end_ns, 0, 8);
            struct core_round round = core_round(&core);
            pauses_ns += round.begin_ns - end_ns;
            longest_ns = fmax(longest_ns, round.begin_ns - end_ns);
            end_ns = round.end_ns;
        }
        /* Of an exponential hold-off what exceeds the round is left: 1000 exp(-3). */
        cr_assert_float_eq(pauses_ns / ROUNDS, polls ? 1000 : 50, 15, "%g", pauses_ns / ROUNDS);
        cr_assert(polls ? longest_ns <= 2000 : longest_ns > 2000, "%g", longest_ns);
        if (!polls)
            continue;
        settings.batch_max = 1;
        core_init(&core, &settings, 3);
        core_offer(&core, 0, 0, 8);
        core_offer(&core, 0, 0, 8);
        end_ns = core_round(&core).end_ns;
        cr_assert_eq(core_round(&core).begin_ns, end_ns, "what a round left has no pause");
    }
}

/* Who waits for others in the midst of a round is slower, but needs no more CPU. */
Test(core, pace)
{
    for (int stalls = 0; stalls <= 1; stalls++) {
        struct core_settings settings = {.wake_ns = 100,
                                         .wake_before = 0.5,
                                         .share = stalls ? 0.5 : 1,
                                         .pace = 0.8,
                                         .stall_ns = stalls ? 1e18 : 0};
        struct core core;

        core_init(&core, &settings, 1);
        core.stall_begin_ns = INFINITY;
        core_offer(&core, 0, 300, 8);
        struct core_round round = core_round(&core);
        cr_assert_float_eq(round.end_ns, 400 / 0.8, 1e-9, "%g", round.end_ns);
        cr_assert_float_eq(round.done_ns, 350 / 0.8, 1e-9, "%g", round.done_ns);
        cr_assert_float_eq(core.account.busy_ns, 400, 1e-9);
    }
}

/* A limit between two numbers of messages is met on the average, so that sizes make no steps. */
Test(core, eager_between_messages)
{
    for (unsigned bytes = 510; bytes <= 1010; bytes += 20) {
        struct core_settings settings = {
            .wake_ns = 1, .holdoff_ns = 1e15, .eager_bytes = 1010, .share = 1};
        struct core core;
        core_init(&core, &settings, 1);
        for (unsigned i = 1; i <= 40000; i++) {
            while (core_due_ns(&core) < i * 1000.0)
                core_round(&core);
            core_offer(&core, i * 1000.0, 10, bytes);
        }
        double mean = (double)core.account.messages / (double)core.account.operations;
        cr_assert_float_eq(mean, 1010.0 / bytes, 0.02, "%u B: %g", bytes, mean);
    }
}

Test(coalescer, between_counts)
{
    static const double counts[] = {1, 1.01, 2.5, 7, 8.0009, 13.1};

    for (size_t k = 0; k < sizeof counts / sizeof counts[0]; k++) {
        struct coalescer coalescer;
        coalescer_init(&coalescer, counts[k], 1e12);
        for (unsigned i = 1; i <= 100000; i++)
            if (coalescer_offer(&coalescer, i, 8)) {
                unsigned count = coalescer_deliver(&coalescer, i);
                cr_assert(count == floor(counts[k]) || count == ceil(counts[k]), "%u", count);
            }
        double mean = (double)coalescer.account.messages / (double)coalescer.account.operations;
        cr_assert_float_eq(mean, counts[k], 1e-3, "%g: %g", counts[k], mean);
    }
}

Test(coalescer, by_count_and_by_time)
{
    struct coalescer coalescer;

    coalescer_init(&coalescer, 3, 1000);
    cr_assert_eq(coalescer_due_ns(&coalescer), INFINITY);
    cr_assert_not(coalescer_offer(&coalescer, 100, 8));
    cr_assert_eq(coalescer_due_ns(&coalescer), 1100, "the keep-alive counts from the oldest");
    cr_assert_not(coalescer_offer(&coalescer, 500, 8));
    cr_assert(coalescer_offer(&coalescer, 600, 8), "the third");
    cr_assert_eq(coalescer_deliver(&coalescer, 600), 3);
    cr_assert_eq(coalescer_due_ns(&coalescer), INFINITY);
    cr_assert_not(coalescer_offer(&coalescer, 700, 8));
    cr_assert_eq(coalescer_deliver(&coalescer, coalescer_due_ns(&coalescer)), 1);
    cr_assert_eq(coalescer.account.operations, 2, "two interrupts");
    cr_assert_eq(coalescer.account.messages, 4);
    cr_assert_float_eq(coalescer.account.wait_ns, 500 + 100 + 0 + 1000, 1e-9);
    cr_assert_eq(coalescer.account.high_water, 3);
    coalescer_init(&coalescer, 1, 1000);
    cr_assert(coalescer_offer(&coalescer, 0, 8), "each at once");
}

Test(cost, copies_bytes_and_time)
{
    struct cost cost = {.message_ns = 100,
                        .copy_ns = 10,
                        .byte_ns = 0.5,
                        .segment_bytes = 1024,
                        .largest_bytes = 8192};

    cr_assert_float_eq(cost_copies(&cost, 64), 1.0 / 16, 1e-12, "sixteen share a copy");
    cr_assert_eq(cost_copies(&cost, 1024), 1);
    cr_assert_eq(cost_copies(&cost, 8192), 1);
    cr_assert_eq(cost_copies(&cost, 12288), 1.5, "split, and the rest shares a copy");
    cr_assert_eq(cost_copies(&cost, 65536), 8);
    cr_assert_float_eq(cost_ns(&cost, 1024), 100 + 10 + 512, 1e-9);
    cost.touched_bytes = 128;
    cr_assert_float_eq(cost_ns(&cost, 8192), 100 + 10 + 64, 1e-9, "only the header");
    cr_assert_eq(cost_bytes(&cost, 100), 100);
}

Test(latency, quantiles_are_within_a_thousandth)
{
    struct latency latency;
    struct random_stream stream;

    latency_init(&latency);
    cr_assert_eq(latency_quantile(&latency, 0.5), 0);
    random_seed(&stream, 2, 0);
    for (unsigned i = 0; i < 1000000; i++)
        latency_record(&latency, random_exponential(&stream, 1e6), 1);
    for (unsigned i = 1; i < 10; i++) {
        double q = i / 10.0;
        cr_assert_float_eq(latency_quantile(&latency, q) / (-1e6 * log1p(-q)), 1, 0.006, "%g", q);
    }
    latency_record(&latency, 1e30, 1);
    latency_record(&latency, -5, 1);
    cr_assert_eq(latency.count, 1000002);
    cr_assert_eq(latency_quantile(&latency, 1), ldexp(1 + 1023.5 / 1024, 40));
    latency_release(&latency);
}
