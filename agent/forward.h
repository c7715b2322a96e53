/*
 * Real calls to other services over HTTP/1.1 (egress.mode forward): a client on the I/O thread's
 * own epoll set, with kept connections, no thread and no allocation a call. docs/agent.md has the
 * states, bounds and failures; docs/dependencies.md why this is not libcurl.
 *
 *     struct forward *f = forward_new(&setup);
 *     forward_configure(f, config);                   now, and after each reload
 *     if (forward_takes(f, target))
 *         forward_begin(f, &call, now_ns);            setup.done() once for each, maybe at once
 *     on an event with data & FORWARD_EVENT:          forward_event(f, data, events, now_ns)
 *     once a turn, after the events:                  forward_work(f, now_ns)
 *     wake at:                                        forward_next_ns(f)
 *
 * Everything here belongs to the I/O thread. done() may be called from within each of these
 * functions but forward_new() and forward_next_ns(), and must not call back.
 *
 *   forward.c              calls: begin, retry, time out, end
 *   forward_destination.c  callees: where they answer, which address is next, who waits
 *   forward_connection.c   connections: connect, keep, close
 *   forward_transfer.c     what goes over one: a request out, an answer in
 *   forward_request.c      a call's bytes
 *   forward_metrics.c      what is counted
 */
#ifndef DPUMESH_AGENT_FORWARD_H
#define DPUMESH_AGENT_FORWARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/message.h"
#include "agent/trace_context.h"
#include "obs/metric.h"
#include "spec/agent_config.h"

struct forward;

/* In the data of epoll events that are ours; the lower 32 bits and FORWARD_EVENT_NAMES are too. */
#define FORWARD_EVENT       (UINT64_C(4) << 32)
#define FORWARD_EVENT_NAMES (UINT64_C(8) << 32) /* besides: a socket of the resolver */

/* How a call ended; the label `result` of dpumesh_forward_calls_ended_total. */
enum forward_outcome {
    FORWARD_OK,              /* 200 */
    FORWARD_STATUS,          /* another status */
    FORWARD_TIMEOUT,         /* egress.timeout passed */
    FORWARD_CONNECT_TIMEOUT, /* forward.connectTimeout passed, on each attempt */
    FORWARD_DNS,             /* the name has no address */
    FORWARD_REFUSED,         /* nobody listens */
    FORWARD_UNREACHABLE,     /* no way there, or no descriptors or ports left here */
    FORWARD_TLS,             /* no handshake: a certificate, a file, a protocol */
    FORWARD_RESET,           /* the connection was reset */
    FORWARD_CUT,             /* it ended before the answer did, or before it began */
    FORWARD_MALFORMED,       /* what came is no HTTP answer */
    FORWARD_TOO_LARGE,       /* the answer is over forward.answerBytes */
    FORWARD_FULL,            /* forward.pending calls wait already */
    FORWARD_UNKNOWN,         /* no service's name, or too many names */
    FORWARD_OUTCOMES
};

/* The outcome's label value; static. */
const char *forward_outcome_name(enum forward_outcome outcome);

/* What the application is told of it: 200, 500, 503 or 504 (docs/agent.md). */
uint16_t forward_outcome_status(enum forward_outcome outcome);

/* Second attempts, by cause. */
enum forward_retry {
    FORWARD_RETRY_BUDGETED, /* after a wait, out of the budget */
    FORWARD_RETRY_ADDRESS,  /* at once, at another address of the name */
    FORWARD_RETRY_STALE,    /* at once, because the kept connection had just been closed */
    FORWARD_RETRIES
};

enum forward_lookup { FORWARD_LOOKUP_FOUND, FORWARD_LOOKUP_FAILED, FORWARD_LOOKUPS };

struct forward_metrics {
    struct metric_family *calls, *requests; /* by destination */
    struct metric *ended[FORWARD_OUTCOMES];
    struct metric *retries[FORWARD_RETRIES];
    struct metric *lookups[FORWARD_LOOKUPS];
    struct metric *connections_total, *connections, *waiting, *ejections;
    struct metric *sent_bytes, *received_bytes;
    struct metric *latency;
};

/* Declares the families; once a registry. */
void forward_metrics_declare(struct metrics *registry, struct forward_metrics *ret_metrics);

/* A call to make. What it points to stays valid until it is done. */
struct forward_call {
    uint32_t owner;                        /* given back to done() */
    uint16_t target;                       /* targets.h */
    const struct request_message *message; /* whose query, headers and hops travel on */
    const char *body;                      /* a member of a JSON object, as "s1": [...] */
    uint32_t body_length;                  /* 0: nothing is POSTed, it is a GET */
    const struct trace_context *trace;     /* goes out instead of the message's; NULL: does not */
    uint64_t deadline_ns;                  /* when it has taken too long */
};

struct forward_result {
    enum forward_outcome outcome;
    unsigned status;         /* that the callee answered, 0: none */
    uint32_t sent_bytes;     /* of the last attempt's request */
    uint64_t received_bytes; /* of the answer's body */
};

typedef void forward_done(void *context, uint32_t owner, const struct forward_result *result);

/* A call whose attempt sent so many bytes is tried again out of the budget; granted false: that is
 * spent, so it is not. */
typedef void forward_retried(void *context, uint32_t sent_bytes, bool granted);

struct forward_setup {
    int epoll; /* borrowed */
    const struct forward_metrics *metrics;
    char *scratch; /* for reading, borrowed; free for others between two calls of ours */
    size_t scratch_size;
    uint64_t seed; /* of the waits before retries */
    forward_done *done;
    forward_retried *retried; /* NULL: nobody asks */
    void *context;            /* of both */
};

/* 0 and a client that is owned by the caller, or -errno and a sentence. */
int forward_new(const struct forward_setup *setup, struct forward **ret_forward,
                struct error **err);

/* Takes over a configuration, which must stay valid until the next one. Calls under way go on. */
void forward_configure(struct forward *f, const struct agent_config *config);

/* Whether calls to this callee are real. */
bool forward_takes(struct forward *f, uint16_t target);

/* Begins a call; asked is copied, what it points to is not. */
void forward_begin(struct forward *f, const struct forward_call *asked, uint64_t now_ns);

/* Handles an epoll event of ours. */
void forward_event(struct forward *f, uint64_t data, uint32_t events, uint64_t now_ns);

/* Ends what is due, and gives back what was closed in this turn. */
void forward_work(struct forward *f, uint64_t now_ns);

/* When forward_work() is next needed, UINT64_MAX: not before an event. */
uint64_t forward_next_ns(const struct forward *f);

/* Calls begun and not done. */
uint32_t forward_in_flight(const struct forward *f);

/* Closes everything; done() is not called any more. NULL is fine. */
void forward_free(struct forward *f);

#endif
