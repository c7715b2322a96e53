/* What the I/O thread notes of requests and calls on their way. */
#include <string.h>

#include "agent/io_private.h"
#include "agent/trace_export.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

void trace_configure(struct io *io)
{
    const struct tracing_settings *settings = &io_config(io)->tracing;
    if (!io->trace && settings->given) {
        cleanup_error struct error *err = NULL;
        struct trace *t = NULL;
        if (trace_new(&io->agent->metrics.trace, &t, &err) < 0 ||
            trace_exporter_start(t, io->agent, &t->exporter, &err) < 0) {
            log_error("nothing is traced", LOG_ERROR(err));
            trace_free(t);
            return;
        }
        t->of_call = xcalloc(io->egress.calls.capacity, sizeof *t->of_call);
        io->trace = t;
        trace_metrics_attach(io->agent->registry, t);
        __atomic_store_n(&io->agent->trace, t, __ATOMIC_RELEASE);
    }
    if (!io->trace)
        return;
    trace_set(io->trace, settings->given ? settings : NULL);
    if (settings->given)
        trace_exporter_configure(io->trace->exporter, io->config);
}

void trace_destroy(struct io *io)
{
    if (!io->trace)
        return;
    trace_metrics_attach(io->agent->registry, NULL);
    trace_exporter_stop(io->trace->exporter, io->drain_deadline_ns);
}

/* ---- requests ---- */

static struct request_message *message_of(const struct io *io, uint32_t exchange)
{
    uint32_t message = exchange_at(io, exchange)->message;
    return message == ARENA_NONE ? NULL : arena_at(&io->agent->forward, message);
}

/* The record of an exchange, or NULL. */
static struct trace_request *request_of(const struct io *io, uint32_t exchange)
{
    const struct request_message *m = message_of(io, exchange);
    return m && m->trace ? trace_request_at(io->trace, m->trace) : NULL;
}

static void describe(const struct io *io, uint32_t exchange, struct trace_request *r,
                     unsigned method, const char *path, size_t length)
{
    r->protocol = connection_at(io, exchange_at(io, exchange)->connection)->kind;
    r->method = (uint8_t)method;
    r->path_length = (uint8_t)(length < TRACE_PATH_MAX ? length : TRACE_PATH_MAX);
    memcpy(r->path, path, r->path_length);
}

/* How an exchange is answered that the application never answered. */
static void take_refusal(const struct io *io, uint32_t exchange, struct trace_request *r)
{
    const struct exchange *e = exchange_at(io, exchange);
    r->status = e->status;
    if (e->body == ARENA_NONE)
        r->reason = (uint8_t)e->body_length; /* above it stands Retry-After */
}

void trace_begin(struct io *io, uint32_t exchange)
{
    struct request_message *m = message_of(io, exchange);
    struct trace_headers headers = {0};
    if (!io->trace->on)
        return;
    if (m->header_count > 0)
        trace_headers_of_message(m, &headers);
    m->trace = trace_request_new(io->trace, &headers, io->now_ns);
    if (m->trace)
        describe(io, exchange, trace_request_at(io->trace, m->trace), m->method, message_path(m),
                 m->path_length);
}

void trace_refused(struct io *io, uint32_t exchange, const struct request_draft *draft)
{
    struct trace_headers headers = {0};
    if (!io->trace->on)
        return;
    trace_headers_of_draft(draft, &headers);
    uint32_t number = trace_request_new(io->trace, &headers, io->now_ns);
    if (!number)
        return;
    struct trace_request *r = trace_request_at(io->trace, number);
    describe(io, exchange, r, draft->method, draft->path.data, draft->path.length);
    take_refusal(io, exchange, r);
    trace_request_end(io->trace, number, io->now_ns);
}

void trace_queued(struct io *io, uint32_t exchange)
{
    struct trace_request *r = request_of(io, exchange);
    if (r)
        r->queued_ns = io->now_ns;
}

void trace_returned(struct io *io, uint32_t exchange, enum reject_reason reason)
{
    struct trace_request *r = request_of(io, exchange);
    if (!r)
        return;
    r->returned_ns = io->now_ns;
    r->status = (uint16_t)reject_status(reason);
    r->reason = (uint8_t)reason;
}

void trace_end(struct io *io, uint32_t exchange)
{
    struct request_message *m = message_of(io, exchange);
    if (!m || !m->trace)
        return;
    struct trace_request *r = trace_request_at(io->trace, m->trace);
    if (!r->returned_ns)
        take_refusal(io, exchange, r);
    trace_request_end(io->trace, m->trace, io->now_ns);
    m->trace = TRACE_NONE;
}

/* ---- calls ---- */

static struct egress_call *egress_at(const struct io *io, uint32_t call)
{
    return pool_at(&io->egress.calls, call);
}

static struct trace_call *call_of(const struct io *io, uint32_t call)
{
    uint32_t number = io->trace->of_call[call];
    return number ? trace_call_at(io->trace, number) : NULL;
}

void trace_call_taken(struct io *io, uint32_t index)
{
    const struct egress_call *call = egress_at(io, index);
    const struct request_message *m = arena_at(&io->agent->forward, call->message);
    uint32_t number = m->trace ? trace_call_new(io->trace, m->trace, io->now_ns) : TRACE_NONE;
    io->trace->of_call[index] = number;
    if (!number)
        return;
    struct trace_call *t = trace_call_at(io->trace, number);
    t->target = call->target;
    t->posted = (uint32_t)call->node.deadline_ns > 0; /* its body's length, until it begins */
    t->submitted_ns = egress_submitted_ns(io, call->stamp_us);
}

void trace_call_begun(struct io *io, uint32_t index, uint64_t asked_ns, bool real)
{
    struct trace_call *t = call_of(io, index);
    if (!t)
        return;
    t->begun_ns = io->now_ns;
    t->real = real;
    t->asked_us = (uint32_t)(asked_ns / NS_PER_US < UINT32_MAX ? asked_ns / NS_PER_US : UINT32_MAX);
}

void trace_call_attempted(struct io *io, uint32_t index, uint64_t asked_ns, bool again)
{
    const struct trace_call *t = call_of(io, index);
    uint64_t before_ns = again && t ? t->asked_us * NS_PER_US : 0, begun_ns = t ? t->begun_ns : 0;
    trace_call_begun(io, index, before_ns + asked_ns, false);
    if (again && t)
        call_of(io, index)->begun_ns = begun_ns;
}

void trace_call_answered(struct io *io, uint32_t index)
{
    struct trace_call *t = call_of(io, index);
    if (t)
        t->answered_ns = io->now_ns;
}

void trace_call_ended(struct io *io, uint32_t index)
{
    struct trace_call *t = call_of(io, index);
    if (!t)
        return;
    t->ended_ns = io->now_ns;
    t->status = egress_at(io, index)->status;
    io->trace->of_call[index] = TRACE_NONE;
}

const struct trace_context *trace_call_context(const struct io *io, uint32_t index)
{
    const struct trace_call *t = call_of(io, index);
    return t ? &t->context : NULL;
}

/* ---- crossings ---- */

/* Where a message's crossing is noted, or NULL. */
static struct trace_crossing *crossing_of(const struct io *io, uint32_t id)
{
    uint32_t index = id & CROSSING_INDEX_MASK;
    enum crossing_kind kind = (enum crossing_kind)(id >> CROSSING_INDEX_BITS);
    if (kind == CROSSING_REFUSED) /* nothing crosses */
        return NULL;
    if (kind == CROSSING_REQUEST || kind == CROSSING_ANSWER) {
        struct trace_request *r = request_of(io, index);
        return !r ? NULL : kind == CROSSING_REQUEST ? &r->in : &r->out;
    }
    struct trace_call *t = call_of(io, index);
    return !t ? NULL : kind == CROSSING_CALL ? &t->out : &t->in;
}

void trace_asked(struct io *io, uint32_t id, double asked_ns)
{
    struct trace_crossing *crossing = crossing_of(io, id);
    if (crossing)
        crossing->asked_ns += asked_ns;
}

void trace_crossed(struct io *io, uint32_t id)
{
    struct trace_crossing *crossing = crossing_of(io, id);
    if (crossing)
        crossing->over_ns = io->now_ns;
}
