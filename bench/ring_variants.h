/*
 * The rings that bench/rings.c compares, each as try_push/try_pop/flush of one descriptor type:
 *
 *   ck_spsc_*   libck, single producer and consumer (pointers, 16 and 32 bytes by value)
 *   ck_mpmc_*   libck, many producers and consumers
 *   lamport_*   one producer, one consumer, the other side's index cached, and published once a
 *               batch of `batch` pushes (or on flush)
 *   phase_*     one producer, one consumer, no shared index at all: each slot carries the number of
 *               its lap, as an NVMe completion carries a phase bit, so that a hop moves one line
 *
 * A push or pop belongs to the one producer or consumer thread of its ring.
 */
#ifndef DPUMESH_BENCH_RING_VARIANTS_H
#define DPUMESH_BENCH_RING_VARIANTS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <ck_ring.h>

enum { RING_SIZE = 4096, RING_MASK = RING_SIZE - 1, LINE = 64 };

#if defined(__x86_64__)
#define cpu_relax() __builtin_ia32_pause()
#else
#define cpu_relax() __asm__ __volatile__("" ::: "memory")
#endif

struct desc16 {
    uint64_t sequence;
    uint64_t stamp;
};
struct desc32 {
    uint64_t sequence;
    uint64_t stamp;
    uint64_t more[2];
};
struct desc64 { /* a line each, as an NVMe submission */
    uint64_t sequence;
    uint64_t stamp;
    uint64_t more[6];
};

/* libck: the ring and its buffer of `type` lie together. */
CK_RING_PROTOTYPE(desc16, desc16)
CK_RING_PROTOTYPE(desc32, desc32)

#define CK_VARIANT(type, kind)                                                                     \
    struct ck_##kind##_##type {                                                                    \
        ck_ring_t ring __attribute__((aligned(LINE)));                                             \
        struct type buffer[RING_SIZE] __attribute__((aligned(LINE)));                              \
    };                                                                                             \
    static inline void ck_##kind##_##type##_init(struct ck_##kind##_##type *r, unsigned batch)     \
    {                                                                                              \
        (void)batch;                                                                               \
        ck_ring_init(&r->ring, RING_SIZE);                                                         \
    }                                                                                              \
    static inline bool ck_##kind##_##type##_push(struct ck_##kind##_##type *r, struct type *d)     \
    {                                                                                              \
        return CK_RING_ENQUEUE_##kind(type, &r->ring, r->buffer, d);                               \
    }                                                                                              \
    static inline bool ck_##kind##_##type##_pop(struct ck_##kind##_##type *r, struct type *d)      \
    {                                                                                              \
        return CK_RING_DEQUEUE_##kind(type, &r->ring, r->buffer, d);                               \
    }                                                                                              \
    static inline void ck_##kind##_##type##_flush(struct ck_##kind##_##type *r)                    \
    {                                                                                              \
        (void)r;                                                                                   \
    }
#define CK_RING_ENQUEUE_spsc CK_RING_ENQUEUE_SPSC
#define CK_RING_DEQUEUE_spsc CK_RING_DEQUEUE_SPSC
#define CK_RING_ENQUEUE_mpmc CK_RING_ENQUEUE_MPMC
#define CK_RING_DEQUEUE_mpmc CK_RING_DEQUEUE_MPMC
CK_VARIANT(desc16, spsc)
CK_VARIANT(desc32, spsc)
CK_VARIANT(desc16, mpmc)
CK_VARIANT(desc32, mpmc)

/* libck with pointers: the descriptor lies in a pool and is read through the pointer. */
#define CK_POINTER_VARIANT(kind)                                                                   \
    struct ck_##kind##_pointer {                                                                   \
        ck_ring_t ring __attribute__((aligned(LINE)));                                             \
        ck_ring_buffer_t buffer[RING_SIZE] __attribute__((aligned(LINE)));                         \
        struct desc32 pool[2 * RING_SIZE] __attribute__((aligned(LINE)));                          \
        unsigned next __attribute__((aligned(LINE)));                                              \
    };                                                                                             \
    static inline void ck_##kind##_pointer_init(struct ck_##kind##_pointer *r, unsigned batch)     \
    {                                                                                              \
        (void)batch;                                                                               \
        ck_ring_init(&r->ring, RING_SIZE);                                                         \
    }                                                                                              \
    static inline bool ck_##kind##_pointer_push(struct ck_##kind##_pointer *r, struct desc32 *d)   \
    {                                                                                              \
        struct desc32 *slot = &r->pool[r->next & (2 * RING_SIZE - 1)];                             \
        *slot = *d;                                                                                \
        if (!ck_ring_enqueue_##kind(&r->ring, r->buffer, slot))                                    \
            return false;                                                                          \
        r->next++;                                                                                 \
        return true;                                                                               \
    }                                                                                              \
    static inline bool ck_##kind##_pointer_pop(struct ck_##kind##_pointer *r, struct desc32 *d)    \
    {                                                                                              \
        struct desc32 *slot;                                                                       \
        if (!ck_ring_dequeue_##kind(&r->ring, r->buffer, &slot))                                   \
            return false;                                                                          \
        *d = *slot;                                                                                \
        return true;                                                                               \
    }                                                                                              \
    static inline void ck_##kind##_pointer_flush(struct ck_##kind##_pointer *r)                    \
    {                                                                                              \
        (void)r;                                                                                   \
    }
CK_POINTER_VARIANT(spsc)
CK_POINTER_VARIANT(mpmc)

/* Lamport's ring: each side keeps its index and a copy of the other's on a line of its own. */
#define LAMPORT_VARIANT(type)                                                                      \
    struct lamport_##type {                                                                        \
        uint64_t tail __attribute__((aligned(LINE))); /* published by the producer */              \
        uint64_t head __attribute__((aligned(LINE))); /* published by the consumer */              \
        uint64_t my_tail __attribute__((aligned(LINE)));                                           \
        uint64_t seen_head, sent_tail;                                                             \
        unsigned push_batch;                                                                       \
        uint64_t my_head __attribute__((aligned(LINE)));                                           \
        uint64_t seen_tail, sent_head;                                                             \
        unsigned pop_batch;                                                                        \
        struct type slots[RING_SIZE] __attribute__((aligned(LINE)));                               \
    };                                                                                             \
    static inline void lamport_##type##_init(struct lamport_##type *r, unsigned batch)             \
    {                                                                                              \
        r->push_batch = r->pop_batch = batch;                                                      \
    }                                                                                              \
    static inline void lamport_##type##_flush(struct lamport_##type *r)                            \
    {                                                                                              \
        __atomic_store_n(&r->tail, r->my_tail, __ATOMIC_RELEASE);                                  \
        r->sent_tail = r->my_tail;                                                                 \
    }                                                                                              \
    static inline bool lamport_##type##_push(struct lamport_##type *r, struct type *d)             \
    {                                                                                              \
        if (r->my_tail - r->seen_head >= RING_SIZE) {                                              \
            r->seen_head = __atomic_load_n(&r->head, __ATOMIC_ACQUIRE);                            \
            if (r->my_tail - r->seen_head >= RING_SIZE) {                                          \
                lamport_##type##_flush(r);                                                         \
                return false;                                                                      \
            }                                                                                      \
        }                                                                                          \
        r->slots[r->my_tail++ & RING_MASK] = *d;                                                   \
        if (r->my_tail - r->sent_tail >= r->push_batch)                                            \
            lamport_##type##_flush(r);                                                             \
        return true;                                                                               \
    }                                                                                              \
    static inline bool lamport_##type##_pop(struct lamport_##type *r, struct type *d)              \
    {                                                                                              \
        if (r->my_head == r->seen_tail) {                                                          \
            if (r->sent_head != r->my_head) {                                                      \
                __atomic_store_n(&r->head, r->my_head, __ATOMIC_RELEASE);                          \
                r->sent_head = r->my_head;                                                         \
            }                                                                                      \
            r->seen_tail = __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE);                            \
            if (r->my_head == r->seen_tail)                                                        \
                return false;                                                                      \
        }                                                                                          \
        *d = r->slots[r->my_head++ & RING_MASK];                                                   \
        if (r->my_head - r->sent_head >= r->pop_batch) {                                           \
            __atomic_store_n(&r->head, r->my_head, __ATOMIC_RELEASE);                              \
            r->sent_head = r->my_head;                                                             \
        }                                                                                          \
        return true;                                                                               \
    }
LAMPORT_VARIANT(desc16)
LAMPORT_VARIANT(desc32)

/*
 * The lap number (the field `sequence` here; a real descriptor spares 16 bits) tells the consumer
 * that the slot is new. The producer learns of free slots from head, which the consumer publishes
 * once a batch and which the producer reads once a lap.
 */
#define PHASE_VARIANT(type)                                                                        \
    struct phase_##type {                                                                          \
        uint64_t head __attribute__((aligned(LINE)));                                              \
        uint64_t my_tail __attribute__((aligned(LINE)));                                           \
        uint64_t seen_head;                                                                        \
        uint64_t my_head __attribute__((aligned(LINE)));                                           \
        uint64_t sent_head;                                                                        \
        struct type slots[RING_SIZE] __attribute__((aligned(LINE)));                               \
    };                                                                                             \
    static inline void phase_##type##_init(struct phase_##type *r, unsigned batch)                 \
    {                                                                                              \
        (void)r, (void)batch;                                                                      \
    }                                                                                              \
    static inline bool phase_##type##_push(struct phase_##type *r, struct type *d)                 \
    {                                                                                              \
        if (r->my_tail - r->seen_head >= RING_SIZE) {                                              \
            r->seen_head = __atomic_load_n(&r->head, __ATOMIC_ACQUIRE);                            \
            if (r->my_tail - r->seen_head >= RING_SIZE)                                            \
                return false;                                                                      \
        }                                                                                          \
        struct type *slot = &r->slots[r->my_tail & RING_MASK];                                     \
        memcpy((char *)slot + 8, (char *)d + 8, sizeof(*slot) - 8);                                \
        __atomic_store_n(&slot->sequence, ++r->my_tail, __ATOMIC_RELEASE);                         \
        return true;                                                                               \
    }                                                                                              \
    static inline bool phase_##type##_pop(struct phase_##type *r, struct type *d)                  \
    {                                                                                              \
        struct type *slot = &r->slots[r->my_head & RING_MASK];                                     \
        if (__atomic_load_n(&slot->sequence, __ATOMIC_ACQUIRE) != r->my_head + 1)                  \
            return false;                                                                          \
        memcpy((char *)d + 8, (char *)slot + 8, sizeof(*slot) - 8);                                \
        d->sequence = r->my_head++;                                                                \
        if (r->my_head - r->sent_head >= RING_SIZE / 8) {                                          \
            __atomic_store_n(&r->head, r->my_head, __ATOMIC_RELEASE);                              \
            r->sent_head = r->my_head;                                                             \
        }                                                                                          \
        return true;                                                                               \
    }                                                                                              \
    static inline void phase_##type##_flush(struct phase_##type *r)                                \
    {                                                                                              \
        (void)r;                                                                                   \
    }
PHASE_VARIANT(desc16)
PHASE_VARIANT(desc32)
PHASE_VARIANT(desc64)

#endif
