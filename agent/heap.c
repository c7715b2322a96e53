#include "agent/heap.h"

#include <stdlib.h>

#include "base/memory.h"

static void put(struct heap *heap, uint32_t at, struct heap_entry entry)
{
    heap->entries[at] = entry;
    *entry.place = at;
}

static void sift_up(struct heap *heap, uint32_t at, struct heap_entry entry)
{
    while (at > 0 && heap->entries[(at - 1) / 2].when_ns > entry.when_ns) {
        put(heap, at, heap->entries[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    put(heap, at, entry);
}

static void sift_down(struct heap *heap, uint32_t at, struct heap_entry entry)
{
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= heap->count)
            break;
        if (child + 1 < heap->count &&
            heap->entries[child + 1].when_ns < heap->entries[child].when_ns)
            child++;
        if (heap->entries[child].when_ns >= entry.when_ns)
            break;
        put(heap, at, heap->entries[child]);
        at = child;
    }
    put(heap, at, entry);
}

/* An entry at a place whose neighbours may be on either side of it. */
static void settle(struct heap *heap, uint32_t at, struct heap_entry entry)
{
    if (at > 0 && heap->entries[(at - 1) / 2].when_ns > entry.when_ns)
        sift_up(heap, at, entry);
    else
        sift_down(heap, at, entry);
}

void heap_destroy(struct heap *heap)
{
    free(heap->entries);
    *heap = (struct heap){0};
}

void heap_set(struct heap *heap, uint32_t owner, uint32_t *place, uint64_t when_ns)
{
    struct heap_entry entry = {.when_ns = when_ns, .owner = owner};
    entry.place = place;
    if (*place != HEAP_NONE) {
        settle(heap, *place, entry);
        return;
    }
    if (heap->count == heap->capacity) {
        heap->capacity = heap->capacity ? 2 * heap->capacity : 64;
        heap->entries = xreallocarray(heap->entries, heap->capacity, sizeof *heap->entries);
    }
    sift_up(heap, heap->count++, entry);
}

void heap_clear(struct heap *heap, uint32_t *place)
{
    uint32_t at = *place;
    if (at == HEAP_NONE)
        return;
    *place = HEAP_NONE;
    struct heap_entry last = heap->entries[--heap->count];
    if (at < heap->count)
        settle(heap, at, last);
}
