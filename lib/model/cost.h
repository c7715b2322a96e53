/*
 * What one message costs at a station: a fixed part, a part a copy, a part a byte. A message larger
 * than the largest copy is split, a smaller one is one copy, unless several fit into a segment and
 * share its copy. A station may look at a header only while the body moves by DMA: touched_bytes.
 */
#ifndef DPUMESH_MODEL_COST_H
#define DPUMESH_MODEL_COST_H

struct cost {
    double message_ns;    /* a message */
    double copy_ns;       /* a copy (descriptor, DMA operation) */
    double byte_ns;       /* a byte that is touched */
    double segment_bytes; /* messages up to this size share a copy; 0: each has its own */
    double largest_bytes; /* of one copy; 0: no limit */
    double touched_bytes; /* of a message, from its beginning; 0: all */
};

/*
 * Copies a message of that many bytes takes when the path is busy, so that copies are full: its
 * share of one when it is smaller than a segment, one up to the largest copy, and beyond that its
 * share of several, for the rest of one message and the begin of the next fill a copy together.
 */
double cost_copies(const struct cost *cost, double frame_bytes);

/* Bytes of it that the station touches. */
double cost_bytes(const struct cost *cost, double frame_bytes);

/* Its service time in ns. */
double cost_ns(const struct cost *cost, double frame_bytes);

#endif
