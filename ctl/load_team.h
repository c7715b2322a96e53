/*
 * Runs a plan's workers and waits for them, for `dpumesh load` and `dpumesh compare`: on SIGINT or
 * SIGTERM the test ends with the result so far, on a second one the program.
 *
 *     cleanup_load_stats struct load_stats *total = load_stats_new();
 *     r = load_team_run(plan, &(struct load_team_options){.progress = true}, total, &err);
 *
 * Main thread only.
 */
#ifndef DPUMESH_CTL_LOAD_TEAM_H
#define DPUMESH_CTL_LOAD_TEAM_H

#include "ctl/load_plan.h"
#include "ctl/load_stats.h"
#include "ctl/load_worker.h"

struct load_team_options {
    struct load_observer observer; /* of each client's first answer; done_fd is ours */
    bool progress;                 /* a line on standard error, a terminal */
    void (*tick)(void *context);   /* twice a second, from the main thread; NULL: none */
    void *context;
};

/* Runs the plan to its end and adds what was counted to ret_total. 0, 1 when a signal ended it, or
 * a negative errno and a sentence. */
int load_team_run(const struct load_plan *plan, const struct load_team_options *options,
                  struct load_stats *ret_total, struct error **err);

#endif
