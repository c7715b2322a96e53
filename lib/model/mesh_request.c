/* What becomes of a request: its way through a replica, and its calls. */
#include <math.h>

#include "model/mesh_private.h"

/* Of a refusal, and of a simulated answer: nobody wrote one. */
static const double no_bytes = 0;

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

/* Counts how a request ended at its service. */
static void count_end(struct mesh_run *run, const struct mesh_visit *visit)
{
    struct mesh_count *count = mesh_count_of(run, visit->replica);

    count->ended++;
    count->refused += visit->end == MESH_REFUSED;
    count->aborted += visit->end == MESH_ABORTED;
    count->failed += visit->end == MESH_FAILED;
}

/* The application's answer, or its refusal, goes out. */
static void finish(struct mesh_run *run, uint32_t index)
{
    struct mesh_visit *visit = mesh_visit_at(run, index);
    double bytes = visit->end == MESH_GOOD
                       ? draw_answer_bytes(run, mesh_service_of(run, visit->replica))
                       : no_bytes;

    run->replicas[visit->replica].inside--;
    count_end(run, visit);
    visit->answer_bytes = bytes;
    mesh_cross(run, visit->replica, POD_OUT, mesh_message_of_visit(index), bytes, 0);
}

/* The client has its answer. */
static void account(struct mesh_run *run, const struct mesh_visit *visit)
{
    bool good = visit->end == MESH_GOOD;

    if (good && run->now_ns >= run->begin_ns && run->now_ns < run->end_ns)
        run->answered++;
    if (!visit->measured)
        return;
    run->measured_left--;
    run->refused += visit->end == MESH_REFUSED;
    run->aborted += visit->end == MESH_ABORTED;
    run->failed += visit->end == MESH_FAILED;
    if (good)
        latency_record(&run->latency, run->now_ns - visit->begun_ns, 1);
}

/* The answer has left the replica: it is the client's, or the caller's. */
static void answer(struct mesh_run *run, const struct mesh_visit *visit)
{
    if (visit->call == SLOT_NONE)
        account(run, visit);
    else
        mesh_call_replied(run, visit->call, visit->attempt,
                          visit->end == MESH_GOOD ? 200 : visit->status, visit->answer_bytes);
}

static void visit_answered(struct mesh_run *run, uint32_t index)
{
    struct mesh_visit visit = *mesh_visit_at(run, index);

    slots_give(&run->visits, index);
    answer(run, &visit);
}

void mesh_strand_done(struct mesh_run *run, uint32_t visit)
{
    if (--mesh_visit_at(run, visit)->strands_left == 0)
        finish(run, visit);
}

/* ---- a visit's work ---- */

void mesh_worked(struct mesh_run *run, uint32_t index)
{
    unsigned groups = mesh_service_of(run, mesh_visit_at(run, index)->replica)->group_count;

    /* One more than there are, so that a group that ends at once can't finish the visit while the
     * others have not begun. */
    mesh_visit_at(run, index)->strands_left = groups + 1;
    for (unsigned i = 0; i < groups; i++)
        mesh_strand_begin(run, index, i);
    mesh_strand_done(run, index);
}

/* Computes, then sleeps. Threads serve in the order of submission, so the end is known at once. */
static void work(struct mesh_run *run, uint32_t index)
{
    struct mesh_replica *replica = &run->replicas[mesh_visit_at(run, index)->replica];
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

static void refuse(struct mesh_visit *visit, enum mesh_end end, unsigned status)
{
    visit->end = (uint8_t)end;
    visit->status = (uint16_t)status;
    visit->answer_bytes = no_bytes;
}

static void visit_arrived(struct mesh_run *run, uint32_t index)
{
    struct mesh_visit *visit = mesh_visit_at(run, index);

    if (admits(run, &run->replicas[visit->replica])) {
        work(run, index);
        return;
    }
    refuse(visit, MESH_REFUSED, 503);
    finish(run, index);
}

static void cross_in(struct mesh_run *run, uint32_t index)
{
    uint32_t replica = mesh_visit_at(run, index)->replica;

    mesh_cross(run, replica, POD_IN, mesh_message_of_visit(index), run->load->request_bytes,
               mesh_policies_ns(run, replica, mesh_service_of(run, replica)->policies));
}

void mesh_waited(struct mesh_run *run, uint32_t index)
{
    struct mesh_visit *visit = mesh_visit_at(run, index);
    struct mesh_replica *replica = &run->replicas[visit->replica];

    if (visit->end == MESH_GOOD && mesh_path_has_room(run, replica, POD_IN)) {
        cross_in(run, index);
        return;
    }
    if (visit->end == MESH_ABORTED)
        mesh_spend_refusal(run, visit->replica);
    else
        refuse(visit, MESH_REFUSED, 503);
    replica->inside--;
    count_end(run, visit);
    visit_answered(run, index);
}

void mesh_visit_begin(struct mesh_run *run, uint32_t replica_index, uint32_t call, uint32_t attempt,
                      bool measured)
{
    struct mesh_visit visit = {.replica = replica_index,
                               .call = call,
                               .attempt = attempt,
                               .begun_ns = run->now_ns,
                               .measured = measured};
    struct mesh_replica *replica = &run->replicas[replica_index];
    struct mesh_verdict verdict = {.end = MESH_REFUSED, .status = 503};
    bool room = replica->inside < mesh_service_of(run, replica_index)->requests_max &&
                mesh_path_has_room(run, replica, POD_IN);

    mesh_count_of(run, replica_index)->requests++;
    if (room)
        verdict = mesh_policy_judge(run, replica_index, call);
    if (verdict.end != MESH_GOOD)
        refuse(&visit, verdict.end, verdict.status);
    if (verdict.end != MESH_GOOD && verdict.delay_ns == 0) { /* before it crosses */
        if (room)
            mesh_spend_refusal(run, replica_index);
        count_end(run, &visit);
        answer(run, &visit);
        return;
    }
    replica->inside++;
    uint32_t index = slots_take(&run->visits);
    *mesh_visit_at(run, index) = visit;
    if (verdict.delay_ns > 0)
        calendar_add(&run->calendar, run->now_ns + verdict.delay_ns, MESH_WAITED, index, 0);
    else
        cross_in(run, index);
}

void mesh_crossed(struct mesh_run *run, uint32_t message, enum pod_direction direction)
{
    uint32_t index = mesh_message_index(message);
    bool is_call = mesh_message_is_call(message);

    if (message == MESH_NOBODY)
        return;
    if (is_call && direction == POD_OUT)
        mesh_call_left(run, index);
    else if (is_call)
        mesh_call_over(run, index);
    else if (direction == POD_IN)
        visit_arrived(run, index);
    else
        visit_answered(run, index);
}
