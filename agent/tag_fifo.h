/*
 * A queue of 32-bit tags that grows as it must: who waits for room elsewhere, first come first
 * served. Its owner bounds it by what the tags name. One thread.
 */
#ifndef DPUMESH_AGENT_TAG_FIFO_H
#define DPUMESH_AGENT_TAG_FIFO_H

#include <stdint.h>
#include <stdlib.h>

#include "base/memory.h"

struct tag_fifo {
    uint32_t *tags; /* circular */
    uint32_t capacity, first, count;
};

static inline void tag_fifo_push(struct tag_fifo *fifo, uint32_t tag)
{
    if (fifo->count == fifo->capacity) {
        uint32_t capacity = fifo->capacity ? 2 * fifo->capacity : 64;
        uint32_t *tags = xreallocarray(NULL, capacity, sizeof *tags);
        for (uint32_t i = 0; i < fifo->count; i++)
            tags[i] = fifo->tags[(fifo->first + i) % fifo->capacity];
        free(fifo->tags);
        *fifo = (struct tag_fifo){tags, capacity, 0, fifo->count};
    }
    fifo->tags[(fifo->first + fifo->count++) % fifo->capacity] = tag;
}

/* The oldest; there is one. */
static inline uint32_t tag_fifo_head(const struct tag_fifo *fifo)
{
    return fifo->tags[fifo->first];
}

static inline void tag_fifo_pop(struct tag_fifo *fifo)
{
    fifo->first = (fifo->first + 1) % fifo->capacity;
    fifo->count--;
}

/* Frees its memory. */
static inline void tag_fifo_free(struct tag_fifo *fifo)
{
    free(fifo->tags);
    *fifo = (struct tag_fifo){0};
}

#endif
