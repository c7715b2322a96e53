/* What becomes of a request: its way through a replica, and its calls. */
#include <math.h>

#include "model/mesh_private.h"

/* Of a refusal, and of a simulated answer: nobody wrote one. */
static const double no_bytes = 0;

static struct mesh_visit *visit_at(struct mesh_run *run, uint32_t index)
{
    return slots_at(&run->visits, index);
}

static struct mesh_strand *strand_at(struct mesh_run *run, uint32_t index)
{
    return slots_at(&run->strands, index);
}

static struct mesh_outgoing *call_at(struct mesh_run *run, uint32_t index)
{
    return slots_at(&run->calls, index);
}

static const struct mesh_service *service_of(const struct mesh_run *run, uint32_t replica)
{
    return &run->mesh->services[run->replicas[replica].service];
}

/* A message's number tells whether it is a visit's or a call's. */
static uint32_t message_of_visit(uint32_t visit)
{
    return 2 * visit;
}

static uint32_t message_of_call(uint32_t call)
{
    return 2 * call + 1;
}

/* When one of the threads can begin what comes now. It is then taken until crew_end(). */
static double crew_begin(struct mesh_crew *crew, double now_ns)
{
    double free_ns = calendar_next_ns(&crew->busy);

    if (free_ns > now_ns && crew->busy.count < crew->size)
        return now_ns;
    calendar_take(&crew->busy);
    return fmax(free_ns, now_ns);
}

static void crew_end(struct mesh_crew *crew, double begin_ns, double end_ns)
{
    crew->busy_ns += end_ns - begin_ns;
    calendar_add(&crew->busy, end_ns, 0, 0, 0);
}

/* ---- the end of a visit ---- */

static double draw_answer_bytes(struct mesh_run *run, const struct mesh_service *service)
{
    if (service->answer_bytes == 0)
        return 1;
    double bytes = random_exponential(&run->sizes, service->answer_bytes);
    return fmin(fmax(1, floor(bytes)), service->answer_max_bytes);
}

/* The answer, or a refusal, goes out. */
static void finish(struct mesh_run *run, uint32_t index)
{
    const struct mesh_visit *visit = visit_at(run, index);
    double bytes = visit->failed || visit->refused
                       ? no_bytes
                       : draw_answer_bytes(run, service_of(run, visit->replica));

    if (visit->call != SLOT_NONE)
        call_at(run, visit->call)->answer_bytes = bytes;
    mesh_cross(run, visit->replica, POD_OUT, message_of_visit(index), bytes, 0);
}

/* The client has its answer. */
static void account(struct mesh_run *run, const struct mesh_visit *visit)
{
    bool good = !visit->failed && !visit->refused;

    if (good && run->now_ns >= run->begin_ns && run->now_ns < run->end_ns)
        run->answered++;
    if (!visit->measured)
        return;
    run->measured_left--;
    run->refused += visit->refused;
    run->failed += visit->failed;
    if (good)
        latency_record(&run->latency, run->now_ns - visit->begun_ns, 1);
}

static void call_over(struct mesh_run *run, uint32_t index);

/* The answer has left the replica: it is the client's, or crosses the caller's path. */
static void visit_answered(struct mesh_run *run, uint32_t index)
{
    struct mesh_visit visit = *visit_at(run, index);

    run->replicas[visit.replica].requests--;
    slots_give(&run->visits, index);
    if (visit.call == SLOT_NONE) {
        account(run, &visit);
        return;
    }
    struct mesh_outgoing *call = call_at(run, visit.call);
    if (call->strand == SLOT_NONE) {
        call_over(run, visit.call);
        return;
    }
    call->failed = visit.failed || visit.refused;
    mesh_cross(run, call->replica, POD_IN, message_of_call(visit.call), call->answer_bytes, 0);
}

/* ---- calls ---- */

static void strand_done(struct mesh_run *run, uint32_t visit)
{
    if (--visit_at(run, visit)->strands_left == 0)
        finish(run, visit);
}

/* The next call of the strand that the dice let pass; NULL: there is none. */
static const struct mesh_call *next_call(struct mesh_run *run, struct mesh_strand *strand)
{
    const struct mesh_visit *visit = visit_at(run, strand->visit);
    const struct mesh_group *group = &service_of(run, visit->replica)->groups[strand->group];

    while (strand->next < strand->count) {
        const struct mesh_call *call = &group->calls[strand->order[strand->next++]];
        if (call->probability >= 1 || random_unit(&run->paths) < call->probability)
            return call;
    }
    return NULL;
}

/* An egress worker for a simulated call; false: it waits for one. */
static bool take_worker(struct mesh_run *run, uint32_t index)
{
    struct mesh_outgoing *call = call_at(run, index);
    struct mesh_replica *replica = &run->replicas[call->replica];
    unsigned workers = service_of(run, call->replica)->egress_workers;

    if (workers == 0 || replica->egress_active < workers) {
        replica->egress_active++;
        return true;
    }
    call->waiting = true;
    call->next_waiting = SLOT_NONE;
    if (replica->first_waiting == SLOT_NONE)
        replica->first_waiting = index;
    else
        call_at(run, replica->last_waiting)->next_waiting = index;
    replica->last_waiting = index;
    replica->egress_waiting++;
    if (isfinite(call->deadline_ns))
        calendar_add(&run->calendar, call->deadline_ns, MESH_TIMEOUT, index, call->stamp);
    return false;
}

/* Makes the strand's next call, or ends the strand. */
static void step(struct mesh_run *run, uint32_t strand_index)
{
    const struct mesh_call *next = next_call(run, strand_at(run, strand_index));
    uint32_t visit = strand_at(run, strand_index)->visit;

    if (!next) {
        slots_give(&run->strands, strand_index);
        strand_done(run, visit);
        return;
    }
    uint32_t replica = visit_at(run, visit)->replica, index = slots_take(&run->calls);
    double timeout_ns = service_of(run, replica)->timeout_ns;
    struct mesh_outgoing *call = call_at(run, index);
    *call =
        (struct mesh_outgoing){.strand = strand_index,
                               .replica = replica,
                               .stamp = call->stamp,
                               .call = next,
                               .deadline_ns = timeout_ns > 0 ? run->now_ns + timeout_ns : INFINITY};
    if (!next->forward && !take_worker(run, index))
        return;
    if (next->forward && timeout_ns > 0)
        calendar_add(&run->calendar, call->deadline_ns, MESH_TIMEOUT, index, call->stamp);
    mesh_cross(run, replica, POD_OUT, message_of_call(index), run->load->request_bytes,
               service_of(run, replica)->call_policies);
}

/* Fails the strand that made a call: it makes no more. */
static void strand_failed(struct mesh_run *run, uint32_t strand_index)
{
    uint32_t visit = strand_at(run, strand_index)->visit;

    visit_at(run, visit)->failed = true;
    slots_give(&run->strands, strand_index);
    strand_done(run, visit);
}

/* The call's answer is there, or will never be; its record is free again. */
static void call_over(struct mesh_run *run, uint32_t index)
{
    struct mesh_outgoing *call = call_at(run, index);
    uint32_t strand = call->strand;
    bool failed = call->failed;

    call->stamp++;
    slots_give(&run->calls, index);
    if (strand == SLOT_NONE)
        return;
    if (failed)
        strand_failed(run, strand);
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
        struct mesh_outgoing *call = call_at(run, index);
        replica->first_waiting = call->next_waiting;
        if (!call->waiting) { /* timed out while it did */
            call_over(run, index);
            continue;
        }
        call->waiting = false;
        replica->egress_waiting--;
        replica->egress_active++;
        mesh_cross(run, replica_index, POD_OUT, message_of_call(index), run->load->request_bytes,
                   service_of(run, replica_index)->call_policies);
        return;
    }
}

/* A simulated callee takes the latency drawn, or as long as the call may. */
static void simulate_callee(struct mesh_run *run, uint32_t index)
{
    struct mesh_outgoing *call = call_at(run, index);
    const struct distribution *latency =
        call->call->latency ? call->call->latency : &service_of(run, call->replica)->latency;
    double end_ns = run->now_ns + (double)distribution_draw(latency, &run->latencies);

    call->failed = end_ns > call->deadline_ns;
    call->answer_bytes = no_bytes;
    end_ns = fmin(end_ns, fmax(call->deadline_ns, run->now_ns));
    calendar_add(&run->calendar, end_ns, MESH_ANSWERED, index, 0);
}

/* The call has left its replica. */
static void call_left(struct mesh_run *run, uint32_t index)
{
    const struct mesh_outgoing *call = call_at(run, index);

    if (call->strand == SLOT_NONE) {
        call_over(run, index);
        return;
    }
    if (!call->call->forward) {
        simulate_callee(run, index);
        return;
    }
    unsigned callee = call->call->callee;
    unsigned turn = run->next_replica[callee]++ % run->mesh->services[callee].replicas;
    mesh_visit_begin(run, run->first_replica[callee] + turn, index, false);
}

void mesh_answered(struct mesh_run *run, uint32_t index)
{
    const struct mesh_outgoing *call = call_at(run, index);
    uint32_t replica = call->replica;
    double bytes = call->answer_bytes;

    give_worker(run, replica);
    mesh_cross(run, replica, POD_IN, message_of_call(index), bytes, 0);
}

void mesh_timed_out(struct mesh_run *run, uint32_t index, uint32_t stamp)
{
    struct mesh_outgoing *call = call_at(run, index);
    uint32_t strand = call->strand;

    /* A simulated call that has its worker knows its end by itself. */
    if (call->stamp != stamp || (!call->call->forward && !call->waiting))
        return;
    if (call->waiting)
        run->replicas[call->replica].egress_waiting--;
    call->waiting = false;
    /* A callee works on, for nobody; its answer, or its turn in the queue, ends the record. */
    call->strand = SLOT_NONE;
    strand_failed(run, strand);
}

/* ---- a visit's work ---- */

static void begin_strand(struct mesh_run *run, uint32_t visit, unsigned group_index)
{
    const struct mesh_service *service = service_of(run, visit_at(run, visit)->replica);
    const struct mesh_group *group = &service->groups[group_index];
    uint32_t index = slots_take(&run->strands);
    struct mesh_strand *strand = strand_at(run, index);

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

void mesh_worked(struct mesh_run *run, uint32_t index)
{
    unsigned groups = service_of(run, visit_at(run, index)->replica)->group_count;

    /* One more than there are, so that a group that ends at once can't finish the visit while the
     * others have not begun. */
    visit_at(run, index)->strands_left = groups + 1;
    for (unsigned i = 0; i < groups; i++)
        begin_strand(run, index, i);
    strand_done(run, index);
}

/* Computes, then sleeps. Threads serve in the order of submission, so the end is known at once. */
static void work(struct mesh_run *run, uint32_t index)
{
    struct mesh_replica *replica = &run->replicas[visit_at(run, index)->replica];
    const struct mesh_service *service = &run->mesh->services[replica->service];
    double end_ns = run->now_ns;

    for (unsigned i = 0; i < service->jobs; i++) {
        double digits = (double)random_range(&run->work, service->digits_min, service->digits_max);
        double begin_ns = crew_begin(&replica->threads, run->now_ns);
        double done_ns = begin_ns + service->trials * work_cost_ns(&run->mesh->cost, digits);
        crew_end(&replica->threads, begin_ns, done_ns);
        end_ns = fmax(end_ns, done_ns);
    }
    end_ns += service->sleep_ns;
    if (end_ns > run->now_ns)
        calendar_add(&run->calendar, end_ns, MESH_WORKED, index, 0);
    else
        mesh_worked(run, index);
}

/* Whether a request may begin its work: the agent refuses it when its calls could not be queued. */
static bool admits(const struct mesh_run *run, const struct mesh_replica *replica)
{
    const struct mesh_service *service = &run->mesh->services[replica->service];
    unsigned least = service->group_count < 16 ? service->group_count : 16;

    return replica->egress_waiting == 0 || replica->egress_waiting + least <= service->egress_queue;
}

/* Whether there is room for one more request in a replica and on the way to it. */
static bool has_room(const struct mesh_run *run, const struct mesh_replica *replica)
{
    const struct mesh_service *service = &run->mesh->services[replica->service];

    return replica->requests < service->requests_max &&
           (!service->profile || pod_depth(&replica->pod, POD_IN) < replica->slots);
}

static void visit_arrived(struct mesh_run *run, uint32_t index)
{
    struct mesh_visit *visit = visit_at(run, index);
    struct mesh_replica *replica = &run->replicas[visit->replica];
    struct mesh_count *count = &run->counts[replica->service];

    if (!admits(run, replica)) {
        count->refused++;
        visit->refused = true;
        finish(run, index);
        return;
    }
    work(run, index);
}

void mesh_visit_begin(struct mesh_run *run, uint32_t replica, uint32_t call, bool measured)
{
    struct mesh_visit visit = {
        .replica = replica, .call = call, .begun_ns = run->now_ns, .measured = measured};
    struct mesh_count *count = &run->counts[run->replicas[replica].service];

    count->requests++;
    if (!has_room(run, &run->replicas[replica])) {
        /* Refused before it crosses. */
        count->refused++;
        visit.refused = true;
        if (call == SLOT_NONE) {
            account(run, &visit);
            return;
        }
        call_at(run, call)->failed = true;
        mesh_cross(run, call_at(run, call)->replica, POD_IN, message_of_call(call), no_bytes, 0);
        return;
    }
    run->replicas[replica].requests++;
    uint32_t index = slots_take(&run->visits);
    *visit_at(run, index) = visit;
    mesh_cross(run, replica, POD_IN, message_of_visit(index), run->load->request_bytes,
               service_of(run, replica)->policies);
}

void mesh_crossed(struct mesh_run *run, uint32_t message, enum pod_direction direction)
{
    uint32_t index = message / 2;

    if (message % 2 == 0 && direction == POD_IN)
        visit_arrived(run, index);
    else if (message % 2 == 0)
        visit_answered(run, index);
    else if (direction == POD_OUT)
        call_left(run, index);
    else
        call_over(run, index);
}
