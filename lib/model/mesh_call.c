/* The calls of a request: groups, egress workers, breakers, attempts, and how each ends. */
#include <math.h>

#include "model/mesh_private.h"

/* Of a refusal, and of a simulated answer: nobody wrote one. */
static const double no_bytes = 0;

/* What a replica knows of a call's destination; NULL: nothing is said of that. */
static struct mesh_callee *callee_of(const struct mesh_run *run, const struct mesh_outgoing *call)
{
    const struct mesh_destination *destination = call->call->destination;
    return destination ? &run->replicas[call->replica].callees[destination->number] : NULL;
}

/* ---- groups ---- */

/* The next call of the strand that the dice let pass; NULL: there is none. */
static const struct mesh_call *next_call(struct mesh_run *run, struct mesh_strand *strand)
{
    const struct mesh_visit *visit = mesh_visit_at(run, strand->visit);
    const struct mesh_group *group = &mesh_service_of(run, visit->replica)->groups[strand->group];

    while (strand->next < strand->count) {
        const struct mesh_call *call = &group->calls[strand->order[strand->next++]];
        if (call->probability >= 1 || random_unit(&run->paths) < call->probability)
            return call;
    }
    return NULL;
}

/* Sends the call across its replica's path. */
static void send(struct mesh_run *run, uint32_t index)
{
    uint32_t replica = mesh_call_at(run, index)->replica;

    mesh_cross(run, replica, POD_OUT, mesh_message_of_call(index), run->load->request_bytes,
               mesh_policies_ns(run, replica, mesh_service_of(run, replica)->call_policies));
}

/* An egress worker for a simulated call; false: it waits for one. */
static bool take_worker(struct mesh_run *run, uint32_t index)
{
    struct mesh_outgoing *call = mesh_call_at(run, index);
    struct mesh_replica *replica = &run->replicas[call->replica];
    unsigned workers = mesh_service_of(run, call->replica)->egress_workers;

    if (workers == 0 || replica->egress_active < workers) {
        replica->egress_active++;
        return true;
    }
    call->waiting = true;
    call->next_waiting = SLOT_NONE;
    if (replica->first_waiting == SLOT_NONE)
        replica->first_waiting = index;
    else
        mesh_call_at(run, replica->last_waiting)->next_waiting = index;
    replica->last_waiting = index;
    replica->egress_waiting++;
    if (isfinite(call->deadline_ns))
        calendar_add(&run->calendar, call->deadline_ns, MESH_TIMEOUT, index, call->stamp);
    return false;
}

/* Makes the strand's next call, or ends the strand. */
static void step(struct mesh_run *run, uint32_t strand_index)
{
    const struct mesh_call *next = next_call(run, mesh_strand_at(run, strand_index));
    uint32_t visit = mesh_strand_at(run, strand_index)->visit;

    if (!next) {
        slots_give(&run->strands, strand_index);
        mesh_strand_done(run, visit);
        return;
    }
    uint32_t replica = mesh_visit_at(run, visit)->replica, index = slots_take(&run->calls);
    double timeout_ns = next->destination ? next->destination->timeout_ns
                                          : mesh_service_of(run, replica)->timeout_ns;
    struct mesh_outgoing *call = mesh_call_at(run, index);
    *call =
        (struct mesh_outgoing){.strand = strand_index,
                               .replica = replica,
                               .stamp = call->stamp,
                               .attempt = call->attempt,
                               .call = next,
                               .deadline_ns = timeout_ns > 0 ? run->now_ns + timeout_ns : INFINITY};
    mesh_count_of(run, replica)->calls++;
    if (!next->forward && !take_worker(run, index))
        return;
    if (next->forward && timeout_ns > 0)
        calendar_add(&run->calendar, call->deadline_ns, MESH_TIMEOUT, index, call->stamp);
    send(run, index);
}

void mesh_strand_begin(struct mesh_run *run, uint32_t visit, unsigned group_index)
{
    const struct mesh_service *service = mesh_service_of(run, mesh_visit_at(run, visit)->replica);
    const struct mesh_group *group = &service->groups[group_index];
    uint32_t index = slots_take(&run->strands);
    struct mesh_strand *strand = mesh_strand_at(run, index);

    strand->visit = visit;
    strand->group = group_index;
    strand->next = 0;
    strand->count = group->take;
    for (unsigned i = 0; i < group->call_count; i++)
        strand->order[i] = (uint8_t)i;
    /* Fisher and Yates, only as far as the sample goes. */
    for (unsigned i = 0; group->take < group->call_count && i < group->take; i++) {
        uint64_t other = random_range(&run->paths, i, group->call_count - 1);
        uint8_t swap = strand->order[i];
        strand->order[i] = strand->order[other];
        strand->order[other] = swap;
    }
    step(run, index);
}

/* A call of the strand failed, and its visit with it; the strand goes on. */
static void call_failed(struct mesh_run *run, uint32_t strand)
{
    struct mesh_visit *visit = mesh_visit_at(run, mesh_strand_at(run, strand)->visit);

    visit->end = MESH_FAILED;
    visit->status = 500;
    step(run, strand);
}

void mesh_call_over(struct mesh_run *run, uint32_t index)
{
    struct mesh_outgoing *call = mesh_call_at(run, index);
    uint32_t strand = call->strand;
    bool failed = call->failed;

    call->stamp++;
    slots_give(&run->calls, index);
    if (strand == SLOT_NONE)
        return;
    if (failed)
        call_failed(run, strand);
    else
        step(run, strand);
}

/* An egress worker is free: it takes the next call that still waits. */
static void give_worker(struct mesh_run *run, uint32_t replica_index)
{
    struct mesh_replica *replica = &run->replicas[replica_index];

    replica->egress_active--;
    while (replica->first_waiting != SLOT_NONE) {
        uint32_t index = replica->first_waiting;
        struct mesh_outgoing *call = mesh_call_at(run, index);
        replica->first_waiting = call->next_waiting;
        if (!call->waiting) { /* timed out while it did */
            mesh_call_over(run, index);
            continue;
        }
        call->waiting = false;
        replica->egress_waiting--;
        replica->egress_active++;
        send(run, index);
        return;
    }
}

/* ---- breakers ---- */

static bool breaker_passes(struct mesh_run *run, struct mesh_outgoing *call)
{
    const struct mesh_destination *destination = call->call->destination;

    if (!destination || destination->breaker.failures == 0)
        return true;
    uint32_t pass =
        breaker_admit(&callee_of(run, call)->breaker, &destination->breaker, (uint64_t)run->now_ns);
    if (pass == BREAKER_REFUSED) {
        mesh_count_of(run, call->replica)->breaker_refused++;
        return false;
    }
    call->counted = true;
    call->pass = pass;
    return true;
}

static void tell_breaker(struct mesh_run *run, struct mesh_outgoing *call)
{
    if (call->counted)
        breaker_tell(&callee_of(run, call)->breaker, &call->call->destination->breaker, call->pass,
                     call->failed && !call->excused, (uint64_t)run->now_ns);
    call->counted = false;
}

/* ---- attempts ---- */

/* What a simulated callee does with the attempt, and how long it takes. */
static double meet(struct mesh_run *run, struct mesh_outgoing *call)
{
    const struct mesh_destination *destination = call->call->destination;

    call->failed = call->excused = false;
    call->causes = 0;
    if (!destination)
        return (double)distribution_draw(&mesh_service_of(run, call->replica)->latency,
                                         &run->latencies);
    struct mesh_callee *callee = callee_of(run, call);
    const struct outside_faults *faults = destination->faults;
    bool slow =
        faults && slow_periods_at(&callee->slow, faults, callee->stream, (uint64_t)run->now_ns);
    struct outside_call met =
        outside_call(destination->latency, faults,
                     outside_attempt_stream(callee->stream, call->retries), call->number, slow);
    call->failed = met.result != OUTSIDE_ANSWERED;
    if (met.result == OUTSIDE_PARTIAL || met.result == OUTSIDE_LOST)
        call->causes = RETRY_RESET;
    if (faults && met.result == OUTSIDE_ERROR) {
        call->excused = faults->errors[met.error].status < 500;
        call->causes = call->excused ? 0 : RETRY_5XX;
    }
    return (double)(met.result == OUTSIDE_SILENT ? DISTRIBUTION_DRAW_MAX_NS : met.delay_ns);
}

/* A simulated callee takes its time, or as long as the attempt, or the call, may. */
static void simulate(struct mesh_run *run, uint32_t index, double attempt_ends_ns)
{
    struct mesh_outgoing *call = mesh_call_at(run, index);
    double end_ns = run->now_ns + meet(run, call);
    double most_ns = fmin(attempt_ends_ns, call->deadline_ns);

    if (end_ns > most_ns) {
        end_ns = fmax(most_ns, run->now_ns);
        call->failed = true;
        call->excused = false;
        call->causes = attempt_ends_ns < call->deadline_ns ? RETRY_TIMEOUT : 0;
    }
    call->answer_bytes = no_bytes;
    calendar_add(&run->calendar, end_ns, MESH_ANSWERED, index, 0);
}

static void begin_attempt(struct mesh_run *run, uint32_t index)
{
    const struct mesh_outgoing *call = mesh_call_at(run, index);
    const struct mesh_destination *destination = call->call->destination;
    double ends_ns = destination && destination->retries.try_timeout_ns > 0
                         ? run->now_ns + (double)destination->retries.try_timeout_ns
                         : INFINITY;

    if (!call->call->forward) {
        simulate(run, index, ends_ns);
        return;
    }
    unsigned callee = call->call->callee;
    unsigned turn = run->next_replica[callee]++ % run->mesh->services[callee].replicas;
    if (ends_ns < call->deadline_ns)
        calendar_add(&run->calendar, ends_ns, MESH_ATTEMPT_TIMEOUT, index, call->attempt);
    mesh_visit_begin(run, run->first_replica[callee] + turn, index, call->attempt, false);
}

/* Whether the call waits now for another attempt. */
static bool rests(struct mesh_run *run, uint32_t index)
{
    struct mesh_outgoing *call = mesh_call_at(run, index);
    const struct mesh_destination *destination = call->call->destination;

    if (!call->failed || !destination || !(call->causes & destination->retries.on) ||
        call->retries >= destination->retries.most)
        return false;
    struct mesh_callee *callee = callee_of(run, call);
    double at_ns = run->now_ns + (double)retry_wait_ns(&destination->retries, call->retries,
                                                       random_unit(&run->faults));
    if (at_ns >= call->deadline_ns || !retry_take(&callee->budget))
        return false;
    call->retries++;
    mesh_count_of(run, call->replica)->retries++;
    mesh_spend_retry(run, call->replica);
    calendar_add(&run->calendar, at_ns, MESH_RETRY, index, 0);
    return true;
}

/* The call is over at the wire: its result comes in. */
static void come_in(struct mesh_run *run, uint32_t index, double bytes)
{
    struct mesh_outgoing *call = mesh_call_at(run, index);
    uint32_t replica = call->replica;

    tell_breaker(run, call);
    if (!call->call->forward)
        give_worker(run, replica);
    mesh_cross(run, replica, POD_IN, mesh_message_of_call(index), bytes, 0);
}

static void attempt_over(struct mesh_run *run, uint32_t index)
{
    mesh_call_at(run, index)->attempt++;
    if (!rests(run, index))
        come_in(run, index, mesh_call_at(run, index)->answer_bytes);
}

void mesh_call_left(struct mesh_run *run, uint32_t index)
{
    struct mesh_outgoing *call = mesh_call_at(run, index);

    if (call->strand == SLOT_NONE) {
        mesh_call_over(run, index);
        return;
    }
    if (!breaker_passes(run, call)) {
        call->failed = true;
        come_in(run, index, no_bytes);
        return;
    }
    if (call->call->destination) {
        struct mesh_callee *callee = callee_of(run, call);
        retry_earn(&callee->budget, &call->call->destination->retries);
        call->number = callee->number++;
    }
    begin_attempt(run, index);
}

void mesh_call_replied(struct mesh_run *run, uint32_t index, uint32_t attempt, unsigned status,
                       double bytes)
{
    struct mesh_outgoing *call = mesh_call_at(run, index);

    if (call->attempt != attempt)
        return; /* nobody waits for it any more */
    if (call->strand == SLOT_NONE) {
        call->attempt++;
        mesh_call_over(run, index);
        return;
    }
    call->answer_bytes = bytes;
    call->failed = status != 200;
    call->excused = call->failed && status < 500;
    call->causes = status >= 500 ? RETRY_5XX : 0;
    attempt_over(run, index);
}

void mesh_answered(struct mesh_run *run, uint32_t index)
{
    attempt_over(run, index);
}

void mesh_attempt_timed_out(struct mesh_run *run, uint32_t index, uint32_t attempt)
{
    struct mesh_outgoing *call = mesh_call_at(run, index);

    if (call->attempt != attempt || call->strand == SLOT_NONE)
        return;
    call->answer_bytes = no_bytes;
    call->failed = true;
    call->excused = false;
    call->causes = RETRY_TIMEOUT;
    attempt_over(run, index);
}

void mesh_try_again(struct mesh_run *run, uint32_t index)
{
    if (mesh_call_at(run, index)->strand == SLOT_NONE)
        mesh_call_over(run, index);
    else
        begin_attempt(run, index);
}

void mesh_timed_out(struct mesh_run *run, uint32_t index, uint32_t stamp)
{
    struct mesh_outgoing *call = mesh_call_at(run, index);
    uint32_t strand = call->strand;

    /* A simulated call that has its worker knows its end by itself. */
    if (call->stamp != stamp || strand == SLOT_NONE || (!call->call->forward && !call->waiting))
        return;
    if (call->waiting)
        run->replicas[call->replica].egress_waiting--;
    call->waiting = false;
    call->failed = true;
    call->excused = false;
    tell_breaker(run, call);
    /* A callee works on, for nobody; its answer, its turn in the queue or its next attempt ends the
     * record. */
    call->strand = SLOT_NONE;
    call_failed(run, strand);
}
