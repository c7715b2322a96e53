/*
 * What happens next, in virtual time: a heap of events. Events of the same time come in the order
 * in which they were added, so that the same run gives the same result.
 *
 *     calendar_add(&calendar, now_ns + 5, EVENT_DONE, index, stamp);
 *     while (calendar_next_ns(&calendar) < end_ns)
 *         struct calendar_event event = calendar_take(&calendar);
 *
 * What an event means is its owner's. One that is not wanted any more is not taken out, but known
 * by its stamp when it comes. O(log events). Owns its memory; one thread.
 */
#ifndef DPUMESH_MODEL_CALENDAR_H
#define DPUMESH_MODEL_CALENDAR_H

#include <stddef.h>
#include <stdint.h>

struct calendar_event {
    double at_ns;
    uint64_t number; /* order of equals; the calendar's own */
    uint32_t kind, index, stamp;
};

struct calendar {
    struct calendar_event *heap;
    size_t count, capacity;
    uint64_t added;
};

/* Adds an event; at_ns may lie before what was taken last (it comes next then). */
void calendar_add(struct calendar *calendar, double at_ns, uint32_t kind, uint32_t index,
                  uint32_t stamp);

/* When the next event is; infinity when there is none. */
double calendar_next_ns(const struct calendar *calendar);

/* Takes the next event; there is one. */
struct calendar_event calendar_take(struct calendar *calendar);

/* Frees the memory; the calendar is empty again. */
void calendar_release(struct calendar *calendar);

#endif
