#include "model/path.h"

#include <math.h>

#include "model/coalescer.h"
#include "model/core.h"
#include "model/latency.h"
#include "model/path_private.h"
#include "model/queue.h"
#include "model/random.h"
#include "model/ring.h"
#include "model/station.h"

const char *const path_station_names[PATH_STATIONS] = {
    "client", "client_arm", "client_dma", "server_arm", "server_dma", "server", "completion"};

/*
 * Messages never overtake each other, so no calendar of events is needed: each station takes them
 * in order and says when it is done, and a core's round is run as soon as no later message can be
 * part of it. Time at each station only goes forward; stations further on run behind.
 */
struct run {
    const struct path_load *load;
    double frame_bytes;
    double client_ns, server_ns, arm_ns, dma_ns; /* a message */
    double policy_ns;                            /* besides, of the server's Arm or core */
    double host_share;                           /* the most that the path uses of a core */
    double half_path_ns;
    bool has_arm, has_dma, has_coalescers;
    double arm_bytes;
    struct core client, server;
    struct station client_arm, server_arm, client_dma, server_dma;
    struct coalescer there, back;      /* completions at the server's DPU and at the client's */
    struct queue at_client, at_server; /* when the messages that wait at a core were due */
    struct queue in_there, in_back;    /* and those whose completion is held */
    struct ring under_way;
    struct account ring_account;
    struct latency latency;
    double in_order_ns;      /* the last arrival at the server's core */
    double begin_ns, end_ns; /* what is measured: after the path has come to its steady state */
};

/*
 * Who takes completions one by one gathers them a second time, at a phase of its own: a message and
 * its answer need not have one size. If the second gathers a little less at a time, every phase
 * comes as often as any other. So p99 is two gatherings and the path, as measured of
 * bluefield3-native at 64 B and 1 KiB; that of bluefield3-preload is one.
 */
static const double drift = 15.0 / 16;

static void run_init(struct run *run, const struct profile *profile, const struct path_load *load)
{
    const double *value = profile->value;
    struct cost arm = path_arm_cost(profile), dma = path_dma_cost(profile);
    struct core_settings settings = {.wake_ns = value[PROFILE_WAKE_NS],
                                     .wake_before = value[PROFILE_WAKE_BEFORE],
                                     .holdoff_ns = value[PROFILE_HOLDOFF_NS],
                                     .polls = value[PROFILE_POLLS] > 0,
                                     .eager_bytes = value[PROFILE_EAGER_BYTES],
                                     .eager_messages = value[PROFILE_EAGER_MESSAGES],
                                     .share = value[PROFILE_HOST_SHARE],
                                     .pace = path_host_share(profile, load->frame_bytes) /
                                             value[PROFILE_HOST_SHARE],
                                     .stall_ns = value[PROFILE_STALL_NS],
                                     .batch_max = (unsigned)value[PROFILE_RING_SLOTS]};

    *run = (struct run){.load = load,
                        .frame_bytes = load->frame_bytes,
                        .client_ns = path_host_ns(profile, load->frame_bytes, false),
                        .server_ns = path_host_ns(profile, load->frame_bytes, true),
                        .arm_ns = cost_ns(&arm, load->frame_bytes),
                        .arm_bytes = cost_bytes(&arm, load->frame_bytes),
                        .dma_ns = cost_ns(&dma, load->frame_bytes),
                        .host_share = path_host_share(profile, load->frame_bytes),
                        .half_path_ns = value[PROFILE_PATH_NS] / 2,
                        .has_arm = value[PROFILE_ARM_WORKERS] > 0,
                        .has_dma = value[PROFILE_DMA_UNITS] > 0,
                        .has_coalescers = value[PROFILE_COALESCE_BYTES] > 0};
    run->policy_ns = load->policies * value[PROFILE_POLICY_NS];
    if (!run->has_arm)
        run->server_ns += run->policy_ns;
    core_init(&run->client, &settings, load->seed * 2 + 1);
    settings.wake_ns = path_wake_ns(profile, true);
    settings.holdoff_ns = path_holdoff_ns(profile, true);
    settings.eager_messages = 0;
    core_init(&run->server, &settings, load->seed * 2 + 2);
    station_init(&run->client_arm, (unsigned)fmax(1, value[PROFILE_ARM_WORKERS]));
    station_init(&run->server_arm, (unsigned)fmax(1, value[PROFILE_ARM_WORKERS]));
    station_init(&run->client_dma, (unsigned)fmax(1, value[PROFILE_DMA_UNITS]));
    station_init(&run->server_dma, (unsigned)fmax(1, value[PROFILE_DMA_UNITS]));
    double held = load->connections * fmax(1, value[PROFILE_COALESCE_BYTES] / load->frame_bytes);
    coalescer_init(&run->there, held, value[PROFILE_KEEP_ALIVE_NS]);
    coalescer_init(&run->back, settings.polls ? held * drift : floor(held),
                   value[PROFILE_KEEP_ALIVE_NS]);
    double slots = RING_SLOTS_MAX, least = run->has_arm ? 1 : value[PROFILE_SEGMENT_BYTES];
    /* In sockets' buffers a small message takes what a segment does; registered memory is packed.
     */
    if (value[PROFILE_BUFFER_BYTES] > 0)
        slots = fmin(slots,
                     fmax(1, floor(value[PROFILE_BUFFER_BYTES] / fmax(least, load->frame_bytes))));
    ring_init(&run->under_way, (size_t)slots, &run->ring_account);
    latency_init(&run->latency);
}

static void run_release(struct run *run)
{
    queue_release(&run->at_client);
    queue_release(&run->at_server);
    queue_release(&run->in_there);
    queue_release(&run->in_back);
    ring_release(&run->under_way);
    latency_release(&run->latency);
}

/* A completion reaches the client's application. */
static void finish(struct run *run, double now_ns, double due_ns)
{
    double at_ns = now_ns + run->half_path_ns;

    if (due_ns > run->begin_ns)
        latency_record(&run->latency, at_ns - due_ns, 1);
}

static void deliver_back(struct run *run, double now_ns)
{
    for (unsigned n = coalescer_deliver(&run->back, now_ns); n > 0; n--)
        finish(run, now_ns, queue_pop(&run->in_back));
}

/* What comes together is looked at together, so that a batch that is longer than a count leaves no
 * rest, but by who polls: he takes completions one by one. */
static void deliver_there(struct run *run, double now_ns)
{
    bool reached = false;

    for (unsigned n = coalescer_deliver(&run->there, now_ns); n > 0; n--) {
        if (coalescer_due_ns(&run->back) <= now_ns)
            deliver_back(run, coalescer_due_ns(&run->back));
        queue_push(&run->in_back, queue_pop(&run->in_there));
        if (!coalescer_offer(&run->back, now_ns, run->frame_bytes))
            continue;
        if (run->client.settings.polls)
            deliver_back(run, now_ns);
        else
            reached = true;
    }
    if (reached)
        deliver_back(run, now_ns);
}

static void complete(struct run *run, double now_ns, double due_ns)
{
    if (!run->has_coalescers) {
        finish(run, now_ns, due_ns);
        return;
    }
    if (coalescer_due_ns(&run->there) <= now_ns)
        deliver_there(run, coalescer_due_ns(&run->there));
    queue_push(&run->in_there, due_ns);
    if (coalescer_offer(&run->there, now_ns, run->frame_bytes))
        deliver_there(run, now_ns);
}

static void server_round(struct run *run)
{
    struct core_round round = core_round(&run->server);

    for (unsigned i = 0; i < round.messages; i++) {
        double done_ns = core_served_ns(&round, i, run->has_arm);
        ring_leaves(&run->under_way, done_ns);
        complete(run, done_ns, queue_pop(&run->at_server));
    }
    /* Nothing else is under way: nobody holds a completion for company that does not come. */
    if (run->has_coalescers && ring_unknown(&run->under_way) == 0) {
        if (coalescer_due_ns(&run->there) < INFINITY)
            deliver_there(run, round.done_ns);
        if (coalescer_due_ns(&run->back) < INFINITY)
            deliver_back(run, round.done_ns);
    }
}

/* One message through DPU, wire and DPU; returns when it is at the server's core. */
static double cross(struct run *run, double now_ns)
{
    if (run->has_arm)
        now_ns = station_serve(&run->client_arm, now_ns, run->arm_ns, run->arm_bytes);
    if (run->has_dma)
        now_ns = station_serve(&run->client_dma, now_ns, run->dma_ns, run->frame_bytes);
    now_ns += run->half_path_ns;
    if (run->has_dma)
        now_ns = station_serve(&run->server_dma, now_ns, run->dma_ns, run->frame_bytes);
    if (run->has_arm)
        now_ns =
            station_serve(&run->server_arm, now_ns, run->arm_ns + run->policy_ns, run->arm_bytes);
    run->in_order_ns = fmax(run->in_order_ns, now_ns);
    return run->in_order_ns;
}

/* Sends one message that the client is done with on to the server. */
static void to_server(struct run *run, double now_ns, double due_ns)
{
    double at_ns = cross(run, now_ns);

    while (core_due_ns(&run->server) < at_ns)
        server_round(run);
    queue_push(&run->at_server, due_ns);
    core_offer(&run->server, at_ns, run->server_ns, run->frame_bytes);
}

static void client_round(struct run *run)
{
    struct core_round round = core_round(&run->client);

    for (unsigned i = 0; i < round.messages; i++)
        to_server(run, core_served_ns(&round, i, run->has_arm), queue_pop(&run->at_client));
}

/* Runs all rounds that begin before now. */
static void advance(struct run *run, double now_ns)
{
    while (core_due_ns(&run->client) < now_ns)
        client_round(run);
    while (core_due_ns(&run->server) < now_ns)
        server_round(run);
}

/* A message is due. */
static void arrive(struct run *run, double now_ns)
{
    advance(run, now_ns);
    if (!ring_enter(&run->under_way, now_ns))
        return;
    queue_push(&run->at_client, now_ns);
    core_offer(&run->client, now_ns, run->client_ns, run->frame_bytes);
}

/* Empties the path after the last message. */
static void drain(struct run *run)
{
    while (core_due_ns(&run->client) < INFINITY)
        client_round(run);
    while (core_due_ns(&run->server) < INFINITY)
        server_round(run);
    while (coalescer_due_ns(&run->there) < INFINITY)
        deliver_there(run, coalescer_due_ns(&run->there));
    while (coalescer_due_ns(&run->back) < INFINITY)
        deliver_back(run, coalescer_due_ns(&run->back));
}

/* What the reports are made of, at one time. */
struct snapshot {
    double client_ns, server_ns, arm_ns, dma_ns; /* busy */
    uint64_t offered, drops;
};

static struct snapshot snapshot(const struct run *run, uint64_t offered)
{
    return (struct snapshot){
        .client_ns = run->client.account.busy_ns,
        .server_ns = run->server.account.busy_ns,
        .arm_ns = run->client_arm.account.busy_ns + run->server_arm.account.busy_ns,
        .dma_ns = run->client_dma.account.busy_ns + run->server_dma.account.busy_ns,
        .offered = offered,
        .drops = run->ring_account.drops};
}

static void report_accounts(const struct run *run, uint64_t offered, struct path_result *ret)
{
    const struct account *accounts[] = {&run->client.account,     &run->client_arm.account,
                                        &run->client_dma.account, &run->server_arm.account,
                                        &run->server_dma.account, &run->server.account,
                                        &run->there.account};

    ret->events = offered;
    for (int i = 0; i < PATH_STATIONS; i++) {
        ret->accounts[i] = *accounts[i];
        ret->events += accounts[i]->operations;
    }
    /* A core's operations are its rounds; each message in one was an event too. */
    ret->events += run->client.account.messages + run->server.account.messages;
    ret->accounts[PATH_CLIENT].drops = run->ring_account.drops;
}

static void report(const struct run *run, const struct snapshot *from, const struct snapshot *to,
                   struct path_result *ret)
{
    const struct latency *latency = &run->latency;
    double span_ns = run->end_ns - run->begin_ns, share = run->host_share;
    uint64_t offered = to->offered - from->offered, drops = to->drops - from->drops;

    /* What goes in comes out. Completions come in bursts, of which a short span sees none, or one
     * that was gathered for longer than itself. */
    *ret = (struct path_result){
        .achieved_per_s = (double)(offered - drops) / span_ns * 1e9,
        .client_cores = fmin((to->client_ns - from->client_ns) / span_ns, share),
        .server_cores = fmin((to->server_ns - from->server_ns) / span_ns, share),
        .dpu_cores = fmin((to->arm_ns - from->arm_ns) / span_ns, 2 * run->client_arm.servers),
        .dma_busy = fmin((to->dma_ns - from->dma_ns) / span_ns, 2 * run->client_dma.servers),
        .p50_us = latency_quantile(latency, 0.5) / 1e3,
        .p90_us = latency_quantile(latency, 0.9) / 1e3,
        .p99_us = latency_quantile(latency, 0.99) / 1e3,
        .p999_us = latency_quantile(latency, 0.999) / 1e3,
        .mean_us = latency->count > 0 ? latency->sum_ns / (double)latency->count / 1e3 : 0,
        .drop_fraction = offered > 0 ? (double)drops / (double)offered : 0,
        .messages = offered,
        .simulated_s = span_ns / 1e9};
    report_accounts(run, to->offered, ret);
}

/*
 * A path that gets more than it carries has been full for long: begin with a full queue before the
 * bottleneck, the client's core or what comes behind it.
 */
static void fill(struct run *run, double ceiling_per_s)
{
    bool at_client = ceiling_per_s * run->client_ns / 1e9 > 0.999 * run->host_share;

    while (ring_enter(&run->under_way, 0)) {
        if (at_client) {
            queue_push(&run->at_client, 0);
            core_offer(&run->client, 0, run->client_ns, run->frame_bytes);
        } else {
            to_server(run, 0, 0);
        }
    }
}

/* Where a path becomes full: policies are part of the server's work, which the closed form knows
 * only by the profile. */
static void estimate(const struct profile *profile, const struct path_load *load,
                     struct path_means *ret_means)
{
    struct profile charged = *profile;
    double *value = charged.value, policy_ns = load->policies * value[PROFILE_POLICY_NS];
    struct cost host = path_host_cost(profile, false);
    double each_ns = host.message_ns + host.copy_ns * cost_copies(&host, load->frame_bytes);

    if (value[PROFILE_ARM_WORKERS] > 0)
        value[PROFILE_ARM_MESSAGE_NS] += policy_ns;
    else if (each_ns > 0)
        value[PROFILE_SERVER_RATIO] += policy_ns / each_ns;
    path_estimate(&charged, load->frame_bytes, load->rate_per_s, ret_means);
}

/* Begin and end of what is measured. */
static void plan(struct run *run, const struct profile *profile)
{
    const struct path_load *load = run->load;
    struct path_means means;
    double span_s = load->duration_s;

    if (load->messages_max > 0)
        span_s = fmin(span_s, (double)load->messages_max / load->rate_per_s);
    estimate(profile, load, &means);
    bool full = load->rate_per_s > means.ceiling_per_s;
    if (full)
        fill(run, means.ceiling_per_s);
    /* Full: until all that it began with have gone through. Else: a fiftieth is enough. */
    double warm_s = full ? (double)run->under_way.slots / means.ceiling_per_s : span_s / 50;
    run->begin_ns = warm_s * 1e9;
    run->end_ns = fmax(run->begin_ns + span_s * 1e9, nextafter(run->begin_ns, INFINITY));
}

/* Runs the load as it is. */
static void simulate(const struct profile *profile, const struct path_load *load,
                     struct path_result *ret_result)
{
    struct run run;
    struct random_stream arrivals;
    struct snapshot from = {.offered = 0}, to;
    double gap_ns = 1e9 / load->rate_per_s, now_ns = 0;
    uint64_t offered = 0;

    random_seed(&arrivals, load->seed, 0);
    run_init(&run, profile, load);
    bool measuring = false;

    plan(&run, profile);
    for (;;) {
        now_ns = load->poisson ? now_ns + random_exponential(&arrivals, gap_ns)
                               : (double)(offered + 1) * gap_ns;
        if (now_ns > run.begin_ns && !measuring) {
            advance(&run, run.begin_ns);
            from = snapshot(&run, offered);
            measuring = true;
        }
        if (now_ns > run.end_ns)
            break;
        offered++;
        arrive(&run, now_ns);
    }
    advance(&run, run.end_ns);
    to = snapshot(&run, offered);
    drain(&run);
    report(&run, &from, &to, ret_result);
    run_release(&run);
}

/*
 * Past the ceiling what is refused changes nothing for what is carried, and simulating each refusal
 * far past it would take for ever: no more than this many times the ceiling is offered, and the
 * rest counts as refused. So cores and latency are flat from there on.
 */
static const double overload_max = 1.1;

/*
 * A message that is refused has been made by the client all the same: it costs the client's core
 * what one that is sent costs, as far as the core has time. That is why a client is measured to be
 * full when what comes behind it is (native at 1 KiB).
 */
static void charge_refused(const struct profile *profile, const struct path_load *load,
                           struct path_result *result)
{
    double refused_per_s = load->rate_per_s * result->drop_fraction;
    double cores = refused_per_s * path_host_ns(profile, load->frame_bytes, false) / 1e9;

    result->client_cores =
        fmin(result->client_cores + cores, path_host_share(profile, load->frame_bytes));
}

void path_simulate(const struct profile *profile, const struct path_load *load,
                   struct path_result *ret_result)
{
    struct path_load bounded = *load;
    struct path_means means;

    estimate(profile, load, &means);
    bounded.rate_per_s = fmin(load->rate_per_s, overload_max * means.ceiling_per_s);
    simulate(profile, &bounded, ret_result);
    if (bounded.rate_per_s < load->rate_per_s)
        ret_result->drop_fraction = fmax(0, 1 - ret_result->achieved_per_s / load->rate_per_s);
    charge_refused(profile, load, ret_result);
}
