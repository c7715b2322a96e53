/*
 * What the configuration says of single callees: how long a call may take, and the circuit breaker
 * that is before real and simulated calls alike. Kept by the callee's number, so that a call looks
 * up no name; made when one is first called. A reload keeps what a breaker knows.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/io_private.h"
#include "agent/targets.h"
#include "base/memory.h"

struct callee {
    struct breaker breaker;
    struct breaker_settings settings;
    uint64_t timeout_ns;
    struct metric *state, *opened;
};

static void configure(const struct io *io, struct callee *callee, const char *name)
{
    const struct egress_settings *egress = &io_config(io)->egress;
    const struct egress_destination *special = egress_destination(egress, name, strlen(name));
    callee->settings = special && special->breaker_given ? special->breaker : egress->breaker;
    callee->timeout_ns = egress_call_timeout_ns(egress, special);
}

static struct callee *callee_of(struct io *io, uint16_t target)
{
    struct callee **place = &io->egress.callees[target];
    const struct policy_metrics *m = &io->agent->metrics.policy;
    if (*place)
        return *place;
    const char *labels[] = {target_name(target)};
    *place = xcalloc(1, sizeof **place);
    (*place)->state = metric_series(m->breaker_state, labels);
    (*place)->opened = metric_series(m->breaker_opened, labels);
    configure(io, *place, labels[0]);
    return *place;
}

/* A breaker has changed its mind: its gauge follows. */
static void show(struct callee *callee, unsigned before)
{
    unsigned now = callee->breaker.state;
    metric_add(callee->state, (double)now - before);
    if (now == BREAKER_OPEN && before != BREAKER_OPEN)
        metric_add(callee->opened, 1);
}

void egress_configure_callees(struct io *io)
{
    struct egress *e = &io->egress;
    const struct egress_settings *settings = &io_config(io)->egress;
    e->policies = egress_has_breakers(settings);
    e->own_timeouts = false;
    for (size_t i = 0; i < settings->destination_count; i++)
        e->own_timeouts |= settings->destinations[i].timeout_ns > 0;
    if (!e->callees && (e->policies || e->own_timeouts))
        e->callees = xcalloc(TARGETS_MAX, sizeof *e->callees);
    for (unsigned i = 0; e->callees && i < TARGETS_MAX; i++) {
        struct callee *callee = e->callees[i];
        if (!callee)
            continue;
        unsigned before = callee->breaker.state;
        configure(io, callee, target_name((uint16_t)i));
        if (callee->settings.failures == 0) /* its calls under way are not counted any more */
            callee->breaker = (struct breaker){.epoch = callee->breaker.epoch + 1};
        show(callee, before);
    }
}

uint64_t egress_timeout_ns(struct io *io, uint16_t target)
{
    return io->egress.own_timeouts && target < TARGETS_MAX ? callee_of(io, target)->timeout_ns
                                                           : io_config(io)->egress.timeout_ns;
}

bool egress_passes(struct io *io, struct egress_call *call)
{
    if (!io->egress.policies || call->target >= TARGETS_MAX)
        return true;
    struct callee *callee = callee_of(io, call->target);
    if (callee->settings.failures == 0)
        return true;
    unsigned before = callee->breaker.state;
    uint32_t pass = breaker_admit(&callee->breaker, &callee->settings, io->now_ns);
    enum policy_outcome outcome = pass == BREAKER_REFUSED                      ? POLICY_REFUSED
                                  : callee->breaker.state == BREAKER_HALF_OPEN ? POLICY_PROBE
                                                                               : POLICY_PASSED;
    metric_add(io->agent->metrics.policy.requests[POLICY_BREAKER][outcome], 1);
    if (callee->breaker.state != before)
        show(callee, before);
    call->counted = pass != BREAKER_REFUSED;
    if (call->counted)
        call->pass = pass;
    return call->counted;
}

void egress_retried(struct io *io, uint32_t bytes, bool granted)
{
    enum policy_outcome outcome = granted ? POLICY_RETRIED : POLICY_REFUSED;
    metric_add(io->agent->metrics.policy.requests[POLICY_RETRY][outcome], 1);
    if (granted)
        crossing_retry(io, bytes);
}

void egress_tell_breaker(struct io *io, const struct egress_call *call)
{
    if (!call->counted)
        return;
    struct callee *callee = io->egress.callees[call->target];
    unsigned before = callee->breaker.state;
    if (callee->settings.failures == 0)
        return;
    breaker_tell(&callee->breaker, &callee->settings, call->pass,
                 call->status >= 500 && !call->excused, io->now_ns);
    if (callee->breaker.state != before)
        show(callee, before);
}

void egress_free_callees(struct io *io)
{
    for (unsigned i = 0; io->egress.callees && i < TARGETS_MAX; i++)
        free(io->egress.callees[i]);
    free(io->egress.callees);
}
