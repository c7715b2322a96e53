#include "model/latency.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { SUB_BITS = 10, SUB_COUNT = 1 << SUB_BITS, POWERS = 41, BUCKETS = POWERS * SUB_COUNT };

void latency_init(struct latency *latency)
{
    *latency = (struct latency){.buckets = xcalloc(BUCKETS, sizeof *latency->buckets)};
}

/* The leading bits of a double are its exponent and then its mantissa: a log-linear scale. */
static unsigned bucket_of(double ns)
{
    uint64_t bits;

    if (!(ns > 1))
        return 0;
    memcpy(&bits, &ns, sizeof bits);
    uint64_t bucket = (bits >> (52 - SUB_BITS)) - (UINT64_C(1023) << SUB_BITS);
    return bucket < BUCKETS ? (unsigned)bucket : BUCKETS - 1;
}

void latency_record(struct latency *latency, double ns, uint32_t count)
{
    latency->buckets[bucket_of(ns)] += count;
    latency->count += count;
    latency->sum_ns += ns * count;
    if (ns > latency->max_ns)
        latency->max_ns = ns;
}

double latency_quantile(const struct latency *latency, double q)
{
    uint64_t rank = (uint64_t)ceil(q * (double)latency->count), seen = 0;

    if (latency->count == 0)
        return 0;
    for (unsigned i = 0; i < BUCKETS; i++) {
        seen += latency->buckets[i];
        if (seen >= rank && seen > 0)
            return fmin(ldexp(1 + (i % SUB_COUNT + 0.5) / SUB_COUNT, (int)(i / SUB_COUNT)),
                        latency->max_ns);
    }
    return latency->max_ns;
}

void latency_release(struct latency *latency)
{
    free(latency->buckets);
    *latency = (struct latency){.count = 0};
}
