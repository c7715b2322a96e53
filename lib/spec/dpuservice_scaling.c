/* The tables of spec.autoscaling. Bounds are those of a HorizontalPodAutoscaler (autoscaling/v2).
 */
#include "spec/dpuservice_private.h"

enum {
    METRICS_MAX = 8,
    STEPS_MAX = 8,
    STEP_VALUE_MAX = 100000,
    PERIOD_MAX_S = 1800,
    WINDOW_MAX_S = 3600,
    DOWN_WINDOW_S = 300, /* HPA's --horizontal-pod-autoscaler-downscale-stabilization */
    UTILIZATION_MAX = 1000,
};

static const char *const engines[] = {"builtin", "hpa", NULL};

/* metrics */

static const char *const signals[] = {
    [AUTOSCALING_REQUESTS_PER_SECOND] = "requestsPerSecond", [AUTOSCALING_IN_FLIGHT] = "inFlight",
    [AUTOSCALING_QUEUE_OCCUPANCY] = "queueOccupancy",        [AUTOSCALING_CPU] = "cpu",
    [AUTOSCALING_DPU_UTILIZATION] = "dpuUtilization",        [AUTOSCALING_SIGNALS] = NULL,
};

/* Requests have no 100 percent, and a part of a whole has no value of its own. */
static void check_target(const void *record, json_t *object, const struct place *place,
                         struct problems *problems)
{
    const struct autoscaling_metric *metric = record;
    bool counts = metric->signal == AUTOSCALING_REQUESTS_PER_SECOND ||
                  metric->signal == AUTOSCALING_IN_FLIGHT;

    (void)object;
    if (counts && metric->target == AUTOSCALING_UTILIZATION)
        place_problem(place, problems, "%s is a number, not a part of something; give averageValue",
                      signals[metric->signal]);
    else if (!counts && metric->signal != AUTOSCALING_CPU && metric->target == AUTOSCALING_VALUE)
        place_problem(place, problems, "%s is a part of a whole; give averageUtilization",
                      signals[metric->signal]);
}

static const struct field metric_fields[] = {
    {.name = "signal",
     .type = FIELD_ENUM,
     FIELD_AT(struct autoscaling_metric, signal),
     .flags = FIELD_REQUIRED,
     .names = signals,
     .help = "What is measured of each replica: requests a second; requests received and not "
             "answered yet; how full the ingress submission queue is; processor use, of "
             "resources.requests.cpu; how busy the DPU is."},
    {.name = "averageValue",
     .type = FIELD_QUANTITY,
     FIELD_AT(struct autoscaling_metric, average_value),
     .choice = AUTOSCALING_VALUE,
     .min = 0.001,
     .max = 1e9,
     .help = "The mean that replicas are kept at: `100`, or processors as `500m`. For "
             "requestsPerSecond, inFlight and cpu."},
    {.name = "averageUtilization",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct autoscaling_metric, average_utilization),
     .choice = AUTOSCALING_UTILIZATION,
     .min = 1,
     .max = UTILIZATION_MAX,
     .help = "The mean that replicas are kept at, in percent. For cpu, queueOccupancy and "
             "dpuUtilization."},
};

static const struct record_check metric_checks[] = {
    {.run = check_target,
     .reads = {"signal"},
     .rule = "self.signal == 'cpu' || (self.signal in ['requestsPerSecond', 'inFlight'] ? "
             "!has(self.averageUtilization) : !has(self.averageValue))",
     .sentence = "requestsPerSecond and inFlight take averageValue, queueOccupancy and "
                 "dpuUtilization take averageUtilization"},
};

static const struct record metric_record = {
    FIELDS(metric_fields), CHECKS(metric_checks), .size = sizeof(struct autoscaling_metric),
    .choice = true, .chosen = offsetof(struct autoscaling_metric, target)};

/* behavior */

static const char *const step_types[] = {"Pods", "Percent", NULL};
static const char *const selects[] = {"Max", "Min", "Disabled", NULL};

static const struct field step_fields[] = {
    {.name = "type",
     .type = FIELD_ENUM,
     FIELD_AT(struct autoscaling_step, type),
     .flags = FIELD_REQUIRED,
     .names = step_types,
     .help = "What value counts."},
    {.name = "value",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct autoscaling_step, value),
     .flags = FIELD_REQUIRED,
     .example = "4",
     .min = 1,
     .max = STEP_VALUE_MAX,
     .help = "Replicas, or percent of those there were at the start of the period, by which the "
             "number may change."},
    {.name = "periodSeconds",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct autoscaling_step, period_s),
     .flags = FIELD_REQUIRED,
     .example = "15",
     .min = 1,
     .max = PERIOD_MAX_S,
     .help = "In how long."},
};
static const struct record step_record = {FIELDS(step_fields),
                                          .size = sizeof(struct autoscaling_step)};

/* The fields of a direction. */
#define RULES_FIELDS(window_, window_help_, steps_)                                                \
    {.name = "stabilizationWindowSeconds",                                                         \
     .type = FIELD_UNSIGNED,                                                                       \
     FIELD_AT(struct autoscaling_rules, window_s),                                                 \
     .fallback = (window_),                                                                        \
     .max = WINDOW_MAX_S,                                                                          \
     .help = (window_help_)},                                                                      \
        {.name = "selectPolicy",                                                                   \
         .type = FIELD_ENUM,                                                                       \
         FIELD_AT(struct autoscaling_rules, select),                                               \
         .names = selects,                                                                         \
         .fallback = "Max",                                                                        \
         .help = "Which of the policies counts: the one that allows the largest change, or the "   \
                 "smallest; `Disabled` allows none in this direction."},                           \
        {.name = "policies",                                                                       \
         .type = FIELD_RECORDS,                                                                    \
         FIELD_AT(struct autoscaling_rules, steps),                                                \
         .other = offsetof(struct autoscaling_rules, step_count),                                  \
         .min = 1,                                                                                 \
         .max = STEPS_MAX,                                                                         \
         .record = &step_record,                                                                   \
         .unset = (steps_),                                                                        \
         .help = "How far the number may change in how long."},                                    \
    {                                                                                              \
        .name = "tolerance", .type = FIELD_NUMBER, FIELD_AT(struct autoscaling_rules, tolerance),  \
        .flags = FIELD_OPTIONAL, .given = offsetof(struct autoscaling_rules, tolerance_given),     \
        .max = 1, .unset = "0.1",                                                                  \
        .help = "How far what is measured may be from its target, as a part of it, before "        \
                "anything is done. With engine builtin alone."                                     \
    }

static const struct field up_fields[] = {
    RULES_FIELDS("0", "The lowest recommendation of so long counts.",
                 "4 replicas or 100 percent in 15 seconds, whichever is more"),
};
static const struct field down_fields[] = {
    RULES_FIELDS("300", "The highest recommendation of so long counts.",
                 "100 percent in 15 seconds"),
};
static const struct record up_record = {FIELDS(up_fields),
                                        .size = sizeof(struct autoscaling_rules)};
static const struct record down_record = {FIELDS(down_fields),
                                          .size = sizeof(struct autoscaling_rules)};

static const struct field behavior_fields[] = {
    {.name = "scaleUp",
     .type = FIELD_RECORD,
     FIELD_AT(struct autoscaling_settings, up),
     .record = &up_record,
     .help = "How fast replicas are added."},
    {.name = "scaleDown",
     .type = FIELD_RECORD,
     FIELD_AT(struct autoscaling_settings, down),
     .record = &down_record,
     .help = "How fast replicas are taken away."},
};
static const struct record behavior_record = {FIELDS(behavior_fields),
                                              .size = sizeof(struct autoscaling_settings)};

/* panic */

static const struct field panic_fields[] = {
    {.name = "stableWindowSeconds",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct autoscaling_settings, panic.stable_window_s),
     .fallback = "60",
     .max = WINDOW_MAX_S,
     .help = "How long panic lasts after the last look that was at the threshold; `0`: no panic "
             "mode."},
    {.name = "windowPercent",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct autoscaling_settings, panic.window_percent),
     .fallback = "10",
     .min = 1,
     .max = 100,
     .help = "Over how much of the stable window load is averaged."},
    {.name = "thresholdPercent",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct autoscaling_settings, panic.threshold_percent),
     .fallback = "200",
     .min = 110,
     .max = UTILIZATION_MAX,
     .help = "Panic begins when load is this much of what the ready replicas are to bear."},
};
static const struct record panic_record = {FIELDS(panic_fields),
                                           .size = sizeof(struct autoscaling_settings)};

/* autoscaling */

static void check_replicas(const void *record, json_t *object, const struct place *place,
                           struct problems *problems)
{
    const struct autoscaling_settings *scaling = record;
    struct place min = PLACE_KEY(place, "minReplicas");

    (void)object;
    if (scaling->max_replicas > 0 && scaling->min_replicas > scaling->max_replicas)
        place_problem(&min, problems, "%u is above maxReplicas, which is %u; lower it",
                      scaling->min_replicas, scaling->max_replicas);
}

#define TOLERANCE_SENTENCE                                                                         \
    "a HorizontalPodAutoscaler keeps none unless a feature gate of the cluster is on; remove it, " \
    "or use engine builtin"

static void check_tolerance(const void *record, json_t *object, const struct place *place,
                            struct problems *problems)
{
    const struct autoscaling_settings *scaling = record;
    const struct autoscaling_rules *const rules[] = {&scaling->up, &scaling->down};
    struct place behavior = PLACE_KEY(place, "behavior");

    (void)object;
    for (size_t i = 0; i < 2; i++) {
        struct place at = PLACE_KEY(&behavior, behavior_fields[i].name);
        struct place tolerance = PLACE_KEY(&at, "tolerance");
        if (scaling->engine == AUTOSCALING_HPA && rules[i]->tolerance_given)
            place_problem(&tolerance, problems, TOLERANCE_SENTENCE);
    }
}

/* What an absent behavior means. */
static void finish_scaling(void *record, json_t *object)
{
    struct autoscaling_settings *scaling = record;
    (void)object;
    if (!scaling->behavior_given)
        scaling->down.window_s = DOWN_WINDOW_S;
}

static const struct field autoscaling_fields[] = {
    {.name = "engine",
     .type = FIELD_ENUM,
     FIELD_AT(struct autoscaling_settings, engine),
     .flags = FIELD_SELECTS,
     .names = engines,
     .fallback = "builtin",
     .help = "Who decides: `builtin`, the operator, from what the agents' own metrics say; `hpa`, "
             "a HorizontalPodAutoscaler that is made. Both set spec.replicas."},
    {.name = "minReplicas",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct autoscaling_settings, min_replicas),
     .fallback = "1",
     .min = 1,
     .max = 1000,
     .help = "The fewest replicas; not 0, because with no replica nobody is left to measure. "
             "`replicas: 0` stops the service, and the autoscaler with it."},
    {.name = "maxReplicas",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct autoscaling_settings, max_replicas),
     .flags = FIELD_REQUIRED,
     .example = "10",
     .min = 1,
     .max = 1000,
     .help = "The most replicas."},
    {.name = "targetCPUUtilization",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct autoscaling_settings, target_cpu_percent),
     .fallback = "80",
     .min = 1,
     .max = UTILIZATION_MAX,
     .help = "Processor use, in percent of resources.requests.cpu, that the replicas are kept at "
             "in the mean. Counts where no metrics are given."},
    {.name = "metrics",
     .type = FIELD_RECORDS,
     FIELD_AT(struct autoscaling_settings, metrics),
     .other = offsetof(struct autoscaling_settings, metric_count),
     .min = 1,
     .max = METRICS_MAX,
     .record = &metric_record,
     .unset = "cpu, targetCPUUtilization",
     .help = "What is measured, and where it is kept; the metric that asks for most replicas "
             "counts."},
    {.name = "behavior",
     .type = FIELD_RECORD,
     .flags = FIELD_OPTIONAL,
     .given = offsetof(struct autoscaling_settings, behavior_given),
     .record = &behavior_record,
     .unset = "as a HorizontalPodAutoscaler has it",
     .help = "How fast the number may change: a HorizontalPodAutoscaler's words."},
    {.name = "panic",
     .type = FIELD_RECORD,
     .only_with = FIELD_BIT(AUTOSCALING_BUILTIN),
     .record = &panic_record,
     .help = "Bursts are answered at once, past windows and policies, as Knative's panic mode "
             "does."},
};

static const struct record_check autoscaling_checks[] = {
    {.run = check_replicas,
     .reads = {"minReplicas", "maxReplicas"},
     .rule = "self.minReplicas <= self.maxReplicas",
     .at = ".minReplicas",
     .sentence = "it is above maxReplicas; lower it",
     .says = "'%d is above maxReplicas, which is %d; lower it'.format([self.minReplicas, "
             "self.maxReplicas])"},
    {.run = check_tolerance,
     .reads = {"engine", "behavior"},
     .rule = "self.engine != 'hpa' || !has(self.behavior) || "
             "!((has(self.behavior.scaleUp) && has(self.behavior.scaleUp.tolerance)) || "
             "(has(self.behavior.scaleDown) && has(self.behavior.scaleDown.tolerance)))",
     .at = ".behavior",
     .sentence = "tolerance: " TOLERANCE_SENTENCE},
};
const struct record autoscaling_record = {FIELDS(autoscaling_fields), CHECKS(autoscaling_checks),
                                          .size = sizeof(struct autoscaling_settings),
                                          .finish = finish_scaling};

void check_autoscaled_dpu(const void *record, json_t *object, const struct place *place,
                          struct problems *problems)
{
    const struct dpuservice *service = record;
    const struct autoscaling_settings *scaling = &service->autoscaling;
    struct place autoscaling = PLACE_KEY(place, "autoscaling");
    struct place metrics = PLACE_KEY(&autoscaling, "metrics");

    (void)object;
    if (!scaling->given || service->datapath.mode == DATAPATH_DPU)
        return;
    for (size_t i = 0; i < scaling->metric_count; i++) {
        struct place at = PLACE_INDEX(&metrics, i);
        if (scaling->metrics[i].signal == AUTOSCALING_DPU_UTILIZATION)
            place_problem(&at, problems, AUTOSCALED_DPU_SENTENCE);
    }
}

void check_autoscaled_cpu(const void *record, json_t *object, const struct place *place,
                          struct problems *problems)
{
    const struct dpuservice *service = record;
    const struct autoscaling_settings *scaling = &service->autoscaling;
    struct place resources = PLACE_KEY(place, "resources");
    struct place requests = PLACE_KEY(&resources, "requests"), cpu = PLACE_KEY(&requests, "cpu");
    bool measured = scaling->metric_count == 0;

    (void)object;
    for (size_t i = 0; i < scaling->metric_count; i++)
        measured |= scaling->metrics[i].signal == AUTOSCALING_CPU &&
                    scaling->metrics[i].target == AUTOSCALING_UTILIZATION;
    /* A limit is the request too, when no request is given. */
    if (scaling->given && measured && !json_object_get(service->resource_requests, "cpu") &&
        !json_object_get(service->resource_limits, "cpu"))
        place_problem(&cpu, problems,
                      "missing; autoscaling measures use against it: give a value such as 100m");
}
