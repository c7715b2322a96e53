/*
 * Traces of requests: what the I/O thread and the application note while a request goes through, in
 * a record of fixed size. docs/tracing.md tells which spans come of it.
 *
 * A record is taken when the request is submitted and goes with it, as its message does:
 * message->trace names it. The I/O thread writes all of it but `application`, which the application
 * writes between the ingress queues. When the request is answered and its spans are wanted, the
 * record goes through a ring to the exporter (trace_export.h), which reads it and gives it back
 * through another; else it is free at once. Whether they are wanted is known only then, since
 * errors are always sent, so every request is recorded while tracing is on.
 *
 * Everything is bounded, and nothing waits: a request that finds no record is served without one, a
 * record that finds the queue full is free again, and both are counted.
 *
 * The I/O thread calls all of this. Until a configuration asks for tracing, io->trace and
 * agent->trace are NULL, and nobody calls anything.
 */
#ifndef DPUMESH_AGENT_TRACE_H
#define DPUMESH_AGENT_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/doorbell.h"
#include "agent/pool.h"
#include "agent/reply.h"
#include "agent/ring.h"
#include "agent/trace_context.h"
#include "obs/metric.h"
#include "spec/agent_config.h"

struct io;

enum {
    TRACE_NONE = 0,                   /* a record's number: none */
    TRACE_PATH_MAX = 72,              /* bytes of the path that are kept */
    TRACE_CALLS_MAX = 128,            /* of a request that are recorded */
    TRACE_QUEUE_CAPACITY = 16384,     /* tracing.queue at most */
    TRACE_REQUESTS_CAPACITY = 163840, /* tracing.pending and tracing.queue at most, and a batch */
    TRACE_CALLS_A_REQUEST = 4         /* places for calls, a place for a request */
};

/* What the model asked of a crossing, and when it was over; over 0: nothing crossed. */
struct trace_crossing {
    uint64_t over_ns;
    double asked_ns;
};

/* A call of a request. */
struct trace_call {
    uint32_t link; /* of the pool; then the request's next call */
    uint16_t target;
    uint16_t status;
    bool real;                    /* made, not simulated */
    bool posted;                  /* with a body */
    uint32_t asked_us;            /* simulated: how long it was to take */
    struct trace_context context; /* its own span's */
    uint64_t submitted_ns, taken_ns;
    struct trace_crossing out, in;
    uint64_t begun_ns, answered_ns; /* the outside world's */
    uint64_t ended_ns;              /* put into the egress CQ */
};

struct trace_request {
    uint32_t link; /* of the pool */
    uint32_t first_call, last_call;
    uint16_t call_count;
    uint16_t calls_lost; /* that were not recorded */
    uint16_t status;
    uint8_t reason;   /* enum reject_reason */
    uint8_t method;   /* enum request_method */
    uint8_t protocol; /* enum listener_kind */
    uint8_t path_length;
    struct trace_context context; /* its own span's */
    uint64_t begun_ns;
    struct trace_crossing in, out;
    uint64_t queued_ns;   /* put into the ingress SQ; 0: it never was */
    uint64_t returned_ns; /* taken from the ingress CQ */
    uint64_t ended_ns;    /* its answer was encoded */
    struct {
        uint64_t taken_ns;    /* from the ingress SQ */
        uint64_t worked_ns;   /* its internal work was over; 0: there was none */
        uint64_t answered_ns; /* its answer stood */
    } application __attribute__((aligned(64)));
    char path[TRACE_PATH_MAX];
};

/* Why spans are not sent; the label `reason` of dpumesh_trace_spans_dropped_total. */
enum trace_drop {
    TRACE_DROP_MEMORY,  /* no record was free */
    TRACE_DROP_QUEUE,   /* too many waited to be sent */
    TRACE_DROP_OFF,     /* tracing was turned off meanwhile */
    TRACE_DROP_FAILED,  /* the collector could not be reached, or told to come again, too often */
    TRACE_DROP_REFUSED, /* the collector refused them */
    TRACE_DROP_END,     /* there was no time left when the agent ended */
    TRACE_DROPS
};

/* What becomes of a request's spans. */
enum trace_outcome {
    TRACE_OUTCOME_SAMPLED,
    TRACE_OUTCOME_ERROR,
    TRACE_OUTCOME_NOT,
    TRACE_OUTCOMES
};

/* How an attempt to send ended. */
enum trace_result {
    TRACE_RESULT_OK,
    TRACE_RESULT_RETRIED, /* it will be made again */
    TRACE_RESULT_FAILED,  /* and was the last one */
    TRACE_RESULT_REFUSED,
    TRACE_RESULTS
};

struct trace_metrics {
    struct metric *requests[TRACE_OUTCOMES];
    struct metric *exported, *dropped[TRACE_DROPS];
    struct metric *exports[TRACE_RESULTS];
};

struct trace {
    struct pool requests, calls;
    struct ring finished, returned;   /* to the exporter and back; the tag is a record's index */
    struct doorbell bell;             /* the exporter's */
    uint32_t wanted;                  /* atomic: so many finished ones wake it */
    bool submitted;                   /* since it was last told */
    bool on;                          /* the configuration in force has tracing */
    struct tracing_settings settings; /* that one's; borrowed */
    uint32_t *of_call;                /* by the index of an egress call: the number of its record */
    uint64_t ids[3];                  /* counters that ids are made of */
    const struct trace_metrics *metrics;
    struct trace_exporter *exporter;
};

/* Declares the families; once a registry. trace_metrics_attach(): the gauges that read `trace`;
 * NULL withdraws them. */
void trace_metrics_declare(struct metrics *registry, struct trace_metrics *ret_metrics);
void trace_metrics_attach(struct metrics *registry, struct trace *trace);

/* Pools and rings without an exporter; owned by the caller. 0 or -errno and a sentence. */
int trace_new(const struct trace_metrics *metrics, struct trace **ret_trace, struct error **err);
void trace_free(struct trace *trace);

/* Takes over settings, which are borrowed; NULL turns it off. */
void trace_set(struct trace *trace, const struct tracing_settings *settings);

/* A new request; its number (index + 1), or TRACE_NONE: there was no room. */
uint32_t trace_request_new(struct trace *trace, const struct trace_headers *headers,
                           uint64_t now_ns);

/* A new call of a request; its number, or TRACE_NONE. */
uint32_t trace_call_new(struct trace *trace, uint32_t request, uint64_t now_ns);

/* A request is over: its spans are on their way, or it is free. */
void trace_request_end(struct trace *trace, uint32_t request, uint64_t now_ns);

/* Tells the exporter of what was finished, and takes back what it has read; once a turn. */
void trace_turn(struct trace *trace);

/* How many spans a record makes. */
unsigned trace_span_count(const struct trace *trace, const struct trace_request *request);

/* Whether a trace with this id is sampled at this ratio: OpenTelemetry's consistent threshold, the
 * same whoever asks. */
bool trace_id_sampled(const uint64_t trace_id[2], double ratio);

static inline struct trace_request *trace_request_at(const struct trace *trace, uint32_t number)
{
    return pool_at(&trace->requests, number - 1);
}
static inline struct trace_call *trace_call_at(const struct trace *trace, uint32_t number)
{
    return pool_at(&trace->calls, number - 1);
}

/* ---- trace_io.c: the steps of requests and calls; by the index of an exchange or a call ---- */

/* Takes over the configuration in force; at start and after each reload. */
void trace_configure(struct io *io);

/* Sends what waits, within the drain timeout, and ends the exporter; agent_destroy() frees the
 * rest. */
void trace_destroy(struct io *io);

/* An exchange's message stands; or there will be none: it was refused at once. */
void trace_begin(struct io *io, uint32_t exchange);
void trace_refused(struct io *io, uint32_t exchange, const struct request_draft *draft);

/* It is in the ingress SQ, has come from the ingress CQ, and is over. */
void trace_queued(struct io *io, uint32_t exchange);
void trace_returned(struct io *io, uint32_t exchange, enum reject_reason reason);
void trace_end(struct io *io, uint32_t exchange);

/* A message of crossing.h's number is asked to take so long, besides what it was asked before; has
 * crossed. */
void trace_asked(struct io *io, uint32_t id, double asked_ns);
void trace_crossed(struct io *io, uint32_t id);

/* A call was taken from the egress SQ, is on the wire, has its answer, is complete. */
void trace_call_taken(struct io *io, uint32_t index);
void trace_call_begun(struct io *io, uint32_t index, uint64_t asked_ns, bool real);
/* The same for an attempt of a simulated call; again: not the first, whose latency is added. */
void trace_call_attempted(struct io *io, uint32_t index, uint64_t asked_ns, bool again);
void trace_call_answered(struct io *io, uint32_t index);
void trace_call_ended(struct io *io, uint32_t index);

/* The context that a call sends on, until it has ended; NULL: what its message has. */
const struct trace_context *trace_call_context(const struct io *io, uint32_t index);

#endif
