/*
 * What a load test shows: the lines that the original's test client printed, a progress line on a
 * terminal, and the result as text or as JSON (its members are listed in load_report_json()).
 *
 * load_report_first() may be called by several threads; the rest belongs to the main thread.
 */
#ifndef DPUMESH_CTL_LOAD_REPORT_H
#define DPUMESH_CTL_LOAD_REPORT_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

#include "ctl/load_plan.h"
#include "ctl/load_stats.h"

/* Clients whose first answer is shown. */
enum { LOAD_REPORT_CLIENTS = 50 };

/* The two lines before the test. */
void load_report_header(FILE *out, const struct load_plan *plan);

/* One client's first answer (or, with answer NULL, failure and its errno or 0); context: FILE *. */
void load_report_first(void *context, unsigned client, const struct load_answer *answer,
                       uint64_t latency_ns, enum load_failure failure, int number);

/* Rewrites the progress line of a terminal. */
void load_report_progress(FILE *out, uint64_t answered, uint64_t failed, double elapsed_s,
                          double rate_per_s);

/* Takes the progress line away. */
void load_report_progress_end(FILE *out);

/* The result for people. */
void load_report_text(FILE *out, const struct load_plan *plan, const struct load_stats *stats);

/*
 * The result for programs, owned by the caller:
 *   target, protocol ("tcp", "http"), connections (asked for), depth, keep_alive, threads
 *   requests      started and counted          answered      with any status
 *   failed        without an answer            unfinished    stopped under way
 *   unsent        due in an open loop and never sent, because nothing had room for them
 *   warmup, warmup_failed                      connections_made
 *   duration_s    from the first to the last   rate_per_s    answers a second
 *   offered_per_s --rate, null in a closed loop
 *   status        {"200": n, ...}              errors        {"refused": n, ...}, all kinds
 *   latency_us    {p50, p90, p99, p999, max, mean}, null without an answer
 *   bytes_sent, bytes_received
 */
json_t *load_report_json(const struct load_plan *plan, const struct load_stats *stats);

#endif
