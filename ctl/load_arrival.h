/*
 * When the requests of an open loop are due. A schedule is a sequence of instants that depends on
 * nothing that happens meanwhile; the caller takes them one by one, late or not, and counts latency
 * from them, so that a slow answer does not hide the requests that waited behind it (coordinated
 * omission). With several threads each has its own part of the rate. One thread.
 */
#ifndef DPUMESH_CTL_LOAD_ARRIVAL_H
#define DPUMESH_CTL_LOAD_ARRIVAL_H

#include <stdint.h>

#include "ctl/load_plan.h"
#include "model/random.h"

struct load_arrival {
    enum load_arrivals kind;
    double mean_ns;  /* between arrivals of this schedule */
    double since_ns; /* of the next arrival, from start_ns */
    uint64_t start_ns;
    struct random_stream random;
};

/*
 * Begins the schedule of thread `index` (of plan->threads) at start_ns: paced arrivals of the
 * threads interleave evenly; Poisson arrivals come from plan->seed and the index.
 */
void load_arrival_begin(struct load_arrival *arrival, const struct load_plan *plan, unsigned index,
                        uint64_t start_ns);

/* When the next request is due, in ns of the monotonic clock. */
static inline uint64_t load_arrival_due(const struct load_arrival *arrival)
{
    return arrival->start_ns + (uint64_t)arrival->since_ns;
}

/* Goes on to the arrival after it. */
void load_arrival_advance(struct load_arrival *arrival);

#endif
