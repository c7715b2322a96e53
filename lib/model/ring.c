#include "model/ring.h"

#include <stdlib.h>

#include "base/memory.h"

void ring_init(struct ring *ring, size_t slots, struct account *account)
{
    *ring = (struct ring){
        .slots = slots, .leave_ns = xcalloc(slots, sizeof *ring->leave_ns), .account = account};
}

size_t ring_depth(struct ring *ring, double now_ns)
{
    while (ring->known > 0 && ring->leave_ns[ring->first] <= now_ns) {
        ring->first = ring->first + 1 < ring->slots ? ring->first + 1 : 0;
        ring->known--;
        ring->count--;
    }
    return ring->count;
}

bool ring_enter(struct ring *ring, double now_ns)
{
    if (ring->count == ring->slots && ring_depth(ring, now_ns) == ring->slots) {
        ring->account->drops++;
        return false;
    }
    ring->count++;
    if (ring->count > ring->account->high_water) {
        /* Those that have left are taken out late; a mark must not count them. */
        size_t depth = ring_depth(ring, now_ns);
        if (depth > ring->account->high_water)
            ring->account->high_water = depth;
    }
    return true;
}

void ring_leaves(struct ring *ring, double leave_ns)
{
    size_t index = ring->first + ring->known++;

    ring->leave_ns[index < ring->slots ? index : index - ring->slots] = leave_ns;
}

void ring_release(struct ring *ring)
{
    free(ring->leave_ns);
    *ring = (struct ring){.slots = 0};
}
