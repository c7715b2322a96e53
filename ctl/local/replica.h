/*
 * One replica: an agent process that is kept alive.
 *
 *              start            /readyz 200
 *     NEW -----------> STARTING -----------> READY
 *                       |   ^                  |
 *             exit 2 or |   | time is up       | it dies
 *       no such program |   |                  |
 *                       v  BACKOFF <-----------+      STARTING, READY --stop--> DRAINING --exit-->
 * STOPPED FAILED                           BACKOFF, FAILED --stop--------------------> STOPPED
 *
 * FAILED is for what a restart can't mend: the agent refuses its configuration (exit 2 before it
 * was ready), or can't be executed. Everything else that dies is started again after backoff.h's
 * delay. DRAINING means SIGTERM was sent; an agent that has not ended within its drain timeout and
 * REPLICA_DRAIN_MARGIN_NS gets SIGKILL. A replica that is wanted again while it drains starts anew
 * when it has ended.
 *
 * Each replica owns an admin listener of its own that outlives its processes, so that its address
 * stays the same, and a log file. All of this belongs to the loop's thread, which must be the main
 * thread (process.h says why).
 */
#ifndef DPUMESH_CTL_LOCAL_REPLICA_H
#define DPUMESH_CTL_LOCAL_REPLICA_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "ctl/local/backoff.h"
#include "ctl/local/logfile.h"
#include "ctl/local/loop.h"
#include "ctl/local/plan.h"
#include "ctl/local/probe.h"
#include "ctl/local/rundir.h"

#define REPLICA_DRAIN_MARGIN_NS (5 * NS_PER_S)

enum replica_state {
    REPLICA_NEW,
    REPLICA_STARTING,
    REPLICA_READY,
    REPLICA_DRAINING,
    REPLICA_BACKOFF,
    REPLICA_FAILED,
    REPLICA_STOPPED,
};

struct replica;

/* What all replicas of an application share. changed is called after each change of state; it must
 * not free the replica before it returns. */
struct replica_shared {
    struct loop *loop;
    const struct rundir *dir;
    const char *agent; /* path of the agent program */
    void (*changed)(void *context, struct replica *replica);
    void *context;
};

struct replica {
    const struct replica_shared *shared;
    const struct plan_service *service;
    const int *service_fds; /* its listening sockets, one an endpoint */
    unsigned index;
    char *name; /* "s0-0" */
    enum replica_state state;
    bool wanted; /* false: it shall stop, or has */
    bool told;   /* its last lines were shown once */

    int admin_fd;
    struct sockaddr_in admin;

    pid_t pid; /* 0: no process */
    int pidfd, output_fd;
    struct loop_source exit_source, output_source;
    struct loop_timer timer; /* BACKOFF: the next start; DRAINING: SIGKILL */
    struct probe probe;
    struct logfile log;

    struct backoff backoff;
    uint64_t started_ns; /* monotonic */
    time_t started_at;   /* of the day, for people */
    unsigned restarts;
    char *last_end; /* how the last process ended; NULL: none has */
};

/* Opens its admin listener and its log; no process yet. 0 and *ret_replica, or -errno. */
int replica_new(const struct replica_shared *shared, const struct plan_service *service,
                const int *service_fds, unsigned index, struct replica **ret_replica,
                struct error **err);

/* Wants it to run: starts a process unless one runs, drains or is about to be started. */
void replica_start(struct replica *replica);

/* Wants it to stop: drains its process, or ends the wait for the next one. */
void replica_stop(struct replica *replica);

/* SIGKILL for a process that drains. */
void replica_kill(struct replica *replica);

/* Writes the configuration file anew (the agent notices by itself). 0 or -errno. */
int replica_configure(struct replica *replica, struct error **err);

/* Prints its last lines on standard error, each after its name. */
void replica_show_log(const struct replica *replica, size_t lines);

/* "ready", "starting", ... */
const char *replica_state_name(enum replica_state state);

/* Frees a replica without a process. NULL is fine. */
void replica_free(struct replica *replica);

#endif
