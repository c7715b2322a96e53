/*
 * What an agent did between two pages. NaN is "unknown", as in figures.h.
 *
 *     agent_rates(&before, &after, after_ns - before_ns, &rates);
 *     double p99_ms = agent_quantile(&rates.latency, 0.99);
 *
 * Plain memory that owns nothing; pure; any thread.
 */
#ifndef DPUMESH_FIGURES_RATES_H
#define DPUMESH_FIGURES_RATES_H

#include <stdint.h>

#include "figures/figures.h"

struct agent_rates {
    double requests_per_s;
    double rejects_per_s;
    double cpu_cores;       /* processors that the process kept busy */
    double host_cores;      /* of them, the host's part: application and workers */
    double dpu_cores;       /* busy Arm workers, as modelled; of an agent without a model, its I/O
                               thread */
    double dpu_utilization; /* of the unit that is busiest, a part of its servers, at most 1 */
    struct agent_histogram latency; /* of the requests that ended in between, in ms */
};

/*
 * Fills *ret from two pages of the same agent, elapsed_ns apart. Everything is unknown when
 * elapsed_ns is 0 or the agent was another process before: its start time differs, or one page
 * alone has it, or its counter of requests, rejects or CPU fell. Another counter that fell, and a
 * histogram with other bounds, is unknown by itself.
 */
void agent_rates(const struct agent_figures *before, const struct agent_figures *after,
                 uint64_t elapsed_ns, struct agent_rates *ret);

#endif
