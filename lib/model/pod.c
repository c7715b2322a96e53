#include "model/pod.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "model/path.h"
#include "model/path_private.h"

static void fifo_push(struct pod_fifo *fifo, const struct pod_message *message)
{
    if (fifo->count == fifo->capacity) {
        size_t capacity = fifo->capacity ? 2 * fifo->capacity : 16;
        struct pod_message *items = xreallocarray(NULL, capacity, sizeof *items);
        for (size_t i = 0; i < fifo->count; i++)
            items[i] = fifo->items[(fifo->first + i) & (fifo->capacity - 1)];
        free(fifo->items);
        *fifo = (struct pod_fifo){items, capacity, 0, fifo->count};
    }
    fifo->items[(fifo->first + fifo->count++) & (fifo->capacity - 1)] = *message;
}

static struct pod_message *fifo_head(const struct pod_fifo *fifo)
{
    return fifo->count ? &fifo->items[fifo->first] : NULL;
}

static struct pod_message fifo_pop(struct pod_fifo *fifo)
{
    struct pod_message message = fifo->items[fifo->first];
    fifo->first = (fifo->first + 1) & (fifo->capacity - 1);
    fifo->count--;
    return message;
}

static double head_ns(const struct pod_fifo *fifo)
{
    const struct pod_message *head = fifo_head(fifo);
    return head ? head->done_ns : INFINITY;
}

static void lane_init(struct pod *pod, enum pod_direction direction, const struct profile *profile,
                      uint64_t seed)
{
    const double *value = profile->value;
    struct pod_lane *lane = &pod->lane[direction];
    bool server = direction == POD_IN;

    lane->host = path_host_cost(profile, server);
    struct core_settings settings = {.holdoff_ns = path_holdoff_ns(profile, server),
                                     .polls = value[PROFILE_POLLS] > 0,
                                     .eager_bytes = value[PROFILE_EAGER_BYTES],
                                     .eager_messages = server ? 0 : value[PROFILE_EAGER_MESSAGES],
                                     .share = 1,
                                     .batch_max = (unsigned)value[PROFILE_RING_SLOTS]};
    if (!pod->host_elsewhere) {
        settings.wake_ns = path_wake_ns(profile, server);
        settings.wake_before = value[PROFILE_WAKE_BEFORE];
        settings.share = value[PROFILE_HOST_SHARE];
        settings.stall_ns = value[PROFILE_STALL_NS];
    }
    core_init(&lane->core, &settings, seed * POD_DIRECTIONS + direction);
    station_init(&lane->arm, (unsigned)fmax(1, value[PROFILE_ARM_WORKERS]));
    station_init(&lane->dma, (unsigned)fmax(1, value[PROFILE_DMA_UNITS]));
    coalescer_init(&lane->coalescer, INFINITY,
                   pod->coalesce_bytes > 0 ? value[PROFILE_KEEP_ALIVE_NS] : 0);
}

void pod_init(struct pod *pod, const struct profile *profile, const struct pod_options *options)
{
    const double *value = profile->value;

    *pod =
        (struct pod){.arm = path_arm_cost(profile),
                     .dma = path_dma_cost(profile),
                     .has_arm = value[PROFILE_ARM_WORKERS] > 0,
                     .has_dma = value[PROFILE_DMA_UNITS] > 0,
                     .host_elsewhere = options->host_elsewhere,
                     .coalesce_bytes = value[PROFILE_COALESCE_BYTES],
                     .connections = fmax(1, options->connections),
                     .half_path_ns = fmax(0, value[PROFILE_PATH_NS] - options->less_path_ns) / 2};
    for (enum pod_direction direction = POD_IN; direction < POD_DIRECTIONS; direction++)
        lane_init(pod, direction, profile, options->seed);
}

void pod_release(struct pod *pod)
{
    for (unsigned i = 0; i < POD_DIRECTIONS; i++) {
        struct pod_lane *lane = &pod->lane[i];
        free(lane->at_host.items);
        free(lane->in_round.items);
        free(lane->in_stations.items);
        free(lane->held.items);
        free(lane->leaving.items);
    }
    free(pod->done.items);
}

double pod_host_ns(const struct pod *pod, enum pod_direction direction, double bytes)
{
    const struct pod_lane *lane = &pod->lane[direction];

    return cost_ns(&lane->host, bytes);
}

/* ---- the stations ---- */

static double serve(struct station *station, bool there, const struct cost *cost, double now_ns,
                    double bytes, double more_ns)
{
    return there ? station_serve(station, now_ns, cost_ns(cost, bytes) + more_ns,
                                 cost_bytes(cost, bytes))
                 : now_ns;
}

static void enter_stations(struct pod *pod, struct pod_message *message, double now_ns)
{
    struct pod_lane *lane = &pod->lane[message->direction];
    double bytes = message->bytes;

    if (message->direction == POD_IN) {
        now_ns += pod->half_path_ns;
        now_ns = serve(&lane->dma, pod->has_dma, &pod->dma, now_ns, bytes, 0);
        now_ns = serve(&lane->arm, pod->has_arm, &pod->arm, now_ns, bytes, message->policy_ns);
    } else {
        now_ns = serve(&lane->arm, pod->has_arm, &pod->arm, now_ns, bytes, message->policy_ns);
        now_ns = serve(&lane->dma, pod->has_dma, &pod->dma, now_ns, bytes, 0);
    }
    message->done_ns = lane->order_ns = fmax(lane->order_ns, now_ns);
    fifo_push(&lane->in_stations, message);
}

static void offer_to_host(struct pod *pod, struct pod_message *message, double now_ns)
{
    struct pod_lane *lane = &pod->lane[message->direction];
    double cpu_ns = pod->host_elsewhere ? 0 : pod_host_ns(pod, message->direction, message->bytes);

    if (!pod->host_elsewhere && !pod->has_arm)
        cpu_ns += message->policy_ns;
    core_offer(&lane->core, now_ns, cpu_ns, message->bytes);
    fifo_push(&lane->at_host, message);
}

static void host_round(const struct pod *pod, struct pod_lane *lane)
{
    struct core_round round = core_round(&lane->core);

    for (unsigned i = 0; i < round.messages; i++) {
        struct pod_message message = fifo_pop(&lane->at_host);
        message.first = i == 0;
        message.done_ns = core_served_ns(&round, i, pod->has_arm);
        fifo_push(&lane->in_round, &message);
    }
}

/* What is held is due now: as if the oldest had waited for the whole keep-alive. */
static void hold_no_longer(struct coalescer *coalescer, double now_ns)
{
    if (coalescer->waiting > 0)
        coalescer->oldest_ns = fmin(coalescer->oldest_ns, now_ns - coalescer->timer_ns);
}

/* One fewer is under way. When nobody is, what is held has no company to wait for. */
static void arrived(struct pod *pod, double now_ns)
{
    if (--pod->under_way == 0)
        for (unsigned i = 0; i < POD_DIRECTIONS; i++)
            hold_no_longer(&pod->lane[i].coalescer, now_ns);
}

/* A message is through the stations: it is held until enough have gathered, or nobody comes. */
static void hold(struct pod *pod, struct pod_lane *lane)
{
    struct pod_message message = fifo_pop(&lane->in_stations);
    double now_ns = message.done_ns;

    coalescer_offer(&lane->coalescer, now_ns, message.bytes);
    lane->held_bytes += message.bytes;
    fifo_push(&lane->held, &message);
    if (lane->held_bytes >= pod->connections * fmax(pod->coalesce_bytes, message.bytes))
        hold_no_longer(&lane->coalescer, now_ns);
    arrived(pod, now_ns);
}

static void finish(struct pod *pod, const struct pod_message *message)
{
    pod->inside--;
    fifo_push(&pod->done, message);
}

static void deliver(struct pod *pod, struct pod_lane *lane, double now_ns)
{
    lane->held_bytes = 0;
    for (unsigned n = coalescer_deliver(&lane->coalescer, now_ns); n > 0; n--) {
        struct pod_message message = fifo_pop(&lane->held);
        if (message.direction == POD_IN) {
            pod->under_way++;
            offer_to_host(pod, &message, now_ns);
        } else {
            message.done_ns = now_ns + pod->half_path_ns;
            fifo_push(&lane->leaving, &message);
        }
    }
}

/* ---- what happens next ---- */

enum event { EVENT_STATION, EVENT_DELIVERY, EVENT_ROUND, EVENT_SERVED, EVENT_LEFT, EVENTS };

static double next_of_lane(struct pod_lane *lane, enum event *ret_event)
{
    double at_ns[EVENTS] = {[EVENT_STATION] = head_ns(&lane->in_stations),
                            [EVENT_DELIVERY] = coalescer_due_ns(&lane->coalescer),
                            [EVENT_ROUND] = core_due_ns(&lane->core),
                            [EVENT_SERVED] = head_ns(&lane->in_round),
                            [EVENT_LEFT] = head_ns(&lane->leaving)};
    enum event first = EVENT_STATION;

    for (enum event i = EVENT_DELIVERY; i < EVENTS; i++)
        if (at_ns[i] < at_ns[first])
            first = i;
    *ret_event = first;
    return at_ns[first];
}

static void happen(struct pod *pod, struct pod_lane *lane, enum event event, double at_ns)
{
    struct pod_message message;

    switch (event) {
    case EVENT_STATION:
        hold(pod, lane);
        break;
    case EVENT_DELIVERY:
        deliver(pod, lane, at_ns);
        break;
    case EVENT_ROUND:
        host_round(pod, lane);
        break;
    case EVENT_SERVED:
        message = fifo_pop(&lane->in_round);
        if (message.direction == POD_IN) {
            finish(pod, &message);
            arrived(pod, at_ns);
        } else {
            enter_stations(pod, &message, at_ns);
        }
        break;
    default:
        message = fifo_pop(&lane->leaving);
        finish(pod, &message);
    }
}

void pod_begin(struct pod *pod, enum pod_direction direction, uint32_t id, double now_ns,
               double bytes)
{
    pod_begin_policed(pod, direction, id, now_ns, bytes, 0);
}

void pod_begin_policed(struct pod *pod, enum pod_direction direction, uint32_t id, double now_ns,
                       double bytes, double policy_ns)
{
    struct pod_message message = {.id = id,
                                  .direction = (uint8_t)direction,
                                  .bytes = (float)bytes,
                                  .policy_ns = (float)policy_ns,
                                  .begun_ns = now_ns};

    pod->under_way++;
    pod->inside++;
    if (direction == POD_IN)
        enter_stations(pod, &message, now_ns);
    else
        offer_to_host(pod, &message, now_ns);
}

void pod_spend_arm(struct pod *pod, enum pod_direction direction, double now_ns, double arm_ns)
{
    if (pod->has_arm)
        station_serve(&pod->lane[direction].arm, now_ns + pod->half_path_ns, arm_ns, 0);
}

double pod_next_ns(struct pod *pod)
{
    enum event event;

    if (pod->inside == 0)
        return INFINITY;
    return fmin(next_of_lane(&pod->lane[POD_IN], &event),
                next_of_lane(&pod->lane[POD_OUT], &event));
}

void pod_advance(struct pod *pod, double now_ns)
{
    while (pod->inside > 0) {
        enum event in, out;
        double in_ns = next_of_lane(&pod->lane[POD_IN], &in);
        double out_ns = next_of_lane(&pod->lane[POD_OUT], &out);
        if (fmin(in_ns, out_ns) > now_ns)
            return;
        if (in_ns <= out_ns)
            happen(pod, &pod->lane[POD_IN], in, in_ns);
        else
            happen(pod, &pod->lane[POD_OUT], out, out_ns);
    }
}

bool pod_pop(struct pod *pod, struct pod_message *ret_message)
{
    if (pod->done.count == 0)
        return false;
    *ret_message = fifo_pop(&pod->done);
    return true;
}

size_t pod_depth(const struct pod *pod, enum pod_direction direction)
{
    const struct pod_lane *lane = &pod->lane[direction];

    return lane->at_host.count + lane->in_round.count + lane->in_stations.count + lane->held.count +
           lane->leaving.count;
}
