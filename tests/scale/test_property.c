#include <criterion/criterion.h>

#include "base/clock.h"
#include "dice.h"
#include "pods.h"

enum { WORLDS = 400, LOOKS = 60, PODS = 24 };

static struct scale_rules any_rules(uint64_t *seed)
{
    struct scale_rules rules = {.window_s = (uint32_t)dice(seed, 0, 3) * 60,
                                .select = (enum scale_select)dice(seed, 0, 2),
                                .tolerance = (double)dice(seed, 0, 30) / 100,
                                .step_count = (size_t)dice(seed, 1, 3)};
    for (size_t i = 0; i < rules.step_count; i++)
        rules.steps[i] =
            (struct scale_step){dice(seed, 0, 1) ? SCALE_PODS : SCALE_PERCENT,
                                (int32_t)dice(seed, 1, 120), (uint32_t)dice(seed, 1, 120)};
    return rules;
}

static struct scale_policy any_policy(uint64_t *seed)
{
    struct scale_policy policy;

    scale_policy_default(&policy);
    policy.min_replicas = (int32_t)dice(seed, 1, 5);
    policy.max_replicas = policy.min_replicas + (int32_t)dice(seed, 0, PODS - 5);
    policy.metric_count = (size_t)dice(seed, 1, 3);
    for (size_t i = 0; i < policy.metric_count; i++) {
        bool percent = dice(seed, 0, 1);
        policy.metrics[i] =
            (struct scale_metric){(enum scale_signal)dice(seed, 0, SCALE_SIGNALS - 1),
                                  percent ? SCALE_UTILIZATION : SCALE_AVERAGE_VALUE,
                                  percent ? dice(seed, 1, 200) : dice(seed, 100, 5000)};
    }
    if (dice(seed, 0, 1))
        policy.up = any_rules(seed);
    if (dice(seed, 0, 1))
        policy.down = any_rules(seed);
    if (dice(seed, 0, 2) == 0)
        policy.panic.stable_window_s = 0;
    cr_assert_eq(scale_policy_check(&policy, NULL), 0);
    return policy;
}

static void any_pods(uint64_t *seed, struct scale_pod *pods, size_t count, int64_t most)
{
    for (size_t i = 0; i < count; i++) {
        pods[i].phase =
            dice(seed, 0, 4) ? SCALE_POD_READY : (enum scale_phase)dice(seed, 0, SCALE_POD_READY);
        for (size_t s = 0; s < SCALE_SIGNALS; s++)
            pods[i].figures[s] = (struct scale_figure){.known = dice(seed, 0, 5) > 0,
                                                       .value_milli = dice(seed, -1, most),
                                                       .of_milli = dice(seed, 0, 2000)};
    }
}

/* Whatever is measured: inside the bounds, one step at a time inside the steps, said why. */
Test(property, never_outside_its_bounds)
{
    uint64_t seed = 2026;

    for (int world = 0; world < WORLDS; world++) {
        struct scale_policy policy = any_policy(&seed);
        struct scale_state state = {.started = false};
        int32_t current = (int32_t)dice(&seed, 1, PODS);
        uint64_t now_ns = 0;
        for (int i = 0; i < LOOKS; i++) {
            struct scale_pod pods[PODS];
            struct scale_decision d;
            size_t count = (size_t)dice(&seed, 0, PODS);
            now_ns += (uint64_t)dice(&seed, 1, 40) * NS_PER_S;
            any_pods(&seed, pods, count, dice(&seed, 0, 1) ? 20000 : 500);
            struct scale_input input = {current, count, pods, now_ns};
            scale_decide(&state, &policy, &input, &d);
            cr_assert(d.desired >= policy.min_replicas && d.desired <= policy.max_replicas,
                      "world %d: %d (%s)", world, d.desired, d.message);
            bool inside = current >= policy.min_replicas && current <= policy.max_replicas;
            if (inside && policy.up.select == SCALE_SELECT_DISABLED)
                cr_assert_leq(d.desired, current);
            if (inside && (policy.down.select == SCALE_SELECT_DISABLED || d.panicking))
                cr_assert_geq(d.desired, current, "world %d: %s", world, d.message);
            cr_assert(d.message[0] && scale_reason_name(d.reason)[0]);
            cr_assert(state.highest.count <= PODS + 1 && state.lowest.count <= PODS + 1);
            scale_decision_free(&d);
            scale_applied(&state, &policy, current, d.desired, now_ns);
            current = d.desired;
        }
        scale_state_free(&state);
    }
}

/* One metric, every pod ready; some silent. */
static struct scale_proposal ask(const struct scale_policy *policy, int32_t current,
                                 const int64_t *values, const bool *silent)
{
    struct scale_pod pods[PODS];
    struct scale_proposal proposal;
    struct scale_metric metric = {SCALE_REQUESTS_PER_SECOND, SCALE_AVERAGE_VALUE, 1000};
    struct scale_input input = {.current = current, .pod_count = (size_t)current, .pods = pods};

    for (int32_t i = 0; i < current; i++) {
        pods[i].phase = SCALE_POD_READY;
        pods[i].figures[SCALE_REQUESTS_PER_SECOND] =
            (struct scale_figure){.known = !silent || !silent[i], .value_milli = values[i]};
    }
    if (scale_propose(policy, &metric, &input, &proposal) < 0)
        proposal = (struct scale_proposal){.replicas = current};
    return proposal;
}

Test(property, of_one_metric)
{
    uint64_t seed = 7;
    struct scale_policy policy;

    scale_policy_default(&policy);
    for (int round = 0; round < 20000; round++) {
        int32_t current = (int32_t)dice(&seed, 1, PODS);
        int64_t values[PODS], more[PODS], known_sum = 0;
        bool silent[PODS];
        int64_t most = dice(&seed, 0, 3) ? dice(&seed, 1, 4000) : dice(&seed, 900, 1300);
        for (int32_t i = 0; i < current; i++) {
            values[i] = dice(&seed, 0, most);
            more[i] = values[i] + dice(&seed, 0, 300);
            silent[i] = dice(&seed, 0, 3) == 0;
            known_sum += silent[i] ? 0 : values[i];
        }
        struct scale_proposal all = ask(&policy, current, values, NULL);
        /* No change within the tolerance. */
        if (all.ratio >= 0.9 && all.ratio <= 1.1)
            cr_assert_eq(all.replicas, current);
        /* Monotone: more load never asks for fewer, silent pods or not. */
        cr_assert_geq(ask(&policy, current, more, NULL).replicas, all.replicas);
        struct scale_proposal some = ask(&policy, current, values, silent);
        cr_assert_geq(ask(&policy, current, more, silent).replicas, some.replicas);
        /* Silent pods never lower the count below what the known ones justify: below current only
         * if the known load fits, and then with room for each silent one at its target. */
        if (some.replicas < current) {
            cr_assert_geq((int64_t)some.replicas * 1000 + current,
                          known_sum + (int64_t)some.missing * 1000);
            cr_assert_geq(some.replicas, (int32_t)some.missing);
        }
        /* Nor raise it: what they may do is unknown. (Rounded down to a thousandth a pod.) */
        if (some.replicas > current)
            cr_assert_leq((int64_t)(some.replicas - 1) * 1000, known_sum);
    }
}

/* The same looks give the same decisions: there is nothing else that they depend on. */
Test(property, is_a_function)
{
    for (uint64_t world = 1; world <= 20; world++) {
        int32_t first[LOOKS];
        for (int again = 0; again < 2; again++) {
            uint64_t seed = world;
            struct scale_policy policy = any_policy(&seed);
            struct scale_state state = {.started = false};
            for (int i = 0; i < LOOKS; i++) {
                struct scale_pod pods[PODS];
                struct scale_decision d;
                any_pods(&seed, pods, PODS, 3000);
                struct scale_input input = {8, PODS, pods, (uint64_t)i * 15 * NS_PER_S};
                scale_decide(&state, &policy, &input, &d);
                cr_assert(!again || d.desired == first[i]);
                first[i] = d.desired;
                scale_decision_free(&d);
            }
            scale_state_free(&state);
        }
    }
}
