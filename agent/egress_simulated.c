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
    const struct distribution *latency;  /* of the configuration in force */
    const struct outside_faults *faults; /* likewise; NULL: none */
    uint64_t stream;                     /* of seed and name */
    uint64_t number;                     /* of the next call */
    struct slow_periods slow;
    /* Made when first counted, by result; those of errors by what the settings call them. */
    struct metric *results[OUTSIDE_RESULTS], *errors[FAULT_ERRORS_MAX];
};

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

void egress_configure_simulated(struct io *io)
{
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

void egress_begin_simulated(struct io *io, uint32_t index, uint64_t begun_ns)
{
    struct egress *e = &io->egress;
    struct egress_call *call = pool_at(&e->calls, index);
    struct simulated *s = simulated_of(io, call->target);
    uint64_t since_ns = begun_ns > e->seeded_ns ? begun_ns - e->seeded_ns : 0;
    bool slow = s->faults && slow_periods_at(&s->slow, s->faults, s->stream, since_ns);
    struct outside_call met = outside_call(s->latency, s->faults, s->stream, s->number++, slow);
    uint64_t timeout = egress_timeout_ns(io, call->target);
    uint64_t submitted = egress_submitted_ns(io, call->stamp_us);
    bool silent = met.result == OUTSIDE_SILENT;
    uint64_t asked = silent ? DISTRIBUTION_DRAW_MAX_NS : met.delay_ns;
    call->node.deadline_ns = begun_ns + asked;
    settle(s, &met, call);
    if (timeout && call->node.deadline_ns > submitted + timeout) {
        uint64_t ends_ns = submitted + timeout;
        call->node.deadline_ns = ends_ns > begun_ns ? ends_ns : begun_ns;
        call->status = 504;
        call->excused = false;
    }
    if (silent) /* no latency was asked for: it is as long as the call is waited for */
        asked = call->node.deadline_ns - begun_ns;
    uint64_t due_us = (call->node.deadline_ns - begun_ns) / NS_PER_US;
    call->due_us = due_us < UINT32_MAX ? (uint32_t)due_us : UINT32_MAX;
    metric_observe(io->agent->metrics.latency_asked, (double)asked / 1e9);
    count_result(io, s, &met, call);
    if (s->faults)
        count_faults(io, &met, slow);
    if (io->trace)
        trace_call_begun(io, index, asked, false);
    wheel_add(&e->wheel, index);
}
