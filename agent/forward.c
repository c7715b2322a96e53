/* Real calls: begin, retry, time out, end. */
#include "agent/forward.h"

#include <errno.h>
#include <stdlib.h>

#include "agent/forward_private.h"
#include "base/clock.h"
#include "base/memory.h"

enum { REQUEST_BYTES_MAX = 1 << 30 };

/* A call that nothing else limits ends after this. */
#define LONGEST_NS (1800 * NS_PER_S)

int forward_new(const struct forward_setup *setup, struct forward **ret_forward, struct error **err)
{
    struct forward *f = xcalloc(1, sizeof *f);
    f->setup = *setup;
    f->aging = FORWARD_LIST_INIT;
    f->closed = POOL_NONE;
    f->out = (struct buffer)BUFFER_INIT(REQUEST_BYTES_MAX);
    random_seed(&f->random, setup->seed, UINT64_C(0x666f7277617264)); /* "forward" */
    int result = pool_init(&f->calls, sizeof(struct call), FORWARD_CALLS_MAX, err);
    if (result == 0)
        result = pool_init(&f->links, sizeof(struct link), FORWARD_CONNECTIONS_MAX, err);
    if (result < 0) {
        forward_free(f);
        return result;
    }
    *ret_forward = f;
    return 0;
}

void forward_configure(struct forward *f, const struct agent_config *config)
{
    f->config = config;
    if (f->tls)
        tls_files(f->tls, settings_of(f)->tls.ca, settings_of(f)->tls.certificate,
                  settings_of(f)->tls.key);
    for (unsigned i = 0; i < TARGETS_MAX; i++)
        if (f->destinations[i]) {
            destination_configure(f, f->destinations[i]);
            destination_pump(f, f->destinations[i]);
        }
}

bool forward_takes(struct forward *f, uint16_t target)
{
    if (target >= TARGETS_MAX)
        return f->config->egress.mode == EGRESS_FORWARD;
    return destination_of(f, target)->real;
}

void call_timer(struct forward *f, uint32_t index, uint64_t when_ns)
{
    struct call *call = call_at(f, index);
    uint64_t deadline = call->asked.deadline_ns;
    if (call->try_deadline_ns < deadline)
        deadline = call->try_deadline_ns;
    heap_set(&f->timers, index, &call->timer, when_ns < deadline ? when_ns : deadline);
}

static void tell(struct forward *f, uint32_t owner, const struct forward_result *result)
{
    metric_add(f->setup.metrics->ended[result->outcome], 1);
    f->setup.done(f->setup.context, owner, result);
}

/* The first attempt, or one out of the budget; others go on within its time. */
static void begin_attempt(struct forward *f, const struct destination *d, uint32_t index)
{
    uint64_t timeout_ns = d->retries->try_timeout_ns;
    call_at(f, index)->try_deadline_ns = timeout_ns ? f->now_ns + timeout_ns : UINT64_MAX;
    call_place(f, index);
}

void forward_begin(struct forward *f, const struct forward_call *asked, uint64_t now_ns)
{
    f->now_ns = now_ns;
    uint32_t index = asked->target < TARGETS_MAX ? pool_take(&f->calls) : POOL_NONE;
    if (index == POOL_NONE) {
        bool known = asked->target < TARGETS_MAX;
        tell(f, asked->owner,
             &(struct forward_result){.outcome = known ? FORWARD_FULL : FORWARD_UNKNOWN});
        return;
    }
    struct call *call = call_at(f, index);
    struct destination *d = destination_of(f, asked->target);
    *call = (struct call){.timer = HEAP_NONE,
                          .connection = POOL_NONE,
                          .stage = CALL_BACKOFF,
                          .asked = *asked,
                          .begun_ns = now_ns,
                          .try_deadline_ns = UINT64_MAX};
    if (call->asked.deadline_ns > now_ns + LONGEST_NS)
        call->asked.deadline_ns = now_ns + LONGEST_NS;
    metric_add(d->calls, 1);
    retry_earn(&d->budget, d->retries);
    begin_attempt(f, d, index);
}

/* Whether a call may be put on a connection now: those that wait go first. */
static bool may_overtake(const struct destination *d)
{
    return d->waiting_count == 0 || d->pumping;
}

void call_place(struct forward *f, uint32_t index)
{
    struct call *call = call_at(f, index);
    struct destination *d = destination_of(f, call->asked.target);
    bool free = may_overtake(d);
    destination_look_up(f, d); /* kept connections follow the name, too */
    call->stage = CALL_CARRIED;
    if (free && !call->fresh && link_reuse(f, d, index))
        return;
    /* It is not to be kept waiting by those that may not carry it. */
    if (free && call->fresh && d->links >= settings_of(f)->connections && d->idle.last != POOL_NONE)
        link_close(f, d->idle.last);
    int address = free && d->links < settings_of(f)->connections ? destination_address(f, d) : -1;
    if (address >= 0) {
        link_open(f, d, (unsigned)address, index);
        return;
    }
    if (d->waiting_count >= settings_of(f)->pending) {
        call_end(f, index, FORWARD_FULL, 0, 0);
        return;
    }
    call->stage = CALL_WAITING;
    call_timer(f, index, UINT64_MAX);
    destination_wait(f, d, index);
}

void call_end(struct forward *f, uint32_t index, enum forward_outcome outcome, unsigned status,
              uint64_t received_bytes)
{
    struct call *call = call_at(f, index);
    struct forward_result result = {.outcome = outcome,
                                    .status = status,
                                    .sent_bytes = call->sent_bytes,
                                    .received_bytes = received_bytes};
    uint32_t owner = call->asked.owner;
    metric_observe(f->setup.metrics->latency, (double)(f->now_ns - call->begun_ns) / 1e9);
    heap_clear(&f->timers, &call->timer);
    pool_give(&f->calls, index);
    tell(f, owner, &result);
}

static void count_retry(struct forward *f, enum forward_retry cause)
{
    metric_add(f->setup.metrics->retries[cause], 1);
}

/* Whether another address of the name should be tried at once. */
static bool next_address(struct forward *f, struct call *call)
{
    const struct destination *d = destination_of(f, call->asked.target);
    if (call->addresses_tried + 1u >= destination_present(d))
        return false;
    call->addresses_tried++;
    count_retry(f, FORWARD_RETRY_ADDRESS);
    return true;
}

/* Takes a further attempt out of the budget, and waits for it; false: the call is over. */
static bool try_again(struct forward *f, uint32_t index, unsigned causes)
{
    struct call *call = call_at(f, index);
    struct destination *d = destination_of(f, call->asked.target);
    if (!(causes & d->retries->on) || call->retries >= d->retries->most)
        return false;
    uint64_t wait_ns = retry_wait_ns(d->retries, call->retries, random_unit(&f->random));
    if (f->now_ns + wait_ns >= call->asked.deadline_ns)
        return false;
    bool granted = retry_take(&d->budget);
    if (f->setup.retried)
        f->setup.retried(f->setup.context, call->sent_bytes, granted);
    if (!granted)
        return false;
    call->retries++;
    call->addresses_tried = 0;
    call->connection = POOL_NONE;
    call->stage = CALL_BACKOFF;
    call->try_deadline_ns = UINT64_MAX;
    count_retry(f, FORWARD_RETRY_BUDGETED);
    call_timer(f, index, f->now_ns + wait_ns);
    return true;
}

void call_failed(struct forward *f, uint32_t index, enum forward_outcome outcome, unsigned causes)
{
    struct call *call = call_at(f, index);
    call->connection = POOL_NONE;
    call->stage = CALL_BACKOFF;
    if (causes & RETRY_CONNECT && f->now_ns < call->asked.deadline_ns &&
        f->now_ns < call->try_deadline_ns && next_address(f, call)) {
        call_place(f, index);
        return;
    }
    if (!try_again(f, index, causes))
        call_end(f, index, outcome, 0, 0);
}

void call_answered(struct forward *f, uint32_t index, enum forward_outcome outcome, unsigned status,
                   uint64_t received_bytes)
{
    unsigned causes = outcome == FORWARD_MALFORMED                 ? RETRY_RESET
                      : outcome == FORWARD_STATUS && status >= 500 ? RETRY_5XX
                                                                   : 0;
    if (!try_again(f, index, causes))
        call_end(f, index, outcome, status, received_bytes);
}

void call_again(struct forward *f, uint32_t index)
{
    struct call *call = call_at(f, index);
    call->connection = POOL_NONE;
    call->stage = CALL_BACKOFF;
    call->fresh = true;
    count_retry(f, FORWARD_RETRY_STALE);
    call_place(f, index);
}

/* The call's time is over, its attempt's, or that for connecting: what it was at ends. */
static void call_late(struct forward *f, uint32_t index)
{
    struct call *call = call_at(f, index);
    struct destination *d = destination_of(f, call->asked.target);
    bool late = f->now_ns >= call->asked.deadline_ns;
    bool attempt_late = f->now_ns >= call->try_deadline_ns;
    bool reached = call->stage == CALL_CARRIED;
    if (call->stage == CALL_WAITING)
        destination_leave(f, d, index);
    if (call->stage == CALL_CARRIED) {
        const struct link *l = link_at(f, call->connection);
        reached = l->stage >= LINK_BUSY;
        destination_failed(f, d, l->address);
        link_close(f, call->connection);
    }
    if (late)
        call_end(f, index, FORWARD_TIMEOUT, 0, 0);
    else if (attempt_late)
        call_failed(f, index, FORWARD_TIMEOUT, RETRY_TIMEOUT | (reached ? 0 : RETRY_CONNECT));
    else
        call_failed(f, index, FORWARD_CONNECT_TIMEOUT, RETRY_CONNECT);
    destination_pump(f, d);
}

/* The time of a call's timer has come. */
static void call_due(struct forward *f, uint32_t index)
{
    const struct call *call = call_at(f, index);
    if (call->stage == CALL_BACKOFF && f->now_ns < call->asked.deadline_ns)
        begin_attempt(f, destination_of(f, call->asked.target), index);
    else
        call_late(f, index);
}

void forward_event(struct forward *f, uint64_t data, uint32_t events, uint64_t now_ns)
{
    f->now_ns = now_ns;
    if (data & FORWARD_EVENT_NAMES)
        resolver_event(f->resolver, (int)(uint32_t)data, events);
    else
        link_event(f, (uint32_t)data, events);
}

void forward_work(struct forward *f, uint64_t now_ns)
{
    f->now_ns = now_ns;
    while (heap_next_ns(&f->timers) <= now_ns) {
        uint32_t index = f->timers.entries[0].owner;
        heap_clear(&f->timers, &call_at(f, index)->timer);
        call_due(f, index);
    }
    if (f->resolver && resolver_wait_ns(f->resolver) == 0)
        resolver_expire(f->resolver);
    link_expire(f);
    link_free_closed(f);
}

uint64_t forward_next_ns(const struct forward *f)
{
    uint64_t next = heap_next_ns(&f->timers), idle = link_next_ns(f);
    next = idle < next ? idle : next;
    uint64_t wait = f->resolver ? resolver_wait_ns(f->resolver) : UINT64_MAX;
    return wait != UINT64_MAX && f->now_ns + wait < next ? f->now_ns + wait : next;
}

uint32_t forward_in_flight(const struct forward *f)
{
    return f->calls.used;
}

void forward_free(struct forward *f)
{
    if (!f)
        return;
    resolver_free(f->resolver);
    for (uint32_t i = 0; i < f->links.touched; i++)
        if (link_at(f, i)->fd >= 0 && link_at(f, i)->stage != LINK_CLOSED)
            link_close(f, i);
    link_free_closed(f);
    for (unsigned i = 0; i < TARGETS_MAX; i++)
        destination_free(f->destinations[i]);
    tls_free(f->tls);
    heap_destroy(&f->timers);
    pool_destroy(&f->calls);
    pool_destroy(&f->links);
    buffer_free(&f->out);
    free(f);
}
