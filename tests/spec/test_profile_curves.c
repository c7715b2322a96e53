/*
 * What the shipped profiles say of sizes and rates that nobody measured: no jumps, and more work
 * never costs less.
 */
#include <criterion/criterion.h>
#include <math.h>

#include "model/path.h"
#include "spec/profile.h"

static const char *const names[] = {"bluefield3-native", "bluefield3-preload", "direct",
                                    "envoy-permissive", "envoy-strict"};

enum { NAMES = sizeof names / sizeof names[0] };

TestSuite(profile_curves, .timeout = 120);

static struct profile load(const char *name)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    struct profile profile;

    cr_assert_eq(profile_load(name, &profile, &problems), 0, "%s", name);
    return profile;
}

static const double step = 1.02;

/* The i-th size of a fine grid from 16 B to 64 KiB. */
enum { SIZES = 420 };

static double size(unsigned i)
{
    return 16 * pow(step, i);
}

Test(profile_curves, ceilings_fall_with_the_frame)
{
    for (size_t i = 0; i < NAMES; i++) {
        struct profile profile = load(names[i]);
        for (unsigned k = 0; k < SIZES; k++) {
            double frame = size(k);
            struct path_means here, there;
            path_estimate(&profile, frame, 1, &here);
            path_estimate(&profile, frame * step, 1, &there);
            double ratio = there.ceiling_per_s / here.ceiling_per_s;
            cr_assert_leq(ratio, 1 + 1e-9, "%s %g B: %g", names[i], frame, ratio);
            cr_assert_geq(ratio, 1 / step - 0.002, "%s %g B: %g", names[i], frame, ratio);
        }
    }
}

static double host(const struct path_means *means)
{
    return means->client_cores + means->server_cores;
}

/*
 * 2 % more bytes or messages change the host's cores by a few per cent at most, and take no less of
 * the client and the DPU. The server's core may get less busy: the fuller the client's rounds are,
 * the fewer times it wakes.
 */
static void compare(const char *name, double frame, const struct path_means *here,
                    const struct path_means *there)
{
    cr_assert_float_eq(host(there) / host(here), 1, 0.06, "%s %g B, %g/s: %g after %g cores", name,
                       frame, here->achieved_per_s, host(there), host(here));
    cr_assert_geq(there->client_cores, 0.99 * here->client_cores, "%s %g B, %g/s: %g after %g",
                  name, frame, here->achieved_per_s, there->client_cores, here->client_cores);
}

Test(profile_curves, costs_do_not_jump)
{
    for (size_t i = 0; i < NAMES; i++) {
        struct profile profile = load(names[i]);
        for (unsigned k = 0; k < SIZES; k++) {
            double frame = size(k);
            struct path_means here, longer, more;
            path_estimate(&profile, frame, 1, &here);
            double ceiling = here.ceiling_per_s;
            for (unsigned n = 0; n < 75; n++) {
                double part = 0.001 * pow(1.1, n);
                path_estimate(&profile, frame, part * ceiling, &here);
                path_estimate(&profile, step * frame, part * ceiling, &longer);
                path_estimate(&profile, frame, step * part * ceiling, &more);
                compare(names[i], frame, &here, &longer);
                compare(names[i], frame, &here, &more);
                cr_assert_geq(more.dpu_cores, here.dpu_cores);
                cr_assert_geq(more.achieved_per_s, here.achieved_per_s);
            }
        }
    }
}

/*
 * The same of the simulation, in larger steps, and of the latency; but at a low load a DPU holds
 * completions for company, and where messages begin to overlap the latency does jump, to the
 * keep-alive.
 */
Test(profile_curves, simulations_do_not_jump)
{
    static const double parts[] = {0.1, 0.5, 0.85};
    const double wide = 1.3;

    for (size_t i = 0; i < NAMES; i++) {
        struct profile profile = load(names[i]);
        for (size_t k = 0; k < sizeof parts / sizeof parts[0]; k++) {
            struct path_result last = {.p50_us = 0};
            for (unsigned n = 0; n < 25; n++) {
                double frame = 64 * pow(wide, n);
                struct path_means means;
                struct path_result got;
                path_estimate(&profile, frame, 1, &means);
                struct path_load load = {.frame_bytes = frame,
                                         .rate_per_s = parts[k] * means.ceiling_per_s,
                                         .connections = 8,
                                         .duration_s = 10,
                                         .seed = 3};
                /* Enough messages, and thirty times the keep-alive. */
                load.messages_max = (uint64_t)fmax(20000, 0.03 * load.rate_per_s);
                path_simulate(&profile, &load, &got);
                double cores = got.client_cores + got.server_cores;
                double before = last.client_cores + last.server_cores;
                cr_assert_float_eq(got.achieved_per_s / load.rate_per_s, 1, 0.01);
                if (before > 0) {
                    cr_assert_float_eq(log(cores / before), 0, 0.3, "%s %g B, %g: %g after %g",
                                       names[i], frame, parts[k], cores, before);
                    if (parts[k] >= 0.5)
                        cr_assert_float_eq(log(got.p50_us / last.p50_us), 0, 0.5,
                                           "%s %g B, %g: p50 %g after %g us", names[i], frame,
                                           parts[k], got.p50_us, last.p50_us);
                }
                last = got;
            }
        }
    }
}

static struct path_result simulate(const struct profile *profile, double frame, double rate,
                                   uint64_t messages)
{
    struct path_load load = {.frame_bytes = frame,
                             .rate_per_s = rate,
                             .connections = 8,
                             .duration_s = 10,
                             .messages_max = messages,
                             .seed = 5};
    struct path_result got;

    path_simulate(profile, &load, &got);
    cr_assert_leq(got.p50_us, got.p90_us);
    cr_assert_leq(got.p90_us, got.p99_us);
    cr_assert_leq(got.p99_us, got.p999_us);
    cr_assert(got.drop_fraction >= 0 && got.drop_fraction < 1, "%g", got.drop_fraction);
    return got;
}

/* One more byte, or a few per cent: no whole numbers of messages or copies show. */
Test(profile_curves, simulations_are_smooth_between_sizes)
{
    static const double edges[] = {1023,  1024,  1025,  4095,  4096,  4097, 5461,
                                   5462,  8191,  8192,  8193,  8500,  9000, 9500,
                                   10000, 10500, 11000, 16383, 16384, 16385};
    enum { EDGES = sizeof edges / sizeof edges[0] };

    for (size_t i = 0; i < NAMES; i++) {
        struct profile profile = load(names[i]);
        struct path_result last = {.p50_us = 0};
        for (size_t k = 0; k < EDGES; k++) {
            struct path_means means;
            struct path_result got = simulate(&profile, edges[k], 30000, 60000);
            if (k > 0 && edges[k] < 1.06 * edges[k - 1]) {
                double cores = got.client_cores + got.server_cores;
                double before = last.client_cores + last.server_cores;
                cr_assert_float_eq(log(cores / before), 0, 0.06, "%s %g B: %g after %g cores",
                                   names[i], edges[k], cores, before);
                cr_assert_geq(got.client_cores, 0.98 * last.client_cores, "%s %g B", names[i],
                              edges[k]);
                path_estimate(&profile, edges[k], 30000, &means);
                /* Near the ceiling the queue is another one in each run. */
                if (means.ceiling_per_s > 50000 && edges[k] < edges[k - 1] + 2)
                    cr_assert_float_eq(log(got.p50_us / last.p50_us), 0, 0.05,
                                       "%s %g B: p50 %g after %g us", names[i], edges[k],
                                       got.p50_us, last.p50_us);
            }
            last = got;
        }
    }
}

/* From a hundred messages a second to the ceiling: all are carried, and cost no less. */
Test(profile_curves, more_messages_cost_more)
{
    for (size_t i = 0; i < NAMES; i++) {
        struct profile profile = load(names[i]);
        for (unsigned frame = 64; frame <= 65536; frame *= 4) {
            double client = 0, dpu = 0;
            struct path_means means;
            path_estimate(&profile, frame, 1, &means);
            for (unsigned rate = 100; rate < 0.95 * means.ceiling_per_s; rate *= 2) {
                struct path_result got =
                    simulate(&profile, frame, rate, (uint64_t)fmax(5000, 0.1 * rate));
                cr_assert_float_eq(got.achieved_per_s / rate, 1, 0.001, "%s %u B %u/s: %g",
                                   names[i], frame, rate, got.achieved_per_s);
                cr_assert_geq(got.client_cores, 0.95 * client, "%s %u B %u/s: %g after %g",
                              names[i], frame, rate, got.client_cores, client);
                cr_assert_geq(got.dpu_cores, 0.99 * dpu);
                client = got.client_cores;
                dpu = got.dpu_cores;
            }
        }
    }
}

/*
 * A DPU's server does not get less busy on the way to the ceiling, as measured: messages come to it
 * while the client's round lasts, not all at its end.
 */
Test(profile_curves, a_dpus_server_works_no_less_for_more)
{
    static const double loads[] = {0.5, 0.6, 0.7, 0.8, 0.9, 0.97, 1};

    for (size_t i = 0; i < 2; i++) { /* the DPU's */
        struct profile profile = load(names[i]);
        for (unsigned frame = 64; frame < 20000; frame = frame * 23 / 10) {
            struct path_means means;
            double server = 0;
            path_estimate(&profile, frame, 1, &means);
            for (size_t k = 0; k < sizeof loads / sizeof loads[0]; k++) {
                double rate = loads[k] * means.ceiling_per_s;
                struct path_result got = simulate(&profile, frame, rate, 60000);
                cr_assert_geq(got.server_cores, 0.98 * server, "%s %u B x%g: %g after %g", names[i],
                              frame, loads[k], got.server_cores, server);
                server = got.server_cores;
            }
        }
    }
}

/* Small messages fill a core's rounds: up to the ceiling all are carried, past it no fewer. */
Test(profile_curves, rounds_that_are_full_carry_the_ceiling)
{
    static const double loads[] = {0.9, 0.97, 1.03};

    for (size_t i = 0; i < NAMES; i++) {
        struct profile profile = load(names[i]);
        struct path_means means;
        path_estimate(&profile, 64, 1, &means);
        for (size_t k = 0; k < sizeof loads / sizeof loads[0]; k++) {
            struct path_result got = simulate(&profile, 64, loads[k] * means.ceiling_per_s, 400000);
            cr_assert_float_eq(got.achieved_per_s / means.ceiling_per_s, fmin(loads[k], 1), 0.02,
                               "%s x%g: %g, ceiling %g", names[i], loads[k], got.achieved_per_s,
                               means.ceiling_per_s);
        }
    }
}

/* What is refused changes nothing for what is carried. */
Test(profile_curves, flat_past_the_ceiling)
{
    static const double loads[] = {1, 1.03, 1.1, 1.5, 3, 20, 1e6};
    enum { LOADS = sizeof loads / sizeof loads[0] };

    for (size_t i = 0; i < NAMES; i++) {
        struct profile profile = load(names[i]);
        for (unsigned frame = 8192; frame <= 65536; frame *= 8) {
            struct path_result last = {.client_cores = 0};
            struct path_means means;
            path_estimate(&profile, frame, 1, &means);
            for (size_t k = 0; k < LOADS; k++) {
                double rate = loads[k] * means.ceiling_per_s;
                struct path_result got =
                    simulate(&profile, frame, rate, (uint64_t)(2 * means.ceiling_per_s));
                cr_assert_float_eq(got.achieved_per_s / means.ceiling_per_s, 1, 0.03,
                                   "%s %u B x%g: %g, ceiling %g", names[i], frame, loads[k],
                                   got.achieved_per_s, means.ceiling_per_s);
                cr_assert_geq(got.client_cores, 0.99 * last.client_cores,
                              "%s %u B x%g: %g after %g", names[i], frame, loads[k],
                              got.client_cores, last.client_cores);
                cr_assert_geq(got.drop_fraction, last.drop_fraction);
                if (loads[k] > 1.1) {
                    if (loads[k] > 2)
                        cr_assert_eq(got.p99_us, last.p99_us);
                    cr_assert_float_eq(got.drop_fraction, 1 - got.achieved_per_s / rate, 1e-9);
                }
                last = got;
            }
        }
    }
}
