/*
 * What a load test counted. Each worker fills one of these; the report is made from their sum.
 *
 * Every request that was started ends in exactly one of: an answer (by status), a failure (by
 * kind), or `unfinished` (the test was stopped under way). Answers that belong to no request are
 * `doubled`. Requests meant to be sent in the warm-up are counted apart and nowhere else.
 *
 * One writer thread; others may read `answered` and `failed` with load_stats_peek() while it runs.
 */
#ifndef DPUMESH_CTL_LOAD_STATS_H
#define DPUMESH_CTL_LOAD_STATS_H

#include <stdbool.h>
#include <stdint.h>

#include "ctl/histogram.h"

enum load_failure {
    LOAD_REFUSED,     /* connect: nobody listens */
    LOAD_UNREACHABLE, /* connect: any other reason */
    LOAD_RESET,       /* the peer reset the connection under a request */
    LOAD_TIMEOUT,     /* no connection or no answer in time */
    LOAD_BAD_ANSWER,  /* the answer is none, or was cut */
    LOAD_LOST,        /* the connection ended without the request's answer */
    LOAD_DOUBLED,     /* an answer without a request */
    LOAD_FAILURES
};

/* "refused", "unreachable", ... as in the JSON report; static. */
const char *load_failure_name(enum load_failure failure);

enum { LOAD_STATUS_MAX = 1000 };

struct load_stats {
    uint64_t started;   /* requests */
    uint64_t answered;  /* of them, with any status */
    uint64_t failed;    /* of them, all kinds but doubled */
    uint64_t host_busy; /* answers of agents that did not keep the model's time */
    uint64_t unfinished;
    uint64_t unsent;        /* open loop: due before the end, and never sent */
    uint64_t warmup;        /* requests of the warm-up, answered or not */
    uint64_t warmup_failed; /* of them, not answered below 400 */
    uint64_t failures[LOAD_FAILURES];
    uint64_t status[LOAD_STATUS_MAX];
    uint64_t connections; /* made */
    uint64_t bytes_sent, bytes_received;
    uint64_t first_ns, last_ns; /* when counting began; when the last request ended */
    int connect_errno;          /* why the last connection was not made; 0: never */
    struct histogram *latency;  /* ns, answers only */
};

/* Empty counts; owned by the caller. Never NULL. */
struct load_stats *load_stats_new(void);

/* Frees it; NULL is fine. */
void load_stats_free(struct load_stats *stats);

/* Adds `from` to `into`. */
void load_stats_merge(struct load_stats *into, const struct load_stats *from);

/* Answers with a status of 400 or more, failures (also of the warm-up) and doubled answers: what
 * makes the exit status 1. */
uint64_t load_stats_bad(const struct load_stats *stats);

/* Seconds from the first counted instant to the end of the last request; 0 when nothing ended. */
double load_stats_seconds(const struct load_stats *stats);

/* Adds to a counter of the calling thread's own that another thread may read meanwhile. */
/* NOLINTNEXTLINE(readability-non-const-parameter): the builtin writes it */
static inline void load_stats_count(uint64_t *counter, uint64_t more)
{
    uint64_t sum = *counter + more;
    __atomic_store(counter, &sum, __ATOMIC_RELAXED);
}

/* Reads such a counter from any thread. */
static inline uint64_t load_stats_peek(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static inline void load_stats_cleanup_fn(struct load_stats **stats)
{
    load_stats_free(*stats);
}
#define cleanup_load_stats CLEANUP(load_stats_cleanup_fn)

#endif
