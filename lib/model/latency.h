/*
 * A histogram of durations for virtual time: 1024 buckets a power of two, so that a quantile is
 * within 0.1 % of a value that was recorded, from 1 ns to 2^40 ns (18 minutes). Recording is a few
 * instructions and allocates nothing. Owns its memory; one thread.
 */
#ifndef DPUMESH_MODEL_LATENCY_H
#define DPUMESH_MODEL_LATENCY_H

#include <stdint.h>

struct latency {
    uint64_t count;
    double sum_ns;
    double max_ns;
    uint32_t *buckets;
};

/* Makes an empty one. */
void latency_init(struct latency *latency);

/* Records count durations of that length (negative ones as 0). */
void latency_record(struct latency *latency, double ns, uint32_t count);

/* The q-quantile, 0 <= q <= 1, in ns; 0 when nothing was recorded. */
double latency_quantile(const struct latency *latency, double q);

/* Frees the memory. */
void latency_release(struct latency *latency);

#endif
