/* Blocks of an arena are given back by another thread while the owner allocates: none is handed out
 * twice, and all come home. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/arena.h"
#include "agent/ring.h"

enum { ROUNDS = 50000, ALARM_S = 60 };

static struct arena arena;
static struct ring ring;

static void check(bool truth, const char *what)
{
    if (truth)
        return;
    fprintf(stderr, "race_arena: %s\n", what);
    exit(1);
}

/* The I/O thread's part: looks at a block, gives it back, a chain of up to seven at a time. */
static void *consume(void *unused)
{
    struct arena_chain chain = ARENA_CHAIN_INIT;
    (void)unused;
    for (uint32_t next = 0; next < ROUNDS;) {
        const struct descriptor *d = ring_pop(&ring);
        if (!d) {
            ring_release(&ring);
            arena_return(&arena, &chain);
            continue;
        }
        const unsigned char *bytes = arena_at(&arena, d->offset);
        check(bytes[0] == (next & 0xff) && bytes[d->length - 1] == (next & 0xff),
              "a block was handed out twice");
        arena_chain(&arena, &chain, d->offset);
        if (++next % 7 == 0)
            arena_return(&arena, &chain);
    }
    ring_release(&ring);
    arena_return(&arena, &chain);
    return NULL;
}

int main(void)
{
    pthread_t consumer;
    alarm(ALARM_S);
    check(arena_init(&arena, (size_t)1 << 20, NULL) == 0, "no arena");
    check(ring_init(&ring, 256, NULL) == 0, "no ring");
    check(pthread_create(&consumer, NULL, consume, NULL) == 0, "no thread");
    for (uint32_t i = 0; i < ROUNDS;) {
        struct descriptor *d = ring_slot(&ring);
        uint32_t length = 4 + i * 2654435761u % 6000;
        uint32_t offset = d ? arena_alloc(&arena, length) : ARENA_NONE;
        if (offset == ARENA_NONE) {
            arena_collect(&arena);
            continue;
        }
        memset(arena_at(&arena, offset), (int)(i & 0xff), length);
        d->offset = offset;
        d->length = length;
        ring_submit(&ring, d);
        i++;
    }
    pthread_join(consumer, NULL);
    arena_collect(&arena);
    check(arena.used_bytes == 0, "a block did not come back");
    printf("%u blocks went out and came back\n", (unsigned)ROUNDS);
    ring_destroy(&ring);
    arena_free(&arena);
    return 0;
}
