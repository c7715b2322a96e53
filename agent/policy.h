/*
 * datapath.policy on the I/O thread, which plays the proxy: before a request is laid into
 * registered memory it passes the rate limits, the concurrency limit and the faults, in this order.
 * What is delayed lies in a timing wheel.
 *
 *     if (policy_refuses(io, index, draft, &fault))                 answered already
 *         return;
 *     ... lay the message out ...
 *     if (!fault.delay_ns || !policy_delay(io, index, &fault))      else it goes on later
 *         ... go on ...
 *
 * Without a policy in the configuration all this is one comparison. What it costs a modelled proxy
 * is charged by crossing.c (policyMessage of the profile).
 *
 * Belongs to the I/O thread.
 */
#ifndef DPUMESH_AGENT_POLICY_H
#define DPUMESH_AGENT_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/fault.h"
#include "agent/pool.h"
#include "agent/wheel.h"
#include "model/bucket.h"
#include "obs/metric.h"
#include "spec/policy.h"

struct io;

/* Labels of dpumesh_policy_requests_total. */
enum policy_kind {
    POLICY_SERVICE_RATE,
    POLICY_SOURCE_RATE,
    POLICY_CONCURRENCY,
    POLICY_FAULT,
    POLICY_BREAKER,
    POLICY_RETRY,
    POLICY_KINDS
};
enum policy_outcome {
    POLICY_PASSED,
    POLICY_REFUSED, /* rates, concurrency, breaker, retry */
    POLICY_DELAYED, /* fault */
    POLICY_ABORTED, /* fault */
    POLICY_PROBE,   /* breaker */
    POLICY_RETRIED, /* retry */
    POLICY_OUTCOMES
};

struct policy_metrics {
    struct metric *requests[POLICY_KINDS][POLICY_OUTCOMES]; /* NULL: never happens */
    struct metric *work;                                    /* seconds of the modelled proxy */
    struct metric_family *breaker_state, *breaker_opened;   /* by destination */
};

/* Declares the families; once a registry. */
void policy_metrics_declare(struct metrics *registry, struct policy_metrics *ret_metrics);

/* A request that waits. */
struct policy_wait {
    struct wheel_node node; /* node.user: its exchange */
    unsigned abort_status;  /* answered so after that; 0: goes on */
};

struct policy {
    unsigned in_force; /* how many policies each request passes; 0: none */
    double service_burst, source_burst;
    uint64_t seed, seed_given; /* in use, and as the configuration has it */
    uint64_t number;           /* requests that came to the faults */
    struct bucket service;
    struct bucket *sources; /* by the number of a source, limits.sources + 1; NULL: none yet */
    struct pool waits;
    struct wheel *wheel; /* NULL until something is delayed */
};

/* Takes over the configuration in force; at start and after each reload. */
void policy_configure(struct io *io);

/* Frees it all; nothing waits any more. */
void policy_destroy(struct io *io);

/* Whether a request was answered here; if not, *ret_fault tells whether it is to be delayed, and
 * whether it is answered after that. */
bool policy_refuses(struct io *io, uint32_t index, const struct request_draft *draft,
                    struct fault_outcome *ret_fault);

/* A request waits; false: nothing can wait any more (memory), it goes on at once. */
bool policy_delay(struct io *io, uint32_t index, const struct fault_outcome *fault);

/* Lets go on what has waited; true when anything moved. */
bool policy_work(struct io *io);

/* When policy_work() is next needed, UINT64_MAX: not before another request. */
uint64_t policy_next_ns(const struct io *io);

#endif
