#include "model/slots.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

uint32_t slots_take(struct slots *slots)
{
    if (slots->first_free_plus_one > 0) {
        uint32_t index = slots->first_free_plus_one - 1;
        slots->first_free_plus_one = slots->free_next[index];
        return index;
    }
    if (slots->used == slots->capacity) {
        uint32_t capacity = slots->capacity ? 2 * slots->capacity : 64;
        slots->items = xreallocarray(slots->items, capacity, slots->size);
        slots->free_next = xreallocarray(slots->free_next, capacity, sizeof *slots->free_next);
        slots->capacity = capacity;
    }
    memset(slots_at(slots, slots->used), 0, slots->size);
    return slots->used++;
}

void slots_give(struct slots *slots, uint32_t index)
{
    slots->free_next[index] = slots->first_free_plus_one;
    slots->first_free_plus_one = index + 1;
}

void slots_release(struct slots *slots)
{
    free(slots->items);
    free(slots->free_next);
    *slots = (struct slots){.size = slots->size};
}
