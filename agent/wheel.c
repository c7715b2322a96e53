#include "agent/wheel.h"

#include <string.h>

void wheel_init(struct wheel *wheel, const struct pool *pool, uint64_t now_ns)
{
    memset(wheel, 0, sizeof *wheel);
    memset(wheel->slots, 0xff, sizeof wheel->slots); /* POOL_NONE */
    wheel->pool = pool;
    wheel->tick = now_ns >> WHEEL_TICK_BITS;
    wheel->due_first = wheel->due_last = POOL_NONE;
}

static struct wheel_node *node_at(const struct wheel *wheel, uint32_t index)
{
    return pool_at(wheel->pool, index);
}

static void append(const struct wheel *wheel, uint32_t *first, uint32_t *last, uint32_t index)
{
    node_at(wheel, index)->next = POOL_NONE;
    if (*first == POOL_NONE)
        *first = index;
    else
        node_at(wheel, *last)->next = index;
    *last = index;
}

/* Puts a node into the slot of its deadline, rounded up to a tick; a past one goes to the due list.
 */
static void place(struct wheel *wheel, uint32_t index)
{
    uint64_t due = (node_at(wheel, index)->deadline_ns + WHEEL_TICK_NS - 1) >> WHEEL_TICK_BITS;
    if (due < wheel->tick) {
        append(wheel, &wheel->due_first, &wheel->due_last, index);
        return;
    }
    /* The level is that of the highest digit in which the deadline differs from now. */
    uint64_t differs = due ^ wheel->tick;
    unsigned level = differs == 0 ? 0 : (63 - (unsigned)__builtin_clzll(differs)) / WHEEL_SLOT_BITS;
    unsigned slot;
    if (level >= WHEEL_LEVELS) {
        /* In the next turn of the highest level; or past the horizon (208 days): then it waits in
         * the last slot of this turn and is placed again from there. */
        level = WHEEL_LEVELS - 1;
        const unsigned shift = level * WHEEL_SLOT_BITS;
        uint64_t digit = wheel->tick >> shift, ahead = (due >> shift) - digit;
        slot = (unsigned)(digit + (ahead < WHEEL_SLOTS ? ahead : WHEEL_SLOTS - 1)) % WHEEL_SLOTS;
    } else {
        slot = (unsigned)(due >> (level * WHEEL_SLOT_BITS)) % WHEEL_SLOTS;
    }
    append(wheel, &wheel->slots[level][slot].first, &wheel->slots[level][slot].last, index);
    wheel->occupied[level][slot / 64] |= UINT64_C(1) << slot % 64;
}

void wheel_add(struct wheel *wheel, uint32_t index)
{
    wheel->count++;
    place(wheel, index);
}

/* The first occupied slot of a level at or after `from`, or WHEEL_SLOTS. */
static unsigned next_occupied(const struct wheel *wheel, unsigned level, unsigned from)
{
    for (unsigned word = from / 64; word < WHEEL_SLOTS / 64; word++) {
        uint64_t bits = wheel->occupied[level][word];
        if (word == from / 64)
            bits &= ~UINT64_C(0) << from % 64;
        if (bits)
            return word * 64 + (unsigned)__builtin_ctzll(bits);
    }
    return WHEEL_SLOTS;
}

/*
 * The first tick, not before wheel->tick, at which a slot fires (level 0) or is to be cascaded.
 * In level k the slots after the current digit lie ahead in this turn; an occupied slot at or
 * before it belongs to the next turn, and is reached when the level above cascades or wraps.
 */
static uint64_t next_tick(const struct wheel *wheel)
{
    uint64_t best = UINT64_MAX;
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        unsigned shift = level * WHEEL_SLOT_BITS;
        uint64_t digit = wheel->tick >> shift;
        unsigned from = (unsigned)digit % WHEEL_SLOTS;
        /* The current slot of a higher level was cascaded when it began. */
        unsigned slot = from + (level > 0) < WHEEL_SLOTS
                            ? next_occupied(wheel, level, from + (level > 0))
                            : WHEEL_SLOTS;
        uint64_t turn = digit - from;
        if (slot == WHEEL_SLOTS && level == WHEEL_LEVELS - 1) {
            slot = next_occupied(wheel, level, 0);
            turn += WHEEL_SLOTS;
        }
        if (slot == WHEEL_SLOTS)
            continue;
        uint64_t tick = (turn + slot) << shift;
        if (tick < best)
            best = tick;
    }
    return best;
}

/* Empties a slot; returns its first node. */
static uint32_t take_slot(struct wheel *wheel, unsigned level, unsigned slot)
{
    struct wheel_slot *s = &wheel->slots[level][slot];
    uint32_t first = s->first;
    s->first = s->last = POOL_NONE;
    wheel->occupied[level][slot / 64] &= ~(UINT64_C(1) << slot % 64);
    return first;
}

/* At a tick whose lower digits are zero, the slots of the levels above come down, highest first. */
static void cascade(struct wheel *wheel)
{
    for (unsigned level = WHEEL_LEVELS - 1; level > 0; level--) {
        unsigned shift = level * WHEEL_SLOT_BITS;
        if (wheel->tick & ((UINT64_C(1) << shift) - 1))
            continue;
        uint32_t index = take_slot(wheel, level, (unsigned)(wheel->tick >> shift) % WHEEL_SLOTS);
        while (index != POOL_NONE) {
            uint32_t next = node_at(wheel, index)->next;
            place(wheel, index);
            index = next;
        }
    }
}

void wheel_advance(struct wheel *wheel, uint64_t now_ns)
{
    uint64_t now = now_ns >> WHEEL_TICK_BITS;
    while (wheel->tick <= now) {
        uint64_t tick = wheel->count ? next_tick(wheel) : UINT64_MAX;
        if (tick > now) {
            /* Nothing fires and nothing comes down before now. */
            wheel->tick = now + 1;
            if (tick == wheel->tick)
                cascade(wheel);
            return;
        }
        if (tick != wheel->tick) {
            wheel->tick = tick;
            cascade(wheel);
        }
        unsigned slot = (unsigned)tick % WHEEL_SLOTS;
        struct wheel_slot fired = wheel->slots[0][slot];
        take_slot(wheel, 0, slot);
        if (fired.first != POOL_NONE) {
            if (wheel->due_first == POOL_NONE)
                wheel->due_first = fired.first;
            else
                node_at(wheel, wheel->due_last)->next = fired.first;
            wheel->due_last = fired.last;
        }
        wheel->tick = tick + 1;
        cascade(wheel);
    }
}

uint32_t wheel_pop(struct wheel *wheel)
{
    uint32_t index = wheel->due_first;
    if (index == POOL_NONE)
        return POOL_NONE;
    wheel->due_first = node_at(wheel, index)->next;
    if (wheel->due_first == POOL_NONE)
        wheel->due_last = POOL_NONE;
    wheel->count--;
    return index;
}

uint64_t wheel_next_ns(const struct wheel *wheel)
{
    if (wheel->due_first != POOL_NONE)
        return 0;
    uint64_t tick = wheel->count ? next_tick(wheel) : UINT64_MAX;
    return tick > UINT64_MAX >> WHEEL_TICK_BITS ? UINT64_MAX : tick << WHEEL_TICK_BITS;
}
