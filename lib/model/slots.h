/* Private to the simulation: records by index, of which free ones are used again. */
#ifndef DPUMESH_MODEL_SLOTS_H
#define DPUMESH_MODEL_SLOTS_H

#include <stddef.h>
#include <stdint.h>

enum { SLOT_NONE = UINT32_MAX };

struct slots {
    size_t size; /* of a record; set before the first is taken */
    char *items;
    uint32_t *free_next; /* of a free one; beside the items, so that these keep what they hold */
    uint32_t capacity, used, first_free_plus_one;
};

/* The index of a record; what it holds is what it held when it was given back, zero at first. Moves
 * all records: pointers from slots_at() are void. */
uint32_t slots_take(struct slots *slots);

/* Gives one back. */
void slots_give(struct slots *slots, uint32_t index);

static inline void *slots_at(const struct slots *slots, uint32_t index)
{
    return slots->items + slots->size * index;
}

/* Frees the memory. */
void slots_release(struct slots *slots);

#endif
