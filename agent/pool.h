/*
 * A pool of fixed-size objects named by a 32-bit index. Room for the whole capacity is reserved as
 * address space; memory is touched when an index is first used, and the last one given back is the
 * first one handed out again, so the pool costs what the peak needed. The first four bytes of a
 * free object are its link. One thread.
 */
#ifndef DPUMESH_AGENT_POOL_H
#define DPUMESH_AGENT_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define POOL_NONE UINT32_MAX

struct pool {
    char *base;
    size_t stride;     /* bytes an object */
    uint32_t capacity; /* objects at most */
    uint32_t touched;  /* indices ever handed out */
    uint32_t free;     /* first free index, POOL_NONE if none was given back */
    uint32_t used;     /* objects in use */
};

/* Reserves capacity objects of stride bytes. 0, or -ENOMEM and a sentence. */
int pool_init(struct pool *pool, size_t stride, uint32_t capacity, struct error **err);

/* Unmaps it. */
void pool_destroy(struct pool *pool);

static inline void *pool_at(const struct pool *pool, uint32_t index)
{
    return pool->base + (size_t)index * pool->stride;
}

/* An index, its memory not cleared, or POOL_NONE when all are in use. */
static inline uint32_t pool_take(struct pool *pool)
{
    uint32_t index = pool->free;
    if (index != POOL_NONE)
        __builtin_memcpy(&pool->free, pool_at(pool, index), sizeof pool->free);
    else if (pool->touched < pool->capacity)
        index = pool->touched++;
    else
        return POOL_NONE;
    pool->used++;
    return index;
}

static inline void pool_give(struct pool *pool, uint32_t index)
{
    __builtin_memcpy(pool_at(pool, index), &pool->free, sizeof pool->free);
    pool->free = index;
    pool->used--;
}

#endif
