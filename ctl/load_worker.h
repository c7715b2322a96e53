/*
 * The engine of dpumesh load: one thread with its own epoll set, connections and counts. Threads
 * share nothing that is written but a stop flag; requests, connections and rate are dealt out
 * before the start.
 *
 *     struct load_worker *worker = load_worker_new(plan, index, observer);
 *     load_worker_start(worker, &err);
 *     load_worker_stop(worker);            from any thread, to end early
 *     load_worker_join(worker);            then worker->stats is the caller's to read
 *     load_worker_free(worker);
 *
 * A closed loop keeps plan->depth requests in flight on each connection. An open loop starts a
 * request when it is due, on the connection that has waited longest for one; when none has room it
 * waits, and the wait is part of its latency.
 */
#ifndef DPUMESH_CTL_LOAD_WORKER_H
#define DPUMESH_CTL_LOAD_WORKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "ctl/load_arrival.h"
#include "ctl/load_conn.h"
#include "ctl/load_plan.h"
#include "ctl/load_stats.h"

/* What became of a client's first request: called once a client, in the worker's thread. */
struct load_observer {
    void (*first)(void *context, unsigned client, const struct load_answer *answer,
                  uint64_t latency_ns, enum load_failure failure, int number);
    void *context;
    unsigned clients; /* only for the first so many */
    int done_fd;      /* eventfd to which a worker adds 1 at its end, or -1 */
};

/* Private to load_worker.c and load_conn.c, but for stats. */
struct load_worker {
    const struct load_plan *plan;
    const struct load_observer *observer;
    struct load_stats *stats;
    unsigned index;
    pthread_t thread;
    bool running;
    int epoll, wake; /* wake: eventfd that ends a wait */
    bool stop;       /* atomic: end now */

    struct load_conn *conns;
    unsigned conn_count;
    struct load_stamp *stamps;
    char *input;     /* receive buffer, LOAD_INPUT_BYTES */
    uint32_t *ready; /* FIFO of connections that can be opened or can take a request */
    unsigned ready_head, ready_count;

    uint64_t now_ns;
    uint64_t budget;        /* requests that may still be started */
    uint64_t count_from_ns; /* requests due before belong to the warm-up */
    uint64_t stop_ns;       /* nothing is started from here on; UINT64_MAX: no limit */
    uint64_t in_flight;
    unsigned connecting;
    unsigned connects_failed;
    bool over;    /* open loop: stop_ns has passed */
    bool begun;   /* connections are up and the clock runs */
    bool closing; /* the test is over; only doubled answers are of interest */
    struct load_arrival arrival;
};

enum { LOAD_INPUT_BYTES = 256 << 10 };

/* A worker of plan->threads; plan and observer must outlive it. Never NULL. */
struct load_worker *load_worker_new(const struct load_plan *plan, unsigned index,
                                    const struct load_observer *observer);

/* Starts its thread. 0 or a negative errno and a sentence. */
int load_worker_start(struct load_worker *worker, struct error **err);

/* Asks it to end now; what is in flight counts as unfinished. Any thread; safe after its end. */
void load_worker_stop(struct load_worker *worker);

/* Waits for its end; no effect when it was not started. */
void load_worker_join(struct load_worker *worker);

/* Frees it (joined or never started); NULL is fine. */
void load_worker_free(struct load_worker *worker);

/* How many requests may be started now. For load_conn.c. */
uint64_t load_worker_allowance(const struct load_worker *worker);

/* Puts a connection into the ready queue, unless it is there. For load_conn.c. */
void load_worker_offer(struct load_worker *worker, struct load_conn *conn);

#endif
