/* Private to the simulation: a queue of times that grows as it must. */
#ifndef DPUMESH_MODEL_QUEUE_H
#define DPUMESH_MODEL_QUEUE_H

#include <stddef.h>

struct queue {
    double *items; /* circular; capacity is a power of two, or 0 */
    size_t capacity, first, count;
};

/* Doubles the room. */
void queue_grow(struct queue *queue);

/* Frees the memory; the queue is empty again. */
void queue_release(struct queue *queue);

static inline void queue_push(struct queue *queue, double item)
{
    if (queue->count == queue->capacity)
        queue_grow(queue);
    queue->items[(queue->first + queue->count++) & (queue->capacity - 1)] = item;
}

static inline double queue_pop(struct queue *queue)
{
    double item = queue->items[queue->first];
    queue->first = (queue->first + 1) & (queue->capacity - 1);
    queue->count--;
    return item;
}

#endif
