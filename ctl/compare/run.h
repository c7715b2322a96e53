/*
 * One data path under load: the application is started with it, warmed up, measured and taken down.
 * Everything in a run's JSON was counted in that run.
 */
#ifndef DPUMESH_CTL_COMPARE_RUN_H
#define DPUMESH_CTL_COMPARE_RUN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/option.h"

struct compare_options {
    struct option_list files;
    const char *service; /* that is loaded; NULL: the first */
    const char *address, *agent;
    const char *profile_dpu, *profile_sidecar; /* NULL: what the files say, or the mode's own */
    double rate;
    uint64_t duration_ns, warmup_ns, timeout_ns;
    unsigned connections, threads, arrivals;
    uint64_t seed;
    size_t request_bytes; /* of a request's frame, at least; 0: as it comes */
    const char *body;
    const char *json, *html; /* files; "-": standard output */
};

/*
 * Runs one mode. 0 and *ret_run, owned by the caller; a positive exit status when `dpumesh up`
 * would not start, or COMPARE_INTERRUPTED, after saying why; or -errno and a sentence.
 *
 *     mode, profile
 *     seconds                    between the two looks at the agents' counters
 *     offered_per_s, achieved_per_s, requests, errors, unsent
 *     latency_us                 {p50, p90, p99, p999, max, mean}, null without an answer
 *     host_cpu_s                 measured, by stage; host_cpu_modelled_s by station
 *     host_cores, host_us_per_request, host_modelled_cores
 *     dpu_busy_s                 by unit; dpu_arm_cores
 *     dma_operations, dma_bytes, interrupts, deliveries, coalesced, ring_full, crossings: by
 *                                direction
 *     delay_asked_us, delay_delivered_us   means of a crossing, by direction
 *     late, host_busy            crossings later than the model says; whether an agent said so
 *     process_cpu_s, client_cpu_s          all of the agents; the load's own
 *     load                       as `dpumesh load --json` has it
 */
int compare_run(const struct compare_options *options, const char *mode, json_t **ret_run,
                struct error **err);

enum { COMPARE_INTERRUPTED = 130 };

#endif
