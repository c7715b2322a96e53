#include "scale/panic.h"

#include <string.h>

#include "base/clock.h"
#include "scale/propose.h"

static void drop_first(struct scale_panic *panic, size_t count)
{
    panic->count -= count;
    memmove(panic->loads, panic->loads + count, panic->count * sizeof(panic->loads[0]));
}

/* The mean of the loads of the last window_ns, this one included. */
static double mean_with(struct scale_panic *panic, double worth, uint64_t now_ns,
                        uint64_t window_ns)
{
    size_t old = 0;
    double sum = 0;

    while (old < panic->count && panic->loads[old].at_ns + window_ns <= now_ns)
        old++;
    if (old == 0 && panic->count == SCALE_LOADS_MAX)
        old = 1;
    drop_first(panic, old);
    panic->loads[panic->count++] = (struct scale_load){.at_ns = now_ns, .worth = worth};
    for (size_t i = 0; i < panic->count; i++)
        sum += panic->loads[i].worth;
    return sum / (double)panic->count;
}

void scale_panic_look(struct scale_panic *panic, const struct scale_panic_rules *rules,
                      double worth, unsigned ready, int32_t current, uint64_t now_ns)
{
    if (rules->stable_window_s == 0) {
        *panic = (struct scale_panic){.on = false};
        return;
    }
    panic->mean = mean_with(panic, worth, now_ns, scale_panic_window_ns(rules));
    bool over = panic->mean * 100 >= (double)rules->threshold_percent * (ready > 0 ? ready : 1);

    if (over) {
        if (!panic->on)
            panic->replicas = current;
        panic->on = true;
        panic->over_ns = now_ns;
    } else if (panic->on && panic->over_ns + rules->stable_window_s * NS_PER_S < now_ns) {
        panic->on = false;
        panic->replicas = 0;
    }
    /* Less a hair: a mean of equal figures must not be rounded past them. */
    int32_t asked = scale_ceil(panic->mean - 1e-9);
    if (panic->on && asked > panic->replicas)
        panic->replicas = asked;
}
