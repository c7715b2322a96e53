/*
 * agent/ring.h as a variant of bench/rings.c: every pop is released at once, which is what a
 * hop of a lone request costs.
 */
#ifndef DPUMESH_BENCH_RING_AGENT_H
#define DPUMESH_BENCH_RING_AGENT_H

#include <stdio.h>
#include <stdlib.h>

#include "agent/ring.h"

struct desc_agent {
    uint64_t sequence;
    uint64_t stamp;
};

struct ring_agent {
    struct ring ring;
};

/* The slots stay mapped until the program ends: 128 KiB a run. */
static inline void ring_agent_init(struct ring_agent *r, unsigned batch)
{
    (void)batch;
    cleanup_error struct error *err = NULL;
    if (ring_init(&r->ring, 4096, &err) < 0) {
        fprintf(stderr, "rings: %s\n", error_message(err));
        exit(1);
    }
}

static inline bool ring_agent_push(struct ring_agent *r, const struct desc_agent *d)
{
    struct descriptor *slot = ring_slot(&r->ring);
    if (!slot)
        return false;
    slot->tag = (uint32_t)d->sequence;
    slot->offset = (uint32_t)d->stamp;
    slot->length = (uint32_t)(d->stamp >> 32);
    ring_submit(&r->ring, slot);
    return true;
}

static inline bool ring_agent_pop(struct ring_agent *r, struct desc_agent *d)
{
    const struct descriptor *slot = ring_pop(&r->ring);
    if (!slot)
        return false;
    d->sequence = slot->tag;
    d->stamp = slot->offset | (uint64_t)slot->length << 32;
    ring_release(&r->ring);
    return true;
}

static inline void ring_agent_flush(struct ring_agent *r)
{
    (void)r;
}

#endif
