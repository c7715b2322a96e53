/*
 * A bounded queue of descriptors between one producer thread and one consumer thread. There is no
 * shared tail: every slot carries the number of its lap, as an NVMe completion carries a phase bit,
 * stored last, so that a hop moves one cache line. The consumer's head is read by the producer only
 * when the ring looks full. bench/rings.c compares it with libck's rings and with Lamport's;
 * bench/README.md has the figures.
 *
 *     producer                                  consumer
 *     d = ring_slot(&ring);   NULL: full        while ((d = ring_pop(&ring)))
 *     d->offset = ...;                              ... *d is valid until ring_release()
 *     ring_submit(&ring, d);                    ring_release(&ring);
 *     doorbell_ring(bell);  once a batch
 *
 * Producer only: ring_room(), ring_slot(), ring_submit(). Consumer only: ring_peek(), ring_pop(),
 * ring_release(). Any thread: ring_depth().
 */
#ifndef DPUMESH_AGENT_RING_H
#define DPUMESH_AGENT_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* What crosses between the application and the DPU side; two of them share a cache line. */
struct descriptor {
    uint32_t offset;      /* message in the arena, ARENA_NONE without one */
    uint32_t length;      /* bytes at offset */
    uint32_t tag;         /* names the work to its submitter; comes back in the completion */
    uint16_t status;      /* completions: the HTTP status */
    uint16_t flags;       /* answers: enum reject_reason and DESCRIPTOR_*; calls: the callee's
                             number, targets.h */
    uint32_t body_offset; /* egress: what is POSTed on, a slice of the message's memory */
    uint32_t body_length; /* egress: 0 when there is no body */
    uint32_t stamp_us;    /* when it was submitted: monotonic microseconds, modulo 2^32 */
    uint32_t sequence;    /* private to the ring: index + 1 once the slot is filled */
};

/* In flags: the body is JSON, or text that a JSON string has to escape; without, it is neither. The
 * low byte is an enum reject_reason. */
enum { DESCRIPTOR_JSON = 0x100, DESCRIPTOR_TEXT = 0x200, DESCRIPTOR_REASON = 0xff };

/* In flags of what comes to the application: an interrupt of the DPU woke the host for it. */
enum { DESCRIPTOR_WAKE = 0x400 };

struct ring {
    struct descriptor *slots;
    uint32_t mask;                               /* capacity - 1 */
    uint32_t tail __attribute__((aligned(64)));  /* producer: next slot to fill */
    uint32_t seen_head;                          /* producer's copy of head */
    uint32_t taken __attribute__((aligned(64))); /* consumer: next slot to read */
    uint32_t head __attribute__((aligned(64)));  /* slots before it are free again */
};

/* capacity: a power of two, 2 to 65536 descriptors. 0 or -EINVAL, -ENOMEM and a sentence. */
int ring_init(struct ring *ring, uint32_t capacity, struct error **err);
void ring_destroy(struct ring *ring);

/* Free slots, at least: exact when fewer than `wanted` are known to be free without asking. */
static inline uint32_t ring_room(struct ring *ring, uint32_t wanted)
{
    uint32_t room = ring->mask + 1 - (ring->tail - ring->seen_head);
    if (__builtin_expect(room < wanted, 0)) {
        ring->seen_head = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE);
        room = ring->mask + 1 - (ring->tail - ring->seen_head);
    }
    return room;
}

/* The next slot to fill in, or NULL when the ring is full. */
static inline struct descriptor *ring_slot(struct ring *ring)
{
    return ring_room(ring, 1) ? &ring->slots[ring->tail & ring->mask] : NULL;
}

/* Shows a filled slot, the one ring_slot() gave, to the consumer. */
static inline void ring_submit(struct ring *ring, struct descriptor *slot)
{
    uint32_t tail = ring->tail + 1;
    __atomic_store_n(&slot->sequence, tail, __ATOMIC_RELEASE);
    __atomic_store_n(&ring->tail, tail, __ATOMIC_RELAXED);
}

/* The oldest descriptor not taken yet, or NULL. Valid until ring_release(). */
static inline struct descriptor *ring_peek(struct ring *ring)
{
    struct descriptor *slot = &ring->slots[ring->taken & ring->mask];
    if (__atomic_load_n(&slot->sequence, __ATOMIC_ACQUIRE) != ring->taken + 1)
        return NULL;
    return slot;
}

/* Takes the oldest descriptor, or NULL. */
static inline struct descriptor *ring_pop(struct ring *ring)
{
    struct descriptor *oldest = ring_peek(ring);
    if (oldest)
        __atomic_store_n(&ring->taken, ring->taken + 1, __ATOMIC_RELAXED);
    return oldest;
}

/* The tag of the descriptor n places behind the next one, 0 when there is none: what to prefetch.
 */
static inline uint32_t ring_tag_ahead(const struct ring *ring, uint32_t n)
{
    const struct descriptor *slot = &ring->slots[(ring->taken + n) & ring->mask];
    bool filled = __atomic_load_n(&slot->sequence, __ATOMIC_ACQUIRE) == ring->taken + n + 1;
    return filled ? slot->tag : 0;
}

/* Gives the taken slots back to the producer. True when there were any. */
static inline bool ring_release(struct ring *ring)
{
    if (ring->taken == __atomic_load_n(&ring->head, __ATOMIC_RELAXED))
        return false;
    __atomic_store_n(&ring->head, ring->taken, __ATOMIC_RELEASE);
    return true;
}

static inline uint32_t ring_capacity(const struct ring *ring)
{
    return ring->mask + 1;
}

/* Descriptors submitted and not taken, as any thread may see it. */
static inline uint32_t ring_depth(const struct ring *ring)
{
    uint32_t taken = __atomic_load_n(&ring->taken, __ATOMIC_RELAXED);
    uint32_t depth = __atomic_load_n(&ring->tail, __ATOMIC_RELAXED) - taken;
    return depth > ring->mask + 1 ? 0 : depth;
}

#endif
