/*
 * Looks at a source every so often and hands on each pair of rounds, until a signal, a key, or the
 * viewer ends it. Rounds are made in a thread, so that Ctrl-C counts at once also while a pod does
 * not answer.
 */
#ifndef DPUMESH_CTL_CLUSTER_TOP_WATCH_H
#define DPUMESH_CTL_CLUSTER_TOP_WATCH_H

#include "ctl/cluster/top_round.h"

struct top_sight {
    const struct top_round *now, *before; /* before: NULL after the first round */
    double elapsed_s;                     /* between them */
    const char *problem;                  /* the last round failed, and these are older; or NULL */
};

struct top_viewer {
    /* In the caller's thread, after each round that has something new, and when the terminal
     * changed its size. False: that was enough. */
    bool (*show)(void *context, const struct top_sight *sight);
    void *context;
    bool keys; /* q on standard input ends it */
};

/*
 * Blocks SIGINT, SIGTERM and SIGHUP (which end it) and SIGWINCH as long as it runs. 0 when it was
 * ended; or -errno and a sentence when the first round failed, or it can't begin.
 */
int top_watch(const struct top_source *source, uint64_t interval_ns,
              const struct top_viewer *viewer, struct error **err);

#endif
