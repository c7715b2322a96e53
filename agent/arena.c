#include "agent/arena.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#include "base/memory.h"

enum page_state { PAGE_FREE, PAGE_BLOCKS, PAGE_RUN, PAGE_RUN_TAIL };

struct arena_page {
    uint8_t state;
    uint8_t size_class;
    uint16_t used;           /* blocks handed out */
    uint16_t carved;         /* blocks ever cut from the start of the page */
    uint32_t free;           /* offset of the first block given back, ARENA_NONE if none */
    uint32_t run;            /* PAGE_RUN: pages in the run */
    uint32_t next, previous; /* neighbours in the class's partial list */
};

/* 32, 48, 64, 96, ... 32768, 49152: the classes alternate 2^k and 1.5 * 2^k. */
static uint32_t class_bytes(unsigned size_class)
{
    uint32_t power = UINT32_C(32) << (size_class / 2);
    return size_class % 2 ? power + power / 2 : power;
}

static unsigned class_of(size_t length)
{
    if (length <= 32)
        return 0;
    unsigned bits = 63 - (unsigned)__builtin_clzll(length - 1); /* 2^bits < length <= 2^(bits+1) */
    unsigned lower = 2 * (bits - 5);
    return length <= class_bytes(lower + 1) ? lower + 1 : lower + 2;
}

int arena_init(struct arena *arena, size_t size, struct error **err)
{
    const size_t least = (size_t)1 << 20, most = (size_t)1 << 31;
    if (size < least || size > most)
        return error_make(err, EINVAL, "arena of %zu bytes; give 1 MiB to 2 GiB", size);
    size = (size + ARENA_PAGE - 1) & ~(size_t)(ARENA_PAGE - 1);
    void *base = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return error_make(err, ENOMEM, "can't map %zu bytes of registered memory: %s", size,
                          strerror(errno));
    /* A huge page would make an idle agent pay 2 MiB for one message. */
    madvise(base, size, MADV_NOHUGEPAGE);
    memset(arena, 0, sizeof *arena);
    arena->base = base;
    arena->size = size;
    arena->page_count = (uint32_t)(size >> ARENA_PAGE_BITS);
    arena->pages = xcalloc(arena->page_count, sizeof *arena->pages);
    for (unsigned i = 0; i < ARENA_CLASSES; i++)
        arena->partial[i] = ARENA_NONE;
    arena->returned = ARENA_NONE;
    return 0;
}

void arena_free(struct arena *arena)
{
    if (arena->base)
        munmap(arena->base, arena->size);
    free(arena->pages);
    memset(arena, 0, sizeof *arena);
}

/* The first of count free pages in a row, or ARENA_NONE. */
static uint32_t find_run(struct arena *arena, uint32_t count)
{
    uint32_t run = 0;
    for (uint32_t i = arena->first_free; i < arena->page_count; i++) {
        run = arena->pages[i].state == PAGE_FREE ? run + 1 : 0;
        if (run == count)
            return i + 1 - count;
    }
    return ARENA_NONE;
}

static void give_run(struct arena *arena, uint32_t first)
{
    uint32_t count = arena->pages[first].run;
    for (uint32_t i = first; i < first + count; i++)
        arena->pages[i].state = PAGE_FREE;
    if (first < arena->first_free)
        arena->first_free = first;
}

static void list_push(struct arena *arena, uint32_t page)
{
    struct arena_page *p = &arena->pages[page];
    uint32_t *head = &arena->partial[p->size_class];
    p->previous = ARENA_NONE;
    p->next = *head;
    if (*head != ARENA_NONE)
        arena->pages[*head].previous = page;
    *head = page;
}

static void list_remove(struct arena *arena, uint32_t page)
{
    struct arena_page *p = &arena->pages[page];
    if (p->previous != ARENA_NONE)
        arena->pages[p->previous].next = p->next;
    else
        arena->partial[p->size_class] = p->next;
    if (p->next != ARENA_NONE)
        arena->pages[p->next].previous = p->previous;
}

/* Takes the empty pages that classes keep for their next block. */
static void reclaim(struct arena *arena)
{
    for (unsigned i = 0; i < ARENA_CLASSES; i++)
        for (uint32_t page = arena->partial[i], next; page != ARENA_NONE; page = next) {
            next = arena->pages[page].next;
            if (arena->pages[page].used > 0)
                continue;
            list_remove(arena, page);
            give_run(arena, page);
        }
}

static uint32_t take_run(struct arena *arena, uint32_t count, enum page_state state)
{
    uint32_t first = find_run(arena, count);
    if (first == ARENA_NONE) {
        reclaim(arena);
        first = find_run(arena, count);
    }
    if (first == ARENA_NONE)
        return ARENA_NONE;
    for (uint32_t i = first; i < first + count; i++)
        arena->pages[i].state = PAGE_RUN_TAIL;
    arena->pages[first].state = state;
    arena->pages[first].run = count;
    if (first == arena->first_free)
        arena->first_free = first + count;
    return first;
}

/* Any thread may read used_bytes, for its gauge. */
static void count_used(struct arena *arena, size_t bytes, bool more)
{
    size_t used = more ? arena->used_bytes + bytes : arena->used_bytes - bytes;
    __atomic_store_n(&arena->used_bytes, used, __ATOMIC_RELAXED);
}

static uint32_t alloc_run(struct arena *arena, size_t length)
{
    uint32_t count = (uint32_t)((length + ARENA_PAGE - 1) >> ARENA_PAGE_BITS);
    uint32_t first = take_run(arena, count, PAGE_RUN);
    if (first == ARENA_NONE)
        return ARENA_NONE;
    count_used(arena, (size_t)count << ARENA_PAGE_BITS, true);
    return first << ARENA_PAGE_BITS;
}

uint32_t arena_alloc(struct arena *arena, size_t length)
{
    if (length > class_bytes(ARENA_CLASSES - 1))
        return length > arena->size ? ARENA_NONE : alloc_run(arena, length);
    unsigned size_class = class_of(length);
    uint32_t bytes = class_bytes(size_class), page = arena->partial[size_class];
    if (page == ARENA_NONE) {
        page = take_run(arena, 1, PAGE_BLOCKS);
        if (page == ARENA_NONE)
            return ARENA_NONE;
        struct arena_page *fresh = &arena->pages[page];
        fresh->size_class = (uint8_t)size_class;
        fresh->used = fresh->carved = 0;
        fresh->free = ARENA_NONE;
        list_push(arena, page);
    }
    struct arena_page *p = &arena->pages[page];
    uint32_t offset = p->free;
    if (offset != ARENA_NONE)
        memcpy(&p->free, arena->base + offset, sizeof p->free);
    else
        offset = (page << ARENA_PAGE_BITS) + bytes * p->carved++;
    p->used++;
    if (p->free == ARENA_NONE && (p->carved + 1u) * bytes > ARENA_PAGE)
        list_remove(arena, page);
    count_used(arena, bytes, true);
    return offset;
}

void arena_release(struct arena *arena, uint32_t offset)
{
    uint32_t page = offset >> ARENA_PAGE_BITS;
    struct arena_page *p = &arena->pages[page];
    if (p->state == PAGE_RUN) {
        count_used(arena, (size_t)p->run << ARENA_PAGE_BITS, false);
        give_run(arena, page);
        return;
    }
    uint32_t bytes = class_bytes(p->size_class);
    count_used(arena, bytes, false);
    if (p->free == ARENA_NONE && (p->carved + 1u) * bytes > ARENA_PAGE)
        list_push(arena, page);
    memcpy(arena->base + offset, &p->free, sizeof p->free);
    p->free = offset;
    /* The last page with room stays with its class until another class has need of it: a lone
     * message must not take and give a page each time. */
    if (--p->used == 0 && (p->next != ARENA_NONE || p->previous != ARENA_NONE)) {
        list_remove(arena, page);
        give_run(arena, page);
    }
}

void arena_chain(struct arena *arena, struct arena_chain *chain, uint32_t offset)
{
    memcpy(arena->base + offset, &chain->first, sizeof chain->first);
    if (chain->first == ARENA_NONE)
        chain->last = offset;
    chain->first = offset;
}

void arena_return(struct arena *arena, struct arena_chain *chain)
{
    if (chain->first == ARENA_NONE)
        return;
    uint32_t top = __atomic_load_n(&arena->returned, __ATOMIC_RELAXED);
    do {
        memcpy(arena->base + chain->last, &top, sizeof top);
    } while (!__atomic_compare_exchange_n(&arena->returned, &top, chain->first, 1, __ATOMIC_RELEASE,
                                          __ATOMIC_RELAXED));
    chain->first = chain->last = ARENA_NONE;
}

void arena_collect(struct arena *arena)
{
    if (__atomic_load_n(&arena->returned, __ATOMIC_RELAXED) == ARENA_NONE)
        return;
    uint32_t offset = __atomic_exchange_n(&arena->returned, ARENA_NONE, __ATOMIC_ACQUIRE);
    while (offset != ARENA_NONE) {
        uint32_t next;
        memcpy(&next, arena->base + offset, sizeof next);
        arena_release(arena, offset);
        offset = next;
    }
}
