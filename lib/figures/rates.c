#include "figures/rates.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/clock.h"

/* Whether both are known and the second is less. */
static bool fell(double before, double after)
{
    return after < before;
}

/* Whether the pages are of one process; where neither tells its start, its counters do. */
static bool same_process(const struct agent_figures *before, const struct agent_figures *after)
{
    bool untold = isnan(before->start_seconds) && isnan(after->start_seconds);

    return (untold || before->start_seconds == after->start_seconds) &&
           !fell(before->requests_total, after->requests_total) &&
           !fell(before->rejected_total, after->rejected_total) &&
           !fell(before->cpu_seconds, after->cpu_seconds);
}

static double rate(double before, double after, double seconds)
{
    return fell(before, after) ? NAN : (after - before) / seconds;
}

static bool same_bounds(const struct agent_histogram *a, const struct agent_histogram *b)
{
    return a->bound_count == b->bound_count &&
           memcmp(a->bounds, b->bounds, a->bound_count * sizeof(a->bounds[0])) == 0;
}

/* The bounds are those of both; a bucket between two bounds can't lose observations. */
static void subtract(const struct agent_histogram *before, const struct agent_histogram *after,
                     struct agent_histogram *ret)
{
    double least = 0;

    if (after->bound_count == 0 || !same_bounds(before, after))
        return;
    struct agent_histogram difference = *after;
    difference.sum = after->sum - before->sum;
    for (unsigned i = 0; i < after->bound_count; i++) {
        difference.counts[i] -= before->counts[i];
        if (difference.counts[i] < least)
            return;
        least = difference.counts[i];
    }
    *ret = difference;
}

/* How busy a unit was, in servers. */
static double unit_rate(const struct agent_figures *before, const struct agent_figures *after,
                        enum agent_unit unit, double seconds)
{
    return rate(before->dpu_busy_seconds[unit], after->dpu_busy_seconds[unit], seconds);
}

static void dpu_rates(const struct agent_figures *before, const struct agent_figures *after,
                      double seconds, struct agent_rates *ret)
{
    double io = unit_rate(before, after, AGENT_UNIT_IO, seconds), most = io;

    for (enum agent_unit unit = AGENT_UNIT_ARM; unit < AGENT_UNITS; unit++)
        if (after->dpu_servers[unit] > 0)
            most = fmax(most, unit_rate(before, after, unit, seconds) / after->dpu_servers[unit]);
    ret->dpu_cores = after->dpu_servers[AGENT_UNIT_ARM] > 0
                         ? unit_rate(before, after, AGENT_UNIT_ARM, seconds)
                         : io;
    /* The two pages' clocks are not quite elapsed_ns apart. */
    ret->dpu_utilization = most > 1 ? 1 : most;
}

void agent_rates(const struct agent_figures *before, const struct agent_figures *after,
                 uint64_t elapsed_ns, struct agent_rates *ret)
{
    double seconds = (double)elapsed_ns / (double)NS_PER_S;

    *ret = (struct agent_rates){.requests_per_s = NAN,
                                .rejects_per_s = NAN,
                                .cpu_cores = NAN,
                                .host_cores = NAN,
                                .dpu_cores = NAN,
                                .dpu_utilization = NAN,
                                .latency.sum = NAN};
    if (elapsed_ns == 0 || !same_process(before, after))
        return;
    ret->requests_per_s = rate(before->requests_total, after->requests_total, seconds);
    ret->rejects_per_s = rate(before->rejected_total, after->rejected_total, seconds);
    ret->cpu_cores = rate(before->cpu_seconds, after->cpu_seconds, seconds);
    ret->host_cores = rate(before->host_cpu_seconds, after->host_cpu_seconds, seconds);
    dpu_rates(before, after, seconds, ret);
    subtract(&before->latency, &after->latency, &ret->latency);
}
