/*
 * What one page of an agent's /metrics says of it. For the autoscaler and `dpumesh top`.
 *
 *     struct agent_figures figures;
 *     if (agent_figures_read(text, length, &figures, &err) < 0)
 *         ...the page is not one...
 *     if (isnan(figures.in_flight))
 *         ...an agent that does not tell...
 *
 * NaN is "unknown" in every member: the page does not have the family, or has a value that can't be
 * (negative, NaN, infinite, past AGENT_FIGURE_MAX). Unknown is never 0, and arithmetic keeps it.
 *
 * Plain memory that owns nothing; pure; any thread.
 */
#ifndef DPUMESH_FIGURES_FIGURES_H
#define DPUMESH_FIGURES_FIGURES_H

#include <stddef.h>

#include "base/error.h"
#include "figures/histogram.h"

/* 2^53: from there on a double can't count by one any more. */
#define AGENT_FIGURE_MAX 9007199254740992.0

/* The units of a DPU. The I/O thread plays it; Arm workers and DMA units are modelled. */
enum agent_unit { AGENT_UNIT_IO, AGENT_UNIT_ARM, AGENT_UNIT_DMA, AGENT_UNITS };

struct agent_figures {
    double requests_total;   /* dpumesh_requests_total, over protocols */
    double rejected_total;   /* dpumesh_rejected_requests_total, over reasons */
    double in_flight;        /* dpumesh_requests_in_flight */
    double queue_depth;      /* dpumesh_queue_depth{queue="ingress_submission"} */
    double queue_capacity;   /* dpumesh_queue_capacity of it; never 0 */
    double cpu_seconds;      /* process_cpu_seconds_total: all of the process */
    double start_seconds;    /* process_start_time_seconds: Unix time; another one is a restart */
    double host_cpu_seconds; /* dpumesh_host_cpu_seconds_total, over stages */
    double dpu_busy_seconds[AGENT_UNITS]; /* dpumesh_dpu_busy_seconds_total{unit} */
    double dpu_servers[AGENT_UNITS]; /* dpumesh_dpu_servers{unit}; 0: none, in modes without DPU */
    double host_busy; /* dpumesh_datapath_host_busy: 1, it does not keep the model's time */
    struct agent_histogram latency; /* mub_request_processing_latency_milliseconds_bucket, over all
                                       labels but le; unknown before the first request */
};

/*
 * The query of /metrics that asks an agent for the families of all members but latency and
 * rejected_total, host_cpu_seconds and host_busy: what scaling takes. A page of these has a tenth
 * of the bytes, whatever the number of clients. Agents that do not know of name[] send all.
 */
#define AGENT_FIGURES_SCALING_QUERY                                                                \
    "name%5B%5D=dpumesh_requests_total&name%5B%5D=dpumesh_requests_in_flight&name%5B%5D=dpumesh_"  \
    "queue_depth&"                                                                                 \
    "name%5B%5D=dpumesh_queue_capacity&name%5B%5D=process_cpu_seconds_total&"                      \
    "name%5B%5D=process_start_time_seconds&name%5B%5D=dpumesh_dpu_busy_seconds_total&"             \
    "name%5B%5D=dpumesh_dpu_servers"

/* Sets every member to unknown. */
void agent_figures_clear(struct agent_figures *ret);

/*
 * Reads a page of length bytes. 0 and *ret; or -EINVAL and a sentence: it is not in the text format
 * (obs/exposition_read.h), and *ret is untouched. A page that is well formed and has none of the
 * families is fine: all is unknown.
 */
int agent_figures_read(const char *text, size_t length, struct agent_figures *ret,
                       struct error **err);

#endif
