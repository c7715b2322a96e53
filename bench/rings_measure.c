#include "bench/rings.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "bench/ring_variants.h"
#include "ctl/histogram.h"
#if __has_include("agent/ring.h")
#include "bench/ring_agent.h"
#endif

static double ticks_per_ns;
static struct rings_options opt;

/* The fence: without it the counter is read while the descriptor's line is still on its way, and
 * the hop looks shorter than it is. */
static inline uint64_t ticks(void)
{
#if defined(__x86_64__)
    __builtin_ia32_lfence();
    return __builtin_ia32_rdtsc();
#else
    return clock_monotonic_ns();
#endif
}

static inline void spin(void)
{
    if (opt.pause)
        cpu_relax();
}

double rings_begin(const struct rings_options *options)
{
    opt = *options;
    uint64_t t0 = ticks(), n0 = clock_monotonic_ns(), n1;
    do
        n1 = clock_monotonic_ns();
    while (n1 - n0 < 50 * NS_PER_MS);
    ticks_per_ns = (double)(ticks() - t0) / (double)(n1 - n0);

    cleanup_histogram struct histogram *cost = histogram_new();
    for (int i = 0; i < 10000; i++) {
        t0 = ticks();
        histogram_record(cost, ticks() - t0);
    }
    return (double)histogram_quantile(cost, 0.5) / ticks_per_ns;
}

static void pin(int core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    if (sched_setaffinity(0, sizeof(set), &set) < 0) {
        fprintf(stderr, "rings: can't run on core %d: %m; give --cores two of taskset -p $$\n",
                core);
        exit(2);
    }
}

/* Counts ticks as nanoseconds; an offset between the cores can make a short hop negative. */
static void record(struct histogram *hops, uint64_t from, uint64_t to)
{
    int64_t d = (int64_t)(to - from);
    histogram_record(hops, d > 0 ? (uint64_t)((double)d / ticks_per_ns) : 0);
}

struct lane {
    void *there, *back; /* two rings of the variant */
    struct histogram *hops;
    unsigned batch;
    int failed; /* a descriptor out of order */
    pthread_barrier_t start;
};

/* One variant: its name and the four loops, each compiled with the ring inlined. */
struct variant {
    const char *name;
    unsigned batch;
    size_t size;
    void (*init)(void *ring, unsigned batch);
    void (*produce)(struct lane *lane);
    void (*consume)(struct lane *lane);
    void (*ping)(struct lane *lane);
    void (*pong)(struct lane *lane);
};

#define LOOPS(ring, desc)                                                                          \
    static void ring##_start(void *r, unsigned batch)                                              \
    {                                                                                              \
        ring##_init(r, batch);                                                                     \
    }                                                                                              \
    static void ring##_produce(struct lane *lane)                                                  \
    {                                                                                              \
        struct desc d = {0};                                                                       \
        for (uint64_t i = 0; i < opt.messages; i++) {                                              \
            d.sequence = d.stamp = i;                                                              \
            while (!ring##_push(lane->there, &d))                                                  \
                spin();                                                                            \
        }                                                                                          \
        ring##_flush(lane->there);                                                                 \
    }                                                                                              \
    static void ring##_consume(struct lane *lane)                                                  \
    {                                                                                              \
        struct desc d;                                                                             \
        for (uint64_t i = 0; i < opt.messages; i++) {                                              \
            while (!ring##_pop(lane->there, &d))                                                   \
                spin();                                                                            \
            lane->failed |= d.stamp != i;                                                          \
        }                                                                                          \
    }                                                                                              \
    static void ring##_ping(struct lane *lane)                                                     \
    {                                                                                              \
        struct desc d = {0};                                                                       \
        for (uint64_t i = 0; i < opt.hops; i++) {                                                  \
            d.sequence = i;                                                                        \
            d.stamp = ticks();                                                                     \
            while (!ring##_push(lane->there, &d))                                                  \
                spin();                                                                            \
            ring##_flush(lane->there);                                                             \
            while (!ring##_pop(lane->back, &d))                                                    \
                spin();                                                                            \
            record(lane->hops, d.stamp, ticks());                                                  \
        }                                                                                          \
    }                                                                                              \
    static void ring##_pong(struct lane *lane)                                                     \
    {                                                                                              \
        struct desc d;                                                                             \
        struct histogram *hops = histogram_new();                                                  \
        for (uint64_t i = 0; i < opt.hops; i++) {                                                  \
            while (!ring##_pop(lane->there, &d))                                                   \
                spin();                                                                            \
            record(hops, d.stamp, ticks());                                                        \
            d.stamp = ticks();                                                                     \
            while (!ring##_push(lane->back, &d))                                                   \
                spin();                                                                            \
            ring##_flush(lane->back);                                                              \
        }                                                                                          \
        lane->there = hops; /* handed to measure_hop() after the join */                           \
    }
#define VARIANT(label, ring, n)                                                                    \
    {                                                                                              \
        label, n, sizeof(struct ring), ring##_start, ring##_produce, ring##_consume, ring##_ping,  \
            ring##_pong                                                                            \
    }

LOOPS(ck_spsc_pointer, desc32)
LOOPS(ck_spsc_desc16, desc16)
LOOPS(ck_spsc_desc32, desc32)
LOOPS(ck_mpmc_pointer, desc32)
LOOPS(ck_mpmc_desc16, desc16)
LOOPS(ck_mpmc_desc32, desc32)
LOOPS(lamport_desc16, desc16)
LOOPS(lamport_desc32, desc32)
LOOPS(phase_desc16, desc16)
LOOPS(phase_desc32, desc32)
LOOPS(phase_desc64, desc64)
#ifdef DPUMESH_BENCH_RING_AGENT_H
LOOPS(ring_agent, desc_agent)
#endif

static const struct variant variants[] = {
#ifdef DPUMESH_BENCH_RING_AGENT_H
    VARIANT("agent/ring.h", ring_agent, 1),
#endif
    VARIANT("ck spsc pointer", ck_spsc_pointer, 1),
    VARIANT("ck spsc 16 B", ck_spsc_desc16, 1),
    VARIANT("ck spsc 32 B", ck_spsc_desc32, 1),
    VARIANT("ck mpmc pointer", ck_mpmc_pointer, 1),
    VARIANT("ck mpmc 16 B", ck_mpmc_desc16, 1),
    VARIANT("ck mpmc 32 B", ck_mpmc_desc32, 1),
    VARIANT("lamport 16 B", lamport_desc16, 1),
    VARIANT("lamport 32 B", lamport_desc32, 1),
    VARIANT("lamport 16 B, batch 16", lamport_desc16, 16),
    VARIANT("lamport 32 B, batch 16", lamport_desc32, 16),
    VARIANT("phase 16 B", phase_desc16, 1),
    VARIANT("phase 32 B", phase_desc32, 1),
    VARIANT("phase 64 B", phase_desc64, 1),
};
enum { VARIANTS = sizeof(variants) / sizeof(variants[0]) };

const char *rings_name(unsigned i)
{
    return i < VARIANTS ? variants[i].name : NULL;
}

struct side {
    void (*loop)(struct lane *lane);
    struct lane *lane;
    int core;
};

static void *run_side(void *argument)
{
    struct side *side = argument;
    pin(side->core);
    pthread_barrier_wait(&side->lane->start);
    side->loop(side->lane);
    return NULL;
}

/* Runs both loops on the two cores and returns the elapsed ns. */
static uint64_t run_pair(struct lane *here, struct lane *there, void (*a)(struct lane *),
                         void (*b)(struct lane *), const int core[2])
{
    pthread_t thread;
    struct side other = {b, there, core[1]};
    pthread_barrier_init(&there->start, NULL, 2);
    if (pthread_create(&thread, NULL, run_side, &other) != 0) {
        fprintf(stderr, "rings: can't start a thread\n");
        exit(1);
    }
    pin(core[0]);
    pthread_barrier_wait(&there->start);
    uint64_t start = clock_monotonic_ns();
    a(here);
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&there->start);
    return clock_monotonic_ns() - start;
}

static void *new_ring(const struct variant *v)
{
    size_t size = (v->size + 4095) & ~(size_t)4095;
    void *ring = aligned_alloc(4096, size);
    if (!ring)
        exit(71);
    memset(ring, 0, size);
    v->init(ring, v->batch);
    return ring;
}

void rings_measure(unsigned i, unsigned run, struct rings_result *result)
{
    const struct variant *v = &variants[i];
    cleanup_free void *there = new_ring(v), *back = new_ring(v);
    struct lane lane = {.there = there, .back = back};

    uint64_t elapsed = run_pair(&lane, &lane, v->produce, v->consume, opt.core);
    if (lane.failed) {
        fprintf(stderr, "rings: %s lost the order of its descriptors\n", v->name);
        exit(1);
    }
    result->mps[run] = (double)opt.messages * 1e3 / (double)elapsed;

    free(there), free(back);
    there = new_ring(v), back = new_ring(v);
    cleanup_histogram struct histogram *hops = histogram_new();
    struct lane ping = {.there = there, .back = back, .hops = hops}, pong = ping;
    elapsed = run_pair(&ping, &pong, v->ping, v->pong, opt.core);
    result->half[run] = (double)elapsed / (double)opt.hops / 2;
    histogram_merge(hops, pong.there);
    histogram_free(pong.there);
    result->p50[run] = (double)histogram_quantile(hops, 0.50);
    result->p99[run] = (double)histogram_quantile(hops, 0.99);
    result->p999[run] = (double)histogram_quantile(hops, 0.999);
}

/* The doorbell: `there` is the eventfd, `stamp` the time of the write. */
static struct {
    int fd;
    uint64_t stamp, seen;
    struct histogram *wake, *ring;
} bell;

static void bell_ring(struct lane *lane)
{
    (void)lane;
    for (unsigned long i = 1; i <= opt.bells; i++) {
        /* long enough that the consumer is asleep again */
        usleep(50);
        uint64_t one = 1, before = ticks();
        __atomic_store_n(&bell.stamp, before, __ATOMIC_RELEASE);
        if (write(bell.fd, &one, sizeof(one)) != sizeof(one))
            exit(1);
        record(bell.ring, before, ticks());
        while (__atomic_load_n(&bell.seen, __ATOMIC_ACQUIRE) != i)
            sched_yield();
    }
}

static void bell_answer(struct lane *lane)
{
    (void)lane;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, bell.fd, &event) < 0)
        exit(1);
    for (unsigned long i = 1; i <= opt.bells; i++) {
        /* edge-triggered: the eventfd is never read, which saves a system call a wake */
        while (epoll_wait(epoll, &event, 1, -1) != 1)
            ;
        record(bell.wake, __atomic_load_n(&bell.stamp, __ATOMIC_ACQUIRE), ticks());
        __atomic_store_n(&bell.seen, i, __ATOMIC_RELEASE);
    }
    close(epoll);
}

void rings_measure_bell(const int core[2], unsigned run, struct rings_bell *result)
{
    cleanup_histogram struct histogram *wake = histogram_new(), *ring = histogram_new();
    bell.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    bell.seen = bell.stamp = 0;
    bell.wake = wake;
    bell.ring = ring;
    struct lane lane = {0};
    run_pair(&lane, &lane, bell_ring, bell_answer, core);
    close(bell.fd);
    result->wake50[run] = (double)histogram_quantile(wake, 0.50);
    result->wake99[run] = (double)histogram_quantile(wake, 0.99);
    result->write50[run] = (double)histogram_quantile(ring, 0.50);
    result->write99[run] = (double)histogram_quantile(ring, 0.99);
}
