#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>

#include "base/clock.h"
#include "scale/policy.h"

static struct scale_policy whole(void)
{
    struct scale_policy policy;

    scale_policy_default(&policy);
    policy.max_replicas = 10;
    policy.metrics[policy.metric_count++] =
        (struct scale_metric){SCALE_IN_FLIGHT, SCALE_AVERAGE_VALUE, 8000};
    return policy;
}

Test(policy, defaults_are_hpas_and_knatives)
{
    struct scale_policy p;

    scale_policy_default(&p);
    cr_expect(p.min_replicas == 1 && p.max_replicas == 0 && p.metric_count == 0);
    cr_expect(p.up.window_s == 0 && p.up.select == SCALE_SELECT_MAX && p.up.step_count == 2);
    cr_expect(p.up.steps[0].type == SCALE_PODS && p.up.steps[0].value == 4 &&
              p.up.steps[0].period_s == 15);
    cr_expect(p.up.steps[1].type == SCALE_PERCENT && p.up.steps[1].value == 100 &&
              p.up.steps[1].period_s == 15);
    cr_expect(p.down.window_s == 300 && p.down.select == SCALE_SELECT_MAX &&
              p.down.step_count == 1);
    cr_expect(p.down.steps[0].type == SCALE_PERCENT && p.down.steps[0].value == 100 &&
              p.down.steps[0].period_s == 15);
    cr_expect(p.up.tolerance == 0.1 && p.down.tolerance == 0.1);
    cr_expect_eq(scale_panic_window_ns(&p.panic), 6 * NS_PER_S);
    cr_expect_eq(p.panic.threshold_percent, 200);
    p.panic.stable_window_s = 6;
    p.panic.window_percent = 1;
    cr_expect_eq(scale_panic_window_ns(&p.panic), NS_PER_S, "at least a second");
}

/* Breaks one thing and expects a sentence that names it. */
#define REFUSED(change_, word_)                                                                    \
    do {                                                                                           \
        struct scale_policy p = whole();                                                           \
        cleanup_error struct error *err = NULL;                                                    \
        change_;                                                                                   \
        cr_expect_eq(scale_policy_check(&p, &err), -EINVAL, "%s", #change_);                       \
        cr_expect(strstr(error_message(err), word_), "%s: %s", #change_, error_message(err));      \
    } while (0)

Test(policy, what_it_refuses)
{
    struct scale_policy good = whole();

    cr_assert_eq(scale_policy_check(&good, NULL), 0);
    good.panic = (struct scale_panic_rules){.stable_window_s = 0};
    cr_assert_eq(scale_policy_check(&good, NULL), 0, "no panic mode");

    REFUSED(p.min_replicas = 0, "scale to zero is refused");
    REFUSED(p.min_replicas = 11, "minReplicas: 11 is above maxReplicas, which is 10");
    REFUSED(p.max_replicas = 1001, "maxReplicas");
    REFUSED(p.metric_count = 0, "metrics");
    REFUSED(p.metric_count = SCALE_METRICS_MAX + 1, "metrics");
    REFUSED(p.metrics[0].target = 0, "metrics[0].target");
    REFUSED(p.metrics[0].target = SCALE_TARGET_MAX_MILLI + 1, "metrics[0].target");
    REFUSED((p.metrics[0].type = SCALE_UTILIZATION, p.metrics[0].target = 1001),
            "averageUtilization");
    REFUSED(p.up.window_s = 3601, "behavior.scaleUp.stabilizationWindowSeconds");
    REFUSED(p.down.window_s = 3601, "behavior.scaleDown.stabilizationWindowSeconds");
    REFUSED(p.up.tolerance = -0.01, "behavior.scaleUp.tolerance");
    REFUSED(p.down.tolerance = NAN, "behavior.scaleDown.tolerance");
    REFUSED(p.up.step_count = 0, "behavior.scaleUp.policies");
    REFUSED(p.up.steps[1].value = 0, "behavior.scaleUp.policies[1].value");
    REFUSED(p.down.steps[0].period_s = 1801, "behavior.scaleDown.policies[0].periodSeconds");
    REFUSED(p.down.steps[0].period_s = 0, "behavior.scaleDown.policies[0].periodSeconds");
    REFUSED(p.panic.stable_window_s = 3601, "panic.stableWindowSeconds");
    REFUSED(p.panic.window_percent = 0, "panic.windowPercentage");
    REFUSED(p.panic.window_percent = 101, "panic.windowPercentage");
    REFUSED(p.panic.threshold_percent = 100, "panic.thresholdPercentage");
}
