#include "scale/limit.h"

#include "base/clock.h"
#include "scale/propose.h"

/* How many there were when the step's period began. */
static double at_start(const struct scale_step *step, int32_t current,
                       const struct scale_points *ups, const struct scale_points *downs,
                       uint64_t now_ns)
{
    uint64_t period_ns = step->period_s * NS_PER_S;
    return (double)(current - scale_changes_sum(ups, now_ns, period_ns) +
                    scale_changes_sum(downs, now_ns, period_ns));
}

int32_t scale_limit_up(const struct scale_rules *rules, int32_t current,
                       const struct scale_points *ups, const struct scale_points *downs,
                       uint64_t now_ns)
{
    bool least = rules->select == SCALE_SELECT_MIN;
    int32_t limit = least ? INT32_MAX : current;

    if (rules->select == SCALE_SELECT_DISABLED)
        return current;
    for (size_t i = 0; i < rules->step_count; i++) {
        const struct scale_step *step = &rules->steps[i];
        double start = at_start(step, current, ups, downs, now_ns);
        int32_t to = scale_ceil(step->type == SCALE_PODS ? start + step->value
                                                         : start * (1 + step->value / 100.0));
        if (least ? to < limit : to > limit)
            limit = to;
    }
    return limit > current ? limit : current;
}

int32_t scale_limit_down(const struct scale_rules *rules, int32_t current,
                         const struct scale_points *ups, const struct scale_points *downs,
                         uint64_t now_ns)
{
    bool least = rules->select == SCALE_SELECT_MIN;
    int32_t limit = least ? 0 : current;

    if (rules->select == SCALE_SELECT_DISABLED)
        return current;
    for (size_t i = 0; i < rules->step_count; i++) {
        const struct scale_step *step = &rules->steps[i];
        double start = at_start(step, current, ups, downs, now_ns);
        double to =
            step->type == SCALE_PODS ? start - step->value : start * (1 - step->value / 100.0);
        int32_t whole = to > 0 ? (int32_t)to : 0; /* below any minReplicas, and that is enough */
        if (least ? whole > limit : whole < limit)
            limit = whole;
    }
    return limit < current ? limit : current;
}

uint64_t scale_longest_period_ns(const struct scale_rules *rules)
{
    uint32_t longest_s = 0;

    for (size_t i = 0; i < rules->step_count; i++)
        if (rules->steps[i].period_s > longest_s)
            longest_s = rules->steps[i].period_s;
    return longest_s * NS_PER_S;
}
