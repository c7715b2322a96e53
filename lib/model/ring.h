/*
 * A bounded ring between two stations: it counts who is in it and refuses who does not fit. Entries
 * come and go in order. When an entry leaves may be known as it enters (the station behind serves
 * first come, first served) or only later (the station takes batches):
 *
 *     struct ring ring;
 *     ring_init(&ring, 4096, &account);
 *     if (ring_enter(&ring, now_ns))
 *         ring_leaves(&ring, station_serve(&station, now_ns, service_ns));
 *     ring_release(&ring);
 *
 * Time is an argument and never goes back. A ring owns its memory and belongs to one thread.
 */
#ifndef DPUMESH_MODEL_RING_H
#define DPUMESH_MODEL_RING_H

#include <stdbool.h>
#include <stddef.h>

#include "model/account.h"

/* No ring has more slots than this: 4 M of 64 bytes fill 256 MiB of registered memory. */
enum { RING_SLOTS_MAX = 1 << 22 };

struct ring {
    size_t slots;
    size_t first;     /* index of the oldest entry */
    size_t count;     /* entries in it */
    size_t known;     /* entries, from the oldest, whose time of leaving is known */
    double *leave_ns; /* circular, slots long */
    struct account *account;
};

/* Makes an empty ring of 1 to RING_SLOTS_MAX slots. account counts drops and the high-water mark;
 * it is borrowed. */
void ring_init(struct ring *ring, size_t slots, struct account *account);

/* Takes out all that have left by now, then puts one in. False, and a drop, when it is full. O(1)
 * over the life of an entry. */
bool ring_enter(struct ring *ring, double now_ns);

/* The oldest entry whose leaving is not known yet leaves at that time, not before those ahead. */
void ring_leaves(struct ring *ring, double leave_ns);

/* How many are in it whose leaving is not known yet. */
static inline size_t ring_unknown(const struct ring *ring)
{
    return ring->count - ring->known;
}

/* How many are in it now. */
size_t ring_depth(struct ring *ring, double now_ns);

/* Frees the memory. */
void ring_release(struct ring *ring);

#endif
