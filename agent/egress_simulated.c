/*
 * Calls that are simulated: what each takes and meets (model/outside.h), and when it is over. The
 * n-th simulated call to a destination, counted here where it begins, has the same delay and meets
 * the same faults in each run with the same seed, whoever makes it, how many are under way and
 * whatever becomes of calls to others. n begins at 0 when the agent starts or gets another seed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/io_private.h"
#include "agent/targets.h"
#include "base/clock.h"
#include "base/memory.h"

/* A destination. Made when it is first called. */
struct simulated {
    const struct distribution *latency;   /* of the configuration in force */
    const struct outside_faults *faults;  /* likewise; NULL: none */
    const struct retry_settings *retries; /* likewise */
    struct retry_budget budget;
    uint64_t stream; /* of seed and name */
    uint64_t number; /* of the next call */
    struct slow_periods slow;
    /* Made when first counted, by result; those of errors by what the settings call them. */
    struct metric *results[OUTSIDE_RESULTS], *errors[FAULT_ERRORS_MAX];
};

/* Whether simulated calls to it may be tried again: none of them fails to reach its callee. */
static bool may_retry(const struct retry_settings *retries)
{
    return retries->most > 0 && retries->on & ~(unsigned)RETRY_CONNECT;
}

/* Callees that have no number share a place behind the others. */
enum { PLACES = TARGETS_MAX + 1 };

static const char *name_of(unsigned place)
{
    return place < TARGETS_MAX ? target_name((uint16_t)place) : "other";
}

static void configure(const struct io *io, struct simulated *s, const char *name)
{
    const struct egress_settings *egress = &io_config(io)->egress;
    const struct egress_destination *special = egress_destination(egress, name, strlen(name));
    const struct outside_faults *faults = egress_faults(egress, special);
    s->latency = egress_latency(egress, special);
    s->faults = egress_faults_given(faults) ? faults : NULL;
    s->retries = egress_retries(egress, special);
    /* Of the settings before. */
    s->slow = (struct slow_periods){0};
    memset(s->errors, 0, sizeof s->errors);
}

static struct simulated *simulated_of(struct io *io, uint16_t target)
{
    struct egress *e = &io->egress;
    unsigned place = target < TARGETS_MAX ? target : TARGETS_MAX;
    if (!e->simulated)
        e->simulated = xcalloc(PLACES, sizeof *e->simulated);
    if (e->simulated[place])
        return e->simulated[place];
    const char *name = name_of(place);
    struct simulated *s = e->simulated[place] = xcalloc(1, sizeof *s);
    s->stream = outside_stream(e->seed, name, strlen(name));
    configure(io, s, name);
    return s;
}

void egress_seed(struct io *io)
{
    struct egress *e = &io->egress;
    uint64_t seed = io_config(io)->egress.seed;
    e->seeded_ns = clock_monotonic_ns();
    e->seed = seed ? seed : e->seeded_ns;
    egress_free_simulated(io); /* they count from 0 again */
}

/* Room for what further attempts need, once a configuration has some. */
static void make_attempts(struct io *io)
{
    struct egress *e = &io->egress;
    const struct egress_settings *egress = &io_config(io)->egress;
    bool any = may_retry(&egress->retries);
    for (size_t i = 0; i < egress->destination_count; i++)
        any |= egress->destinations[i].retries_given && may_retry(&egress->destinations[i].retries);
    if (any && !e->attempts)
        e->attempts = xcalloc(e->calls.capacity, sizeof *e->attempts);
}

void egress_configure_simulated(struct io *io)
{
    make_attempts(io);
    for (unsigned i = 0; io->egress.simulated && i < PLACES; i++)
        if (io->egress.simulated[i])
            configure(io, io->egress.simulated[i], name_of(i));
}

void egress_free_simulated(struct io *io)
{
    for (unsigned i = 0; io->egress.simulated && i < PLACES; i++)
        free(io->egress.simulated[i]);
    free(io->egress.simulated);
    io->egress.simulated = NULL;
}

void egress_free_attempts(struct io *io)
{
    free(io->egress.attempts);
}

/* What is counted as which fault. */
static void count_faults(const struct io *io, const struct outside_call *met, bool slow)
{
    static const int kinds[] = {[OUTSIDE_ANSWERED] = -1,
                                [OUTSIDE_ERROR] = EGRESS_FAULT_ERROR,
                                [OUTSIDE_PARTIAL] = EGRESS_FAULT_PARTIAL,
                                [OUTSIDE_SILENT] = EGRESS_FAULT_TIMEOUT,
                                [OUTSIDE_LOST] = EGRESS_FAULT_LOST};
    struct metric *const *faults = io->agent->metrics.egress_faults;
    if (kinds[met->result] >= 0)
        metric_add(faults[kinds[met->result]], 1);
    if (met->lost > 0)
        metric_add(faults[EGRESS_FAULT_LOSS], 1);
    if (slow)
        metric_add(faults[EGRESS_FAULT_SLOW], 1);
}

/* The status that the callee answers, 0 when it answers none but 200. */
static unsigned error_status(const struct simulated *s, const struct outside_call *met)
{
    bool error = s->faults && met->result == OUTSIDE_ERROR;
    return error ? s->faults->errors[met->error].status : 0;
}

/* What the call ends with, once its time is over. */
static void settle(const struct simulated *s, const struct outside_call *met,
                   struct egress_call *call)
{
    call->status = met->result == OUTSIDE_ANSWERED ? 200 : 500;
    unsigned status = error_status(s, met);
    /* A callee that answers 404 is well. */
    call->excused = status > 0 && status < 500;
}

static struct metric *make_series(const struct io *io, uint16_t target, const char *result)
{
    unsigned place = target < TARGETS_MAX ? target : TARGETS_MAX;
    return metric_series(io->agent->metrics.simulated, (const char *[]){name_of(place), result});
}

static void count_result(const struct io *io, struct simulated *s, const struct outside_call *met,
                         const struct egress_call *call)
{
    static const char *const names[OUTSIDE_RESULTS] = {[OUTSIDE_ANSWERED] = "200",
                                                       [OUTSIDE_PARTIAL] = "partial",
                                                       [OUTSIDE_SILENT] = "timeout",
                                                       [OUTSIDE_LOST] = "lost"};
    enum outside_result result = call->status == 504 ? OUTSIDE_SILENT : met->result;
    bool error = result == OUTSIDE_ERROR;
    struct metric **series = error ? &s->errors[met->error] : &s->results[result];
    if (!*series) {
        char status[16];
        if (error)
            snprintf(status, sizeof status, "%u", error_status(s, met));
        *series = make_series(io, call->target, error ? status : names[result]);
    }
    metric_add(*series, 1);
}

/* Why this attempt may be tried again: enum retry_cause. */
static unsigned causes_of(const struct simulated *s, const struct outside_call *met)
{
    switch (met->result) {
    case OUTSIDE_PARTIAL:
    case OUTSIDE_LOST: /* the connection was given up */
        return RETRY_RESET;
    case OUTSIDE_ERROR:
        return error_status(s, met) >= 500 ? RETRY_5XX : 0;
    default:
        return 0;
    }
}

/* Cuts an attempt that would take longer than it may. When it began, and why it failed so far; the
 * same, or RETRY_TIMEOUT when its own time is over first, or 0 when the call's is. */
static unsigned cut(struct io *io, const struct simulated *s, struct egress_call *call,
                    uint64_t begun_ns, unsigned causes)
{
    uint64_t timeout = egress_timeout_ns(io, call->target), attempt = s->retries->try_timeout_ns;
    uint64_t call_ends = timeout ? egress_submitted_ns(io, call->stamp_us) + timeout : UINT64_MAX;
    uint64_t attempt_ends = attempt ? begun_ns + attempt : UINT64_MAX;
    uint64_t ends_ns = attempt_ends < call_ends ? attempt_ends : call_ends;
    if (call->node.deadline_ns <= ends_ns)
        return causes;
    call->node.deadline_ns = ends_ns > begun_ns ? ends_ns : begun_ns;
    call->status = 504;
    call->excused = false;
    return attempt_ends < call_ends ? RETRY_TIMEOUT : 0;
}

/* The attempt of that number of retries of the n-th call; causes are where it fails. */
static unsigned begin_attempt(struct io *io, struct simulated *s, uint32_t index, uint64_t number,
                              unsigned retries, uint64_t begun_ns)
{
    struct egress *e = &io->egress;
    struct egress_call *call = pool_at(&e->calls, index);
    uint64_t since_ns = begun_ns > e->seeded_ns ? begun_ns - e->seeded_ns : 0;
    bool slow = s->faults && slow_periods_at(&s->slow, s->faults, s->stream, since_ns);
    struct outside_call met = outside_call(
        s->latency, s->faults, outside_attempt_stream(s->stream, retries), number, slow);
    bool silent = met.result == OUTSIDE_SILENT;
    uint64_t asked = silent ? DISTRIBUTION_DRAW_MAX_NS : met.delay_ns;
    call->node.deadline_ns = begun_ns + asked;
    settle(s, &met, call);
    unsigned causes = cut(io, s, call, begun_ns, causes_of(s, &met));
    if (silent) /* no latency was asked for: it is as long as the call is waited for */
        asked = call->node.deadline_ns - begun_ns;
    uint64_t due_us = (call->node.deadline_ns - begun_ns) / NS_PER_US;
    call->due_us = due_us < UINT32_MAX ? (uint32_t)due_us : UINT32_MAX;
    metric_observe(io->agent->metrics.latency_asked, (double)asked / 1e9);
    count_result(io, s, &met, call);
    if (s->faults)
        count_faults(io, &met, slow);
    if (io->trace)
        trace_call_attempted(io, index, asked, retries > 0);
    wheel_add(&e->wheel, index);
    return causes;
}

void egress_begin_simulated(struct io *io, uint32_t index, uint64_t begun_ns)
{
    struct egress_attempt *attempt = io->egress.attempts ? &io->egress.attempts[index] : NULL;
    const struct egress_call *call = pool_at(&io->egress.calls, index);
    struct simulated *s = simulated_of(io, call->target);
    uint64_t number = s->number++;
    retry_earn(&s->budget, s->retries);
    unsigned causes = begin_attempt(io, s, index, number, 0, begun_ns);
    if (!attempt)
        return;
    attempt->number = number;
    attempt->causes = (uint8_t)causes;
    attempt->may = true;
}

/* Whether the call rests now, before its next attempt. */
static bool rest(struct io *io, struct simulated *s, uint32_t index)
{
    struct egress *e = &io->egress;
    struct egress_attempt *attempt = &e->attempts[index];
    struct egress_call *call = pool_at(&e->calls, index);
    if (!(attempt->causes & s->retries->on) || attempt->retries >= s->retries->most)
        return false;
    uint64_t timeout = egress_timeout_ns(io, call->target);
    uint64_t wait_ns =
        retry_wait_ns(s->retries, attempt->retries,
                      outside_wait_unit(s->stream, attempt->number, attempt->retries));
    if (timeout && io->now_ns + wait_ns >= egress_submitted_ns(io, call->stamp_us) + timeout)
        return false;
    bool granted = retry_take(&s->budget);
    egress_retried(io, attempt->bytes, granted);
    if (!granted)
        return false;
    attempt->retries++;
    attempt->resting = true;
    call->node.deadline_ns = io->now_ns + wait_ns;
    wheel_add(&e->wheel, index);
    return true;
}

bool egress_simulated_due(struct io *io, uint32_t index)
{
    struct egress_attempt *attempt = io->egress.attempts ? &io->egress.attempts[index] : NULL;
    const struct egress_call *call = pool_at(&io->egress.calls, index);
    if (!attempt || !attempt->may)
        return true;
    struct simulated *s = simulated_of(io, call->target);
    if (!attempt->resting)
        return !rest(io, s, index);
    attempt->resting = false;
    attempt->causes = (uint8_t)begin_attempt(io, s, index, attempt->number, attempt->retries,
                                             call->node.deadline_ns);
    return false;
}
