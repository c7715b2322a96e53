/*
 * What the autoscaler remembers: its latest recommendations, as far as a stabilisation window can
 * still ask for them, and its latest changes. All zero is empty. Owns its memory; one thread.
 */
#ifndef DPUMESH_SCALE_HISTORY_H
#define DPUMESH_SCALE_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct scale_point {
    uint64_t at_ns;
    int32_t value;
};

struct scale_points {
    size_t count, capacity;
    struct scale_point *points; /* oldest first */
};

/* Changes kept; see scale_changes_add(). */
#define SCALE_CHANGES_MAX 256

/*
 * The highest (else the lowest) of `value` and of what was recorded less than window_ns before
 * now_ns. Forgets what is older. Source: stabilizeRecommendationWithBehaviors() of HPA's
 * horizontal.go, v1.34.
 */
int32_t scale_extreme(struct scale_points *points, bool highest, int32_t value, uint64_t now_ns,
                      uint64_t window_ns);

/*
 * Records a value for scale_extreme() with the same `highest`. A value that a later one surpasses
 * can never be the answer again and is dropped, so at most one point for each possible value is
 * kept.
 */
void scale_extreme_record(struct scale_points *points, bool highest, int32_t value,
                          uint64_t now_ns);

/*
 * Records a change of so many replicas; changes older than keep_ns are forgotten. Past
 * SCALE_CHANGES_MAX the oldest two become one, at the later's time: a limit may then hold for
 * longer than it should, never for less.
 */
void scale_changes_add(struct scale_points *changes, int32_t replicas, uint64_t now_ns,
                       uint64_t keep_ns);

/* The sum of the changes less than period_ns before now_ns. Source: getReplicasChangePerPeriod() of
 * HPA's horizontal.go. */
int64_t scale_changes_sum(const struct scale_points *changes, uint64_t now_ns, uint64_t period_ns);

/* Frees the memory; empty and usable again. */
void scale_points_free(struct scale_points *points);

#endif
