#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/arena.h"
#include "base/memory.h"
#include "model/random.h"

enum { BLOCKS = 20000, MIB = 1 << 20 };

struct block {
    uint32_t at;
    uint32_t length;
    uint8_t fill;
};

/* The model: which 16-byte units are handed out, and to whom. */
struct model {
    struct arena arena;
    struct block blocks[BLOCKS];
    uint32_t count;
    size_t bytes; /* asked for and not given back */
    uint8_t *owned;
};

static void model_init(struct model *m, size_t size)
{
    cr_assert_eq(arena_init(&m->arena, size, NULL), 0);
    m->count = 0;
    m->bytes = 0;
    m->owned = xcalloc(m->arena.size / 16, 1);
}

static void model_free(struct model *m)
{
    arena_free(&m->arena);
    free(m->owned);
}

static void own(struct model *m, const struct block *b, uint8_t owned)
{
    for (uint32_t unit = b->at / 16; unit <= (b->at + b->length - 1) / 16; unit++) {
        cr_assert_eq(m->owned[unit], !owned, "unit %u of a block of %u bytes", unit, b->length);
        m->owned[unit] = owned;
    }
}

static bool take(struct model *m, struct random_stream *r, uint32_t length)
{
    uint32_t at = arena_alloc(&m->arena, length);
    if (at == ARENA_NONE)
        return false;
    struct block *b = &m->blocks[m->count++];
    *b = (struct block){at, length, (uint8_t)random_u64(r)};
    cr_assert_eq(at % 16, 0);
    cr_assert_leq((size_t)at + length, m->arena.size);
    own(m, b, 1);
    memset(arena_at(&m->arena, at), b->fill, length);
    m->bytes += length;
    return true;
}

/* Takes a block out of the model after a look at what it holds. */
static uint32_t forget(struct model *m, uint32_t index)
{
    struct block b = m->blocks[index];
    const uint8_t *data = arena_at(&m->arena, b.at);
    cr_assert(data[0] == b.fill && data[b.length - 1] == b.fill && data[b.length / 2] == b.fill,
              "a block of %u bytes at %u was written to", b.length, b.at);
    own(m, &b, 0);
    m->bytes -= b.length;
    m->blocks[index] = m->blocks[--m->count];
    return b.at;
}

static uint32_t some_length(struct random_stream *r)
{
    /* Every order of magnitude is as likely, and the edges of the classes more so. */
    uint32_t power = UINT32_C(1) << random_range(r, 0, 18);
    switch (random_range(r, 0, 3)) {
    case 0:
        return power;
    case 1:
        return power + 1;
    case 2:
        return power + power / 2 + (uint32_t)random_range(r, 0, 1);
    default:
        return (uint32_t)random_range(r, 1, power);
    }
}

Test(arena, blocks_do_not_overlap_and_all_memory_comes_back)
{
    struct model *m = xmalloc(sizeof *m);
    struct random_stream r;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        random_seed(&r, seed, 0);
        model_init(m, (size_t)random_range(&r, 1, 8) * MIB + (size_t)random_range(&r, 0, 100000));
        for (unsigned step = 0; step < 15000; step++) {
            /* Phases of growth and of shrinking. */
            bool grow = random_range(&r, 0, 99) < (step / 1000 % 2 ? 30u : 70u);
            if (grow && m->count < BLOCKS)
                take(m, &r, some_length(&r));
            else if (m->count)
                arena_release(&m->arena, forget(m, (uint32_t)random_range(&r, 0, m->count - 1)));
            cr_assert_geq(m->arena.used_bytes, m->bytes);
        }
        while (m->count)
            arena_release(&m->arena, forget(m, (uint32_t)random_range(&r, 0, m->count - 1)));
        cr_assert_eq(m->arena.used_bytes, 0, "seed %lu", (unsigned long)seed);
        /* Everything is free: the whole region is one run again. */
        uint32_t all = arena_alloc(&m->arena, m->arena.size);
        cr_assert_eq(all, 0, "seed %lu: pages are missing", (unsigned long)seed);
        arena_release(&m->arena, all);
        model_free(m);
    }
    free(m);
}

/* However the load was before, once it is gone any other load finds all the memory. */
Test(arena, a_shift_of_the_load_strands_nothing)
{
    struct model *m = xmalloc(sizeof *m);
    struct random_stream r;
    random_seed(&r, 5, 0);
    model_init(m, MIB);
    /* One block of each class in turn, given back at once: an empty page may stay with its class.
     */
    for (uint32_t length = 32; length <= 49152; length += length / 2) {
        cr_assert(take(m, &r, length));
        arena_release(&m->arena, forget(m, 0));
    }
    cr_assert(take(m, &r, MIB), "a large message does not fit after small ones");
    arena_release(&m->arena, forget(m, 0));
    for (unsigned round = 0; round < 60; round++) {
        uint32_t length = some_length(&r);
        uint32_t first = 0;
        while (m->count < BLOCKS && take(m, &r, length))
            first++;
        /* At most a page's rounding is lost: with classes 1.5 apart, a third of it. */
        cr_assert_geq((double)first * length, length < 32 ? 0 : 0.45 * MIB,
                      "only %u blocks of %u bytes", first, length);
        /* All but one in each eight are given back, in random order; then the rest. */
        while (m->count > first / 8)
            arena_release(&m->arena, forget(m, (uint32_t)random_range(&r, 0, m->count - 1)));
        while (m->count)
            arena_release(&m->arena, forget(m, m->count - 1));
    }
    model_free(m);
    free(m);
}

Test(arena, chains_come_back_on_collection)
{
    struct model *m = xmalloc(sizeof *m);
    struct random_stream r;
    random_seed(&r, 9, 0);
    model_init(m, 4 * MIB);
    struct arena_chain chain = ARENA_CHAIN_INIT;
    arena_return(&m->arena, &chain); /* an empty one is nothing */
    for (unsigned round = 0; round < 200; round++) {
        for (unsigned i = 0; i < 50; i++)
            take(m, &r, some_length(&r));
        while (m->count > 25 && random_range(&r, 0, 60)) {
            uint32_t at = forget(m, (uint32_t)random_range(&r, 0, m->count - 1));
            arena_chain(&m->arena, &chain, at);
            if (random_range(&r, 0, 9) == 0)
                arena_return(&m->arena, &chain);
        }
        arena_return(&m->arena, &chain);
        cr_assert_eq(chain.first, ARENA_NONE);
        if (random_range(&r, 0, 3) == 0)
            arena_collect(&m->arena);
        while (m->count > 400)
            arena_release(&m->arena, forget(m, 0));
    }
    while (m->count)
        arena_release(&m->arena, forget(m, 0));
    arena_collect(&m->arena);
    cr_assert_eq(m->arena.used_bytes, 0);
    cr_assert_eq(arena_alloc(&m->arena, m->arena.size), 0);
    model_free(m);
    free(m);
}

Test(arena, bounds)
{
    struct arena arena;
    struct error *err = NULL;
    cr_assert_eq(arena_init(&arena, MIB - 1, &err), -EINVAL);
    cr_assert(strstr(error_message(err), "1 MiB to 2 GiB"), "%s", error_message(err));
    cr_assert_eq(arena_init(&arena, ((size_t)1 << 31) + 1, &err), -EINVAL);
    error_free(err);

    cr_assert_eq(arena_init(&arena, (size_t)1 << 31, NULL), 0);
    cr_assert_eq(arena_alloc(&arena, arena.size + 1), ARENA_NONE);
    cr_assert_eq(arena_alloc(&arena, SIZE_MAX), ARENA_NONE);
    uint32_t none = arena_alloc(&arena, 0); /* an empty message is a message */
    cr_assert_neq(none, ARENA_NONE);
    arena_release(&arena, none);
    uint32_t all = arena_alloc(&arena, arena.size);
    cr_assert_eq(all, 0);
    cr_assert_eq(arena_alloc(&arena, 1), ARENA_NONE);
    arena_release(&arena, all);
    arena_free(&arena);

    /* Rounded up to whole pages. */
    cr_assert_eq(arena_init(&arena, MIB + 1, NULL), 0);
    cr_assert_eq(arena.size, MIB + ARENA_PAGE);
    arena_free(&arena);
}
