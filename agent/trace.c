#include "agent/trace.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/memory.h"
#include "model/random.h"

int trace_new(const struct trace_metrics *metrics, struct trace **ret_trace, struct error **err)
{
    struct trace *t = xcalloc(1, sizeof *t);
    t->metrics = metrics;
    t->bell.fd = -1;
    t->wanted = 1;
    int result =
        pool_init(&t->requests, sizeof(struct trace_request), TRACE_REQUESTS_CAPACITY, err);
    if (result == 0)
        result = pool_init(&t->calls, sizeof(struct trace_call),
                           TRACE_CALLS_A_REQUEST * TRACE_REQUESTS_CAPACITY, err);
    if (result == 0)
        result = ring_init(&t->finished, TRACE_QUEUE_CAPACITY, err);
    if (result == 0)
        result = ring_init(&t->returned, 2 * TRACE_QUEUE_CAPACITY, err);
    if (result == 0)
        result = doorbell_init(&t->bell, true, err);
    /* Replicas have to differ, so a seed of the configuration is none for ids. */
    if (result == 0 && getrandom(t->ids, sizeof t->ids, 0) != sizeof t->ids)
        t->ids[0] = t->ids[1] = t->ids[2] = clock_monotonic_ns();
    if (result < 0) {
        trace_free(t);
        return result;
    }
    *ret_trace = t;
    return 0;
}

void trace_free(struct trace *t)
{
    if (!t)
        return;
    pool_destroy(&t->requests);
    pool_destroy(&t->calls);
    ring_destroy(&t->finished);
    ring_destroy(&t->returned);
    doorbell_destroy(&t->bell);
    free(t->of_call);
    free(t);
}

void trace_set(struct trace *t, const struct tracing_settings *settings)
{
    t->on = settings != NULL;
    if (settings)
        t->settings = *settings;
}

/* A counter that is hashed: none is drawn twice, and zero is no id. */
static uint64_t id_next(uint64_t *counter)
{
    uint64_t id;
    do
        id = random_splitmix64(counter);
    while (id == 0);
    return id;
}

bool trace_id_sampled(const uint64_t trace_id[2], double ratio)
{
    /* OTEP 235: the last seven bytes are the random ones; sampled are the highest. */
    uint64_t random = trace_id[1] & ((UINT64_C(1) << 56) - 1);
    return random >= (uint64_t)ldexp(1 - ratio, 56);
}

static void count_drop(const struct trace *t, enum trace_drop reason, unsigned spans)
{
    metric_add(t->metrics->dropped[reason], spans);
}

uint32_t trace_request_new(struct trace *t, const struct trace_headers *headers, uint64_t now_ns)
{
    uint32_t index = t->requests.used < t->settings.pending + t->settings.queue
                         ? pool_take(&t->requests)
                         : POOL_NONE;
    if (index == POOL_NONE) {
        count_drop(t, TRACE_DROP_MEMORY, 1);
        return TRACE_NONE;
    }
    struct trace_request *r = trace_request_at(t, index + 1);
    memset(r, 0, offsetof(struct trace_request, path));
    r->first_call = r->last_call = POOL_NONE;
    r->begun_ns = now_ns;
    struct trace_context *context = &r->context;
    trace_context_read(headers, context);
    if (!context->trace_id[0] && !context->trace_id[1]) {
        context->trace_id[0] = id_next(&t->ids[0]);
        context->trace_id[1] = id_next(&t->ids[1]);
    }
    if (context->decision == TRACE_DECIDE)
        context->decision = trace_id_sampled(context->trace_id, t->settings.ratio)
                                ? TRACE_SAMPLED
                                : TRACE_NOT_SAMPLED;
    context->parent_id = context->span_id;
    context->span_id = id_next(&t->ids[2]);
    return index + 1;
}

uint32_t trace_call_new(struct trace *t, uint32_t request, uint64_t now_ns)
{
    struct trace_request *r = trace_request_at(t, request);
    uint32_t index = r->call_count < TRACE_CALLS_MAX ? pool_take(&t->calls) : POOL_NONE;
    if (index == POOL_NONE) {
        count_drop(t, TRACE_DROP_MEMORY, 1);
        r->calls_lost++;
        return TRACE_NONE;
    }
    struct trace_call *call = trace_call_at(t, index + 1);
    *call = (struct trace_call){.link = POOL_NONE, .context = r->context, .taken_ns = now_ns};
    call->context.parent_id = r->context.span_id;
    call->context.span_id = id_next(&t->ids[2]);
    if (r->first_call == POOL_NONE)
        r->first_call = index;
    else
        trace_call_at(t, r->last_call + 1)->link = index;
    r->last_call = index;
    r->call_count++;
    return index + 1;
}

/* Its calls go with it. */
static void give_back(struct trace *t, uint32_t index)
{
    const struct trace_request *r = trace_request_at(t, index + 1);
    for (uint32_t call = r->first_call, next; call != POOL_NONE; call = next) {
        next = trace_call_at(t, call + 1)->link;
        pool_give(&t->calls, call);
    }
    pool_give(&t->requests, index);
}

unsigned trace_span_count(const struct trace *t, const struct trace_request *r)
{
    unsigned spans = 1;
    spans += r->in.over_ns > 0;
    spans += r->queued_ns > 0 && r->application.taken_ns > 0;
    spans += r->application.worked_ns > 0;
    spans += r->application.answered_ns > 0 && r->returned_ns > 0;
    spans += r->out.over_ns > 0;
    for (uint32_t index = r->first_call; index != POOL_NONE;) {
        const struct trace_call *call = trace_call_at(t, index + 1);
        spans += 2u + (call->out.over_ns > 0) + (call->in.over_ns > 0);
        index = call->link;
    }
    return spans;
}

static enum trace_outcome outcome_of(const struct trace *t, const struct trace_request *r)
{
    if (r->context.decision == TRACE_SAMPLED)
        return TRACE_OUTCOME_SAMPLED;
    return t->settings.errors && r->status >= 500 ? TRACE_OUTCOME_ERROR : TRACE_OUTCOME_NOT;
}

/* Whether it is on its way to the exporter. */
static bool hand_over(struct trace *t, uint32_t index)
{
    struct ring *ring = &t->finished;
    struct descriptor *d = ring_depth(ring) < t->settings.queue ? ring_slot(ring) : NULL;
    if (!d)
        return false;
    d->tag = index;
    ring_submit(ring, d);
    t->submitted = true;
    return true;
}

/* Raises each time that there is to that of what came before it; returns the last. */
static uint64_t raise_in_turn(uint64_t *const times[], size_t count, uint64_t last_ns)
{
    for (size_t i = 0; i < count; i++) {
        if (*times[i] == 0)
            continue;
        if (*times[i] < last_ns)
            *times[i] = last_ns;
        last_ns = *times[i];
    }
    return last_ns;
}

/*
 * Puts what happened in turn into that order. Each thread has one time for all that it does in a
 * turn, its begin; where it was off the processor meanwhile, the other thread's times are later
 * than those that it gives to what came after.
 */
static void put_in_order(struct trace *t, struct trace_request *r)
{
    uint64_t *const first[] = {&r->begun_ns, &r->in.over_ns, &r->queued_ns,
                               &r->application.taken_ns, &r->application.worked_ns};
    uint64_t *const last[] = {&r->application.answered_ns, &r->returned_ns, &r->out.over_ns,
                              &r->ended_ns};
    uint64_t last_ns = raise_in_turn(first, sizeof first / sizeof *first, 0);
    for (uint32_t index = r->first_call; index != POOL_NONE;) {
        struct trace_call *c = trace_call_at(t, index + 1);
        uint64_t *const call[] = {&c->submitted_ns, &c->taken_ns,   &c->out.over_ns, &c->begun_ns,
                                  &c->answered_ns,  &c->in.over_ns, &c->ended_ns};
        uint64_t ended_ns =
            raise_in_turn(call, sizeof call / sizeof *call, r->application.taken_ns);
        last_ns = ended_ns > last_ns ? ended_ns : last_ns;
        index = c->link;
    }
    raise_in_turn(last, sizeof last / sizeof *last, last_ns);
}

void trace_request_end(struct trace *t, uint32_t request, uint64_t now_ns)
{
    struct trace_request *r = trace_request_at(t, request);
    enum trace_outcome outcome = outcome_of(t, r);
    r->ended_ns = now_ns;
    metric_add(t->metrics->requests[outcome], 1);
    if (outcome != TRACE_OUTCOME_NOT) {
        unsigned spans = trace_span_count(t, r);
        put_in_order(t, r);
        if (!t->on)
            count_drop(t, TRACE_DROP_OFF, spans);
        else if (hand_over(t, request - 1))
            return;
        else
            count_drop(t, TRACE_DROP_QUEUE, spans);
    }
    give_back(t, request - 1);
}

void trace_turn(struct trace *t)
{
    const struct descriptor *d;
    while ((d = ring_pop(&t->returned)))
        give_back(t, d->tag);
    ring_release(&t->returned);
    if (!t->submitted)
        return;
    t->submitted = false;
    /* Its other half is in trace_export.c: either it sees what was submitted, or this sees what it
     * wants. */
    doorbell_fence(&t->bell.asleep);
    if (ring_depth(&t->finished) >= __atomic_load_n(&t->wanted, __ATOMIC_RELAXED))
        doorbell_ring(&t->bell);
}
