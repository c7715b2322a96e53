/*
 * A hierarchical timing wheel (Varghese and Lauck, 1987, scheme 7): delays are entries in a list,
 * not threads. Five levels of 256 slots; the finest slot is 2^14 ns (16.4 us), so a timer fires up
 * to one slot late and never early, and insertion, expiry and the search for the next one take
 * constant time whatever the number of timers. Timers of one slot fire in the order they were
 * added.
 *
 * A node lies at the start of an object of a pool and is named by its index. One thread.
 */
#ifndef DPUMESH_AGENT_WHEEL_H
#define DPUMESH_AGENT_WHEEL_H

#include <stddef.h>
#include <stdint.h>

#include "agent/pool.h"

enum { WHEEL_TICK_BITS = 14, WHEEL_LEVELS = 5, WHEEL_SLOT_BITS = 8, WHEEL_SLOTS = 256 };

#define WHEEL_TICK_NS (UINT64_C(1) << WHEEL_TICK_BITS)

struct wheel_node {
    uint64_t deadline_ns;
    uint32_t next; /* private to the wheel */
    uint32_t user; /* the owner's, in what would be padding */
};

struct wheel_slot {
    uint32_t first, last;
};

struct wheel {
    const struct pool *pool; /* its objects begin with a struct wheel_node */
    uint64_t tick;           /* every tick before this one has been fired */
    uint32_t count;
    uint32_t due_first; /* fired, not yet popped */
    uint32_t due_last;
    uint64_t occupied[WHEEL_LEVELS][WHEEL_SLOTS / 64];
    struct wheel_slot slots[WHEEL_LEVELS][WHEEL_SLOTS];
};

/* now_ns: the monotonic clock. */
void wheel_init(struct wheel *wheel, const struct pool *pool, uint64_t now_ns);

/* Adds an object; its deadline_ns is set. A deadline in the past fires at the next expiry. */
void wheel_add(struct wheel *wheel, uint32_t index);

/* Moves what is due by now_ns to the due list. */
void wheel_advance(struct wheel *wheel, uint64_t now_ns);

/* Takes the next due object, or POOL_NONE. */
uint32_t wheel_pop(struct wheel *wheel);

/* The instant at which wheel_advance() should next be called (it may then only cascade), or
 * UINT64_MAX without timers. */
uint64_t wheel_next_ns(const struct wheel *wheel);

#endif
