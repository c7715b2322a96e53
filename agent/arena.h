/*
 * Registered memory: one fixed region of which messages are carved. Queues carry an offset and a
 * length into it, never a pointer, as a DPU sees the host's memory; another process could map the
 * region and follow the same descriptors.
 *
 *     uint32_t at = arena_alloc(&arena, length);
 *     if (at == ARENA_NONE) answer 503
 *     memcpy(arena_at(&arena, at), text, length);
 *
 * The region is cut into pages of 64 KiB. A page holds blocks of one size class; a page whose
 * blocks are all free goes back to the common pool, at the latest when the pool is empty, so that a
 * shift of the load from small to large messages never strands memory. Larger messages take whole
 * pages in a row.
 *
 * Threads: an arena belongs to one thread, which allocates and frees. Another thread that is done
 * with blocks gives them back with arena_return(), which is a lock-free push; the owner collects
 * them with arena_collect().
 */
#ifndef DPUMESH_AGENT_ARENA_H
#define DPUMESH_AGENT_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define ARENA_NONE UINT32_MAX

enum {
    ARENA_PAGE_BITS = 16,
    ARENA_PAGE = 1 << ARENA_PAGE_BITS,
    ARENA_CLASSES = 22, /* 32 bytes to 48 KiB, two a power of two */
};

struct arena_page;

struct arena {
    char *base;
    size_t size; /* bytes, whole pages */
    uint32_t page_count;
    uint32_t first_free; /* no page below it is free */
    struct arena_page *pages;
    uint32_t partial[ARENA_CLASSES]; /* first page of the class with a free block */
    size_t used_bytes;               /* in blocks handed out, rounded up to their class */
    uint32_t returned __attribute__((aligned(64))); /* stack of blocks other threads gave back */
};

/*
 * Maps a region of size bytes (rounded up to whole pages, 1 MiB to 2 GiB); memory is touched when
 * it is used. 0, or -ENOMEM and a sentence.
 */
int arena_init(struct arena *arena, size_t size, struct error **err);

/* Unmaps it. */
void arena_free(struct arena *arena);

/* The offset of a block of at least length bytes (16-byte aligned), or ARENA_NONE when there is no
 * room. Owner only. */
uint32_t arena_alloc(struct arena *arena, size_t length);

/* Gives a block back. Owner only. */
void arena_release(struct arena *arena, uint32_t offset);

/*
 * A chain of blocks to give back from another thread at once: arena_chain() adds a block (its first
 * bytes become the link), arena_return() hands the chain over and empties it.
 */
struct arena_chain {
    uint32_t first, last;
};
#define ARENA_CHAIN_INIT                                                                           \
    {                                                                                              \
        ARENA_NONE, ARENA_NONE                                                                     \
    }
void arena_chain(struct arena *arena, struct arena_chain *chain, uint32_t offset);
void arena_return(struct arena *arena, struct arena_chain *chain);

/* Takes in what other threads gave back. Owner only. */
void arena_collect(struct arena *arena);

/* The memory at an offset; valid until the block is released. */
static inline void *arena_at(const struct arena *arena, uint32_t offset)
{
    return arena->base + offset;
}

#endif
