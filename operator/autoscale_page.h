/*
 * From the pages of a pod's agent to the figures that lib/scale decides on. A rate takes two pages,
 * so what is needed of the last one is kept. Pure; any thread.
 */
#ifndef DPUMESH_OPERATOR_AUTOSCALE_PAGE_H
#define DPUMESH_OPERATOR_AUTOSCALE_PAGE_H

#include <stdint.h>

#include "figures/figures.h"
#include "scale/propose.h"

/* What is kept of a pod's last page: the counters that rates are made of. NaN: not known. */
struct autoscale_page {
    uint64_t at_ns; /* monotonic; 0: there was none */
    double requests_total, rejected_total;
    double cpu_seconds, host_cpu_seconds, start_seconds;
    double dpu_busy_seconds[AGENT_UNITS];
};

/* Keeps a page that was taken at at_ns. */
void autoscale_page_keep(const struct agent_figures *figures, uint64_t at_ns,
                         struct autoscale_page *ret_page);

/*
 * The figures of a pod by its page `now`, taken at now_ns, and the one before (at_ns 0: none; then
 * what is a rate is not known). cpu_milli: what 100 percent of its processor use is, thousandths of
 * a processor; 0: nothing. What the page does not tell, or can't be, is not known: never zero.
 */
void autoscale_page_figures(const struct autoscale_page *before, const struct agent_figures *now,
                            uint64_t now_ns, int64_t cpu_milli,
                            struct scale_figure ret_figures[SCALE_SIGNALS]);

#endif
