#include "ctl/cluster/top_row.h"

#include <math.h>
#include <string.h>

#include "figures/rates.h"

/* The replica as it was; NULL: it was not there, or did not answer. */
static const struct top_agent *find_before(const struct top_round *before,
                                           const struct top_service *service, const char *key)
{
    for (size_t i = 0; before && i < before->count; i++) {
        const struct top_service *old = &before->services[i];
        if (strcmp(old->name, service->name) != 0 ||
            strcmp(old->namespace, service->namespace) != 0)
            continue;
        for (size_t j = 0; j < old->agent_count; j++)
            if (strcmp(old->agents[j].key, key) == 0)
                return old->agents[j].known ? &old->agents[j] : NULL;
    }
    return NULL;
}

static void add(struct top_figure *sum, double value)
{
    if (isnan(value))
        sum->missing++;
    else
        sum->value = isnan(sum->value) ? value : sum->value + value;
}

/* Adds one histogram to the sum of others; false: it is unknown, or has other bounds. */
static bool add_histogram(struct agent_histogram *sum, const struct agent_histogram *one)
{
    if (one->bound_count == 0)
        return false;
    if (sum->bound_count == 0) {
        *sum = *one;
        return true;
    }
    if (sum->bound_count != one->bound_count ||
        memcmp(sum->bounds, one->bounds, one->bound_count * sizeof one->bounds[0]) != 0)
        return false;
    for (unsigned i = 0; i < one->bound_count; i++)
        sum->counts[i] += one->counts[i];
    sum->sum += one->sum;
    return true;
}

static void add_agent(struct top_row *row, const struct top_agent *agent,
                      const struct top_agent *before, struct agent_histogram *latency)
{
    struct agent_figures unknown;
    struct agent_rates rates;
    agent_figures_clear(&unknown);
    uint64_t elapsed_ns = before && agent->known ? agent->taken_ns - before->taken_ns : 0;
    agent_rates(before ? &before->figures : &unknown, &agent->figures, elapsed_ns, &rates);
    row->silent += !agent->known;
    row->host_busy += agent->known && agent->figures.host_busy == 1;
    add(&row->requests_per_s, rates.requests_per_s);
    add(&row->dpu_cores, rates.dpu_cores);
    add(&row->host_cores, rates.host_cores);
    add(&row->in_flight, agent->figures.in_flight);
    add(&row->queue_depth, agent->figures.queue_depth);
    add(&row->queue_capacity, agent->figures.queue_capacity);
    /* Before its first request an agent has no histogram: that is known, and nothing. */
    bool told = !isnan(rates.requests_per_s);
    bool idle = told && agent->figures.latency.bound_count == 0;
    if (told && before && before->figures.latency.bound_count == 0)
        rates.latency = agent->figures.latency;
    if (!add_histogram(latency, &rates.latency) && !idle) {
        row->p50_ms.missing++;
        row->p99_ms.missing++;
    }
}

void top_row_make(const struct top_service *now, const struct top_round *before,
                  struct top_row *ret_row)
{
    static const struct top_figure none = {.value = NAN};
    struct agent_histogram latency = {.bound_count = 0};
    struct top_row row = {.requests_per_s = none,
                          .p50_ms = none,
                          .p99_ms = none,
                          .in_flight = none,
                          .queue_depth = none,
                          .queue_capacity = none,
                          .dpu_cores = none,
                          .host_cores = none};
    for (size_t i = 0; i < now->agent_count; i++)
        add_agent(&row, &now->agents[i], find_before(before, now, now->agents[i].key), &latency);
    row.p50_ms.value = agent_quantile(&latency, 0.5);
    row.p99_ms.value = agent_quantile(&latency, 0.99);
    *ret_row = row;
}
