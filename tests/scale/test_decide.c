#include <criterion/criterion.h>

#include "base/clock.h"
#include "pods.h"

/* A service with a metric of 10 requests in flight, no panic mode, HPA's defaults else. */
struct world {
    struct scale_policy policy;
    struct scale_state state;
    uint64_t now_s;
};

static struct world world_of(int32_t min, int32_t max)
{
    struct world w = {.now_s = 1000};

    scale_policy_default(&w.policy);
    w.policy.min_replicas = min;
    w.policy.max_replicas = max;
    w.policy.panic.stable_window_s = 0;
    w.policy.metrics[w.policy.metric_count++] =
        (struct scale_metric){SCALE_IN_FLIGHT, SCALE_AVERAGE_VALUE, 10000};
    return w;
}

/* One look: so many replicas, all ready, with so much in flight each (thousandths; -1: silent). */
static struct scale_decision look(struct world *w, int32_t current, int64_t each_milli)
{
    struct scale_pod *pods = calloc(current + 1, sizeof(*pods));
    struct scale_input input = {.current = current,
                                .pods = pods,
                                .pod_count = (size_t)current,
                                .now_ns = w->now_s * NS_PER_S};
    struct scale_decision d;

    for (int32_t i = 0; i < current; i++) {
        pods[i].phase = SCALE_POD_READY;
        pods[i].figures[SCALE_IN_FLIGHT] =
            (struct scale_figure){.known = each_milli >= 0, .value_milli = each_milli};
    }
    scale_decide(&w->state, &w->policy, &input, &d);
    free(pods);
    return d;
}

static void expect(struct world *w, int32_t current, int64_t each_milli, int32_t desired,
                   const char *reason, const char *message)
{
    struct scale_decision d = look(w, current, each_milli);

    cr_expect_eq(d.desired, desired, "%s: %d, expected %d (%s)", reason, d.desired, desired,
                 d.message);
    cr_expect_str_eq(scale_reason_name(d.reason), reason);
    cr_expect_str_eq(d.message, message, "%s", d.message);
    scale_decision_free(&d);
}

#define IS(value_, ratio_, pods_)                                                                  \
    "inFlight is " value_ " a replica, target 10: " ratio_ " of it, by " pods_ "; that asks for "

Test(decide, each_reason)
{
    struct world w = world_of(2, 20);

    expect(&w, 0, 0, 0, "ScalingDisabled",
           "replicas is 0: the service was stopped; set it to 1 or more to go on");
    expect(&w, 21, 10000, 20, "TooManyReplicas", "21 replicas, maxReplicas is 20");
    expect(&w, 1, 90000, 2, "TooFewReplicas", "1 replicas, minReplicas is 2");
    expect(&w, 4, -1, 4, "FailedComputeMetricsReplicas",
           "no ready pod of 4 has a figure for inFlight; 4 stay");
    expect(&w, 4, 10500, 4, "DesiredWithinRange", IS("10.5", "1.05", "4 pods") "4");
    expect(&w, 4, 15000, 6, "DesiredWithinRange", IS("15", "1.50", "4 pods") "6");
    expect(&w, 6, 40000, 12, "ScaleUpLimit",
           IS("40", "4.00", "6 pods") "24; behavior.scaleUp allows 12 now");
    expect(&w, 12, 30000, 20, "TooManyReplicas",
           IS("30", "3.00", "12 pods") "36; maxReplicas is 20");
    expect(&w, 20, 1000, 20, "ScaleDownStabilized",
           IS("1", "0.10", "20 pods") "2; the highest recommendation of 300 s is 20");
    w.now_s += 300;
    expect(&w, 20, 500, 2, "TooFewReplicas", IS("0.5", "0.05", "20 pods") "1; minReplicas is 2");
    scale_state_free(&w.state);
}

Test(decide, first_sight_is_a_recommendation)
{
    /* HPA's recordInitialRecommendation(): after a restart nothing is taken away for a window. */
    struct world w = world_of(1, 20);

    expect(&w, 8, 1000, 8, "ScaleDownStabilized",
           IS("1", "0.10", "8 pods") "1; the highest recommendation of 300 s is 8");
    w.now_s += 299;
    expect(&w, 8, 1000, 8, "ScaleDownStabilized",
           IS("1", "0.10", "8 pods") "1; the highest recommendation of 300 s is 8");
    w.now_s += 1;
    expect(&w, 8, 1000, 1, "DesiredWithinRange", IS("1", "0.10", "8 pods") "1");
    scale_state_free(&w.state);
}

Test(decide, scale_up_waits_for_its_window)
{
    struct world w = world_of(1, 100);

    w.policy.up.window_s = 60;
    expect(&w, 4, 20000, 4, "ScaleUpStabilized",
           IS("20", "2.00", "4 pods") "8; the lowest recommendation of 60 s is 4");
    w.now_s += 59;
    expect(&w, 4, 20000, 4, "ScaleUpStabilized",
           IS("20", "2.00", "4 pods") "8; the lowest recommendation of 60 s is 4");
    w.now_s += 1;
    expect(&w, 4, 20000, 8, "DesiredWithinRange", IS("20", "2.00", "4 pods") "8");
    scale_state_free(&w.state);
}

Test(decide, steps_count_what_was_applied)
{
    struct world w = world_of(1, 100);

    w.policy.up.step_count = 1; /* four in 15 s */
    struct scale_decision d = look(&w, 4, 100000);
    cr_expect_eq(d.desired, 8);
    scale_decision_free(&d);
    /* Not applied: asked again, the same is allowed. */
    d = look(&w, 4, 100000);
    cr_expect_eq(d.desired, 8);
    scale_decision_free(&d);
    scale_applied(&w.state, &w.policy, 4, 8, w.now_s * NS_PER_S);
    w.now_s += 14;
    d = look(&w, 8, 100000);
    cr_expect_eq(d.desired, 8);
    cr_expect_eq(d.reason, SCALE_UP_LIMITED);
    scale_decision_free(&d);
    w.now_s += 1;
    d = look(&w, 8, 100000);
    cr_expect_eq(d.desired, 12);
    scale_decision_free(&d);
    scale_state_free(&w.state);
}

Test(decide, changes_are_kept_for_the_longest_period_of_both)
{
    struct world w = world_of(1, 100);

    for (int longest = 0; longest < 2; longest++) {
        w.policy.up.steps[0].period_s = longest == 0 ? 600 : 15;
        w.policy.down.steps[0].period_s = longest == 1 ? 600 : 15;
        for (uint64_t s = 1; s <= 3; s++) {
            scale_applied(&w.state, &w.policy, 1, 2, s * 250 * NS_PER_S);
            scale_applied(&w.state, &w.policy, 2, 1, s * 250 * NS_PER_S);
        }
        cr_expect(w.state.ups.count == 3 && w.state.downs.count == 3);
        scale_state_free(&w.state);
    }
}

Test(decide, panic_goes_past_windows_and_steps_not_past_bounds)
{
    struct world w = world_of(1, 25);

    w.policy.panic = (struct scale_panic_rules){60, 10, 200};
    w.policy.up.window_s = 60;
    expect(&w, 2, 90000, 18, "Panicking",
           IS("90", "9.00", "2 pods") "18; panic: the load of 6 s is worth 18.00 replicas, 2 are "
                                      "ready; 18 until it has been over for 60 s");
    w.now_s += 10;
    expect(&w, 18, 20000, 25, "Panicking",
           IS("20", "2.00", "18 pods") "36; panic: the load of 6 s is worth 36.00 replicas, 18 are "
                                       "ready; 25 until it has been over for 60 s");
    /* Never down while in panic, whatever scaleDown allows. */
    w.policy.down.window_s = 0;
    w.now_s += 60;
    struct scale_decision d = look(&w, 25, 1000);
    cr_expect(d.panicking && d.desired == 25 && d.reason == SCALE_PANIC, "%s", d.message);
    scale_decision_free(&d);
    w.now_s += 1;
    d = look(&w, 25, 1000);
    cr_expect(!d.panicking && d.desired == 3, "%s", d.message);
    scale_decision_free(&d);
    /* Nor up where scaleUp is forbidden. */
    w.policy.up.select = SCALE_SELECT_DISABLED;
    d = look(&w, 3, 90000);
    cr_expect(!d.panicking && d.desired == 3, "%s", d.message);
    scale_decision_free(&d);
    scale_state_free(&w.state);
}

Test(decide, the_metric_that_asks_for_most_decides)
{
    struct world w = world_of(1, 20);
    struct scale_pod pods[4] = {{.phase = SCALE_POD_READY},
                                {.phase = SCALE_POD_READY},
                                {.phase = SCALE_POD_READY},
                                {.phase = SCALE_POD_READY}};
    struct scale_input input = {.current = 4, .pods = pods, .pod_count = 4, .now_ns = NS_PER_S};
    struct scale_decision d;

    w.policy.down.window_s = 0;
    w.policy.metrics[w.policy.metric_count++] =
        (struct scale_metric){SCALE_CPU, SCALE_UTILIZATION, 50};
    for (size_t i = 0; i < 4; i++) {
        pods[i].figures[SCALE_IN_FLIGHT] =
            (struct scale_figure){.known = true, .value_milli = 5000};
        pods[i].figures[SCALE_CPU] =
            (struct scale_figure){.known = true, .value_milli = 375, .of_milli = 500};
    }
    scale_decide(&w.state, &w.policy, &input, &d);
    cr_expect(d.desired == 6 && d.metric == 1 && d.recommended == 6 && d.ready == 4);
    cr_expect_str_eq(d.message, "cpu is 75%, target 50%: 1.50 of it, by 4 pods; that asks for 6");
    scale_decision_free(&d);

    /* One is silent and the other would take away: nothing happens, and it is said. */
    for (size_t i = 0; i < 4; i++)
        pods[i].figures[SCALE_CPU].known = false;
    scale_decide(&w.state, &w.policy, &input, &d);
    cr_expect(d.desired == 4 && d.metric == -1 && d.recommended == -1);
    cr_expect_str_eq(d.message,
                     "no ready pod of 4 has a figure for cpu, the others ask for fewer; 4 stay");
    scale_decision_free(&d);

    /* One is silent and the other would add: it adds. */
    for (size_t i = 0; i < 4; i++)
        pods[i].figures[SCALE_IN_FLIGHT].value_milli = 20000;
    scale_decide(&w.state, &w.policy, &input, &d);
    cr_expect(d.desired == 8 && d.metric == 0);
    scale_decision_free(&d);

    /* One pod is silent, one not ready. */
    pods[0].figures[SCALE_IN_FLIGHT].known = false;
    pods[1].phase = SCALE_POD_STARTING;
    scale_decide(&w.state, &w.policy, &input, &d);
    cr_expect_str_eq(d.message, "inFlight is 20 a replica, target 10: 2.00 of it, by 2 pods, 1 "
                                "silent, 1 not ready (1.00 with them); that asks for 4");
    cr_expect_eq(d.desired, 4);
    scale_decision_free(&d);
    scale_state_free(&w.state);
}
