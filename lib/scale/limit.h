/* How far behavior.scaleUp.policies and behavior.scaleDown.policies let the count go. Pure. */
#ifndef DPUMESH_SCALE_LIMIT_H
#define DPUMESH_SCALE_LIMIT_H

#include "scale/history.h"
#include "scale/policy.h"

/*
 * The most replicas that the rules allow now, at least current. ups and downs are the changes made.
 * Source: calculateScaleUpLimitWithScalingRules() of HPA's horizontal.go, v1.34: for each step the
 * replicas at the start of its period, and so many or so many percent (rounded up) more.
 */
int32_t scale_limit_up(const struct scale_rules *rules, int32_t current,
                       const struct scale_points *ups, const struct scale_points *downs,
                       uint64_t now_ns);

/* The fewest, at most current. Source: calculateScaleDownLimitWithBehaviors(); percent round down.
 */
int32_t scale_limit_down(const struct scale_rules *rules, int32_t current,
                         const struct scale_points *ups, const struct scale_points *downs,
                         uint64_t now_ns);

/* The longest period of the rules' steps, ns: changes older than that are not asked for. */
uint64_t scale_longest_period_ns(const struct scale_rules *rules);

#endif
