#include "agent/proxy.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <string.h>
#include <sys/prctl.h>

#include "agent/agent.h"
#include "agent/burn.h"
#include "agent/thread.h"
#include "base/clock.h"
#include "base/memory.h"
#include "model/core.h"
#include "model/path.h"
#include "model/random.h"

enum { PROXY_STACK = 128 * 1024 };

/* A round that began so much later than the profile's wake-up asks for, or took so much longer than
 * its CPU, did not get the processor in time. */
#define PROXY_LATE_NS (NS_PER_MS)

/* More than that is left to the proxy's thread, whose real wake-up counts towards it. */
#define THREAD_NS 1e4

/* When less is left, the thread is woken after this time all the same: does it wake in time? */
#define LOOK_NS (100 * NS_PER_MS)

/* Most that is made good later, in ns of CPU. */
#define OVER_NS 1e5

struct proxy {
    struct agent *agent;
    pthread_t thread;
    enum pod_direction direction;
    struct ring in, out; /* offset is the cost in ns, length the bytes */
    struct doorbell bell;
    uint32_t inside; /* I/O thread writes, any reads: atomic */
    bool submitted;  /* since the bell was rung */
    uint32_t stop;   /* atomic */
    /* Set by the thread when it has nothing to do, cleared before it has again. While it is set and
     * nothing is inside, what is the thread's own below is the I/O thread's. Atomic. */
    uint32_t rests;
    uint64_t owed_ns;    /* left of a wake-up when the I/O thread served alone; atomic */
    uint64_t owed_at_ns; /* since when, monotonic */
    /* The I/O thread's own: what it burns with, took for it, and took beyond what was asked. */
    struct burner hand;
    double alone_ns, alone_over_ns, ringing_ns;
    /* What the I/O thread sets: whole ns and bytes, atomic. */
    uint64_t wake_ns, before_ns, holdoff_ns, polls, eager_bytes, eager_messages;
    uint64_t rounds, late; /* the thread writes: atomic */
    /* The thread's own. */
    struct burner burner;
    struct random_stream random;
    uint64_t earliest_ns; /* the next round's begin */
    uint64_t ended_ns;    /* when the last round ended */
    uint64_t clock_ns;    /* the thread's CPU clock when the last round ended */
    double over_ns;       /* CPU that queues and sleeping took beyond what was to be burnt */
};

static uint64_t load(const uint64_t *value)
{
    return __atomic_load_n(value, __ATOMIC_RELAXED);
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the builtin writes it */
static void store(uint64_t *place, double value)
{
    __atomic_store_n(place, (uint64_t)llround(value), __ATOMIC_RELAXED);
}

static bool stopped(struct proxy *proxy)
{
    return __atomic_load_n(&proxy->stop, __ATOMIC_ACQUIRE);
}

/* What waits is enough to end the hold-off. */
static bool eager(struct proxy *proxy)
{
    uint64_t enough = load(&proxy->eager_bytes), bytes = 0, most = load(&proxy->eager_messages);
    if (most > 0 && ring_depth(&proxy->in) >= most)
        return true;
    if (enough == 0)
        return false;
    for (uint32_t i = proxy->in.taken, n = ring_depth(&proxy->in); n > 0 && bytes < enough; n--)
        bytes += proxy->in.slots[i++ & proxy->in.mask].length;
    return bytes >= enough;
}

/*
 * Burns a part of the wake-up, less what this thread really did since the last settlement beyond
 * what it was to burn: to wake and to move descriptors is part of what a wake-up costs. Where it
 * burnt too little, it burns more now. So its clock shows what the profile asks for; what a few
 * rounds can't make good is let go.
 */
static void settle(struct proxy *proxy, double modelled_ns, double wake_ns)
{
    uint64_t clock_ns = clock_thread_cpu_ns();
    /* The clock may be behind what was reckoned: the last burning was too short. */
    proxy->over_ns += (double)(int64_t)(clock_ns - proxy->clock_ns) - modelled_ns;
    double paid_ns = fmin(wake_ns, proxy->over_ns);
    burn(&proxy->burner, wake_ns - paid_ns);
    metric_add(proxy->agent->metrics.modelled[MODELLED_WAKE], wake_ns / 1e9);
    proxy->over_ns = fmax(-OVER_NS, fmin(OVER_NS, proxy->over_ns - paid_ns));
    proxy->clock_ns = clock_ns + (uint64_t)(wake_ns - paid_ns);
}

static void count_round(struct proxy *proxy, bool late)
{
    if (late)
        __atomic_store_n(&proxy->late, proxy->late + 1, __ATOMIC_RELAXED);
    __atomic_store_n(&proxy->rounds, proxy->rounds + 1, __ATOMIC_RELAXED);
}

/* Burns what is left of the wake-up of a round that the I/O thread served. */
static void pay(struct proxy *proxy)
{
    bool late = clock_monotonic_ns() > proxy->owed_at_ns + PROXY_LATE_NS;
    settle(proxy, 0, (double)load(&proxy->owed_ns));
    proxy->ended_ns = clock_monotonic_ns();
    count_round(proxy, late);
    __atomic_store_n(&proxy->owed_ns, 0, __ATOMIC_RELEASE);
}

static uint64_t owed(const struct proxy *proxy)
{
    return __atomic_load_n(&proxy->owed_ns, __ATOMIC_ACQUIRE);
}

static void rest(struct proxy *proxy, bool rests)
{
    __atomic_store_n(&proxy->rests, rests, __ATOMIC_RELEASE);
}

/* Sleeps until a message waits and a round may begin. False when the proxy ends. */
static bool wait_for_round(struct proxy *proxy)
{
    while (!stopped(proxy)) {
        bool waits = ring_peek(&proxy->in) != NULL;
        if (owed(proxy)) {
            pay(proxy);
            continue;
        }
        rest(proxy, !waits);
        if (waits && (clock_monotonic_ns() >= proxy->earliest_ns || eager(proxy)))
            return true;
        doorbell_arm(&proxy->bell);
        if (stopped(proxy) || owed(proxy) || (!waits && ring_peek(&proxy->in)))
            doorbell_disarm(&proxy->bell);
        else
            doorbell_wait(&proxy->bell, waits ? proxy->earliest_ns : UINT64_MAX);
    }
    return false;
}

/* How long the first message that waits has been waiting for this thread to wake, ns. */
static double waking_ns(const struct proxy *proxy, const struct descriptor *first, uint64_t now_ns)
{
    uint64_t came_ns = (uint64_t)first->body_length << 32 | first->body_offset;
    uint64_t from_ns = came_ns > proxy->earliest_ns ? came_ns : proxy->earliest_ns;
    from_ns = from_ns > proxy->ended_ns ? from_ns : proxy->ended_ns;
    return now_ns > from_ns ? (double)(now_ns - from_ns) : 0;
}

/* The next round begins at the earliest so long after this one's begin, or its end. */
static void hold_off(struct proxy *proxy, uint64_t begin_ns, double round_ns)
{
    double holdoff_ns = (double)load(&proxy->holdoff_ns);
    bool polls = load(&proxy->polls) > 0;
    proxy->earliest_ns = begin_ns + (polls ? (uint64_t)round_ns : 0);
    if (holdoff_ns > 0)
        proxy->earliest_ns += (uint64_t)core_holdoff_ns(&proxy->random, holdoff_ns, polls);
}

/* Serves all that waits now; they are done together, when the last one is. */
static void serve_round(struct proxy *proxy)
{
    const struct agent_metrics *m = &proxy->agent->metrics;
    uint64_t begin_ns = clock_monotonic_ns(), cpu_ns = clock_thread_cpu_ns();
    double wake_ns = (double)load(&proxy->wake_ns), before_ns = (double)load(&proxy->before_ns);
    /* The messages have waited for a real wake-up already: of the modelled one that much is over.
     */
    double waited_ns = waking_ns(proxy, ring_peek(&proxy->in), begin_ns);
    bool late = waited_ns > before_ns + PROXY_LATE_NS;
    before_ns = fmax(0, before_ns - waited_ns);
    double modelled_ns = 0;
    struct descriptor *d;

    settle(proxy, 0, before_ns);
    for (uint32_t n = ring_depth(&proxy->in); n > 0 && (d = ring_pop(&proxy->in)); n--) {
        struct descriptor *done = ring_slot(&proxy->out); /* as many as in: there is one */
        burn(&proxy->burner, d->offset);
        metric_add(m->modelled[proxy->direction], d->offset / 1e9);
        modelled_ns += d->offset;
        done->tag = d->tag;
        ring_submit(&proxy->out, done);
    }
    hold_off(proxy, begin_ns, modelled_ns + wake_ns);
    ring_release(&proxy->in);
    doorbell_ring(&proxy->agent->io_bell);
    settle(proxy, modelled_ns, wake_ns - before_ns);
    proxy->ended_ns = clock_monotonic_ns();
    uint64_t took_ns = proxy->ended_ns - begin_ns;
    late |= took_ns > clock_thread_cpu_ns() - cpu_ns + PROXY_LATE_NS;
    count_round(proxy, late);
}

static void *run(void *argument)
{
    struct proxy *proxy = argument;
    struct cpu_thread self;

    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    metrics_thread_attach(proxy->agent->registry);
    cpu_enter(&proxy->agent->cpu, &self, CPU_DATAPATH);
    proxy->clock_ns = clock_thread_cpu_ns();
    while (wait_for_round(proxy))
        serve_round(proxy);
    cpu_leave(&proxy->agent->cpu, &self);
    metrics_thread_detach();
    return NULL;
}

static int start_thread(struct proxy *proxy, struct error **err)
{
    int failed = thread_start(&proxy->thread, PROXY_STACK, run, proxy);
    return failed ? error_make(err, failed, "can't start a proxy thread: %s", strerror(failed)) : 0;
}

static void free_proxy(struct proxy *proxy)
{
    ring_destroy(&proxy->in);
    ring_destroy(&proxy->out);
    doorbell_destroy(&proxy->bell);
    free(proxy);
}

int proxy_start(struct agent *agent, enum pod_direction direction, uint32_t capacity,
                struct proxy **ret_proxy, struct error **err)
{
    struct proxy *proxy = xcalloc(1, sizeof *proxy);
    proxy->agent = agent;
    proxy->direction = direction;
    proxy->bell.fd = -1;
    random_seed(&proxy->random, clock_monotonic_ns(), direction);
    int result = ring_init(&proxy->in, capacity, err);
    if (result == 0)
        result = ring_init(&proxy->out, capacity, err);
    if (result == 0)
        result = doorbell_init(&proxy->bell, false, err);
    if (result == 0)
        result = start_thread(proxy, err);
    if (result < 0) {
        free_proxy(proxy);
        return result;
    }
    *ret_proxy = proxy;
    return 0;
}

void proxy_stop(struct proxy *proxy)
{
    if (!proxy)
        return;
    __atomic_store_n(&proxy->stop, 1, __ATOMIC_RELEASE);
    doorbell_ring(&proxy->bell);
    pthread_join(proxy->thread, NULL);
    free_proxy(proxy);
}

void proxy_set(struct proxy *proxy, const struct profile *profile)
{
    const double *value = profile->value;
    bool server = proxy->direction == POD_IN;
    double wake_ns = path_wake_ns(profile, server);

    store(&proxy->wake_ns, wake_ns);
    store(&proxy->before_ns, wake_ns * value[PROFILE_WAKE_BEFORE]);
    store(&proxy->holdoff_ns, path_holdoff_ns(profile, server));
    store(&proxy->polls, value[PROFILE_POLLS]);
    store(&proxy->eager_bytes, value[PROFILE_EAGER_BYTES]);
    store(&proxy->eager_messages, server ? 0 : value[PROFILE_EAGER_MESSAGES]);
}

bool proxy_submit(struct proxy *proxy, uint32_t id, double cost_ns, uint32_t bytes)
{
    /* One place in `out` for each that is inside. */
    struct descriptor *d = proxy->inside < ring_capacity(&proxy->in) ? ring_slot(&proxy->in) : NULL;
    if (!d)
        return false;
    d->tag = id;
    d->offset = (uint32_t)fmin(cost_ns, UINT32_MAX);
    d->length = bytes;
    uint64_t now_ns = clock_monotonic_ns();
    d->body_offset = (uint32_t)now_ns; /* both halves of when it came */
    d->body_length = (uint32_t)(now_ns >> 32);
    ring_submit(&proxy->in, d);
    __atomic_store_n(&proxy->inside, proxy->inside + 1, __ATOMIC_RELAXED);
    proxy->submitted = true;
    return true;
}

/* Burns on the I/O thread, by whose clock it makes good the next time what was too much or not
 * enough. */
static void burn_by_hand(struct proxy *proxy, double ns)
{
    uint64_t begin_ns = clock_thread_cpu_ns();
    burn(&proxy->hand, ns - proxy->alone_over_ns);
    double took_ns = (double)(clock_thread_cpu_ns() - begin_ns);
    proxy->alone_over_ns = fmax(-OVER_NS, fmin(OVER_NS, proxy->alone_over_ns + took_ns - ns));
    proxy->alone_ns += took_ns;
}

bool proxy_serve_alone(struct proxy *proxy, double cost_ns)
{
    const struct agent_metrics *m = &proxy->agent->metrics;
    uint64_t begin_ns = clock_monotonic_ns();
    if (proxy->inside > 0 || !__atomic_load_n(&proxy->rests, __ATOMIC_ACQUIRE) || owed(proxy) ||
        begin_ns < proxy->earliest_ns)
        return false;
    double wake_ns = (double)load(&proxy->wake_ns), before_ns = (double)load(&proxy->before_ns);
    burn_by_hand(proxy, before_ns + cost_ns);
    metric_add(m->modelled[proxy->direction], cost_ns / 1e9);
    metric_add(m->modelled[MODELLED_WAKE], before_ns / 1e9);
    hold_off(proxy, begin_ns, cost_ns + wake_ns);
    double left_ns = wake_ns - before_ns;
    bool to_thread = left_ns > THREAD_NS;
    if (!to_thread) { /* that little is burnt here the next time */
        proxy->alone_over_ns -= left_ns;
        metric_add(m->modelled[MODELLED_WAKE], left_ns / 1e9);
        left_ns = 1;
    }
    if (to_thread || begin_ns > proxy->ended_ns + LOOK_NS) {
        proxy->owed_at_ns = clock_monotonic_ns();
        __atomic_store_n(&proxy->owed_ns, (uint64_t)llround(left_ns), __ATOMIC_RELEASE);
        proxy->submitted = true;
    }
    return true;
}

void proxy_ring(struct proxy *proxy)
{
    if (!proxy->submitted)
        return;
    uint64_t begin_ns = clock_thread_cpu_ns();
    if (doorbell_ring(&proxy->bell))
        metric_add(proxy->agent->metrics.doorbells[SIDE_PROXY], 1);
    proxy->submitted = false;
    proxy->ringing_ns += (double)(clock_thread_cpu_ns() - begin_ns);
}

double proxy_alone_ns(const struct proxy *proxy)
{
    return proxy->alone_ns;
}

double proxy_ringing_ns(const struct proxy *proxy)
{
    return proxy->ringing_ns;
}

bool proxy_served(struct proxy *proxy, uint32_t *ret_id)
{
    struct descriptor *d = ring_pop(&proxy->out);
    if (!d)
        return false;
    *ret_id = d->tag;
    ring_release(&proxy->out);
    __atomic_store_n(&proxy->inside, proxy->inside - 1, __ATOMIC_RELAXED);
    return true;
}

bool proxy_has_served(struct proxy *proxy)
{
    return ring_peek(&proxy->out) != NULL;
}

uint32_t proxy_depth(const struct proxy *proxy)
{
    return __atomic_load_n(&proxy->inside, __ATOMIC_RELAXED);
}

uint64_t proxy_rounds(const struct proxy *proxy)
{
    return load(&proxy->rounds);
}

uint64_t proxy_late(const struct proxy *proxy)
{
    return load(&proxy->late);
}
