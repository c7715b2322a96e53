/*
 * A log-linear histogram in the manner of HdrHistogram: every power of two is cut into 4096 equal
 * buckets, so that a quantile is at most 1/8192 (0.012 %) from a value that was recorded, whatever
 * the range: 6 us beside a simulated latency of 50 ms. Values are unsigned integers, here
 * nanoseconds; those above HISTOGRAM_VALUE_MAX share the last bucket, but max stays exact.
 *
 *     struct histogram *latency = histogram_new();
 *     histogram_record(latency, elapsed_ns);
 *     p99 = histogram_quantile(latency, 0.99);
 *     histogram_free(latency);
 *
 * A histogram belongs to one thread; each thread keeps its own and histogram_merge() adds them up
 * after the threads were joined. Recording allocates nothing.
 */
#ifndef DPUMESH_CTL_HISTOGRAM_H
#define DPUMESH_CTL_HISTOGRAM_H

#include <stdint.h>
#include <stdlib.h>

#include "base/cleanup.h"

enum {
    HISTOGRAM_SUB_BITS = 12, /* 2^12 buckets a power of two */
    HISTOGRAM_SUB_COUNT = 1 << HISTOGRAM_SUB_BITS,
    HISTOGRAM_MAX_BITS = 44, /* 2^44 ns: 4.9 hours */
    HISTOGRAM_BUCKETS = (HISTOGRAM_MAX_BITS - HISTOGRAM_SUB_BITS + 1) * HISTOGRAM_SUB_COUNT
};

#define HISTOGRAM_VALUE_MAX ((UINT64_C(1) << HISTOGRAM_MAX_BITS) - 1)

struct histogram {
    uint64_t count; /* values recorded */
    uint64_t min;   /* UINT64_MAX while empty */
    uint64_t max;   /* exact; 0 while empty */
    double sum;     /* of all values */
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* The bucket of a value: values below 4096 have one each, then 4096 a power of two. */
static inline unsigned histogram_bucket(uint64_t value)
{
    if (value > HISTOGRAM_VALUE_MAX)
        value = HISTOGRAM_VALUE_MAX;
    if (value < HISTOGRAM_SUB_COUNT)
        return (unsigned)value;
    unsigned shift = 63 - (unsigned)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;
    return shift * HISTOGRAM_SUB_COUNT + (unsigned)(value >> shift);
}

/* Counts one value. */
static inline void histogram_record(struct histogram *histogram, uint64_t value)
{
    histogram->count++;
    histogram->sum += (double)value;
    if (value < histogram->min)
        histogram->min = value;
    if (value > histogram->max)
        histogram->max = value;
    histogram->buckets[histogram_bucket(value)]++;
}

/* An empty histogram, about 38 KiB; owned by the caller. Never NULL. */
struct histogram *histogram_new(void) __attribute__((returns_nonnull));

/* Frees it; NULL is fine. */
void histogram_free(struct histogram *histogram);

/* Empties it. */
void histogram_clear(struct histogram *histogram);

/* Adds the counts of `from` to `into`. */
void histogram_merge(struct histogram *into, const struct histogram *from);

/*
 * The smallest recorded value, to a bucket's middle, that at least `quantile` (0 to 1) of the
 * values do not pass: nearest rank. Never outside min and max; quantile 1 is max exactly; 0 while
 * empty.
 */
uint64_t histogram_quantile(const struct histogram *histogram, double quantile);

/* The arithmetic mean, exact but for rounding; 0 while empty. */
double histogram_mean(const struct histogram *histogram);

static inline void histogram_cleanup_fn(struct histogram **histogram)
{
    histogram_free(*histogram);
}
#define cleanup_histogram CLEANUP(histogram_cleanup_fn)

#endif
