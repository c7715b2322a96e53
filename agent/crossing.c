#include "agent/crossing.h"

#include <math.h>

#include "agent/crossing_private.h"
#include "model/path.h"

static void add_pod(struct crossing_totals *totals, const struct pod *pod)
{
    for (unsigned i = 0; i < POD_DIRECTIONS; i++) {
        const struct pod_lane *lane = &pod->lane[i];
        totals->arm_ns += lane->arm.account.busy_ns;
        totals->dma_ns += lane->dma.account.busy_ns;
        totals->dma_bytes[i] += lane->dma.account.bytes;
        totals->interrupts[i] += lane->core.account.operations;
        totals->deliveries[i] += lane->coalescer.account.operations;
        totals->delivered[i] += lane->coalescer.account.messages;
    }
}

void crossing_totals(const struct crossing *c, struct crossing_totals *ret)
{
    *ret = c->ended;
    if (c->delays)
        add_pod(ret, &c->model.pod);
    for (unsigned i = 0; i < c->old_count; i++)
        add_pod(ret, &c->old[i].pod);
}

uint32_t crossing_depth(const struct crossing *c, enum pod_direction direction)
{
    size_t depth = c->queued[direction].count;
    if (direction == POD_IN)
        depth += c->admitted.count;
    if (c->proxies[direction])
        depth += proxy_depth(c->proxies[direction]);
    if (c->delays)
        depth += pod_depth(&c->model.pod, direction);
    for (unsigned i = 0; i < c->old_count; i++)
        depth += pod_depth(&c->old[i].pod, direction);
    return (uint32_t)depth;
}

bool crossing_needed(const struct io *io)
{
    return io->crossing.mode != DATAPATH_DIRECT;
}

bool crossing_has_room(const struct io *io, enum pod_direction direction)
{
    return io->crossing.mode == DATAPATH_DIRECT ||
           crossing_depth(&io->crossing, direction) < io->crossing.slots;
}

bool crossing_nearly_full(const struct io *io)
{
    const struct crossing *c = &io->crossing;
    return c->mode != DATAPATH_DIRECT &&
           (c->admitted.count > 0 || crossing_depth(c, POD_IN) >= c->slots - c->slots / 4);
}

static enum pod_direction direction_of(uint32_t id)
{
    enum crossing_kind kind = (enum crossing_kind)(id >> CROSSING_INDEX_BITS);
    return kind == CROSSING_ANSWER || kind == CROSSING_CALL || kind == CROSSING_RETRY ? POD_OUT
                                                                                      : POD_IN;
}

static uint32_t bytes_of(const struct io *io, uint32_t id)
{
    uint32_t index = id & CROSSING_INDEX_MASK, bytes;
    switch ((enum crossing_kind)(id >> CROSSING_INDEX_BITS)) {
    case CROSSING_REQUEST:
        bytes = exchange_message_bytes(io, index);
        break;
    case CROSSING_REFUSED:
    case CROSSING_RETRY:
        bytes = index;
        break;
    case CROSSING_ANSWER:
        bytes =
            exchange_at(io, index)->body == ARENA_NONE ? 0 : exchange_at(io, index)->body_length;
        break;
    default:
        bytes = egress_call_bytes(io, index);
    }
    return bytes > CROSSING_BYTES_MIN ? bytes : CROSSING_BYTES_MIN;
}

/* Goes on behind the data path. first: pays for the host's wake-up. */
static void release(struct io *io, uint32_t id, bool first)
{
    uint32_t index = id & CROSSING_INDEX_MASK;
    if (io->trace)
        trace_crossed(io, id);
    switch ((enum crossing_kind)(id >> CROSSING_INDEX_BITS)) {
    case CROSSING_REQUEST:
        if (io->crossing.admitted.count > 0 || !exchange_admit(io, index, first))
            tag_fifo_push(&io->crossing.admitted, index | (first ? CROSSING_FIRST : 0));
        break;
    case CROSSING_ANSWER:
        exchange_deliver(io, index);
        break;
    case CROSSING_CALL:
        egress_begin_call(io, index);
        break;
    case CROSSING_RESULT:
        egress_end_call(io, index, first);
        break;
    case CROSSING_REFUSED:
    case CROSSING_RETRY:
        break;
    }
}

/* What policies take of the proxy for a message. */
static double policy_ns(const struct io *io, uint32_t id)
{
    double each_ns = io->crossing.profile.value[PROFILE_POLICY_NS];
    switch ((enum crossing_kind)(id >> CROSSING_INDEX_BITS)) {
    case CROSSING_REQUEST:
    case CROSSING_REFUSED:
        return each_ns * io->policy.in_force;
    case CROSSING_CALL:
        return each_ns * io->egress.policies;
    case CROSSING_RETRY:
        return each_ns;
    default:
        return 0;
    }
}

/* The same for one that is given to the proxy now. */
static double spend_policy_ns(const struct io *io, uint32_t id)
{
    double ns = policy_ns(io, id);
    if (ns > 0)
        metric_add(io->agent->metrics.policy.work, ns / 1e9);
    return ns;
}

/* CPU of a proxy that a message costs, policies without. */
static double proxy_ns(const struct io *io, uint32_t id)
{
    const struct profile *profile = &io->crossing.profile;
    double cost_ns = path_host_ns(profile, bytes_of(io, id), direction_of(id) == POD_IN);
    if (id >> CROSSING_INDEX_BITS == CROSSING_REFUSED)
        cost_ns += path_host_ns(profile, CROSSING_BYTES_MIN, false);
    if (id >> CROSSING_INDEX_BITS == CROSSING_RETRY)
        cost_ns += path_host_ns(profile, CROSSING_BYTES_MIN, true);
    return cost_ns;
}

static bool give_to_proxy(struct io *io, uint32_t id)
{
    double cost_ns = proxy_ns(io, id) + policy_ns(io, id);
    if (!proxy_submit(io->crossing.proxies[direction_of(id)], id, cost_ns, bytes_of(io, id)))
        return false;
    spend_policy_ns(io, id);
    if (io->trace)
        trace_asked(io, id, cost_ns);
    return true;
}

/* Does a proxy's work here, if it rests and this message came alone. */
static bool serve_alone(struct io *io, uint32_t id)
{
    struct crossing *c = &io->crossing;
    enum pod_direction direction = direction_of(id);
    if (!c->alone[direction]) /* before the costs are reckoned */
        return false;
    double cost_ns = proxy_ns(io, id) + policy_ns(io, id);
    if (!proxy_serve_alone(c->proxies[direction], cost_ns))
        return false;
    c->alone[direction] = false;
    spend_policy_ns(io, id);
    if (io->trace)
        trace_asked(io, id, cost_ns);
    return true;
}

static void to_proxy(struct io *io, uint32_t id)
{
    struct crossing *c = &io->crossing;
    enum pod_direction direction = direction_of(id);
    struct tag_fifo *queued = &c->queued[direction];
    if (!c->proxies[direction])
        release(io, id, false);
    else if (queued->count > 0 || c->alone[direction] || !give_to_proxy(io, id))
        tag_fifo_push(queued, id);
}

static void to_model(struct io *io, uint32_t id)
{
    struct crossing *c = &io->crossing;
    enum pod_direction direction = direction_of(id);
    double bytes = bytes_of(io, id);
    if (c->model.pod.has_dma)
        c->dma_copies[direction] += cost_copies(&c->model.pod.dma, bytes);
    c->model.pod.connections = fmax(1, io->connections.used);
    double now_ns = (double)io->now_ns;
    if (c->mode == DATAPATH_DPU) /* of a sidecar the proxy does them */
        pod_begin_policed(&c->model.pod, direction, id, now_ns, bytes, spend_policy_ns(io, id));
    else
        pod_begin(&c->model.pod, direction, id, now_ns, bytes);
}

void crossing_begin(struct io *io, enum crossing_kind kind, uint32_t index)
{
    const struct crossing *c = &io->crossing;
    uint32_t id = (uint32_t)kind << CROSSING_INDEX_BITS | index;
    if (c->mode == DATAPATH_SIDECAR && (direction_of(id) == POD_OUT || !c->delays))
        to_proxy(io, id);
    else
        to_model(io, id);
}

/* The proxy's work alone on a message of so many bytes and a short one beside it: nothing crosses.
 */
static void spend_on_proxy(struct io *io, enum crossing_kind kind, uint32_t bytes)
{
    struct crossing *c = &io->crossing;
    uint32_t index = bytes < CROSSING_INDEX_MASK ? bytes : CROSSING_INDEX_MASK;
    uint32_t id = (uint32_t)kind << CROSSING_INDEX_BITS | index;
    enum pod_direction direction = direction_of(id);
    if (c->mode == DATAPATH_DPU)
        pod_spend_arm(&c->model.pod, direction, (double)io->now_ns,
                      path_arm_ns(&c->profile, bytes_of(io, id)) +
                          path_arm_ns(&c->profile, CROSSING_BYTES_MIN) + spend_policy_ns(io, id));
    else if (c->mode == DATAPATH_SIDECAR && c->proxies[direction] &&
             crossing_has_room(io, direction))
        to_proxy(io, id);
}

void crossing_refused(struct io *io, uint32_t bytes)
{
    spend_on_proxy(io, CROSSING_REFUSED, bytes);
}

void crossing_retry(struct io *io, uint32_t bytes)
{
    spend_on_proxy(io, CROSSING_RETRY, bytes);
}

/* A message is through a model: a sidecar's incoming ones have the proxy still before them. */
static void through_model(struct io *io, const struct crossing_model *model,
                          const struct pod_message *message)
{
    crossing_record(io, message);
    if (model->mode == DATAPATH_SIDECAR && message->direction == POD_IN)
        to_proxy(io, message->id);
    else
        release(io, message->id, message->first);
}

static bool advance(struct io *io, struct crossing_model *model, double until_ns)
{
    struct pod_message message;
    bool any = false;
    pod_advance(&model->pod, until_ns);
    while (pod_pop(&model->pod, &message)) {
        through_model(io, model, &message);
        any = true;
    }
    return any;
}

/* Takes the oldest of the models that were left behind out of the list; it is empty. */
static void forget_old(struct crossing *c, unsigned place)
{
    add_pod(&c->ended, &c->old[place].pod);
    pod_release(&c->old[place].pod);
    c->old_count--;
    for (unsigned i = place; i < c->old_count; i++)
        c->old[i] = c->old[i + 1];
}

void crossing_end_oldest(struct io *io)
{
    advance(io, &io->crossing.old[0], INFINITY);
    forget_old(&io->crossing, 0);
}

static bool advance_old(struct io *io)
{
    struct crossing *c = &io->crossing;
    bool any = false;
    for (unsigned i = 0; i < c->old_count;) {
        any |= advance(io, &c->old[i], (double)io->now_ns);
        if (c->old[i].pod.inside == 0)
            forget_old(c, i);
        else
            i++;
    }
    return any;
}

/* A proxy is done with a message: outgoing ones of a sidecar have the path still before them. */
static void through_proxy(struct io *io, uint32_t id)
{
    const struct crossing *c = &io->crossing;
    if (c->mode == DATAPATH_SIDECAR && c->delays && direction_of(id) == POD_OUT)
        to_model(io, id);
    else
        release(io, id, false);
}

static bool take_from_proxy(struct io *io, enum pod_direction direction)
{
    struct crossing *c = &io->crossing;
    struct tag_fifo *queued = &c->queued[direction];
    bool any = false;
    if (!c->proxies[direction])
        return false;
    for (uint32_t id; proxy_served(c->proxies[direction], &id); any = true)
        through_proxy(io, id);
    for (; queued->count > 0; any = true) {
        uint32_t id = tag_fifo_head(queued);
        bool served = serve_alone(io, id);
        if (!served && !give_to_proxy(io, id))
            break;
        tag_fifo_pop(queued);
        if (served)
            through_proxy(io, id);
    }
    return any;
}

static bool admit_waiting(struct io *io)
{
    struct tag_fifo *admitted = &io->crossing.admitted;
    bool any = false;
    for (; admitted->count > 0; any = true) {
        uint32_t tag = tag_fifo_head(admitted);
        if (!exchange_admit(io, tag & CROSSING_INDEX_MASK, tag & CROSSING_FIRST))
            break;
        tag_fifo_pop(admitted);
    }
    return any;
}

/* The application pays for the rounds in which its messages went out. */
static void tell_rounds(struct io *io)
{
    const struct crossing *c = &io->crossing;
    uint64_t rounds = c->ended.interrupts[POD_OUT];
    if (c->delays)
        rounds += c->model.pod.lane[POD_OUT].core.account.operations;
    for (unsigned i = 0; i < c->old_count; i++)
        rounds += c->old[i].pod.lane[POD_OUT].core.account.operations;
    __atomic_store_n(&io->agent->out_rounds, rounds, __ATOMIC_RELAXED);
}

bool crossing_work(struct io *io)
{
    struct crossing *c = &io->crossing;
    if (c->mode == DATAPATH_DIRECT && !c->old_count && !c->proxies[POD_IN])
        return false;
    bool any = advance_old(io);
    if (c->delays)
        any |= advance(io, &c->model, (double)io->now_ns);
    for (enum pod_direction i = POD_IN; i < POD_DIRECTIONS; i++)
        any |= take_from_proxy(io, i);
    any |= admit_waiting(io);
    for (unsigned i = 0; i < POD_DIRECTIONS; i++)
        if (c->proxies[i])
            proxy_ring(c->proxies[i]);
    tell_rounds(io);
    if (io->now_ns >= c->window_ends_ns)
        crossing_look(io);
    return any;
}

uint64_t crossing_next_ns(struct io *io)
{
    struct crossing *c = &io->crossing;
    double next_ns = c->delays ? pod_next_ns(&c->model.pod) : INFINITY;
    for (unsigned i = 0; i < c->old_count; i++)
        next_ns = fmin(next_ns, pod_next_ns(&c->old[i].pod));
    return next_ns < 1e19 ? (uint64_t)ceil(next_ns) : UINT64_MAX;
}

/* Most that is made up for: beyond it, it is others who have the processor. */
#define WAKE_MAX_NS 30e3

uint64_t crossing_wake_ns(struct io *io)
{
    uint64_t next_ns = crossing_next_ns(io), early_ns = (uint64_t)io->crossing.wake_ns;
    return next_ns == UINT64_MAX || next_ns < early_ns ? next_ns : next_ns - early_ns;
}

/* Follows the shortest of the last wake-ups: what a timer, an interrupt and the scheduler take when
 * nobody else is in the way. */
void crossing_woke(struct io *io, uint64_t late_ns)
{
    double *wake_ns = &io->crossing.wake_ns, late = fmin((double)late_ns, WAKE_MAX_NS);
    *wake_ns += (late - *wake_ns) / (late < *wake_ns ? 4 : 64);
}

void crossing_woke_alone(struct io *io)
{
    struct crossing *c = &io->crossing;
    for (unsigned i = 0; i < POD_DIRECTIONS; i++)
        c->alone[i] = c->mode == DATAPATH_SIDECAR && c->proxies[i];
}

bool crossing_hands_over(const struct io *io)
{
    return io->crossing.mode == DATAPATH_SIDECAR;
}

void crossing_woke_to_take(struct io *io, uint64_t cpu_ns)
{
    io->crossing.taking_ns += cpu_ns;
}

void crossing_end_turn(struct io *io)
{
    struct crossing *c = &io->crossing;
    double alone_ns = 0, handed_ns = (double)c->taking_ns;
    for (unsigned i = 0; i < POD_DIRECTIONS; i++) {
        c->alone[i] = false;
        if (!c->proxies[i])
            continue;
        alone_ns += proxy_alone_ns(c->proxies[i]);
        handed_ns += proxy_ringing_ns(c->proxies[i]);
    }
    if (alone_ns + handed_ns == 0)
        return;
    cpu_spent(&io->agent->cpu, CPU_BURNT_BY_IO, (uint64_t)alone_ns);
    cpu_spent(&io->agent->cpu, CPU_HANDED_BY_IO, (uint64_t)handed_ns);
}

bool crossing_has_work(struct io *io)
{
    struct crossing *c = &io->crossing;
    for (unsigned i = 0; i < POD_DIRECTIONS; i++)
        if (c->proxies[i] && proxy_has_served(c->proxies[i]))
            return true;
    return c->admitted.count > 0 && ring_room(&io->agent->ingress_sq, 1) > 0;
}
