/*
 * The autoscaler: from what is measured of the pods to how many replicas there should be, and why.
 * Pure: no I/O, no clock, no threads. It computes what Kubernetes' HorizontalPodAutoscaler would,
 * and has Knative's panic mode for bursts.
 *
 *     struct scale_state state = {.started = false};        one for each DpuService
 *     every few seconds:
 *         struct scale_decision decision;
 *         scale_decide(&state, &policy, &input, &decision);
 *         if (decision.desired != input.current && set_replicas(decision.desired) == 0)
 *             scale_applied(&state, &policy, input.current, decision.desired, input.now_ns);
 *         scale_decision_free(&decision);
 *     scale_state_free(&state);
 *
 * A state belongs to one thread at a time and owns its memory: at most 16 bytes for each count
 * between 0 and maxReplicas, twice, and 16 for each of SCALE_CHANGES_MAX changes, twice. What it
 * remembers may be lost (the operator is killed): it then starts as HPA does, with the current
 * count as the one recommendation, so nothing is taken away for a stabilisation window.
 */
#ifndef DPUMESH_SCALE_DECIDE_H
#define DPUMESH_SCALE_DECIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "scale/history.h"
#include "scale/panic.h"
#include "scale/policy.h"
#include "scale/propose.h"

struct scale_state {
    bool started;
    struct scale_points highest, lowest; /* recommendations */
    struct scale_points ups, downs;      /* changes made */
    struct scale_panic panic;
};

/* Why the count is what it is; HPA's words, where it has one. */
enum scale_reason {
    SCALE_WITHIN_RANGE,    /* what the metrics ask for */
    SCALE_DISABLED,        /* current is 0: somebody stopped the service */
    SCALE_NO_FIGURES,      /* no opinion, or one that would take away while others are silent */
    SCALE_UP_STABILIZED,   /* a lower recommendation of the window counts */
    SCALE_DOWN_STABILIZED, /* a higher one */
    SCALE_UP_LIMITED,      /* by behavior.scaleUp.policies or selectPolicy */
    SCALE_DOWN_LIMITED,
    SCALE_TOO_MANY, /* by maxReplicas */
    SCALE_TOO_FEW,  /* by minReplicas */
    SCALE_PANIC,    /* the burst asks for more than the above would allow */
    SCALE_REASONS
};

struct scale_decision {
    int32_t desired;     /* replicas; current where nothing is to be done */
    int32_t recommended; /* by the metrics, before windows and limits; -1: they have no opinion */
    int metric;          /* which of policy->metrics decided; -1: none */
    unsigned ready;      /* pods that are */
    enum scale_reason reason;
    bool panicking;
    char *message; /* the figures as a sentence; owned */
};

/*
 * Decides. policy must have passed scale_policy_check(). Always fills *ret_decision; its message is
 * freed by scale_decision_free().
 *
 * Source: reconcileAutoscaler(), computeReplicasForMetrics(),
 * stabilizeRecommendationWithBehaviors() and convertDesiredReplicasWithBehaviorRate() of
 * k8s.io/kubernetes v1.34 pkg/controller/podautoscaler/horizontal.go: the metric that asks for most
 * decides, and with one of them silent nothing is taken away; windows first, then steps, then
 * minReplicas and maxReplicas. Panic mode comes after them and can only add; selectPolicy Disabled
 * for scaleUp stops it too.
 */
void scale_decide(struct scale_state *state, const struct scale_policy *policy,
                  const struct scale_input *input, struct scale_decision *ret_decision);

/* Tells that the count was changed, so that the steps' periods know. Source: storeScaleEvent(). */
void scale_applied(struct scale_state *state, const struct scale_policy *policy, int32_t from,
                   int32_t to, uint64_t now_ns);

/* A reason as a condition's or an event's: "ScaleUpLimit". */
const char *scale_reason_name(enum scale_reason reason);

/* Frees what the decision owns. */
void scale_decision_free(struct scale_decision *decision);

/* Frees what the state owns; it is as new. */
void scale_state_free(struct scale_state *state);

#endif
