/*
 * What a station did, for reports: plain numbers that its owner may read at any time and reset to
 * zero. Whose CPU a busy time is (the host's, the DPU's) is known to who owns the station.
 */
#ifndef DPUMESH_MODEL_ACCOUNT_H
#define DPUMESH_MODEL_ACCOUNT_H

#include <stddef.h>
#include <stdint.h>

struct account {
    double busy_ns;      /* of all its servers together */
    uint64_t operations; /* services, batches or copies done */
    uint64_t messages;   /* in them */
    double bytes;        /* that the station itself touched */
    uint64_t waits;      /* messages that found it busy */
    double wait_ns;      /* they waited, together */
    uint64_t drops;      /* refused by a full ring */
    size_t high_water;   /* most messages waiting or in service at once */
};

#endif
