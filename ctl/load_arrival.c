#include "ctl/load_arrival.h"

void load_arrival_begin(struct load_arrival *arrival, const struct load_plan *plan, unsigned index,
                        uint64_t start_ns)
{
    arrival->kind = plan->arrivals;
    arrival->mean_ns = 1e9 * plan->threads / plan->rate;
    arrival->start_ns = start_ns;
    arrival->since_ns = 1e9 * index / plan->rate;
    random_seed(&arrival->random, plan->seed, index + 1);
    if (arrival->kind == LOAD_ARRIVALS_POISSON)
        arrival->since_ns = random_exponential(&arrival->random, arrival->mean_ns);
}

void load_arrival_advance(struct load_arrival *arrival)
{
    /* A double keeps 2^53 ns, 104 days, without a rounding error of a nanosecond. */
    arrival->since_ns += arrival->kind == LOAD_ARRIVALS_POISSON
                             ? random_exponential(&arrival->random, arrival->mean_ns)
                             : arrival->mean_ns;
}
