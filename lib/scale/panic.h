/*
 * Panic mode: a burst is answered at once, past the steps and windows that HPA's behaviour sets,
 * and nothing is taken away before it has been over for a while. All zero is calm. Pure; one
 * thread.
 */
#ifndef DPUMESH_SCALE_PANIC_H
#define DPUMESH_SCALE_PANIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "scale/policy.h"

/* Looks at the load that one panic window holds; of more, the latest. */
#define SCALE_LOADS_MAX 64

struct scale_panic {
    bool on;
    uint64_t over_ns; /* when load was last at the threshold */
    int32_t replicas; /* while on: the most that were asked for, kept until it is over */
    double mean;      /* the load's mean over the panic window, in replicas at target */
    size_t count;
    struct scale_load {
        uint64_t at_ns;
        double worth;
    } loads[SCALE_LOADS_MAX]; /* oldest first */
};

/*
 * Takes in one look at the load: worth is how many replicas at target would bear it, ready how many
 * there are to bear it, current how many are asked for. Afterwards panic->on and panic->replicas
 * tell what to do.
 *
 * Source: knative.dev/serving v0.51 pkg/autoscaler/scaling/autoscaler.go, Scale(): begin at the
 * threshold, each look over it prolongs, end a stable window after the last; only upwards
 * meanwhile. Three differences. The threshold is compared to the load, not to the load rounded up
 * to whole replicas: rounded, one replica a little over its target would already be a panic,
 * tolerance or not. Counting starts from current, so that replicas still starting are not taken
 * away. It does not begin in panic: the stabilisation window starts with the current count, as
 * HPA's, and that holds it.
 */
void scale_panic_look(struct scale_panic *panic, const struct scale_panic_rules *rules,
                      double worth, unsigned ready, int32_t current, uint64_t now_ns);

#endif
