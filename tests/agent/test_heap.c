/* Deadlines come out in order, whatever was moved and taken back in between. */
#include <criterion/criterion.h>

#include "agent/heap.h"
#include "model/random.h"

enum { OWNERS = 500 };

static uint32_t place[OWNERS];
static uint64_t when[OWNERS];

/* The earliest owner that is in, by looking at all of them. */
static uint64_t earliest(void)
{
    uint64_t first = UINT64_MAX;
    for (unsigned i = 0; i < OWNERS; i++)
        if (place[i] != HEAP_NONE && when[i] < first)
            first = when[i];
    return first;
}

Test(heap, against_a_search)
{
    struct heap heap = {0};
    struct random_stream dice;
    random_seed(&dice, 11, 0);
    for (unsigned i = 0; i < OWNERS; i++)
        place[i] = HEAP_NONE;
    for (unsigned step = 0; step < 20000; step++) {
        uint32_t owner = (uint32_t)random_range(&dice, 0, OWNERS - 1);
        if (random_range(&dice, 0, 2)) {
            when[owner] = random_range(&dice, 0, 1000);
            heap_set(&heap, owner, &place[owner], when[owner]);
        } else {
            heap_clear(&heap, &place[owner]);
        }
        cr_assert_eq(heap_next_ns(&heap), earliest(), "step %u", step);
    }
    for (uint64_t last = 0; heap.count > 0;) {
        struct heap_entry entry = heap.entries[0];
        cr_assert_geq(entry.when_ns, last);
        cr_assert_eq(entry.when_ns, when[entry.owner]);
        last = entry.when_ns;
        heap_clear(&heap, &place[entry.owner]);
        cr_assert_eq(place[entry.owner], HEAP_NONE);
    }
    cr_assert_eq(heap_next_ns(&heap), UINT64_MAX);
    heap_destroy(&heap);
}
