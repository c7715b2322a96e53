#include <criterion/criterion.h>
#include <math.h>

#include "base/clock.h"
#include "model/path.h"
#include "sample.h"

static struct path_result run(const struct profile *profile, double frame_bytes, double rate_per_s,
                              uint64_t messages, bool poisson)
{
    struct path_load load = {.frame_bytes = frame_bytes,
                             .rate_per_s = rate_per_s,
                             .connections = 8,
                             .poisson = poisson,
                             .duration_s = 10,
                             .messages_max = messages,
                             .seed = 11};
    struct path_result result;

    path_simulate(profile, &load, &result);
    return result;
}

/* The closed form is of the same model: where it claims to be exact it is, elsewhere near. */
Test(path, simulation_agrees_with_the_closed_form)
{
    static const double frames[] = {64, 1024, 8192}, loads[] = {0.02, 0.1, 0.3, 0.6, 0.9};

    for (int n = 0; n < 4; n++) {
        int kind = n % 2 ? PROFILE_SIDECAR : PROFILE_DPU;
        struct profile profile = sample((enum profile_kind)kind);
        profile.value[PROFILE_POLLS] = n < 2 ? 0 : 1;
        profile.value[PROFILE_EAGER_MESSAGES] = n < 2 ? 0 : 8;
        for (size_t i = 0; i < 3; i++)
            for (size_t k = 0; k < 5; k++) {
                struct path_means means;
                path_estimate(&profile, frames[i], 1, &means);
                double rate = loads[k] * means.ceiling_per_s;
                path_estimate(&profile, frames[i], rate, &means);
                struct path_result got = run(&profile, frames[i], rate, 100000, false);
                cr_assert_float_eq(got.client_cores / means.client_cores, 1, 0.1,
                                   "%d %g %g: client %g, %g expected", n, frames[i], loads[k],
                                   got.client_cores, means.client_cores);
                cr_assert_float_eq(got.server_cores / means.server_cores, 1, 0.25,
                                   "%d %g %g: server %g, %g expected", n, frames[i], loads[k],
                                   got.server_cores, means.server_cores);
                cr_assert_float_eq(got.dpu_cores, means.dpu_cores, 0.01 * means.dpu_cores + 1e-9);
                cr_assert_float_eq(got.achieved_per_s / rate, 1, 0.001);
                cr_assert_eq(got.drop_fraction, 0);
            }
    }
}

/* More load never carries less, costs less or makes the ceiling move. */
Test(path, is_monotone_and_continuous)
{
    for (int kind = PROFILE_DPU; kind <= PROFILE_SIDECAR; kind++) {
        struct profile profile = sample((enum profile_kind)kind);
        double last_cores = 0, last_ceiling = INFINITY;
        struct path_means means;
        for (unsigned i = 0; i < 25; i++) {
            double frame = 32 * pow(1.3, i);
            path_estimate(&profile, frame, 1, &means);
            cr_assert_leq(means.ceiling_per_s, last_ceiling, "frame %g", frame);
            last_ceiling = means.ceiling_per_s;
        }
        path_estimate(&profile, 512, 1, &means);
        for (unsigned i = 0; i < 30; i++) {
            double load = 0.01 + 0.05 * i;
            struct path_result got =
                run(&profile, 512, load * means.ceiling_per_s, load < 1 ? 20000 : 60000, false);
            double carried = fmin(load, 1) * means.ceiling_per_s;
            cr_assert_float_eq(got.achieved_per_s / carried, 1, load < 1 ? 0.01 : 0.1,
                               "load %g: %g of %g", load, got.achieved_per_s, carried);
            cr_assert_geq(got.client_cores, last_cores * 0.97, "load %g: %g after %g", load,
                          got.client_cores, last_cores);
            cr_assert_leq(got.client_cores, last_cores + 0.7, "load %g: %g after %g", load,
                          got.client_cores, last_cores);
            last_cores = got.client_cores;
        }
    }
}

/* Small messages may have less of a core; how much less changes with the size without a jump. */
Test(path, small_messages_have_their_share_of_a_core)
{
    struct profile profile = sample(PROFILE_DPU);
    double *value = profile.value, last = 0;
    struct path_means means;

    cr_assert_eq(path_host_share(&profile, 64), 0.98, "left out: as others");
    value[PROFILE_SEGMENT_BYTES] = 1024;
    value[PROFILE_SMALL_SHARE] = 0.9;
    cr_assert_eq(path_host_share(&profile, 64), 0.9);
    cr_assert_eq(path_host_share(&profile, 1024), 0.9);
    cr_assert_eq(path_host_share(&profile, 8192), 0.98);
    cr_assert_eq(path_host_share(&profile, 65536), 0.98);
    for (unsigned i = 0; i < 120; i++) {
        double frame = 900 * pow(1.02, i);
        double share = path_host_share(&profile, frame);
        cr_assert_geq(share, fmax(last, 0.9), "frame %g", frame);
        cr_assert_leq(share, (last > 0 ? last : 0.9) + 0.001, "frame %g", frame);
        last = share;
    }
    path_estimate(&profile, 64, 1, &means);
    struct path_result got = run(&profile, 64, 1.1 * means.ceiling_per_s, 200000, false);
    cr_assert_float_eq(got.client_cores, 0.9, 0.02, "%g", got.client_cores);
    cr_assert_float_eq(got.achieved_per_s / means.ceiling_per_s, 1, 0.03);
}

/* Past the ceiling what does not fit is refused, and who gets in waits for a full buffer. */
Test(path, refuses_past_the_ceiling)
{
    struct profile profile = sample(PROFILE_SIDECAR);
    struct path_means means;

    path_estimate(&profile, 1024, 1, &means);
    struct path_result got = run(&profile, 1024, 1.25 * means.ceiling_per_s, 200000, false);
    cr_assert_float_eq(got.drop_fraction, 0.2, 0.02, "%g", got.drop_fraction);
    cr_assert_float_eq(got.client_cores, 0.98, 0.03, "%g", got.client_cores);
    /* Little: 4096 messages under way at the ceiling's rate. */
    cr_assert_float_eq(got.p50_us / (4096 / means.ceiling_per_s * 1e6), 1, 0.2, "%g", got.p50_us);
}

/* Policies are work of the server's Arm, without one of its core, and of nobody else. */
Test(path, policies_cost_the_server)
{
    for (enum profile_kind kind = PROFILE_DPU; kind <= PROFILE_SIDECAR; kind++) {
        struct profile profile = sample(kind);
        struct path_load load = {.frame_bytes = 1024,
                                 .rate_per_s = 20000,
                                 .connections = 8,
                                 .duration_s = 1,
                                 .seed = 11,
                                 .policies = 3};
        struct path_result plain = run(&profile, 1024, 20000, 20000, false), got;
        profile.value[PROFILE_POLICY_NS] = 200;
        path_simulate(&profile, &load, &got);
        double cores = 20000 * 3 * 200e-9, arm = kind == PROFILE_DPU ? cores : 0;
        cr_assert_float_eq(got.dpu_cores, plain.dpu_cores + arm, 1e-4);
        cr_assert_float_eq(got.server_cores, plain.server_cores + cores - arm, 1e-3);
        cr_assert_float_eq(got.client_cores, plain.client_cores, 1e-3);

        /* So many that the server is what limits: a quarter too much is a fifth refused. */
        load.policies = 1000;
        double each_ns = kind == PROFILE_DPU ? (path_arm_ns(&profile, 1024) + 200e3) / 4
                                             : path_host_ns(&profile, 1024, true) + 200e3;
        double ceiling_per_s = 1e9 / each_ns * (kind == PROFILE_DPU ? 1 : 0.98);
        load.rate_per_s = 1.25 * ceiling_per_s;
        load.duration_s = 20;
        path_simulate(&profile, &load, &got);
        cr_assert_float_eq(got.drop_fraction, 0.2, 0.03, "%g", got.drop_fraction);
    }
}

/* Absurd rates are answered as fast as others. */
Test(path, far_past_the_ceiling)
{
    struct profile profile = sample(PROFILE_DPU);
    struct path_means means;
    uint64_t begin_ns = clock_thread_cpu_ns();

    path_estimate(&profile, 1024, 1, &means);
    struct path_result got = run(&profile, 1024, 1e12, 100000, true);
    cr_assert_float_eq(got.achieved_per_s / means.ceiling_per_s, 1, 0.05, "%g", got.achieved_per_s);
    cr_assert_float_eq(got.drop_fraction, 1 - got.achieved_per_s / 1e12, 1e-9);
    cr_assert_lt(clock_thread_cpu_ns() - begin_ns, 20 * NS_PER_S);
}

/* What comes together stays together, and waits for company once. Taken one by one it waits twice:
 * averaged over phases (1 - y)^2 / 2 wait longer than 1 + y gatherings, were the second as long. */
Test(path, completions_gather_once_or_by_polling_twice)
{
    struct profile profile = nothing_given(PROFILE_DPU);

    profile.value[PROFILE_MESSAGE_NS] = 1;
    profile.value[PROFILE_ARM_WORKERS] = 1;
    profile.value[PROFILE_ARM_MESSAGE_NS] = 1;
    profile.value[PROFILE_COALESCE_BYTES] = 8192;
    profile.value[PROFILE_KEEP_ALIVE_NS] = 1e9;
    for (unsigned frame = 64; frame <= 1024; frame *= 4) {
        double gathering_us = 8 * 8192.0 / frame / 1e5 * 1e6;
        profile.value[PROFILE_PATH_NS] = gathering_us * 1e3; /* something is always under way */
        profile.value[PROFILE_POLLS] = 0;
        struct path_result once = run(&profile, frame, 1e5, 200000, false);
        profile.value[PROFILE_POLLS] = 1;
        struct path_result twice = run(&profile, frame, 1e5, 200000, false);
        cr_assert_float_eq(once.p50_us / gathering_us - 1, 0.5, 0.03, "%u: %g", frame, once.p50_us);
        cr_assert_float_eq(once.p99_us / gathering_us - 1, 0.99, 0.03, "%u: %g", frame,
                           once.p99_us);
        cr_assert_float_eq(twice.p50_us / gathering_us - 1, 0.97, 0.06, "%u: %g", frame,
                           twice.p50_us);
        cr_assert_float_eq(twice.p99_us / gathering_us - 1, 1.82, 0.1, "%u: %g", frame,
                           twice.p99_us);
    }
}

/* Completions that gather for longer than the look at them change nothing of what is carried. */
Test(path, a_look_shorter_than_a_burst_of_completions)
{
    struct profile profile = sample(PROFILE_DPU);

    profile.value[PROFILE_ARM_MESSAGE_NS] = 8e6; /* 500 messages a second */
    profile.value[PROFILE_BUFFER_BYTES] = 10e6;
    profile.value[PROFILE_KEEP_ALIVE_NS] = 1e10;
    struct path_load load = {.frame_bytes = 1000, .connections = 3, .seed = 1};
    struct path_result got;
    load.rate_per_s = 1000;
    load.duration_s = 0.2;
    for (unsigned gathered = 300; gathered <= 9600; gathered *= 2) {
        profile.value[PROFILE_COALESCE_BYTES] = 1000.0 * gathered;
        path_simulate(&profile, &load, &got);
        cr_assert_float_eq(got.achieved_per_s, 500, 15, "%u: %g", gathered, got.achieved_per_s);
        cr_assert_float_eq(got.drop_fraction, 0.5, 0.015, "%u: %g", gathered, got.drop_fraction);
        cr_assert(got.client_cores > 0 && got.client_cores < 1, "%g", got.client_cores);
    }
    /* By chance more may come in a moment than were asked for; none of them is refused then. */
    load.rate_per_s = 560;
    load.duration_s = 0.01;
    load.poisson = true;
    for (; load.seed <= 100; load.seed++) {
        path_simulate(&profile, &load, &got);
        cr_assert(got.drop_fraction >= 0 && got.drop_fraction <= 1, "%g", got.drop_fraction);
        cr_assert_geq(got.client_cores, 0);
        cr_assert_leq(got.dpu_cores, 2 * profile.value[PROFILE_ARM_WORKERS], "%g", got.dpu_cores);
    }
}

/* Centuries late a clock has no digits for a microsecond. */
Test(path, a_look_shorter_than_the_clock_shows)
{
    struct profile profile = sample(PROFILE_DPU);

    profile.value[PROFILE_COPY_NS] = 1e9;
    profile.value[PROFILE_LARGEST_BYTES] = 1;
    profile.value[PROFILE_HOST_SHARE] = 0.01;
    profile.value[PROFILE_BUFFER_BYTES] = 1e10;
    struct path_load load = {.frame_bytes = PROFILE_FRAME_MAX,
                             .rate_per_s = 1e10,
                             .connections = 3,
                             .duration_s = 1e-6,
                             .seed = 1};
    struct path_result got;
    path_simulate(&profile, &load, &got);
    cr_assert(isfinite(got.achieved_per_s) && isfinite(got.dpu_cores) && isfinite(got.dma_busy));
}

Test(path, unloaded_latency_is_the_sum_of_its_parts)
{
    struct profile profile = sample(PROFILE_DPU);
    struct path_load load = {
        .frame_bytes = 1024, .rate_per_s = 10, .connections = 1, .duration_s = 10, .seed = 3};
    struct path_result got;

    profile.value[PROFILE_HOST_SHARE] = 1;
    profile.value[PROFILE_COALESCE_BYTES] = 1024;
    path_simulate(&profile, &load, &got);
    double host_ns = 2 * 5000 + 100 * 1.7 + 2 * 0.6 * 1024;
    double dpu_ns = 2 * (500 + 2.5 * 1024) + 2 * 2000;
    cr_assert_float_eq(got.p50_us, (host_ns + dpu_ns + 20000) / 1e3, 0.1, "%g", got.p50_us);
    /* A completion is not held when there is nothing to hold it for. */
    profile.value[PROFILE_COALESCE_BYTES] = 65536;
    path_simulate(&profile, &load, &got);
    cr_assert_float_eq(got.p50_us, (host_ns + dpu_ns + 20000) / 1e3, 0.1, "%g", got.p50_us);
    profile.value[PROFILE_WAKE_BEFORE] = 0.4;
    path_simulate(&profile, &load, &got);
    cr_assert_float_eq(got.p50_us, (host_ns - 6000 + dpu_ns + 20000) / 1e3, 0.1, "%g", got.p50_us);
    cr_assert_float_eq(got.p999_us, got.p50_us, 0.1);
}

Test(path, same_seed_same_result)
{
    struct profile profile = sample(PROFILE_DPU);
    struct path_result a = run(&profile, 300, 100000, 20000, true);
    struct path_result b = run(&profile, 300, 100000, 20000, true);

    cr_assert_eq(a.client_cores, b.client_cores);
    cr_assert_eq(a.mean_us, b.mean_us);
    cr_assert_eq(a.p999_us, b.p999_us);
    cr_assert_eq(a.events, b.events);
    cr_assert_eq(a.accounts[PATH_CLIENT].messages, a.accounts[PATH_SERVER].messages);
    cr_assert_eq(a.accounts[PATH_CLIENT_ARM].operations, a.accounts[PATH_CLIENT].messages);
    cr_assert_float_eq(a.accounts[PATH_CLIENT_DMA].bytes, 300.0 * a.accounts[PATH_CLIENT].messages,
                       1);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && defined(__OPTIMIZE__)
/* The goal of the offline model: five million events a second a core. */
Test(path, is_fast)
{
    struct profile profile = sample(PROFILE_DPU);
    uint64_t begin_ns = clock_thread_cpu_ns();
    struct path_result got = run(&profile, 1024, 300000, 1000000, false);
    double seconds = (double)(clock_thread_cpu_ns() - begin_ns) / 1e9;

    cr_assert_gt((double)got.events / seconds, 5e6, "%g events a second",
                 (double)got.events / seconds);
}
#endif
