/* From a request that was read to the answer that is encoded. */
#include <errno.h>
#include <string.h>

#include "agent/io_private.h"
#include "base/clock.h"

uint32_t exchange_new(struct io *io, uint32_t connection, unsigned flags)
{
    uint32_t index = pool_take(&io->exchanges);
    if (index == POOL_NONE)
        return POOL_NONE;
    struct connection *c = connection_at(io, connection);
    *exchange_at(io, index) =
        (struct exchange){.connection = connection,
                          .next = POOL_NONE,
                          .message = ARENA_NONE,
                          .body = ARENA_NONE,
                          .flags = (uint8_t)flags,
                          .req_id = c->kind == LISTEN_BRIDGE ? ++io->next_req_id : 0};
    if (c->first == POOL_NONE)
        c->first = index;
    else
        exchange_at(io, c->last)->next = index;
    c->last = index;
    c->pending++;
    c->active_ns = io->now_ns;
    if (!(flags & EXCHANGE_PAGE)) {
        metric_add(io->agent->metrics.requests[c->kind], 1);
        metric_add(io->agent->metrics.in_flight, 1);
    }
    return index;
}

void exchange_deliver(struct io *io, uint32_t index)
{
    struct exchange *e = exchange_at(io, index);
    e->flags |= EXCHANGE_READY;
    if (e->connection == POOL_NONE)
        exchange_free(io, index);
    else if (connection_at(io, e->connection)->first == index)
        connection_mark(io, e->connection);
}

/* The number of a Content-Type; the strings are static, so their addresses tell them apart. */
static uint8_t type_number(struct io *io, const char *type)
{
    for (unsigned i = 0; i < io->type_count; i++)
        if (io->types[i] == type || strcmp(io->types[i], type) == 0)
            return (uint8_t)i;
    if (io->type_count == PAGE_TYPES_MAX)
        return TYPE_PLAIN;
    io->types[io->type_count] = type;
    return (uint8_t)io->type_count++;
}

void exchange_answer(struct io *io, uint32_t index, unsigned status, const char *content_type,
                     const char *body, size_t length)
{
    struct exchange *e = exchange_at(io, index);
    uint32_t offset = arena_alloc(&io->agent->forward, length ? length : 1);
    if (offset == ARENA_NONE) {
        exchange_refuse(io, index, REJECT_MEMORY_FULL, NULL);
        return;
    }
    memcpy(arena_at(&io->agent->forward, offset), body, length);
    e->status = (uint16_t)status;
    e->type = type_number(io, content_type);
    e->body = offset;
    e->body_length = (uint32_t)length;
    e->flags |= EXCHANGE_OWN;
    exchange_deliver(io, index);
}

void exchange_refuse_status(struct io *io, uint32_t index, unsigned status, const char *sentence)
{
    char body[2 * WIRE_SENTENCE_MAX + 32], *end = body;
    size_t length = strnlen(sentence, WIRE_SENTENCE_MAX - 1);
    if (json_escaped_length(sentence, length) > 2 * (size_t)WIRE_SENTENCE_MAX)
        length = 0; /* only control characters take more, and no sentence has many */
    end = mempcpy(end, "{\"message\":\"", 12);
    end = json_escape(sentence, length, end);
    end = mempcpy(end, "\"}", 2);
    metric_add(io->agent->metrics.rejected[REJECT_MALFORMED], 1);
    exchange_answer(io, index, status, "application/json", body, (size_t)(end - body));
}

void exchange_refuse(struct io *io, uint32_t index, enum reject_reason reason, const char *sentence)
{
    if (sentence) {
        exchange_refuse_status(io, index, reject_status(reason), sentence);
        return;
    }
    exchange_refuse_later(io, index, reason, reject_status(reason), 1);
}

/* In body_length where there is no body: whose own sentence is meant, and Retry-After. */
enum { CANNED_REASON_BITS = 8, CANNED_REASON = (1 << CANNED_REASON_BITS) - 1 };

void exchange_refuse_later(struct io *io, uint32_t index, enum reject_reason reason,
                           unsigned status, uint32_t retry_s)
{
    struct exchange *e = exchange_at(io, index);
    metric_add(io->agent->metrics.rejected[reason], 1);
    e->status = (uint16_t)status;
    e->type = TYPE_JSON;
    e->body_length = reason | retry_s << CANNED_REASON_BITS;
    exchange_deliver(io, index);
}

/* Writes the message into the arena; its offset or ARENA_NONE. Escapes make the final length known
 * only once it is written: small ones are written aside first, so that they take no more than they
 * need. */
static uint32_t lay_out(struct arena *arena, const struct request_draft *draft, uint32_t source)
{
    union {
        struct request_message message;
        char bytes[1024];
    } aside;
    size_t most = draft_length(draft);
    if (!draft->body.escaped || most > sizeof aside) {
        uint32_t offset = arena_alloc(arena, most);
        if (offset != ARENA_NONE)
            draft_write(draft, source, arena_at(arena, offset));
        return offset;
    }
    draft_write(draft, source, &aside.message);
    uint32_t offset = arena_alloc(arena, aside.message.length);
    if (offset != ARENA_NONE)
        memcpy(arena_at(arena, offset), aside.bytes, aside.message.length);
    return offset;
}

uint32_t exchange_message_bytes(const struct io *io, uint32_t index)
{
    const struct request_message *m =
        arena_at(&io->agent->forward, exchange_at(io, index)->message);
    return m->length;
}

bool exchange_admit(struct io *io, uint32_t index, bool first)
{
    struct agent *agent = io->agent;
    struct descriptor *d = ring_slot(&agent->ingress_sq);
    if (!d)
        return false;
    d->offset = exchange_at(io, index)->message;
    d->length = exchange_message_bytes(io, index);
    d->tag = index;
    d->flags = first ? DESCRIPTOR_WAKE : 0;
    d->stamp_us = (uint32_t)(io->now_ns / NS_PER_US);
    metric_add(agent->metrics.queue_submitted[QUEUE_INGRESS_SQ], 1);
    if (io->trace)
        trace_queued(io, index);
    ring_submit(&agent->ingress_sq, d);
    io->submitted = true;
    return true;
}

/* Refuses a request that is not laid into memory. */
static void turn_away(struct io *io, uint32_t index, const struct request_draft *draft,
                      enum reject_reason reason)
{
    exchange_refuse(io, index, reason, NULL);
    if (io->trace)
        trace_refused(io, index, draft);
}

void exchange_submit(struct io *io, uint32_t index, const struct request_draft *draft)
{
    struct agent *agent = io->agent;
    struct exchange *e = exchange_at(io, index);
    const struct connection *c = connection_at(io, e->connection);
    bool draining = io->draining && !connection_just_came(io, c);
    if (c->refused || draining || io->inside >= io_config(io)->limits.requests) {
        connection_at(io, e->connection)->closing |= c->refused;
        turn_away(io, index, draft,
                  c->refused ? REJECT_TOO_MANY_CONNECTIONS
                  : draining ? REJECT_DRAINING
                             : REJECT_TOO_MANY_REQUESTS_IN_FLIGHT);
        return;
    }
    bool crosses = crossing_needed(io);
    if (crosses && !crossing_has_room(io, POD_IN)) {
        metric_add(agent->metrics.crossing_full[POD_IN], 1);
        turn_away(io, index, draft, REJECT_DATAPATH_FULL);
        return;
    }
    if (!crosses && !ring_slot(&agent->ingress_sq)) {
        metric_add(agent->metrics.queue_full[QUEUE_INGRESS_SQ], 1);
        turn_away(io, index, draft, REJECT_INGRESS_QUEUE_FULL);
        return;
    }
    struct fault_outcome fault;
    if (policy_refuses(io, index, draft, &fault)) {
        if (io->trace)
            trace_refused(io, index, draft);
        return;
    }
    e->message = lay_out(&agent->forward, draft, c->source);
    if (e->message == ARENA_NONE) {
        turn_away(io, index, draft, REJECT_MEMORY_FULL);
        return;
    }
    metric_add(agent->metrics.ingress_bytes, exchange_message_bytes(io, index));
    if (io->trace)
        trace_begin(io, index);
    io->inside++;
    if (fault.delay_ns && policy_delay(io, index, &fault))
        return;
    if (crosses)
        crossing_begin(io, CROSSING_REQUEST, index);
    else
        exchange_admit(io, index, false);
}

void exchange_waited(struct io *io, uint32_t index, unsigned abort_status)
{
    bool crosses = crossing_needed(io);
    if (!abort_status && crosses && crossing_has_room(io, POD_IN)) {
        crossing_begin(io, CROSSING_REQUEST, index);
        return;
    }
    if (!abort_status && !crosses && exchange_admit(io, index, false))
        return;
    io->inside--;
    if (abort_status) {
        crossing_refused(io, exchange_message_bytes(io, index));
        exchange_refuse_later(io, index, REJECT_FAULT, abort_status, 1);
        return;
    }
    /* It was full when the wait was over. */
    metric_add(crosses ? io->agent->metrics.crossing_full[POD_IN]
                       : io->agent->metrics.queue_full[QUEUE_INGRESS_SQ],
               1);
    exchange_refuse(io, index, crosses ? REJECT_DATAPATH_FULL : REJECT_INGRESS_QUEUE_FULL, NULL);
}

bool exchange_complete_all(struct io *io)
{
    struct ring *cq = &io->agent->ingress_cq;
    struct descriptor *d;
    bool crosses = crossing_needed(io);
    while ((d = ring_pop(cq))) {
        /* With many requests in flight the next exchanges lie in no cache. */
        __builtin_prefetch(exchange_at(io, ring_tag_ahead(cq, 4)), 1);
        struct exchange *e = exchange_at(io, d->tag);
        unsigned reason = d->flags & DESCRIPTOR_REASON;
        e->status = d->status;
        e->body = d->offset;
        e->body_length = d->offset == ARENA_NONE ? reason : d->length;
        e->type = d->flags & DESCRIPTOR_JSON ? TYPE_JSON : TYPE_PLAIN;
        if (!(d->flags & (DESCRIPTOR_JSON | DESCRIPTOR_TEXT)))
            e->flags |= EXCHANGE_PLAIN;
        if (reason)
            metric_add(io->agent->metrics.rejected[reason], 1);
        io->inside--;
        if (io->trace)
            trace_returned(io, d->tag, (enum reject_reason)reason);
        if (crosses)
            crossing_begin(io, CROSSING_ANSWER, d->tag);
        else
            exchange_deliver(io, d->tag);
    }
    return ring_release(cq);
}

/* IMF-fixdate (RFC 9110 section 5.6.7), made once a second. */
static const char *date_now(struct io *io)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (now.tv_sec != io->date_s) {
        struct tm utc;
        gmtime_r(&now.tv_sec, &utc);
        strftime(io->date, sizeof io->date, "%a, %d %b %Y %H:%M:%S GMT", &utc);
        io->date_s = now.tv_sec;
    }
    return io->date;
}

int exchange_encode(struct io *io, const struct connection *c, const struct exchange *e,
                    bool keep_alive)
{
    const struct arena *arena = e->flags & EXCHANGE_OWN ? &io->agent->forward : &io->agent->reverse;
    bool canned = e->body == ARENA_NONE;
    const char *body = canned ? reject_body((enum reject_reason)(e->body_length & CANNED_REASON))
                              : arena_at(arena, e->body);
    struct reply reply = {
        .req_id = e->req_id,
        .status = e->status,
        .flags = (e->flags & (REPLY_HEAD | REPLY_HTTP10)) |
                 (keep_alive ? (unsigned)REPLY_KEEP_ALIVE : 0) |
                 (crossing_busy(io) ? (unsigned)REPLY_HOST_BUSY : 0),
        .content_type = io->types[e->type],
        .retry_after_s = canned ? e->body_length >> CANNED_REASON_BITS : 0,
        .allow = e->status != 405           ? NULL
                 : e->flags & EXCHANGE_PAGE ? "GET, HEAD"
                                            : "GET, HEAD, POST",
        .body = body,
        .body_length = canned ? strlen(body) : e->body_length,
        .plain = e->flags & EXCHANGE_PLAIN,
        .request = e->message == ARENA_NONE ? NULL : arena_at(&io->agent->forward, e->message),
    };
    return c->kind == LISTEN_HTTP ? reply_encode_http(&reply, date_now(io), &io->out)
                                  : reply_encode_bridge(&reply, c->mode, &io->out);
}

void exchange_free(struct io *io, uint32_t index)
{
    const struct exchange *e = exchange_at(io, index);
    if (io->trace)
        trace_end(io, index);
    if (e->message != ARENA_NONE)
        arena_release(&io->agent->forward, e->message);
    if (e->body != ARENA_NONE) {
        if (e->flags & EXCHANGE_OWN)
            arena_release(&io->agent->forward, e->body);
        else
            arena_chain(&io->agent->reverse, &io->spent, e->body);
    }
    if (!(e->flags & EXCHANGE_PAGE))
        metric_add(io->agent->metrics.in_flight, -1);
    pool_give(&io->exchanges, index);
}
