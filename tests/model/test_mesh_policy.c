/* What limits, faults, breakers and attempts do to an application in virtual time, against closed
 * forms. Bounds of counts are five standard deviations: with the fixed seeds a test passes always
 * or never, and a right model fails with one of 1.7 million seeds. */
#include <criterion/criterion.h>
#include <math.h>

#include "base/clock.h"
#include "model/mesh.h"
#include "model/path.h"
#include "sample.h"

static const struct mesh_service plain = {.replicas = 1,
                                          .threads = 4,
                                          .answer_max_bytes = 1e6,
                                          .egress_queue = 4096,
                                          .requests_max = 131072};

static const struct mesh_load paced = {
    .rate_per_s = 200, .connections = 8, .request_bytes = 64, .duration_s = 100, .seed = 1};

static const struct distribution at_once = {.kind = DISTRIBUTION_CONSTANT};

static struct mesh_service_result of_service[2];

static struct mesh_result simulate(const struct mesh_service *services, size_t count,
                                   const struct mesh_load *load)
{
    struct mesh mesh = {.count = count, .services = services};
    struct mesh_result result;

    mesh_simulate(&mesh, load, &result, of_service);
    cr_expect_float_eq(result.success_fraction + result.refused_fraction + result.aborted_fraction +
                           result.failed_fraction,
                       1, 1e-9);
    return result;
}

/* A fraction of n draws. */
static void expect_fraction(double found, double expected, double n)
{
    cr_expect_float_eq(found, expected, 5 * sqrt(expected * (1 - expected) / n) + 1 / n,
                       "%g, not %g", found, expected);
}

/* A service that makes one call, as the destination says. */
static const struct mesh_group *group_of(const struct mesh_destination *destination, bool forward)
{
    static struct mesh_call call;
    static const struct mesh_group group = {1, 1, &call};

    call = (struct mesh_call){
        .callee = 1, .forward = forward, .probability = 1, .destination = destination};
    return &group;
}

static struct mesh_service caller_of(const struct mesh_destination *destination, bool forward)
{
    struct mesh_service service = plain;

    service.group_count = 1;
    service.groups = group_of(destination, forward);
    service.destination_count = 1;
    return service;
}

/* ---- what comes in ---- */

/* accepted = min(rate, limit), and the burst once. */
Test(mesh_policy, a_token_bucket_lets_its_rate_through)
{
    struct mesh_service service = plain;
    struct mesh_load load = paced;

    for (int poisson = 0; poisson < 2; poisson++) {
        load.poisson = poisson;
        service.policy.service = (struct mesh_rate){50, 20};
        struct mesh_result result = simulate(&service, 1, &load);
        cr_expect_float_eq(result.achieved_per_s, 50, 0.3, "%g", result.achieved_per_s);
        cr_expect_float_eq(of_service[0].rate_limited_per_s, of_service[0].requests_per_s - 50,
                           0.3);
        cr_expect_float_eq(result.refused_fraction, 1 - 50 / of_service[0].requests_per_s, 0.002);
    }
    service.policy.service = (struct mesh_rate){201, 1};
    load.poisson = false;
    cr_expect_eq(simulate(&service, 1, &load).refused_fraction, 0);
}

/* Each replica has a bucket, and each source: the client, and each replica that calls. */
Test(mesh_policy, sources_have_buckets_of_their_own)
{
    struct mesh_destination destination = {.latency = &at_once};
    struct mesh_service services[] = {caller_of(&destination, true), plain};

    services[0].replicas = 2;
    services[1].policy.source = (struct mesh_rate){30, 10};
    services[1].policy.sources_max = 64;
    struct mesh_result result = simulate(services, 2, &paced);
    cr_expect_float_eq(result.achieved_per_s, 60, 0.5, "%g", result.achieved_per_s);
    cr_expect_float_eq(of_service[1].rate_limited_per_s, 140, 0.5);
    services[1].policy.sources_max = 1; /* all share one */
    cr_expect_float_eq(simulate(services, 2, &paced).achieved_per_s, 30, 0.5);
}

/* Without a queue: Erlang B, whatever the distribution of the time. Each of five seeds deviates by
 * some 1.5 % here. */
Test(mesh_policy, a_concurrency_limit_is_erlang_b)
{
    struct mesh_service service = plain;
    struct mesh_load load = paced;
    double blocking = 1, a = 4, found = 0;

    service.sleep_ns = 10e6;
    service.policy.concurrency = 4;
    service.policy.concurrency_status = 503;
    load.poisson = true;
    load.rate_per_s = a / 0.01;
    for (unsigned i = 1; i <= service.policy.concurrency; i++)
        blocking = a * blocking / (i + a * blocking);
    for (load.seed = 1; load.seed <= 5; load.seed++)
        found += simulate(&service, 1, &load).refused_fraction / 5;
    cr_expect_float_eq(found, blocking, 0.03 * blocking, "%g, not %g", found, blocking);
    cr_expect_float_eq(of_service[0].concurrency_limited_per_s, of_service[0].refused_per_s, 1e-9);
}

/* Delays add up, the first abort decides; what is refused by a rate meets no fault. */
Test(mesh_policy, faults_by_fraction)
{
    static const struct mesh_fault faults[] = {
        {.delay_fraction = 0.1, .delay_ns = 20e6, .abort_fraction = 0.05, .abort_status = 503},
        {.delay_fraction = 0.5, .delay_ns = 10e6, .abort_fraction = 0.2, .abort_status = 404}};
    struct mesh_service service = plain;
    double n = paced.rate_per_s * paced.duration_s;

    service.policy.faults = faults;
    service.policy.fault_count = 2;
    struct mesh_result result = simulate(&service, 1, &paced);
    expect_fraction(result.aborted_fraction, 1 - 0.95 * 0.8, n);
    cr_expect_eq(result.refused_fraction, 0);
    /* A delay of 20 ms has a standard deviation of 6 ms, one of 10 ms of 5 ms. */
    cr_expect_float_eq(result.mean_us, 2000 + 5000, 5 * 7800 / sqrt(0.76 * n));
    service.policy.service = (struct mesh_rate){50, 1};
    result = simulate(&service, 1, &paced);
    expect_fraction(result.aborted_fraction / (1 - result.refused_fraction), 1 - 0.95 * 0.8, n / 4);
}

/* The proxy reads a refused request, and answers it: Arm time, no DMA, nothing of the host; without
 * Arm the host's. */
Test(mesh_policy, refusing_costs_the_proxy)
{
    struct profile profile = nothing_given(PROFILE_DPU);
    struct mesh_service service = plain;

    profile.value[PROFILE_ARM_WORKERS] = 2;
    profile.value[PROFILE_ARM_MESSAGE_NS] = 1000;
    profile.value[PROFILE_DMA_UNITS] = 2;
    profile.value[PROFILE_POLICY_NS] = 300;
    service.profile = &profile;
    service.policies = 1;
    service.policy.service = (struct mesh_rate){1e-6, 1}; /* one, once, before it is measured */
    struct mesh_result result = simulate(&service, 1, &paced);
    cr_expect_eq(result.refused_fraction, 1);
    double each_ns = 2 * path_arm_ns(&profile, 64) + 300;
    cr_expect_float_eq(of_service[0].dpu_cores, 200 * each_ns / 1e9, 1e-6);
    cr_expect_eq(of_service[0].datapath_cores, 0);
    profile.kind = PROFILE_SIDECAR;
    profile.value[PROFILE_ARM_WORKERS] = profile.value[PROFILE_DMA_UNITS] = 0;
    profile.value[PROFILE_MESSAGE_NS] = 3000;
    profile.value[PROFILE_WAKE_NS] = 20000; /* once: who has woken up to read answers as well */
    simulate(&service, 1, &paced);
    cr_expect_float_eq(of_service[0].datapath_cores, 200 * (20000 + 2 * 3000 + 300) / 1e9, 1e-6);
}

/* ---- calls ---- */

/* The tail of an exponential latency is what a timeout cuts; a destination's own stands. */
Test(mesh_policy, timeouts_cut_the_tail)
{
    static const struct distribution latency = {.kind = DISTRIBUTION_EXPONENTIAL,
                                                .value_ns = 10 * NS_PER_MS};
    struct mesh_destination destination = {.latency = &latency, .timeout_ns = 20e6};
    struct mesh_service service = caller_of(&destination, false);

    service.timeout_ns = 1e6;
    struct mesh_result result = simulate(&service, 1, &paced);
    expect_fraction(result.failed_fraction, exp(-2), paced.rate_per_s * paced.duration_s);
    cr_expect_leq(result.p999_us, 20000 * 1.001);
}

static struct outside_error errors[] = {{503, 0.1}, {404, 0.05}};

Test(mesh_policy, simulated_faults_fail_their_fraction)
{
    struct outside_faults faults = {
        .error_count = 2, .errors = errors, .partial = 0.04, .silent = 0.03};
    struct mesh_destination destination = {
        .latency = &at_once, .faults = &faults, .timeout_ns = 50e6};
    struct mesh_service service = caller_of(&destination, false);
    double n = paced.rate_per_s * paced.duration_s;

    expect_fraction(simulate(&service, 1, &paced).failed_fraction, 0.22, n);
    cr_expect_float_eq(of_service[0].failed_per_s, 0.22 * 200, 5 * sqrt(0.22 * 0.78 / n) * 200);
    cr_expect_eq(of_service[0].retries_per_s, 0);
    /* Once more after what is retried on: of 503 and partial answers all but their square is
     * mended; 404 and silence stay. */
    destination.retries = (struct retry_settings){
        .most = 1, .budget_percent = 100, .on = RETRY_5XX | RETRY_RESET | RETRY_TIMEOUT};
    double again = 0.14, stay = 0.08;
    expect_fraction(simulate(&service, 1, &paced).failed_fraction, stay + again * 0.22, n);
    cr_expect_float_eq(of_service[0].retries_per_s, again * 200,
                       5 * sqrt(again * (1 - again) / n) * 200);
    /* With a time of its own for an attempt, silence is tried again as well. */
    destination.retries.try_timeout_ns = 10 * NS_PER_MS;
    expect_fraction(simulate(&service, 1, &paced).failed_fraction, 0.05 + 0.17 * 0.22, n);
}

/* Of three calls, each made after the other: the first fails in half of the requests, the second
 * always at its timeout. All are made; a request is as long as all of them. */
Test(mesh_policy, a_group_goes_on_after_a_failed_call)
{
    const struct distribution latency = {.kind = DISTRIBUTION_CONSTANT, .value_ns = NS_PER_MS};
    struct outside_faults half = {.partial = 0.5}, silent = {.silent = 1};
    struct mesh_destination failing = {.latency = &latency, .faults = &half};
    struct mesh_destination late = {
        .number = 1, .latency = &latency, .faults = &silent, .timeout_ns = 20e6};
    struct mesh_call calls[] = {{1, false, 1, &failing}, {1, false, 1, &late}, {1, true, 1, NULL}};
    const struct mesh_group group = {3, 3, calls};
    struct mesh_service services[] = {caller_of(NULL, false), plain};

    services[0].groups = &group;
    services[0].destination_count = 2;
    cr_expect_eq(simulate(services, 2, &paced).failed_fraction, 1);
    cr_expect_float_eq(of_service[0].calls_per_s, 600, 0.1);
    cr_expect_float_eq(of_service[1].requests_per_s, 200, 0.1);
    calls[1].destination = &failing;
    struct mesh_result result = simulate(services, 2, &paced);
    expect_fraction(result.failed_fraction, 0.75, paced.rate_per_s * paced.duration_s);
    cr_expect_float_eq(of_service[1].requests_per_s, 200, 0.1);
    cr_expect_float_eq(result.mean_us, 2000, 1e-6);
}

/* Calls that are given up at their timeout: while the callee works on, for nobody; and while they
 * wait for an egress worker. */
Test(mesh_policy, a_group_goes_on_after_a_call_that_was_given_up)
{
    const struct mesh_call made[] = {{1, true, 1, NULL}, {1, true, 1, NULL}};
    const struct mesh_call waits[] = {{1, false, 1, NULL}, {1, true, 1, NULL}};
    const struct mesh_group two_made = {2, 2, made}, one_waits = {2, 2, waits};
    struct mesh_service services[] = {caller_of(NULL, false), plain};

    services[0].destination_count = 0;
    services[0].groups = &two_made;
    services[0].timeout_ns = 20e6;
    services[1].sleep_ns = 50e6;
    cr_expect_eq(simulate(services, 2, &paced).failed_fraction, 1);
    cr_expect_float_eq(of_service[1].requests_per_s, 400, 0.1);
    services[0].groups = &one_waits;
    services[0].latency = (struct distribution){.kind = DISTRIBUTION_CONSTANT, .value_ns = 1e9};
    services[0].egress_workers = 1;
    services[1].sleep_ns = 0;
    cr_expect_eq(simulate(services, 2, &paced).failed_fraction, 1);
    cr_expect_float_eq(of_service[1].requests_per_s, 200, 0.1);
}

/* Retries beyond the budget are not made: of calls that always fail, a fifth more, and ten once. */
Test(mesh_policy, retries_have_a_budget)
{
    struct outside_faults faults = {.partial = 1};
    struct mesh_destination destination = {
        .latency = &at_once,
        .faults = &faults,
        .retries = {.most = 10, .budget_percent = 20, .on = RETRY_RESET}};
    struct mesh_service service = caller_of(&destination, false);

    cr_expect_eq(simulate(&service, 1, &paced).failed_fraction, 1);
    cr_expect_float_eq(of_service[0].retries_per_s, 40, 0.2);
}

/* docs/faults.md: rto p (1 - (2p)^(n+1)) / (1 - 2p) in the mean. Of the delay, which doubles, the
 * second moment is below sum p^k (1-p) (2^k rto)^2 = rto^2 (1-p) / (1-4p). */
Test(mesh_policy, loss_delays)
{
    double p = 0.1, rto_us = 10000, n = paced.rate_per_s * paced.duration_s;
    struct outside_faults faults = {
        .loss = {.probability = p, .rto_ns = 10 * NS_PER_MS, .most = 6}};
    struct mesh_destination destination = {.latency = &at_once, .faults = &faults};
    struct mesh_service service = caller_of(&destination, false);

    struct mesh_result result = simulate(&service, 1, &paced);
    double mean_us = rto_us * p * (1 - pow(2 * p, 7)) / (1 - 2 * p);
    cr_expect_float_eq(mean_us, outside_retransmission_mean_ns(&faults) / 1e3, 1e-6);
    cr_expect_float_eq(result.mean_us, mean_us, 5 * rto_us * sqrt((1 - p) / (1 - 4 * p) / n),
                       "%g, not %g", result.mean_us, mean_us);
    faults.loss.most = 0;
    expect_fraction(simulate(&service, 1, &paced).failed_fraction, p, n);
}

/* The share of time that a destination is slow, as the share of calls that take too long then. The
 * periods' correlation of 5 ms makes n of 100 s at most 10,000. */
Test(mesh_policy, slow_periods_have_their_share)
{
    struct outside_faults faults = {.slow = {.every_ns = 10 * NS_PER_MS,
                                             .length_ns = 10 * NS_PER_MS,
                                             .factor = 1,
                                             .extra_ns = 100 * NS_PER_MS}};
    struct mesh_destination destination = {
        .latency = &at_once, .faults = &faults, .timeout_ns = 50e6};
    struct mesh_service service = caller_of(&destination, false);

    expect_fraction(simulate(&service, 1, &paced).failed_fraction, 0.5, 10000);
}

/* A destination that always fails, 200 calls a second: five calls open its breaker, then one probe
 * a second, each of which opens it again. */
Test(mesh_policy, a_breaker_keeps_calls_back)
{
    struct outside_faults faults = {.partial = 1};
    struct mesh_destination destination = {
        .latency = &at_once,
        .faults = &faults,
        .breaker = {.failures = 5, .open_ns = NS_PER_S - NS_PER_MS, .probes = 1}};
    struct mesh_service service = caller_of(&destination, false);

    cr_expect_eq(simulate(&service, 1, &paced).failed_fraction, 1);
    cr_expect_float_eq(of_service[0].breaker_refused_per_s, 199, 0.1);
    /* Statuses below 500 are no failure of the callee. */
    struct outside_error missing = {404, 1};
    faults = (struct outside_faults){.error_count = 1, .errors = &missing};
    cr_expect_eq(simulate(&service, 1, &paced).failed_fraction, 1);
    cr_expect_eq(of_service[0].breaker_refused_per_s, 0);
}

/* Made calls: an aborted request fails its caller, unless another attempt goes well. */
Test(mesh_policy, made_calls_are_tried_again)
{
    static const struct mesh_fault fault = {.abort_fraction = 0.5, .abort_status = 503};
    struct mesh_destination destination = {.latency = &at_once};
    struct mesh_service services[] = {caller_of(&destination, true), plain};
    double n = paced.rate_per_s * paced.duration_s;

    services[1].policy.faults = &fault;
    services[1].policy.fault_count = 1;
    expect_fraction(simulate(services, 2, &paced).failed_fraction, 0.5, n);
    cr_expect_float_eq(of_service[1].aborted_per_s, 100, 5 * sqrt(0.25 / n) * 200);
    destination.retries =
        (struct retry_settings){.most = 1, .budget_percent = 100, .on = RETRY_5XX};
    expect_fraction(simulate(services, 2, &paced).failed_fraction, 0.25, n);
    cr_expect_float_eq(of_service[1].requests_per_s, 300, 5 * sqrt(0.25 / n) * 200);
    /* 429 is no 5xx. */
    services[1].policy = (struct mesh_policy){.service = {1e-6, 1}};
    cr_expect_eq(simulate(services, 2, &paced).failed_fraction, 1);
    cr_expect_float_eq(of_service[1].requests_per_s, 200, 0.1);
}

/* Three attempts of 20 ms at a callee that takes 50 ms; each is worked on, for nobody. Then the
 * call's own timeout ends them. */
Test(mesh_policy, attempts_of_made_calls_have_a_time)
{
    struct mesh_destination destination = {.latency = &at_once,
                                           .retries = {.most = 2,
                                                       .budget_percent = 100,
                                                       .on = RETRY_TIMEOUT,
                                                       .try_timeout_ns = 20 * NS_PER_MS}};
    struct mesh_service services[] = {caller_of(&destination, true), plain};
    struct mesh_load load = paced;

    load.rate_per_s = 10; /* the budget has one retry a call */
    services[1].sleep_ns = 50e6;
    destination.retries.most = 1;
    cr_expect_eq(simulate(services, 2, &load).failed_fraction, 1);
    cr_expect_float_eq(of_service[1].requests_per_s, 20, 0.1);
    destination.timeout_ns = 15e6;
    cr_expect_eq(simulate(services, 2, &load).failed_fraction, 1);
    cr_expect_float_eq(of_service[1].requests_per_s, 10, 0.1);
    destination.timeout_ns = 0;
    destination.retries.try_timeout_ns = 60 * NS_PER_MS;
    struct mesh_result result = simulate(services, 2, &load);
    cr_expect_eq(result.success_fraction, 1);
    cr_expect_float_eq(result.mean_us, 50000, 1e-6);
}

/* A retry is the proxy's: it reads the failed answer, takes its policy, and sends once more. */
Test(mesh_policy, retries_cost_the_proxy)
{
    struct profile profile = nothing_given(PROFILE_DPU);
    struct outside_faults faults = {.partial = 1};
    struct mesh_destination destination = {.latency = &at_once, .faults = &faults};
    struct mesh_service service = caller_of(&destination, false);

    profile.value[PROFILE_ARM_WORKERS] = 2;
    profile.value[PROFILE_ARM_MESSAGE_NS] = 1000;
    profile.value[PROFILE_POLICY_NS] = 300;
    service.profile = &profile;
    simulate(&service, 1, &paced);
    double without = of_service[0].dpu_cores, host = of_service[0].datapath_cores;
    cr_expect_float_eq(without, 200 * 4 * path_arm_ns(&profile, 64) / 1e9, 1e-5);
    destination.retries =
        (struct retry_settings){.most = 1, .budget_percent = 100, .on = RETRY_RESET};
    simulate(&service, 1, &paced);
    cr_expect_float_eq(of_service[0].dpu_cores - without,
                       200 * (2 * path_arm_ns(&profile, 64) + 300) / 1e9, 1e-5);
    cr_expect_float_eq(of_service[0].datapath_cores, host, 1e-6);
    /* A sidecar's is the host's, in one round. */
    profile.kind = PROFILE_SIDECAR;
    profile.value[PROFILE_ARM_WORKERS] = 0;
    profile.value[PROFILE_MESSAGE_NS] = 3000;
    profile.value[PROFILE_WAKE_NS] = 20000;
    destination.retries.most = 0;
    simulate(&service, 1, &paced);
    host = of_service[0].datapath_cores;
    destination.retries.most = 1;
    simulate(&service, 1, &paced);
    cr_expect_float_eq(of_service[0].datapath_cores - host, 200 * (20000 + 2 * 3000 + 300) / 1e9,
                       1e-5);
}
