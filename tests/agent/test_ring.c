#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/ring.h"
#include "model/random.h"

/* Starts both indices `before` submissions short of the wrap of 2^32, as if that many had gone
 * through already. */
static void start_near_wrap(struct ring *ring, uint32_t before)
{
    uint32_t at = 0u - before;
    ring->tail = ring->seen_head = ring->taken = ring->head = at;
    for (uint32_t i = at - ring_capacity(ring); i != at; i++)
        ring->slots[i & ring->mask].sequence = i + 1;
}

/* Against a queue, which is two counters when the values are their own numbers. */
static void against_model(uint32_t capacity, uint32_t before_wrap, uint64_t seed)
{
    struct ring ring;
    struct random_stream r;
    uint64_t submitted = 0, popped = 0, released = 0;
    random_seed(&r, seed, 0);
    cr_assert_eq(ring_init(&ring, capacity, NULL), 0);
    if (before_wrap)
        start_near_wrap(&ring, before_wrap);
    for (unsigned step = 0; step < 60000; step++) {
        uint64_t burst = random_range(&r, 1, 2 * capacity < 40 ? 2 * capacity : 40);
        switch (random_range(&r, 0, 2)) {
        case 0:
            for (; burst > 0; burst--) {
                uint32_t free_slots = capacity - (uint32_t)(submitted - released);
                uint32_t wanted = (uint32_t)random_range(&r, 1, capacity);
                uint32_t room = ring_room(&ring, wanted);
                cr_assert_leq(room, free_slots);
                cr_assert(room >= wanted || room == free_slots, "room is exact when it is short");
                struct descriptor *d = ring_slot(&ring);
                cr_assert_eq(d == NULL, free_slots == 0);
                if (!d)
                    break;
                d->tag = (uint32_t)submitted;
                d->offset = (uint32_t)(submitted * 2654435761u);
                ring_submit(&ring, d);
                submitted++;
            }
            break;
        case 1:
            for (; burst > 0; burst--) {
                const struct descriptor *peeked = ring_peek(&ring);
                const struct descriptor *d = ring_pop(&ring);
                cr_assert_eq(peeked, d);
                cr_assert_eq(d == NULL, popped == submitted);
                if (!d)
                    break;
                cr_assert_eq(d->tag, (uint32_t)popped);
                cr_assert_eq(d->offset, (uint32_t)(popped * 2654435761u));
                popped++;
            }
            break;
        default:
            cr_assert_eq(ring_release(&ring), released != popped);
            released = popped;
        }
        cr_assert_eq(ring_depth(&ring), submitted - popped);
        uint32_t ahead = (uint32_t)random_range(&r, 0, capacity - 1);
        uint32_t tag = ring_tag_ahead(&ring, ahead);
        cr_assert_eq(tag, popped + ahead < submitted ? (uint32_t)(popped + ahead) : 0);
    }
    cr_assert_gt(submitted, 1000);
    ring_destroy(&ring);
}

Test(ring, is_a_queue_also_across_the_wrap_of_its_indices)
{
    for (uint32_t capacity = 2; capacity <= 1024; capacity *= 2) {
        against_model(capacity, 0, capacity);
        against_model(capacity, 1, capacity + 1);
        against_model(capacity, 3 * capacity + 1, capacity + 2);
    }
}

Test(ring, bounds)
{
    struct ring ring;
    static const uint32_t bad[] = {0, 1, 3, 24, 65535, 65537, 131072, UINT32_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cleanup_error struct error *err = NULL;
        cr_assert_eq(ring_init(&ring, bad[i], &err), -EINVAL, "%u", bad[i]);
        cr_assert(strstr(error_message(err), "power of two from 2 to 65536"));
    }
    cr_assert_eq(ring_init(&ring, 65536, NULL), 0);
    cr_assert_eq(ring_capacity(&ring), 65536);
    cr_assert_null(ring_pop(&ring));
    cr_assert_not(ring_release(&ring));
    ring_destroy(&ring);
}
