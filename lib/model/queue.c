#include "model/queue.h"

#include <stdlib.h>

#include "base/memory.h"

void queue_grow(struct queue *queue)
{
    size_t capacity = queue->capacity ? 2 * queue->capacity : 1024;
    double *items = xcalloc(capacity, sizeof *items);

    for (size_t i = 0; i < queue->count; i++)
        items[i] = queue->items[(queue->first + i) & (queue->capacity - 1)];
    free(queue->items);
    *queue = (struct queue){.items = items, .capacity = capacity, .count = queue->count};
}

void queue_release(struct queue *queue)
{
    free(queue->items);
    *queue = (struct queue){.items = NULL};
}
