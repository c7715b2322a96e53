#include "model/calendar.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/memory.h"

static bool before(const struct calendar_event *a, const struct calendar_event *b)
{
    return a->at_ns < b->at_ns || (a->at_ns == b->at_ns && a->number < b->number);
}

void calendar_add(struct calendar *calendar, double at_ns, uint32_t kind, uint32_t index,
                  uint32_t stamp)
{
    struct calendar_event event = {at_ns, calendar->added++, kind, index, stamp};
    size_t hole = calendar->count++;

    if (hole == calendar->capacity) {
        calendar->capacity = calendar->capacity ? 2 * calendar->capacity : 256;
        calendar->heap = xreallocarray(calendar->heap, calendar->capacity, sizeof *calendar->heap);
    }
    while (hole > 0 && before(&event, &calendar->heap[(hole - 1) / 2])) {
        calendar->heap[hole] = calendar->heap[(hole - 1) / 2];
        hole = (hole - 1) / 2;
    }
    calendar->heap[hole] = event;
}

double calendar_next_ns(const struct calendar *calendar)
{
    return calendar->count > 0 ? calendar->heap[0].at_ns : INFINITY;
}

struct calendar_event calendar_take(struct calendar *calendar)
{
    struct calendar_event *heap = calendar->heap, first = heap[0];
    struct calendar_event last = heap[--calendar->count];
    size_t hole = 0;

    for (;;) {
        size_t child = 2 * hole + 1;
        if (child >= calendar->count)
            break;
        if (child + 1 < calendar->count && before(&heap[child + 1], &heap[child]))
            child++;
        if (!before(&heap[child], &last))
            break;
        heap[hole] = heap[child];
        hole = child;
    }
    heap[hole] = last;
    return first;
}

void calendar_release(struct calendar *calendar)
{
    free(calendar->heap);
    *calendar = (struct calendar){.count = 0};
}
