/*
 * One metric's opinion: how many replicas its target asks for, given what is known of the pods.
 * Pure. Any thread.
 */
#ifndef DPUMESH_SCALE_PROPOSE_H
#define DPUMESH_SCALE_PROPOSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "scale/policy.h"

/* More pods than this are not looked at: so many figures can be added up in 64 bits. */
#define SCALE_PODS_MAX 4096

enum scale_phase {
    SCALE_POD_PENDING,  /* not started yet: what it would say counts for nothing */
    SCALE_POD_STARTING, /* started, not ready yet */
    SCALE_POD_READY,
};

struct scale_figure {
    bool known;
    int64_t value_milli; /* thousandths: of a request, of a processor, of a second a second */
    int64_t of_milli;    /* what 100 percent is, where the target is Utilization. May be given
                            though value is unknown; 0: not known, the other pods' mean is taken */
    uint64_t at_ns;      /* when it was measured */
};

/* A pod that is going (deleted, failed) is none: leave it out. */
struct scale_pod {
    enum scale_phase phase;
    struct scale_figure figures[SCALE_SIGNALS];
};

struct scale_input {
    int32_t current; /* replicas asked for now */
    size_t pod_count;
    const struct scale_pod *pods; /* borrowed */
    uint64_t now_ns;              /* of a clock that never goes back */
};

struct scale_proposal {
    int32_t replicas;
    int64_t measured;   /* as the target is: thousandths or percent; of the pods in `counted` */
    double ratio;       /* measured / target */
    double final_ratio; /* with missing and unready pods filled in */
    double worth;       /* how many replicas at target would bear what the counted pods bear */
    unsigned counted, missing, unready; /* pods: with a figure, without one, not ready */
};

/*
 * How many replicas this metric asks for. Returns 0 and *ret_proposal, or -ENODATA when no ready
 * pod has a figure (that is not an opinion, least of all "none").
 *
 * Source: k8s.io/kubernetes v1.34 pkg/controller/podautoscaler/replica_calculator.go,
 * calcPlainMetricReplicas() and GetResourceReplicas(), with the integers of metrics/utilization.go:
 * replicas = ceil(ratio * pods), current within the tolerance. When a pod's figure is missing, it
 * is taken as the target's (100 percent of what it is of, when a utilization's target is lower)
 * where the others ask for fewer, and as 0 where they ask for more; unready pods count as 0 where
 * the others ask for more, else not at all. What would turn the direction by that is no change.
 * One difference: HPA asks about readiness for cpu alone, we for each signal, because an agent that
 * is not ready gets no requests.
 */
int scale_propose(const struct scale_policy *policy, const struct scale_metric *metric,
                  const struct scale_input *input, struct scale_proposal *ret_proposal);

/* The number of replicas next above a real one, at most INT32_MAX. */
int32_t scale_ceil(double replicas);

#endif
