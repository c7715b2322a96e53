/*
 * What `dpumesh top` shows of a service, from two rounds. Pure; any thread.
 */
#ifndef DPUMESH_CTL_CLUSTER_TOP_ROW_H
#define DPUMESH_CTL_CLUSTER_TOP_ROW_H

#include "ctl/cluster/top_round.h"

/* A figure over the replicas that tell it. */
struct top_figure {
    double value;     /* NaN: none tells it */
    unsigned missing; /* replicas that do not */
};

struct top_row {
    unsigned silent;    /* replicas without a page */
    unsigned host_busy; /* replicas that do not keep the DPU model's time */
    struct top_figure requests_per_s, p50_ms, p99_ms, in_flight, queue_depth, queue_capacity,
        dpu_cores, host_cores;
};

/*
 * Computes the row of a service of the round now. before (may be NULL): the earlier round; a
 * replica that was not in it has no rates yet. Quantiles are those of all replicas' requests in
 * between, from the sum of their histograms (agent_quantile() of figures/histogram.h).
 */
void top_row_make(const struct top_service *now, const struct top_round *before,
                  struct top_row *ret_row);

#endif
