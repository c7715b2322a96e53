/* The HorizontalPodAutoscaler of a DpuService with engine hpa. */
#include <stdio.h>

#include "spec/children_private.h"
#include "spec/quantity.h"

/*
 * What a signal is called as a metric of pods. Whoever serves custom.metrics.k8s.io (such as
 * prometheus-adapter) must serve it under this name; docs/autoscaling.md has the rules for it.
 */
static const char *const pods_metrics[AUTOSCALING_SIGNALS] = {
    [AUTOSCALING_REQUESTS_PER_SECOND] = "dpumesh_requests_per_second",
    [AUTOSCALING_IN_FLIGHT] = "dpumesh_requests_in_flight",
    [AUTOSCALING_QUEUE_OCCUPANCY] = "dpumesh_queue_occupancy",
    [AUTOSCALING_CPU] = NULL,
    [AUTOSCALING_DPU_UTILIZATION] = "dpumesh_dpu_utilization",
};

static json_t *utilization_target(unsigned percent)
{
    return json_pack("{s:s, s:I}", "type", "Utilization", "averageUtilization",
                     (json_int_t)percent);
}

/* In the form in which the API server keeps it, so that it is not taken for drift. */
static json_t *value_target(const char *quantity)
{
    char text[QUANTITY_TEXT_MAX];
    bool known = quantity_canonical(quantity, text, NULL) == 0;
    return json_pack("{s:s, s:s}", "type", "AverageValue", "averageValue", known ? text : quantity);
}

static json_t *target_of(const struct autoscaling_metric *metric)
{
    char part[QUANTITY_TEXT_MAX];
    if (metric->target == AUTOSCALING_VALUE)
        return value_target(json_string_value(metric->average_value));
    if (metric->signal == AUTOSCALING_CPU)
        return utilization_target(metric->average_utilization);
    /* A metric of pods has no request that it could be a part of: 50 percent are 500m. */
    snprintf(part, sizeof part, "%um", metric->average_utilization * 10);
    return value_target(part);
}

static json_t *resource_metric(json_t *target)
{
    return json_pack("{s:s, s:{s:s, s:o}}", "type", "Resource", "resource", "name", "cpu", "target",
                     target);
}

static json_t *metric_of(const struct autoscaling_metric *metric)
{
    if (metric->signal == AUTOSCALING_CPU)
        return resource_metric(target_of(metric));
    return json_pack("{s:s, s:{s:{s:s}, s:o}}", "type", "Pods", "pods", "metric", "name",
                     pods_metrics[metric->signal], "target", target_of(metric));
}

/* Written out in full: what the API server would fill in is then no difference. */
static json_t *rules_of(const struct autoscaling_rules *rules, bool up)
{
    static const char *const selects[] = {"Max", "Min", "Disabled"};
    static const char *const types[] = {"Pods", "Percent"};
    static const struct autoscaling_step defaults[] = {{AUTOSCALING_PODS, 4, 15},
                                                       {AUTOSCALING_PERCENT, 100, 15}};
    const struct autoscaling_step *steps = rules->steps;
    size_t count = rules->step_count;
    json_t *policies = json_array();

    if (count == 0) {
        steps = up ? defaults : &defaults[1];
        count = up ? 2 : 1;
    }
    for (size_t i = 0; i < count; i++)
        json_array_append_new(policies, json_pack("{s:s, s:I, s:I}", "type", types[steps[i].type],
                                                  "value", (json_int_t)steps[i].value,
                                                  "periodSeconds", (json_int_t)steps[i].period_s));
    return json_pack("{s:I, s:s, s:o}", "stabilizationWindowSeconds", (json_int_t)rules->window_s,
                     "selectPolicy", selects[rules->select], "policies", policies);
}

json_t *child_autoscaler_spec(const struct dpuservice *service, struct buffer *owns)
{
    const struct autoscaling_settings *scaling = &service->autoscaling;
    json_t *target = json_pack("{s:s, s:s, s:s}", "apiVersion", DPUSERVICE_API_VERSION, "kind",
                               DPUSERVICE_KIND, "name", service->name);
    json_t *metrics = json_array();

    for (size_t i = 0; i < scaling->metric_count; i++)
        json_array_append_new(metrics, metric_of(&scaling->metrics[i]));
    if (scaling->metric_count == 0)
        json_array_append_new(metrics,
                              resource_metric(utilization_target(scaling->target_cpu_percent)));
    json_t *spec = json_pack("{s:o, s:I, s:I, s:o}", "scaleTargetRef", target, "minReplicas",
                             (json_int_t)scaling->min_replicas, "maxReplicas",
                             (json_int_t)scaling->max_replicas, "metrics", metrics);
    if (scaling->behavior_given) {
        json_object_set_new(spec, "behavior",
                            json_pack("{s:o, s:o}", "scaleUp", rules_of(&scaling->up, true),
                                      "scaleDown", rules_of(&scaling->down, false)));
        child_owns(owns, "behavior", NULL);
    }
    return spec;
}
