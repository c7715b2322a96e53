/*
 * Completion interrupts with coalescing: messages are held until so many have gathered, or the
 * oldest has waited so long (the keep-alive poll), and then delivered together.
 *
 *     coalescer_offer(&coalescer, now_ns, bytes)        a completion; true: deliver now
 *     coalescer_due_ns(&coalescer)                      else by the timer
 *     count = coalescer_deliver(&coalescer, now_ns);
 *
 * Time is an argument and never goes back. O(1) an event. Plain memory, one thread.
 */
#ifndef DPUMESH_MODEL_COALESCER_H
#define DPUMESH_MODEL_COALESCER_H

#include <stdbool.h>

#include "model/account.h"

struct coalescer {
    double count_max;      /* deliver as soon as so many wait, on the average where that is no whole
                              number; 1 or less: each at once */
    double limit, missing; /* this time, and what earlier ones were short of count_max */
    double timer_ns;       /* deliver at the latest so long after the oldest came */
    double waiting;        /* messages */
    double oldest_ns;      /* when the oldest came */
    double counted_ns;     /* account.wait_ns is right up to here */
    struct account account; /* operations are interrupts */
};

/* Makes an empty one. */
void coalescer_init(struct coalescer *coalescer, double count_max, double timer_ns);

/* A completion comes. True: the count is reached, deliver now. */
bool coalescer_offer(struct coalescer *coalescer, double now_ns, double bytes);

/* When the timer delivers what waits; infinity when nothing waits. */
double coalescer_due_ns(const struct coalescer *coalescer);

/* Delivers all that wait, now; returns how many. */
unsigned coalescer_deliver(struct coalescer *coalescer, double now_ns);

#endif
