/*
 * `dpumesh up` itself: owns the listening sockets, the replicas, the control socket and the run
 * directory of one application, from the first bind to the last reap. docs/local-mode.md describes
 * what it does on each failure.
 *
 *     supervisor_run(&options, &err)      returns when all has ended, with an exit status
 *
 * Main thread only. Everything below the struct is here for report.c and the control verbs.
 */
#ifndef DPUMESH_CTL_LOCAL_SUPERVISOR_H
#define DPUMESH_CTL_LOCAL_SUPERVISOR_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "ctl/local/control.h"
#include "ctl/local/loop.h"
#include "ctl/local/plan.h"
#include "ctl/local/replica.h"
#include "ctl/local/rundir.h"

/* Exit statuses of the local verbs, for scripts; docs/local-mode.md. */
enum {
    STATUS_OK = 0,
    STATUS_FAILED = 1, /* a replica failed for good, or was not ready in time */
    STATUS_USAGE = 2,  /* usage, a bad document, a taken port, an application that runs already */
    STATUS_NOT_RUNNING = 3, /* no application of that name */
    STATUS_KILLED = 130,    /* the second Ctrl-C */
};

/* How the plan is made, and made again for `dpumesh apply`. */
typedef int supervisor_plan_fn(void *context, struct plan **ret_plan, struct error **err);

struct supervisor_options {
    const char *name;          /* of the application */
    const char *agent;         /* path of the agent program */
    const char *metrics;       /* "address:port" of the admin page; NULL: none */
    uint64_t ready_timeout_ns; /* for the start; 0: no limit */
    struct plan *plan;         /* borrowed; must outlive the run */
    supervisor_plan_fn *read_plan;
    void *read_context;
    /* called once, when the table was printed; may be NULL */
    void (*ready)(void *context, const struct rundir *dir);
    void *ready_context;
};

enum supervisor_phase { PHASE_STARTING, PHASE_RUNNING, PHASE_STOPPING };

struct local_service {
    struct plan_service *plan;
    int fds[PLAN_ENDPOINTS_MAX]; /* -1: not open */
    unsigned desired;
    size_t replica_count;
    struct replica **replicas; /* by index, those that drain among them */
    unsigned restarts_gone;    /* of replicas that are no longer there */
};

/* A `scale` or `apply` that waits for its service, or a `down`. */
struct waiter {
    struct waiter *next;
    uint64_t id;
    struct local_service *service; /* NULL: for the end */
    unsigned desired;              /* when it was asked */
};

struct admin_page;

struct supervisor {
    const struct supervisor_options *options;
    struct loop *loop;
    struct rundir dir;
    struct control *control;
    struct admin_page *page; /* NULL: none */
    struct replica_shared shared;
    enum supervisor_phase phase;
    int status; /* to exit with */
    size_t service_count;
    struct local_service *services;
    struct waiter *waiters;
    int signal_fd;
    struct loop_source signal_source;
    struct loop_timer settle_timer, ready_timer;
};

/*
 * Runs the application until it is stopped by a signal, by `dpumesh down`, or by a replica that
 * fails for good while starting. Returns the exit status; *err is set when it could not start at
 * all (STATUS_USAGE, nothing was started).
 */
int supervisor_run(const struct supervisor_options *options, struct error **err);

/* Sets how many replicas a service shall have. 0, or -errno when a replica can't be made. */
int supervisor_scale(struct supervisor *up, struct local_service *service, unsigned desired,
                     struct error **err);

/*
 * Hands the values of a new plan over to what runs. All or nothing: -EINVAL when services or ports
 * differ, -EBUSY when an agent could not take a change over without a restart, both with a
 * sentence; another -errno when a file can't be written.
 */
int supervisor_apply(struct supervisor *up, struct plan *plan, struct error **err);

/* Drains everything; the loop stops when all has ended. */
void supervisor_stop(struct supervisor *up);

/* The service of this name, or NULL. */
struct local_service *supervisor_find(struct supervisor *up, const char *name);

/* How many of its wanted replicas are ready. */
unsigned supervisor_ready(const struct local_service *service);

/* Process starts after the first, over all its replicas. */
unsigned supervisor_restarts(const struct local_service *service);

/* Answers the waiters whose wait is over (supervisor_verbs.c). */
void supervisor_wake(struct supervisor *up);

/* The control requests (supervisor_verbs.c). */
void supervisor_request(void *context, uint64_t id, const json_t *request);

#endif
