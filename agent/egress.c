/*
 * The outside world: takes calls from the egress submission queue and completes them. A simulated
 * one (egress_simulated.c) is kept for its latency in a timing wheel, a real one is
 * egress_real.c's. With egress.workers, only so many are worked on at a time and the others stay in
 * the queue, first come first served; this gives a replica its capacity.
 */
#include "agent/io_private.h"
#include "base/clock.h"

int egress_init(struct io *io, struct error **err)
{
    const struct agent_config *config = io_config(io);
    struct egress *e = &io->egress;
    /* Calls past this stay in the queue: back-pressure, not loss. */
    uint32_t most = config->limits.requests < 65536 ? 65536 : config->limits.requests;
    int result = pool_init(&e->calls, sizeof(struct egress_call), most, err);
    if (result < 0)
        return result;
    wheel_init(&e->wheel, &e->calls, clock_monotonic_ns());
    e->done_first = e->done_last = POOL_NONE;
    egress_seed(io);
    egress_configure(io);
    return 0;
}

void egress_destroy(struct io *io)
{
    forward_free(io->egress.forward);
    egress_free_callees(io);
    egress_free_simulated(io);
    egress_free_attempts(io);
    pool_destroy(&io->egress.calls);
}

static struct egress_call *call_at(struct egress *e, uint32_t index)
{
    return pool_at(&e->calls, index);
}

uint64_t egress_submitted_ns(const struct io *io, uint32_t stamp_us)
{
    uint32_t age_us = (uint32_t)(io->now_ns / NS_PER_US) - stamp_us;
    /* Our reading of the clock may be older than the submitter's. */
    return age_us > UINT32_MAX / 2 ? io->now_ns : io->now_ns - age_us * NS_PER_US;
}

static bool complete(struct io *io, const struct egress_call *call)
{
    struct ring *cq = &io->agent->egress_cq;
    struct descriptor *d = ring_slot(cq);
    if (!d)
        return false;
    d->tag = call->node.user;
    d->length = call->bytes;
    d->status = call->status;
    d->flags = call->first ? DESCRIPTOR_WAKE : 0;
    ring_submit(cq, d);
    metric_add(io->agent->metrics.queue_submitted[QUEUE_EGRESS_CQ], 1);
    io->submitted = true;
    return true;
}

/* Completes a call, or keeps it until the completion queue has room. */
static void finish(struct io *io, uint32_t index)
{
    struct egress *e = &io->egress;
    struct egress_call *call = call_at(e, index);
    if (io->trace)
        trace_call_ended(io, index);
    if (e->done_first == POOL_NONE && complete(io, call)) {
        pool_give(&e->calls, index);
        return;
    }
    metric_add(io->agent->metrics.queue_full[QUEUE_EGRESS_CQ], 1);
    call->node.next = POOL_NONE;
    if (e->done_first == POOL_NONE)
        e->done_first = index;
    else
        call_at(e, e->done_last)->node.next = index;
    e->done_last = index;
}

static void finish_waiting(struct io *io)
{
    struct egress *e = &io->egress;
    while (e->done_first != POOL_NONE) {
        uint32_t index = e->done_first;
        struct egress_call *call = call_at(e, index);
        uint32_t next = call->node.next;
        if (!complete(io, call))
            return;
        pool_give(&e->calls, index);
        e->done_first = next;
    }
}

void egress_answered(struct io *io, uint32_t index, uint16_t status, uint32_t bytes)
{
    struct egress_call *call = call_at(&io->egress, index);
    call->status = status & 0x3ff;
    egress_tell_breaker(io, call);
    call->bytes = bytes;
    io->egress.active--;
    if (io->trace)
        trace_call_answered(io, index);
    if (crossing_needed(io))
        crossing_begin(io, CROSSING_RESULT, index);
    else
        finish(io, index);
}

static void finish_due(struct io *io)
{
    struct egress *e = &io->egress;
    const struct agent_metrics *m = &io->agent->metrics;
    if (e->wheel.count == 0)
        return;
    wheel_advance(&e->wheel, io->now_ns);
    for (uint32_t index; (index = wheel_pop(&e->wheel)) != POOL_NONE;) {
        const struct egress_call *call = call_at(e, index);
        uint64_t late_ns = io->now_ns - call->node.deadline_ns;
        bool rested = e->attempts && e->attempts[index].resting;
        if (!rested)
            metric_observe(m->latency_delivered,
                           (double)call->due_us / 1e6 + (double)late_ns / 1e9);
        if (egress_simulated_due(io, index))
            egress_answered(io, index, call->status, 0); /* nobody wrote an answer */
    }
}

/* The outside world begins to work on a call, at begun_ns. */
static void begin(struct io *io, uint32_t index, uint64_t begun_ns)
{
    if (!egress_passes(io, call_at(&io->egress, index)))
        egress_answered(io, index, 500, 0);
    else if (!egress_begin_real(io, index))
        egress_begin_simulated(io, index, begun_ns);
}

uint32_t egress_call_bytes(const struct io *io, uint32_t index)
{
    const struct egress_call *call = pool_at(&io->egress.calls, index);
    return call->bytes;
}

void egress_begin_call(struct io *io, uint32_t index)
{
    begin(io, index, io->now_ns);
}

void egress_end_call(struct io *io, uint32_t index, bool first)
{
    call_at(&io->egress, index)->first = first;
    finish(io, index);
}

static bool worker_free(const struct io *io)
{
    unsigned workers = io_config(io)->egress.workers;
    return workers == 0 || io->egress.active < workers;
}

static bool timed_out(struct io *io, const struct descriptor *d)
{
    uint64_t timeout = egress_timeout_ns(io, d->flags);
    return timeout && io->now_ns >= egress_submitted_ns(io, d->stamp_us) + timeout;
}

/* A call leaves the queue for the outside world. */
static void take_call(struct io *io, uint32_t index, const struct descriptor *d, bool late)
{
    struct egress_call *call = call_at(&io->egress, index);
    call->node.user = d->tag;
    call->stamp_us = d->stamp_us;
    call->message = d->offset;
    call->node.deadline_ns = (uint64_t)d->body_offset << 32 | d->body_length;
    call->target = d->flags;
    call->bytes = d->length;
    call->first = false;
    call->counted = call->excused = false;
    if (io->egress.attempts)
        io->egress.attempts[index] = (struct egress_attempt){.bytes = d->length};
    if (io->trace)
        trace_call_taken(io, index);
    metric_add(io->agent->metrics.calls, 1);
    if (late) {
        call->status = 504;
        call->bytes = 0;
        finish(io, index);
        return;
    }
    io->egress.active++;
    /* Without a cap a call begins when it was submitted; with one, when a worker takes it. */
    if (crossing_needed(io))
        crossing_begin(io, CROSSING_CALL, index);
    else
        begin(io, index,
              io_config(io)->egress.workers ? io->now_ns : egress_submitted_ns(io, d->stamp_us));
}

bool egress_work(struct io *io)
{
    struct egress *e = &io->egress;
    struct ring *sq = &io->agent->egress_sq;
    struct descriptor *d;
    finish_waiting(io);
    finish_due(io);
    if (e->forward)
        forward_work(e->forward, io->now_ns);
    bool capped = false;
    while ((d = ring_peek(sq))) {
        bool late = timed_out(io, d);
        capped = !late && !worker_free(io);
        if (capped || (!late && !crossing_has_room(io, POD_OUT)))
            break;
        uint32_t index = pool_take(&e->calls);
        if (index == POOL_NONE)
            break;
        take_call(io, index, d, late);
        ring_pop(sq);
    }
    __atomic_store_n(&io->agent->egress_in_flight, e->active, __ATOMIC_RELAXED);
    __atomic_store_n(&io->agent->egress_capped, capped, __ATOMIC_RELAXED);
    return ring_release(sq);
}

bool egress_can_take(struct io *io)
{
    const struct descriptor *d = ring_peek(&io->agent->egress_sq);
    return d && io->egress.calls.used < io->egress.calls.capacity &&
           ((worker_free(io) && crossing_has_room(io, POD_OUT)) || timed_out(io, d));
}

uint64_t egress_next_ns(struct io *io)
{
    uint64_t next = wheel_next_ns(&io->egress.wheel);
    uint64_t real = io->egress.forward ? forward_next_ns(io->egress.forward) : UINT64_MAX;
    next = real < next ? real : next;
    const struct descriptor *d = ring_peek(&io->agent->egress_sq);
    uint64_t timeout = d ? egress_timeout_ns(io, d->flags) : 0;
    bool place = io->egress.calls.used < io->egress.calls.capacity;
    if (d && timeout && place && egress_submitted_ns(io, d->stamp_us) + timeout < next)
        next = egress_submitted_ns(io, d->stamp_us) + timeout;
    return next;
}
