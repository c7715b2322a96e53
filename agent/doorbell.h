/*
 * A doorbell wakes the thread that consumes a set of queues. It is rung only when that thread said
 * that it sleeps, so under load nobody makes a system call. The protocol, and why nothing is
 * missed:
 *
 *     consumer                                producer
 *     doorbell_arm()    asleep = 1, fence     publish the ring
 *     look at every queue once more           doorbell_ring(): fence, asleep?
 *     doorbell_wait() or doorbell_disarm()        wake the consumer
 *
 * Either the consumer sees what was published, or the producer sees asleep: both fences are
 * sequentially consistent, and order the loads behind them on every architecture.
 *
 * Two kinds: a futex (the application thread, which waits for nothing else) and an eventfd (the I/O
 * thread, which adds doorbell.fd to its epoll set, edge-triggered, and so need not read it).
 * One consumer thread; any thread may ring.
 */
#ifndef DPUMESH_AGENT_DOORBELL_H
#define DPUMESH_AGENT_DOORBELL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct doorbell {
    uint32_t asleep __attribute__((aligned(64)));
    int fd; /* eventfd, or -1 for a futex */
};

/* use_eventfd: which kind. 0, or -errno and a sentence. */
int doorbell_init(struct doorbell *bell, bool use_eventfd, struct error **err);
void doorbell_destroy(struct doorbell *bell);

/*
 * A sequentially consistent fence between a store before it and a load behind it. ThreadSanitizer
 * knows no fences; it is given a read-modify-write of the word that both sides look at.
 */
static inline void doorbell_fence(uint32_t *word) // NOLINT(readability-non-const-parameter)
{
#ifdef __SANITIZE_THREAD__
    __atomic_fetch_add(word, 0, __ATOMIC_SEQ_CST);
#else
    (void)word;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

/* Consumer: says that it is going to sleep. Queues must be looked at once more after this. */
static inline void doorbell_arm(struct doorbell *bell)
{
    __atomic_store_n(&bell->asleep, 1, __ATOMIC_RELAXED);
    doorbell_fence(&bell->asleep);
}

/* Consumer: is awake after all, or again. */
static inline void doorbell_disarm(struct doorbell *bell)
{
    __atomic_store_n(&bell->asleep, 0, __ATOMIC_RELAXED);
}

/* Consumer, futex kind: sleeps until rung or until deadline_ns on the monotonic clock (UINT64_MAX:
 * no deadline). True when it was rung. */
bool doorbell_wait(struct doorbell *bell, uint64_t deadline_ns);

/* The system call of doorbell_ring(). */
void doorbell_wake(struct doorbell *bell);

/* Producer: wakes the consumer if it sleeps. True when it had to. */
static inline bool doorbell_ring(struct doorbell *bell)
{
    doorbell_fence(&bell->asleep);
    if (__atomic_load_n(&bell->asleep, __ATOMIC_RELAXED) == 0 ||
        __atomic_exchange_n(&bell->asleep, 0, __ATOMIC_SEQ_CST) == 0)
        return false;
    doorbell_wake(bell);
    return true;
}

#endif
