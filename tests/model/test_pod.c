#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "model/latency.h"
#include "model/path.h"
#include "model/pod.h"
#include "model/random.h"
#include "sample.h"

/* All of a core, and no bound of memory: what is left is exact. */
static struct profile whole_core(enum profile_kind kind)
{
    struct profile profile = sample(kind);

    profile.value[PROFILE_HOST_SHARE] = 1;
    profile.value[PROFILE_BUFFER_BYTES] = 0;
    return profile;
}

static struct pod make(const struct profile *profile)
{
    struct pod_options options = {.seed = 5, .connections = 8};
    struct pod pod;

    pod_init(&pod, profile, &options);
    return pod;
}

/* Sends count requests through, each in and at once out again; latencies of the whole. */
static void run(struct pod *pod, double frame_bytes, double rate_per_s, uint32_t count,
                struct latency *latency)
{
    double *begun_ns = xcalloc(count, sizeof *begun_ns), gap_ns = 1e9 / rate_per_s;
    struct pod_message message;

    for (uint32_t sent = 0, back = 0; back < count;) {
        double arrival_ns = sent < count ? (sent + 1) * gap_ns : INFINITY;
        double next_ns = pod_next_ns(pod);
        if (arrival_ns <= next_ns) {
            begun_ns[sent] = arrival_ns;
            pod_begin(pod, POD_IN, sent++, arrival_ns, frame_bytes);
            continue;
        }
        cr_assert(isfinite(next_ns), "%u of %u never came back", count - back, count);
        pod_advance(pod, next_ns);
        while (pod_pop(pod, &message)) {
            cr_assert_leq(message.begun_ns, message.done_ns);
            if (message.direction == POD_IN) {
                pod_begin(pod, POD_OUT, message.id, message.done_ns, frame_bytes);
                continue;
            }
            latency_record(latency, message.done_ns - begun_ns[message.id], 1);
            back++;
        }
    }
    free(begun_ns);
}

/* In and out together are the path that one message takes. Who is company for a held message
 * differs (here a pod, there both ends), so where holding sets in the two do not meet at the same
 * rate. */
Test(pod, in_and_out_are_a_path)
{
    static const double rates[] = {500, 2000, 5000, 10000, 20000};

    for (int kind = PROFILE_DPU; kind <= PROFILE_SIDECAR; kind++)
        for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
            struct profile profile = whole_core((enum profile_kind)kind);
            struct path_load load = {.frame_bytes = 1024,
                                     .rate_per_s = rates[i],
                                     .connections = 8,
                                     .duration_s = 10,
                                     .messages_max = 20000,
                                     .seed = 11};
            struct path_result result;
            struct latency latency;
            struct pod pod = make(&profile);

            path_simulate(&profile, &load, &result);
            latency_init(&latency);
            run(&pod, 1024, rates[i], 20000, &latency);
            double p50_us = latency_quantile(&latency, 0.5) / 1e3;
            cr_expect(fabs(p50_us - result.p50_us) < 0.1 * result.p50_us + 20,
                      "kind %d at %.0f/s: %.1f us, path %.1f", kind, rates[i], p50_us,
                      result.p50_us);
            double span_ns = 20000 / rates[i] * 1e9;
            double cores =
                (pod.lane[POD_IN].core.account.busy_ns + pod.lane[POD_OUT].core.account.busy_ns) /
                span_ns;
            double path_cores = result.client_cores + result.server_cores;
            cr_expect(fabs(cores - path_cores) < 0.15 * path_cores,
                      "kind %d at %.0f/s: %.4f host cores, path %.4f", kind, rates[i], cores,
                      path_cores);
            double arm =
                (pod.lane[POD_IN].arm.account.busy_ns + pod.lane[POD_OUT].arm.account.busy_ns) /
                span_ns;
            cr_expect(fabs(arm - result.dpu_cores) <= 0.02 * result.dpu_cores,
                      "kind %d at %.0f/s: %.4f Arm cores, path %.4f", kind, rates[i], arm,
                      result.dpu_cores);
            latency_release(&latency);
            pod_release(&pod);
        }
}

/* Alone, a message takes the sum of its stations, to the nanosecond. */
Test(pod, alone_it_is_the_sum_of_its_stations)
{
    struct profile profile = whole_core(PROFILE_DPU);
    struct pod pod = make(&profile);
    struct pod_message message;

    pod_begin(&pod, POD_IN, 7, 1000, 1000);
    pod_advance(&pod, 1e9);
    cr_assert(pod_pop(&pod, &message));
    double server_ns = 5000 + 0.7 * 100 + 0.6 * 1000;
    cr_expect_float_eq(message.done_ns, 1000 + 10000 + 2000 + (500 + 2.5 * 1000) + server_ns, 0.1,
                       "%.1f", message.done_ns);
    cr_expect_eq(message.id, 7);
    cr_expect(message.first);
    pod_begin(&pod, POD_OUT, 8, 2e9, 1000);
    pod_advance(&pod, 3e9);
    cr_assert(pod_pop(&pod, &message));
    double client_ns = 5000 + 100 + 0.6 * 1000;
    cr_expect_float_eq(message.done_ns, 2e9 + client_ns + (500 + 2.5 * 1000) + 2000 + 10000, 0.1);
    cr_expect_not(pod_pop(&pod, &message));
    cr_expect_eq(pod.inside, 0);
    cr_expect(isinf(pod_next_ns(&pod)));
    pod_release(&pod);
}

/* Nobody is lost, overtaken or done before it began, whatever comes; advancing late changes
 * nothing but when one knows. */
Test(pod, random_loads_conserve_messages_and_order)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct random_stream random;
        random_seed(&random, seed, 0);
        struct profile profile = whole_core(seed % 3 ? PROFILE_DPU : PROFILE_SIDECAR);
        profile.value[PROFILE_EAGER_BYTES] = seed % 2 ? 4096 : 0;
        profile.value[PROFILE_EAGER_MESSAGES] = (double)(seed % 5);
        profile.value[PROFILE_RING_SLOTS] = 1 + random_range(&random, 0, 20);
        struct pod pod = make(&profile);
        struct pod prompt = make(&profile);
        uint32_t next[2] = {0, 0}, expected[2] = {0, 0};
        double now_ns = 0, done_ns[2][2000], sum_bytes = 0;
        struct pod_message message;

        for (unsigned i = 0; i < 2000; i++) {
            now_ns += random_exponential(&random, seed % 5 ? 30000 : 1000);
            enum pod_direction direction = random_range(&random, 0, 1) ? POD_IN : POD_OUT;
            double bytes = 1 + (double)random_range(&random, 0, 20000);
            sum_bytes += bytes;
            pod_advance(&prompt, now_ns);
            while (pod_pop(&prompt, &message))
                done_ns[message.direction][message.id] = message.done_ns;
            /* The late one looks only when a message comes, which never is before it. */
            pod_advance(&pod, now_ns);
            pod_begin(&pod, direction, next[direction], now_ns, bytes);
            pod_begin(&prompt, direction, next[direction]++, now_ns, bytes);
        }
        while (isfinite(pod_next_ns(&prompt)))
            pod_advance(&prompt, pod_next_ns(&prompt));
        while (pod_pop(&prompt, &message))
            done_ns[message.direction][message.id] = message.done_ns;
        pod_advance(&pod, INFINITY);
        while (pod_pop(&pod, &message)) {
            cr_assert_eq(message.id, expected[message.direction]++, "seed %lu: out of order", seed);
            cr_assert_geq(message.done_ns, message.begun_ns);
            cr_assert_eq(message.done_ns, done_ns[message.direction][message.id]);
        }
        cr_assert_eq(expected[POD_IN] + expected[POD_OUT], 2000);
        cr_assert_eq(pod.inside + pod.under_way, 0);
        cr_assert_eq(pod.lane[POD_IN].core.account.messages, next[POD_IN]);
        cr_assert_eq(pod.lane[POD_OUT].core.account.messages, next[POD_OUT]);
        if (pod.has_arm)
            cr_assert_float_eq(pod.lane[POD_IN].arm.account.bytes +
                                   pod.lane[POD_OUT].arm.account.bytes,
                               sum_bytes, 2000);
        pod_release(&pod);
        pod_release(&prompt);
    }
}

/* Where the host works elsewhere, rounds take no time here but for the hold-off. */
Test(pod, policies_cost_arm_or_the_host)
{
    for (enum profile_kind kind = PROFILE_DPU; kind <= PROFILE_SIDECAR; kind++) {
        struct profile profile = whole_core(kind);
        struct pod plain = make(&profile), policed = make(&profile);
        struct pod_message message;
        for (uint32_t i = 0; i < 100; i++) {
            double now_ns = 1e7 * i;
            pod_begin(&plain, POD_IN, i, now_ns, 1024);
            pod_begin_policed(&policed, POD_IN, i, now_ns, 1024, 700);
            pod_begin(&plain, POD_OUT, i, now_ns, 1024);
            pod_begin_policed(&policed, POD_OUT, i, now_ns, 1024, 0);
            pod_advance(&plain, now_ns + 9e6);
            pod_advance(&policed, now_ns + 9e6);
        }
        for (enum pod_direction d = POD_IN; d < POD_DIRECTIONS; d++) {
            double more_ns = d == POD_IN ? 100 * 700 : 0, arm = kind == PROFILE_DPU ? more_ns : 0;
            cr_assert_float_eq(policed.lane[d].arm.account.busy_ns,
                               plain.lane[d].arm.account.busy_ns + arm, 1e-3);
            cr_assert_float_eq(policed.lane[d].core.account.busy_ns,
                               plain.lane[d].core.account.busy_ns + more_ns - arm, 1e-3);
        }
        cr_assert_eq(policed.inside, 0);
        while (pod_pop(&policed, &message))
            cr_assert(message.policy_ns == 0 || message.direction == POD_IN);
        pod_release(&plain);
        pod_release(&policed);
    }
}

Test(pod, what_is_refused_keeps_arm_from_others)
{
    struct profile profile = whole_core(PROFILE_DPU);
    struct pod_message message;
    double took_ns[2];
    for (unsigned busy = 0; busy < 2; busy++) {
        struct pod pod = make(&profile);
        for (unsigned i = 0; i < 4 && busy; i++)
            pod_spend_arm(&pod, POD_IN, 1000, 50000);
        cr_assert_eq(pod.inside, 0);
        pod_begin(&pod, POD_IN, 1, 1000, 64);
        pod_advance(&pod, 1e9);
        cr_assert(pod_pop(&pod, &message));
        took_ns[busy] = message.done_ns - message.begun_ns;
        cr_assert_float_eq(pod.lane[POD_IN].arm.account.busy_ns,
                           busy * 200000 + path_arm_ns(&profile, 64), 1e-3);
        pod_release(&pod);
    }
    /* All four workers are taken for 50 us from the time at which both arrive; DMA goes on. */
    cr_assert_float_eq(took_ns[1] - took_ns[0], 50000 - 2000, 1);
    struct profile sidecar = whole_core(PROFILE_SIDECAR);
    struct pod pod = make(&sidecar);
    pod_spend_arm(&pod, POD_IN, 0, 50000);
    cr_assert_eq(pod.lane[POD_IN].arm.account.busy_ns, 0, "it has none");
    pod_release(&pod);
}

Test(pod, host_elsewhere_keeps_the_hold_off_only)
{
    struct profile profile = whole_core(PROFILE_DPU);
    struct pod_options options = {
        .seed = 5, .connections = 1, .host_elsewhere = true, .less_path_ns = 15000};
    struct pod pod;
    struct pod_message message;

    pod_init(&pod, &profile, &options);
    pod_begin(&pod, POD_IN, 1, 0, 1000);
    pod_advance(&pod, 1e6);
    cr_assert(pod_pop(&pod, &message));
    cr_expect_float_eq(message.done_ns, 2500 + 2000 + 3000, 0.1, "%.1f", message.done_ns);
    unsigned firsts = 0, held = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        double at_ns = 1e6 + i * 10000.0;
        pod_begin(&pod, POD_OUT, i, at_ns, 64);
        pod_advance(&pod, at_ns + 9999);
    }
    pod_advance(&pod, INFINITY);
    while (pod_pop(&pod, &message)) {
        firsts += message.first;
        held += message.done_ns - message.begun_ns > 10000;
    }
    /* One every 10 us, a round every 20 us on average at the most. */
    cr_expect(firsts > 300 && firsts < 700, "%u rounds", firsts);
    cr_expect_gt(held, 200);
    pod_release(&pod);
}
