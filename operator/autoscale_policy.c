#include "operator/autoscale_policy.h"

#include <math.h>

#include "spec/quantity.h"

static int64_t quantity_milli(const json_t *quantity)
{
    const char *text = json_string_value(quantity);
    double value;
    return text && quantity_parse(text, &value, NULL) == 0 ? (int64_t)llround(value * 1000) : 0;
}

int64_t autoscale_cpu_milli(const struct dpuservice *service)
{
    int64_t request = quantity_milli(json_object_get(service->resource_requests, "cpu"));
    return request ? request : quantity_milli(json_object_get(service->resource_limits, "cpu"));
}

static struct scale_metric metric_of(const struct autoscaling_metric *asked)
{
    static const enum scale_signal signals[AUTOSCALING_SIGNALS] = {
        [AUTOSCALING_REQUESTS_PER_SECOND] = SCALE_REQUESTS_PER_SECOND,
        [AUTOSCALING_IN_FLIGHT] = SCALE_IN_FLIGHT,
        [AUTOSCALING_QUEUE_OCCUPANCY] = SCALE_QUEUE_OCCUPANCY,
        [AUTOSCALING_CPU] = SCALE_CPU,
        [AUTOSCALING_DPU_UTILIZATION] = SCALE_DPU_UTILIZATION,
    };
    bool value = asked->target == AUTOSCALING_VALUE;
    return (struct scale_metric){.signal = signals[asked->signal],
                                 .type = value ? SCALE_AVERAGE_VALUE : SCALE_UTILIZATION,
                                 .target = value ? quantity_milli(asked->average_value)
                                                 : (int64_t)asked->average_utilization};
}

/* Over the defaults that stand in *rules. */
static void set_rules(const struct autoscaling_rules *asked, struct scale_rules *rules)
{
    static const enum scale_select selects[] = {[AUTOSCALING_MAX] = SCALE_SELECT_MAX,
                                                [AUTOSCALING_MIN] = SCALE_SELECT_MIN,
                                                [AUTOSCALING_DISABLED] = SCALE_SELECT_DISABLED};
    rules->window_s = asked->window_s;
    rules->select = selects[asked->select];
    if (asked->tolerance_given)
        rules->tolerance = asked->tolerance;
    if (asked->step_count == 0)
        return;
    rules->step_count = asked->step_count;
    for (size_t i = 0; i < asked->step_count && i < SCALE_STEPS_MAX; i++)
        rules->steps[i] = (struct scale_step){
            .type = asked->steps[i].type == AUTOSCALING_PODS ? SCALE_PODS : SCALE_PERCENT,
            .value = (int32_t)asked->steps[i].value,
            .period_s = asked->steps[i].period_s};
}

int autoscale_policy_make(const struct dpuservice *service, struct scale_policy *ret_policy,
                          struct error **err)
{
    const struct autoscaling_settings *asked = &service->autoscaling;
    struct scale_policy policy;
    scale_policy_default(&policy);
    policy.min_replicas = (int32_t)asked->min_replicas;
    policy.max_replicas = (int32_t)asked->max_replicas;
    for (size_t i = 0; i < asked->metric_count && i < SCALE_METRICS_MAX; i++)
        policy.metrics[policy.metric_count++] = metric_of(&asked->metrics[i]);
    if (asked->metric_count == 0)
        policy.metrics[policy.metric_count++] = (struct scale_metric){
            .signal = SCALE_CPU, .type = SCALE_UTILIZATION, .target = asked->target_cpu_percent};
    if (asked->behavior_given) {
        set_rules(&asked->up, &policy.up);
        set_rules(&asked->down, &policy.down);
    }
    policy.panic = (struct scale_panic_rules){.stable_window_s = asked->panic.stable_window_s,
                                              .window_percent = asked->panic.window_percent,
                                              .threshold_percent = asked->panic.threshold_percent};
    int bad = scale_policy_check(&policy, err);
    if (bad == 0)
        *ret_policy = policy;
    return bad;
}
