#include "scale/policy.h"

#include <errno.h>
#include <math.h>

#include "base/clock.h"

void scale_policy_default(struct scale_policy *policy)
{
    *policy = (struct scale_policy){
        .min_replicas = 1,
        .up = {.window_s = 0,
               .tolerance = 0.1,
               .step_count = 2,
               .steps = {{.type = SCALE_PODS, .value = 4, .period_s = 15},
                         {.type = SCALE_PERCENT, .value = 100, .period_s = 15}}},
        .down = {.window_s = 300,
                 .tolerance = 0.1,
                 .step_count = 1,
                 .steps = {{.type = SCALE_PERCENT, .value = 100, .period_s = 15}}},
        .panic = {.stable_window_s = 60, .window_percent = 10, .threshold_percent = 200},
    };
}

static int check_metrics(const struct scale_policy *policy, struct error **err)
{
    if (policy->metric_count == 0 || policy->metric_count > SCALE_METRICS_MAX)
        return error_make(err, EINVAL, "metrics: %zu given; give 1 to %d", policy->metric_count,
                          SCALE_METRICS_MAX);
    for (size_t i = 0; i < policy->metric_count; i++) {
        const struct scale_metric *metric = &policy->metrics[i];
        if ((unsigned)metric->signal >= SCALE_SIGNALS)
            return error_make(err, EINVAL, "metrics[%zu]: no signal of ours", i);
        if (metric->target < 1 || metric->target > SCALE_TARGET_MAX_MILLI)
            return error_make(err, EINVAL, "metrics[%zu].target: give a value above 0", i);
        if (metric->type == SCALE_UTILIZATION && metric->target > SCALE_TARGET_MAX_PERCENT)
            return error_make(err, EINVAL,
                              "metrics[%zu].target.averageUtilization: give 1 to %d percent", i,
                              SCALE_TARGET_MAX_PERCENT);
    }
    return 0;
}

static int check_rules(const char *name, const struct scale_rules *rules, struct error **err)
{
    if (rules->window_s > SCALE_WINDOW_MAX_S)
        return error_make(err, EINVAL,
                          "behavior.%s.stabilizationWindowSeconds: %u is too long; give 0 to %d",
                          name, rules->window_s, SCALE_WINDOW_MAX_S);
    if (!isfinite(rules->tolerance) || rules->tolerance < 0)
        return error_make(err, EINVAL, "behavior.%s.tolerance: give 0 or more", name);
    if (rules->step_count == 0 || rules->step_count > SCALE_STEPS_MAX)
        return error_make(err, EINVAL, "behavior.%s.policies: %zu given; give 1 to %d", name,
                          rules->step_count, SCALE_STEPS_MAX);
    for (size_t i = 0; i < rules->step_count; i++) {
        const struct scale_step *step = &rules->steps[i];
        if (step->value < 1 || step->value > SCALE_STEP_VALUE_MAX)
            return error_make(err, EINVAL, "behavior.%s.policies[%zu].value: give 1 to %d", name, i,
                              SCALE_STEP_VALUE_MAX);
        if (step->period_s < 1 || step->period_s > SCALE_PERIOD_MAX_S)
            return error_make(err, EINVAL, "behavior.%s.policies[%zu].periodSeconds: give 1 to %d",
                              name, i, SCALE_PERIOD_MAX_S);
    }
    return 0;
}

static int check_panic(const struct scale_panic_rules *rules, struct error **err)
{
    if (rules->stable_window_s == 0)
        return 0;
    if (rules->stable_window_s > SCALE_WINDOW_MAX_S)
        return error_make(err, EINVAL, "panic.stableWindowSeconds: %u is too long; give 0 to %d",
                          rules->stable_window_s, SCALE_WINDOW_MAX_S);
    if (rules->window_percent < 1 || rules->window_percent > 100)
        return error_make(err, EINVAL, "panic.windowPercentage: give 1 to 100");
    if (rules->threshold_percent <= 100)
        return error_make(err, EINVAL,
                          "panic.thresholdPercentage: give more than 100; at 100 every service "
                          "that has as many replicas as it needs would be in panic");
    return 0;
}

int scale_policy_check(const struct scale_policy *policy, struct error **err)
{
    int r;

    if (policy->min_replicas < 1)
        return error_make(
            err, EINVAL,
            "minReplicas: scale to zero is refused: with no replica nobody is left to "
            "measure, and nothing would start the first one again; give 1 or more");
    if (policy->max_replicas > SCALE_REPLICAS_MAX)
        return error_make(err, EINVAL, "maxReplicas: %d is too many; give 1 to %d",
                          policy->max_replicas, SCALE_REPLICAS_MAX);
    if (policy->min_replicas > policy->max_replicas)
        return error_make(err, EINVAL,
                          "minReplicas: %d is above maxReplicas, which is %d; lower it",
                          policy->min_replicas, policy->max_replicas);
    if ((r = check_metrics(policy, err)) < 0 ||
        (r = check_rules("scaleUp", &policy->up, err)) < 0 ||
        (r = check_rules("scaleDown", &policy->down, err)) < 0)
        return r;
    return check_panic(&policy->panic, err);
}

const char *scale_signal_name(enum scale_signal signal)
{
    static const char *const names[SCALE_SIGNALS] = {
        [SCALE_REQUESTS_PER_SECOND] = "requestsPerSecond", [SCALE_IN_FLIGHT] = "inFlight",
        [SCALE_QUEUE_OCCUPANCY] = "queueOccupancy",        [SCALE_CPU] = "cpu",
        [SCALE_DPU_UTILIZATION] = "dpuUtilization",
    };
    return names[signal];
}

uint64_t scale_panic_window_ns(const struct scale_panic_rules *rules)
{
    uint64_t seconds = ((uint64_t)rules->stable_window_s * rules->window_percent + 50) / 100;
    return (seconds > 0 ? seconds : 1) * NS_PER_S;
}
