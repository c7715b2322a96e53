#include "ctl/histogram.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

struct histogram *histogram_new(void)
{
    struct histogram *histogram = xmalloc(sizeof(*histogram));
    histogram_clear(histogram);
    return histogram;
}

void histogram_free(struct histogram *histogram)
{
    free(histogram);
}

void histogram_clear(struct histogram *histogram)
{
    memset(histogram, 0, sizeof(*histogram));
    histogram->min = UINT64_MAX;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    into->count += from->count;
    into->sum += from->sum;
    if (from->min < into->min)
        into->min = from->min;
    if (from->max > into->max)
        into->max = from->max;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        into->buckets[i] += from->buckets[i];
}

/* The middle of a bucket: the inverse of histogram_bucket(). */
static uint64_t bucket_middle(unsigned bucket)
{
    if (bucket < 2 * HISTOGRAM_SUB_COUNT)
        return bucket; /* one value a bucket */
    unsigned shift = bucket / HISTOGRAM_SUB_COUNT - 1;
    uint64_t low = (uint64_t)(bucket - shift * HISTOGRAM_SUB_COUNT) << shift;
    return low + ((UINT64_C(1) << shift) >> 1);
}

uint64_t histogram_quantile(const struct histogram *histogram, double quantile)
{
    if (histogram->count == 0)
        return 0;
    uint64_t rank = quantile <= 0 ? 1 : (uint64_t)ceil(quantile * (double)histogram->count);
    if (rank >= histogram->count)
        return histogram->max;
    uint64_t seen = 0, value = histogram->max;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen >= rank) {
            value = bucket_middle(i);
            break;
        }
    }
    if (value < histogram->min)
        return histogram->min;
    return value > histogram->max ? histogram->max : value;
}

double histogram_mean(const struct histogram *histogram)
{
    return histogram->count ? histogram->sum / (double)histogram->count : 0;
}
