/*
 * Distributions of durations. Pure: a draw depends on the parameters and the stream alone. A
 * distribution is plain memory, may be read by any number of threads, and each thread brings its
 * own stream. Tables and parts are borrowed: they live as long as their owner says.
 *
 *     struct distribution latency = {.kind = DISTRIBUTION_WEIBULL, .value_ns = 20 * NS_PER_MS,
 *                                    .shape = 0.7, .shift_ns = NS_PER_MS, .cap_ns = NS_PER_S};
 *     uint64_t ns = distribution_draw(&latency, &stream);
 *
 * Any kind may be shifted and capped: min(cap, shift + draw). Each knows its mean and quantiles,
 * with shift and cap.
 */
#ifndef DPUMESH_MODEL_DISTRIBUTION_H
#define DPUMESH_MODEL_DISTRIBUTION_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "model/random.h"

enum distribution_kind {
    DISTRIBUTION_CONSTANT,    /* value_ns */
    DISTRIBUTION_UNIFORM,     /* low_ns to high_ns, both included */
    DISTRIBUTION_EXPONENTIAL, /* mean in value_ns */
    DISTRIBUTION_NORMAL,      /* mean value_ns, standard deviation deviation_ns, cut off below 0
                                 (which moves the mean up) */
    DISTRIBUTION_LOGNORMAL,   /* median value_ns, standard deviation of the logarithm shape */
    DISTRIBUTION_PARETO,      /* smallest value_ns, tail index shape */
    DISTRIBUTION_WEIBULL,     /* scale value_ns, shape */
    DISTRIBUTION_GAMMA,       /* scale value_ns, shape */
    DISTRIBUTION_EMPIRICAL,   /* table */
    DISTRIBUTION_MIXTURE,     /* parts */
};

/* A point of a quantile table: a fraction of all draws is at most this long. */
struct distribution_point {
    double fraction;
    uint64_t ns;
};

struct distribution_part;

struct distribution {
    enum distribution_kind kind;
    uint64_t value_ns;     /* see the kinds */
    uint64_t low_ns;       /* uniform: smallest */
    uint64_t high_ns;      /* uniform: largest, >= low_ns */
    uint64_t deviation_ns; /* normal: above 0 */
    double shape;          /* see the kinds; above 0 where it is used */
    uint64_t shift_ns;     /* added to every draw */
    uint64_t cap_ns;       /* no draw is longer; 0: no cap but DISTRIBUTION_DRAW_MAX_NS */
    /* Empirical: points from fraction 0 to 1, both rising; between two the quantile is straight. */
    const struct distribution_point *table;
    size_t point_count;
    /* Mixture: weights above 0. */
    const struct distribution_part *parts;
    size_t part_count;
};

struct distribution_part {
    double weight; /* relative to the others */
    struct distribution distribution;
};

/* No draw is longer than this (146 years), so that sums with a clock can't overflow. */
#define DISTRIBUTION_DRAW_MAX_NS (UINT64_C(1) << 62)

enum {
    DISTRIBUTION_SAMPLES_MAX = 1000000,
    DISTRIBUTION_PARTS_MAX = 64,
    DISTRIBUTION_DEPTH_MAX = 4
};

/* One draw in ns, at most DISTRIBUTION_DRAW_MAX_NS. A constant takes nothing from the stream. */
uint64_t distribution_draw(const struct distribution *distribution, struct random_stream *stream);

/*
 * The mean in ns (of the distribution without DISTRIBUTION_DRAW_MAX_NS); infinite for a Pareto
 * distribution of shape 1 or less without a cap.
 */
double distribution_mean_ns(const struct distribution *distribution);

/* The q-quantile in ns, 0 <= q < 1: a fraction q of all draws is at most this long. */
double distribution_quantile_ns(const struct distribution *distribution, double q);

/*
 * Whether the parameters make sense: shapes and weights above 0, a table from 0 to 1 that rises,
 * mixtures not deeper than DISTRIBUTION_DEPTH_MAX. 0, or -EINVAL and a sentence.
 */
int distribution_check(const struct distribution *distribution, struct error **err);

/*
 * Makes the quantile table of samples: sorts them in place and puts the k-th at (k + 0.5) / count,
 * the ends at 0 and 1. ret_table: count + 2 points, owned by the caller (free()). 0, or -EINVAL and
 * a sentence for no samples, too many, or one that is negative or not finite.
 */
int distribution_from_samples(double *samples_ns, size_t count,
                              struct distribution_point **ret_table, struct error **err);

#endif
