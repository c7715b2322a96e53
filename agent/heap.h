/*
 * Deadlines that are often taken back: a binary heap of (instant, owner) whose entries know their
 * place. The wheel (wheel.h) has no removal; a real call ends long before its timeout, so its
 * deadline must go when it does. One thread.
 *
 *     uint32_t place = HEAP_NONE;            in the owner's object
 *     heap_set(&heap, owner, &place, when);  adds it, or moves it
 *     heap_clear(&heap, &place);
 */
#ifndef DPUMESH_AGENT_HEAP_H
#define DPUMESH_AGENT_HEAP_H

#include <stdint.h>

#define HEAP_NONE UINT32_MAX

struct heap_entry {
    uint64_t when_ns;
    uint32_t *place; /* the owner's; it must not move while the entry stands */
    uint32_t owner;
};

struct heap {
    struct heap_entry *entries;
    uint32_t count, capacity;
};

/* Frees its memory, not the owners. */
void heap_destroy(struct heap *heap);

/* Adds an entry, or moves the one at *place to another instant. */
void heap_set(struct heap *heap, uint32_t owner, uint32_t *place, uint64_t when_ns);

/* Removes the entry at *place, if there is one. */
void heap_clear(struct heap *heap, uint32_t *place);

/* The earliest instant, UINT64_MAX without entries; its owner is entries[0].owner. */
static inline uint64_t heap_next_ns(const struct heap *heap)
{
    return heap->count ? heap->entries[0].when_ns : UINT64_MAX;
}

#endif
