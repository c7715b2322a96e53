#include "operator/autoscale_page.h"

#include <math.h>
#include <string.h>

#include "figures/rates.h"

void autoscale_page_keep(const struct agent_figures *figures, uint64_t at_ns,
                         struct autoscale_page *ret_page)
{
    *ret_page = (struct autoscale_page){.at_ns = at_ns,
                                        .requests_total = figures->requests_total,
                                        .rejected_total = figures->rejected_total,
                                        .cpu_seconds = figures->cpu_seconds,
                                        .host_cpu_seconds = figures->host_cpu_seconds,
                                        .start_seconds = figures->start_seconds};
    memcpy(ret_page->dpu_busy_seconds, figures->dpu_busy_seconds,
           sizeof(ret_page->dpu_busy_seconds));
}

/* The page as agent_rates() wants it. */
static void page_figures(const struct autoscale_page *page, struct agent_figures *ret)
{
    agent_figures_clear(ret);
    ret->requests_total = page->requests_total;
    ret->rejected_total = page->rejected_total;
    ret->cpu_seconds = page->cpu_seconds;
    ret->host_cpu_seconds = page->host_cpu_seconds;
    memcpy(ret->dpu_busy_seconds, page->dpu_busy_seconds, sizeof(ret->dpu_busy_seconds));
    ret->start_seconds = page->start_seconds;
}

/* Thousandths of value, of of_milli thousandths; not known when it can't be. */
static struct scale_figure figure(double value, double of_milli, uint64_t at_ns)
{
    struct scale_figure made = {.at_ns = at_ns};
    /* Compared so that NaN is neither. */
    if (of_milli > 0 && of_milli <= (double)SCALE_TARGET_MAX_MILLI)
        made.of_milli = (int64_t)of_milli;
    if (value >= 0 && value * 1000 <= (double)SCALE_TARGET_MAX_MILLI) {
        made.known = true;
        made.value_milli = (int64_t)llround(value * 1000);
    }
    return made;
}

void autoscale_page_figures(const struct autoscale_page *before, const struct agent_figures *now,
                            uint64_t now_ns, int64_t cpu_milli,
                            struct scale_figure ret_figures[SCALE_SIGNALS])
{
    struct agent_figures earlier;
    struct agent_rates rates;
    page_figures(before, &earlier);
    /* Elapsed 0: agent_rates() knows nothing. */
    agent_rates(&earlier, now,
                before->at_ns > 0 && now_ns > before->at_ns ? now_ns - before->at_ns : 0, &rates);
    ret_figures[SCALE_REQUESTS_PER_SECOND] = figure(rates.requests_per_s, 0, now_ns);
    ret_figures[SCALE_IN_FLIGHT] = figure(now->in_flight, 0, now_ns);
    ret_figures[SCALE_QUEUE_OCCUPANCY] =
        figure(now->queue_depth, now->queue_capacity * 1000, now_ns);
    ret_figures[SCALE_CPU] = figure(rates.cpu_cores, (double)cpu_milli, now_ns);
    ret_figures[SCALE_DPU_UTILIZATION] = figure(rates.dpu_utilization, 1000, now_ns);
}
