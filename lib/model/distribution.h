/*
 * Distributions of durations. Pure: a draw depends on the parameters and the stream alone. A
 * distribution is plain memory, may be read by any number of threads, and each thread brings its
 * own stream. More kinds come with the DPU model; this is where they go.
 */
#ifndef DPUMESH_MODEL_DISTRIBUTION_H
#define DPUMESH_MODEL_DISTRIBUTION_H

#include <stdint.h>

#include "model/random.h"

enum distribution_kind {
    DISTRIBUTION_CONSTANT,    /* value_ns */
    DISTRIBUTION_UNIFORM,     /* low_ns to high_ns, both included */
    DISTRIBUTION_EXPONENTIAL, /* mean in value_ns */
};

struct distribution {
    enum distribution_kind kind;
    uint64_t value_ns; /* constant: the value; exponential: the mean */
    uint64_t low_ns;   /* uniform: smallest */
    uint64_t high_ns;  /* uniform: largest, >= low_ns */
};

/* No draw is longer than this (146 years), so that sums with a clock can't overflow. */
#define DISTRIBUTION_DRAW_MAX_NS (UINT64_C(1) << 62)

/* One draw in ns, at most DISTRIBUTION_DRAW_MAX_NS. A constant takes nothing from the stream. */
uint64_t distribution_draw(const struct distribution *distribution, struct random_stream *stream);

/* The mean in ns (of the distribution without the cap). */
double distribution_mean_ns(const struct distribution *distribution);

/* The q-quantile in ns, 0 <= q < 1: a fraction q of all draws is at most this long. */
double distribution_quantile_ns(const struct distribution *distribution, double q);

#endif
