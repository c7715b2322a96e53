/*
 * A histogram as an agent's page has it: how many observations were at most so large, for each
 * bound. Plain memory that owns nothing; pure; any thread.
 */
#ifndef DPUMESH_FIGURES_HISTOGRAM_H
#define DPUMESH_FIGURES_HISTOGRAM_H

enum { AGENT_BOUNDS_MAX = 33 }; /* +Inf counted: METRIC_BUCKETS_MAX and it */

struct agent_histogram {
    unsigned bound_count;            /* 0: unknown; else at least 1, and the last bound is +Inf */
    double bounds[AGENT_BOUNDS_MAX]; /* ascending */
    double counts[AGENT_BOUNDS_MAX]; /* observations <= the bound: never less than the one before */
    double sum;                      /* of all observations; NaN: unknown */
};

/* All observations: the count of +Inf. NaN: the histogram is unknown. */
double agent_histogram_count(const struct agent_histogram *histogram);

/*
 * The value that a part q (0.5, 0.99) of the observations does not exceed, in their unit, with
 * straight lines between the bounds and from 0 to the first. In the last bucket it is the highest
 * finite bound. NaN: the histogram is unknown or without observations, or q is not from 0 to 1.
 * Source: histogram_quantile() of Prometheus, BucketQuantile() in promql/quantile.go.
 */
double agent_quantile(const struct agent_histogram *histogram, double q);

#endif
