/*
 * What the autoscaler is told: which signals, their targets, and how fast it may go. The names are
 * those of a HorizontalPodAutoscaler's spec (autoscaling/v2), and mean the same.
 *
 *     struct scale_policy policy;
 *     scale_policy_default(&policy);
 *     policy.max_replicas = 10;
 *     policy.metrics[policy.metric_count++] = (struct scale_metric){...};
 *     if (scale_policy_check(&policy, &err) < 0)
 *         ...
 *
 * Plain memory that owns nothing; any thread may read it.
 */
#ifndef DPUMESH_SCALE_POLICY_H
#define DPUMESH_SCALE_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define SCALE_REPLICAS_MAX   1000 /* of maxReplicas, as in a DpuService */
#define SCALE_METRICS_MAX    8
#define SCALE_STEPS_MAX      8      /* policies of a direction */
#define SCALE_WINDOW_MAX_S   3600   /* HPA's MaxStabilizationWindowSeconds */
#define SCALE_PERIOD_MAX_S   1800   /* HPA's MaxPeriodSeconds */
#define SCALE_STEP_VALUE_MAX 100000 /* replicas or percent */
#define SCALE_TARGET_MAX_MILLI                                                                     \
    INT64_C(1000000000000) /* of a target and of a figure, thousandths                             \
                            */
#define SCALE_TARGET_MAX_PERCENT 1000

/* What is measured of a pod. */
enum scale_signal {
    SCALE_REQUESTS_PER_SECOND,
    SCALE_IN_FLIGHT,       /* requests received and not answered yet */
    SCALE_QUEUE_OCCUPANCY, /* descriptors in the ingress submission queue, of its capacity */
    SCALE_CPU,             /* processors in use, of the request */
    SCALE_DPU_UTILIZATION, /* time that the DPU is busy, of all time */
    SCALE_SIGNALS
};

enum scale_target_type {
    SCALE_AVERAGE_VALUE, /* the mean of the pods' figures */
    SCALE_UTILIZATION,   /* the sum of the figures in percent of the sum of what each is of */
};

struct scale_metric {
    enum scale_signal signal;
    enum scale_target_type type;
    int64_t target; /* AverageValue: thousandths, as Kubernetes' quantities; Utilization: percent */
};

enum scale_select {
    SCALE_SELECT_MAX,      /* the step that changes most */
    SCALE_SELECT_MIN,      /* the step that changes least */
    SCALE_SELECT_DISABLED, /* never in this direction */
};

/* behavior.scaleUp.policies[i]: at most so much in so long. */
struct scale_step {
    enum { SCALE_PODS, SCALE_PERCENT } type;
    int32_t value;     /* replicas, or percent of those at the start of the period */
    uint32_t period_s; /* 1 to SCALE_PERIOD_MAX_S */
};

/* behavior.scaleUp and behavior.scaleDown */
struct scale_rules {
    uint32_t window_s; /* stabilizationWindowSeconds */
    enum scale_select select;
    double tolerance; /* a ratio of measured to target nearer to 1 than this is as good as 1 */
    size_t step_count;
    struct scale_step steps[SCALE_STEPS_MAX];
};

/* Knative's panic mode. */
struct scale_panic_rules {
    uint32_t stable_window_s;   /* how long it lasts after the last burst; 0: no panic mode */
    uint32_t window_percent;    /* of stable_window_s: how long load is averaged over, 1 to 100 */
    uint32_t threshold_percent; /* of what the ready replicas are to bear: panic from there on */
};

struct scale_policy {
    int32_t min_replicas, max_replicas;
    size_t metric_count;
    struct scale_metric metrics[SCALE_METRICS_MAX];
    struct scale_rules up, down;
    struct scale_panic_rules panic;
    uint64_t figure_age_ns; /* an older figure is unknown; 0: none is too old */
};

/*
 * Fills in what is not given: minReplicas 1, tolerances and behaviour as HPA has them, panic mode
 * as Knative has it. maxReplicas and the metrics are left for the caller.
 * Sources: k8s.io/kubernetes v1.34 pkg/apis/autoscaling/v2/defaults.go (steps, windows),
 * pkg/controller/podautoscaler/config/v1alpha1/defaults.go (tolerance 0.1, scale-down window 300
 * s); knative.dev/serving config/core/configmaps/autoscaler.yaml (60 s, 10 and 200 percent).
 */
void scale_policy_default(struct scale_policy *policy);

/*
 * Whether the algorithm can follow the policy: bounds as HPA's validation has them. 0, or -EINVAL
 * and a sentence that names the field. Scale to zero (minReplicas 0) is refused: with no replica
 * there is nobody left to measure, and so nothing that would start the first one again.
 */
int scale_policy_check(const struct scale_policy *policy, struct error **err);

/* The name of a signal, as documents have it: "requestsPerSecond". */
const char *scale_signal_name(enum scale_signal signal);

/* The panic window in ns: a part of the stable window in whole seconds, at least one. Source:
 * Knative's autoscaler.yaml, panic-window-percentage. */
uint64_t scale_panic_window_ns(const struct scale_panic_rules *rules);

#endif
