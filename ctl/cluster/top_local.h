/* The replicas of `dpumesh up` as a source of rounds: the supervisor is asked who is there, and
 * each replica's own listener for its page. */
#ifndef DPUMESH_CTL_CLUSTER_TOP_LOCAL_H
#define DPUMESH_CTL_CLUSTER_TOP_LOCAL_H

#include "ctl/cluster/top_round.h"
#include "ctl/local/rundir.h"

struct top_local {
    struct rundir dir;
    char *const *names;  /* services that are shown; borrowed */
    size_t name_count;   /* 0: all */
    uint64_t timeout_ns; /* of a page */
    bool stopped;        /* atomic */
};

/*
 * Opens the application `name`, or the only one that runs when it is NULL. *ret_source borrows
 * local, which is to be closed with rundir_close(&local->dir). The statuses of
 * ctl/local/supervisor.h and a sentence.
 */
int top_local_open(const char *name, struct top_local *local, struct top_source *ret_source,
                   struct error **err);

#endif
