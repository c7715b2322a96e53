#include "model/mesh.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "model/mesh_private.h"

/*
 * A write to a TCP socket. What leaves a replica in one round is written one after the other, and
 * comes to the next proxy apart: the first wakes it, and the others find it at work. Any time above
 * 0 says that; this is the order of what a write to loopback takes.
 */
static const double write_ns = 5000;

/* ---- a replica's data path ---- */

/* Has the replica's next event in the calendar; an older one that is later is known by its stamp.
 */
static void schedule(struct mesh_run *run, uint32_t index)
{
    struct mesh_replica *replica = &run->replicas[index];
    double next_ns = pod_next_ns(&replica->pod);

    if (next_ns == replica->next_ns)
        return;
    replica->next_ns = next_ns;
    replica->stamp++;
    if (isfinite(next_ns))
        calendar_add(&run->calendar, next_ns, MESH_POD, index, replica->stamp);
}

void mesh_cross(struct mesh_run *run, uint32_t replica, enum pod_direction direction,
                uint32_t message, double bytes, double more_ns)
{
    struct mesh_replica *at = &run->replicas[replica];
    const struct profile *profile = run->mesh->services[at->service].profile;

    if (!profile) {
        /* By the calendar also when it takes no time: else calls would nest without end. */
        calendar_add(&run->calendar, run->now_ns, MESH_CROSSED, message, direction);
        return;
    }
    pod_begin_policed(&at->pod, direction, message, run->now_ns, fmax(bytes, MESH_BYTES_MIN),
                      more_ns);
    schedule(run, replica);
}

bool mesh_path_has_room(const struct mesh_run *run, const struct mesh_replica *replica,
                        enum pod_direction direction)
{
    return !run->mesh->services[replica->service].profile ||
           pod_depth(&replica->pod, direction) < replica->slots;
}

/* Whether the message goes onto a socket: an answer, or a call that is made. */
static bool is_written(struct mesh_run *run, const struct pod_message *message)
{
    if (message->direction != POD_OUT || message->id == MESH_NOBODY)
        return false;
    return !mesh_message_is_call(message->id) ||
           mesh_call_at(run, mesh_message_index(message->id))->call->forward;
}

/* A message is through its replica's path. */
static void come_out(struct mesh_run *run, struct mesh_replica *replica,
                     const struct pod_message *message)
{
    if (is_written(run, message)) {
        replica->written_ns = fmax(run->now_ns, replica->written_ns + write_ns);
        if (replica->written_ns > run->now_ns) {
            calendar_add(&run->calendar, replica->written_ns, MESH_CROSSED, message->id, POD_OUT);
            return;
        }
    }
    mesh_crossed(run, message->id, (enum pod_direction)message->direction);
}

static void advance_pod(struct mesh_run *run, const struct calendar_event *event)
{
    struct mesh_replica *replica = &run->replicas[event->index];
    struct pod_message message;

    if (event->stamp != replica->stamp)
        return;
    replica->next_ns = NAN; /* the event is used up */
    pod_advance(&replica->pod, event->at_ns);
    while (pod_pop(&replica->pod, &message))
        come_out(run, replica, &message);
    schedule(run, event->index);
}

static void happen(struct mesh_run *run, const struct calendar_event *event)
{
    run->events++;
    switch ((enum mesh_event)event->kind) {
    case MESH_POD:
        advance_pod(run, event);
        break;
    case MESH_CROSSED:
        mesh_crossed(run, event->index, (enum pod_direction)event->stamp);
        break;
    case MESH_WORKED:
        mesh_worked(run, event->index);
        break;
    case MESH_WAITED:
        mesh_waited(run, event->index);
        break;
    case MESH_ANSWERED:
        mesh_answered(run, event->index);
        break;
    case MESH_TIMEOUT:
        mesh_timed_out(run, event->index, event->stamp);
        break;
    case MESH_ATTEMPT_TIMEOUT:
        mesh_attempt_timed_out(run, event->index, event->stamp);
        break;
    case MESH_RETRY:
        mesh_try_again(run, event->index);
        break;
    }
}

/* ---- a run ---- */

/* Streams of one seed. */
enum {
    STREAM_ARRIVALS = 1,
    STREAM_WORK,
    STREAM_SIZES,
    STREAM_PATHS,
    STREAM_LATENCIES,
    STREAM_FAULTS
};

static void run_init(struct mesh_run *run, const struct mesh *mesh, const struct mesh_load *load)
{
    *run = (struct mesh_run){.mesh = mesh,
                             .load = load,
                             .visits.size = sizeof(struct mesh_visit),
                             .strands.size = sizeof(struct mesh_strand),
                             .calls.size = sizeof(struct mesh_outgoing),
                             .first_replica = xcalloc(mesh->count, sizeof *run->first_replica),
                             .next_replica = xcalloc(mesh->count, sizeof *run->next_replica),
                             .counts = xcalloc(mesh->count, sizeof *run->counts)};
    for (size_t i = 0; i < mesh->count; i++) {
        run->first_replica[i] = (unsigned)run->replica_count;
        run->replica_count += mesh->services[i].replicas;
    }
    run->replicas = xcalloc(run->replica_count, sizeof *run->replicas);
    for (size_t i = 0; i < run->replica_count; i++) {
        struct mesh_replica *replica = &run->replicas[i];
        while (replica->service + 1 < mesh->count && i >= run->first_replica[replica->service + 1])
            replica->service++;
        const struct mesh_service *service = &mesh->services[replica->service];
        replica->threads.size = service->threads;
        replica->first_waiting = SLOT_NONE;
        replica->slots = SIZE_MAX;
        replica->next_ns = NAN;
        struct pod_options options = {.seed = load->seed + i,
                                      .less_path_ns = mesh->less_path_ns,
                                      .connections =
                                          fmax(1, (double)load->connections / service->replicas)};
        if (service->profile) {
            pod_init(&replica->pod, service->profile, &options);
            replica->slots = (size_t)service->profile->value[PROFILE_RING_SLOTS];
        }
        mesh_policy_init(run, (uint32_t)i);
    }
    random_seed(&run->arrivals, load->seed, STREAM_ARRIVALS);
    random_seed(&run->work, load->seed, STREAM_WORK);
    random_seed(&run->sizes, load->seed, STREAM_SIZES);
    random_seed(&run->paths, load->seed, STREAM_PATHS);
    random_seed(&run->latencies, load->seed, STREAM_LATENCIES);
    random_seed(&run->faults, load->seed, STREAM_FAULTS);
    latency_init(&run->latency);
}

static void run_release(struct mesh_run *run)
{
    for (size_t i = 0; i < run->replica_count; i++) {
        struct mesh_replica *replica = &run->replicas[i];
        if (run->mesh->services[replica->service].profile)
            pod_release(&replica->pod);
        calendar_release(&replica->threads.busy);
        mesh_policy_release(replica);
    }
    free(run->replicas);
    free(run->first_replica);
    free(run->next_replica);
    free(run->counts);
    calendar_release(&run->calendar);
    slots_release(&run->visits);
    slots_release(&run->strands);
    slots_release(&run->calls);
    latency_release(&run->latency);
}

/* ---- what is measured ---- */

/* What a service has done until now: a difference of two is a report. */
struct snapshot {
    double datapath_ns, work_ns, arm_ns, dma_ns;
    struct mesh_count count;
};

static void take_snapshot(const struct mesh_run *run, struct snapshot *ret)
{
    for (size_t i = 0; i < run->mesh->count; i++)
        ret[i] = (struct snapshot){.count = run->counts[i]};
    for (size_t i = 0; i < run->replica_count; i++) {
        const struct mesh_replica *replica = &run->replicas[i];
        struct snapshot *sum = &ret[replica->service];
        sum->work_ns += replica->threads.busy_ns;
        if (!run->mesh->services[replica->service].profile)
            continue;
        for (enum pod_direction d = POD_IN; d < POD_DIRECTIONS; d++) {
            const struct pod_lane *lane = &replica->pod.lane[d];
            sum->datapath_ns += lane->core.account.busy_ns;
            sum->arm_ns += lane->arm.account.busy_ns;
            sum->dma_ns += lane->dma.account.busy_ns;
        }
    }
}

static double per_s(uint64_t from, uint64_t to, double span_s)
{
    return (double)(to - from) / span_s;
}

/* The figures that are counts. */
static struct mesh_service_result count_result(const struct mesh_count *from,
                                               const struct mesh_count *to, double span_s)
{
#define PER_S(member) per_s(from->member, to->member, span_s)
    return (struct mesh_service_result){.requests_per_s = PER_S(requests),
                                        .ended_per_s = PER_S(ended),
                                        .refused_per_s = PER_S(refused),
                                        .rate_limited_per_s = PER_S(rate_limited),
                                        .concurrency_limited_per_s = PER_S(concurrency_limited),
                                        .aborted_per_s = PER_S(aborted),
                                        .failed_per_s = PER_S(failed),
                                        .calls_per_s = PER_S(calls),
                                        .retries_per_s = PER_S(retries),
                                        .breaker_refused_per_s = PER_S(breaker_refused)};
#undef PER_S
}

static void report_services(const struct mesh_run *run, const struct snapshot *from,
                            const struct snapshot *to, struct mesh_service_result *ret)
{
    double span_ns = run->end_ns - run->begin_ns, span_s = span_ns / 1e9;

    for (size_t i = 0; i < run->mesh->count; i++) {
        const struct mesh_service *service = &run->mesh->services[i];
        ret[i] = count_result(&from[i].count, &to[i].count, span_s);
        /* Work is counted when its end is known, which with a queue lies ahead. */
        double threads = (double)service->threads * service->replicas;
        ret[i].work_cores = fmin((to[i].work_ns - from[i].work_ns) / span_ns, threads);
        if (!service->profile)
            continue;
        const double *value = service->profile->value;
        double lanes = (double)POD_DIRECTIONS * service->replicas;
        ret[i].datapath_cores = fmin((to[i].datapath_ns - from[i].datapath_ns) / span_ns,
                                     lanes * value[PROFILE_HOST_SHARE]);
        ret[i].dpu_cores =
            fmin((to[i].arm_ns - from[i].arm_ns) / span_ns, lanes * value[PROFILE_ARM_WORKERS]);
        ret[i].dma_busy =
            fmin((to[i].dma_ns - from[i].dma_ns) / span_ns, lanes * value[PROFILE_DMA_UNITS]);
    }
}

static double quantile_us(const struct latency *latency, double q)
{
    return latency->count ? latency_quantile(latency, q) / 1e3 : NAN;
}

static void report(const struct mesh_run *run, struct mesh_result *ret)
{
    const struct latency *latency = &run->latency;
    double span_s = (run->end_ns - run->begin_ns) / 1e9, measured = fmax(1, (double)run->measured);
    uint64_t bad = run->refused + run->aborted + run->failed;

    *ret = (struct mesh_result){
        .achieved_per_s = (double)run->answered / span_s,
        .mean_us = latency->count ? latency->sum_ns / (double)latency->count / 1e3 : NAN,
        .p50_us = quantile_us(latency, 0.5),
        .p90_us = quantile_us(latency, 0.9),
        .p99_us = quantile_us(latency, 0.99),
        .p999_us = quantile_us(latency, 0.999),
        .refused_fraction = (double)run->refused / measured,
        .aborted_fraction = (double)run->aborted / measured,
        .failed_fraction = (double)run->failed / measured,
        .success_fraction = (double)(run->measured - bad) / measured,
        .requests = run->measured,
        .events = run->events,
        .simulated_s = span_s};
}

/* Lets happen what does before until_ns. */
static void advance(struct mesh_run *run, double until_ns)
{
    while (calendar_next_ns(&run->calendar) < until_ns) {
        struct calendar_event event = calendar_take(&run->calendar);
        run->now_ns = event.at_ns;
        happen(run, &event);
    }
}

static void arrive(struct mesh_run *run, uint64_t number, double now_ns)
{
    const struct mesh_load *load = run->load;
    const struct mesh_service *service = &run->mesh->services[load->entry];
    uint64_t connection = load->poisson ? random_range(&run->arrivals, 0, load->connections - 1)
                                        : number % load->connections;
    bool measured = now_ns >= run->begin_ns;

    run->now_ns = now_ns;
    run->measured += measured;
    run->measured_left += measured;
    mesh_visit_begin(run,
                     run->first_replica[load->entry] + (uint32_t)(connection % service->replicas),
                     SLOT_NONE, 0, measured);
}

void mesh_simulate(const struct mesh *mesh, const struct mesh_load *load,
                   struct mesh_result *ret_result, struct mesh_service_result *ret_services)
{
    struct mesh_run run;
    double gap_ns = 1e9 / load->rate_per_s, now_ns = 0, span_ns = load->duration_s * 1e9;
    cleanup_free struct snapshot *from = xcalloc(mesh->count, sizeof *from);
    cleanup_free struct snapshot *to = xcalloc(mesh->count, sizeof *to);
    bool measuring = false;

    run_init(&run, mesh, load);
    if (load->requests_max > 0)
        span_ns = fmin(span_ns, (double)load->requests_max * gap_ns);
    run.begin_ns = span_ns / 10;
    run.end_ns = run.begin_ns + span_ns;
    for (uint64_t number = 0;; number++) {
        now_ns = load->poisson ? now_ns + random_exponential(&run.arrivals, gap_ns)
                               : (double)(number + 1) * gap_ns;
        if (now_ns >= run.begin_ns && !measuring) {
            advance(&run, run.begin_ns);
            take_snapshot(&run, from);
            measuring = true;
        }
        if (now_ns >= run.end_ns)
            break;
        advance(&run, now_ns);
        arrive(&run, number, now_ns);
    }
    advance(&run, run.end_ns);
    take_snapshot(&run, to);
    while (run.measured_left > 0 && run.calendar.count > 0)
        advance(&run, nextafter(calendar_next_ns(&run.calendar), INFINITY));
    report_services(&run, from, to, ret_services);
    report(&run, ret_result);
    run_release(&run);
}
