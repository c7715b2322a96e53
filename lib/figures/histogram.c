#include "figures/histogram.h"

#include <math.h>

double agent_histogram_count(const struct agent_histogram *histogram)
{
    return histogram->bound_count > 0 ? histogram->counts[histogram->bound_count - 1] : NAN;
}

double agent_quantile(const struct agent_histogram *histogram, double q)
{
    double observations = agent_histogram_count(histogram), start = 0;
    unsigned last = histogram->bound_count - 1, bucket = 0;

    if (!(q >= 0 && q <= 1) || !(observations > 0) || last == 0)
        return NAN;
    double rank = q * observations;
    while (bucket < last && histogram->counts[bucket] < rank)
        bucket++;
    if (bucket == last)
        return histogram->bounds[last - 1];
    double count = histogram->counts[bucket];
    if (bucket > 0) {
        start = histogram->bounds[bucket - 1];
        count -= histogram->counts[bucket - 1];
        rank -= histogram->counts[bucket - 1];
    } else if (histogram->bounds[0] <= 0) {
        return histogram->bounds[0];
    }
    return start + (histogram->bounds[bucket] - start) * (rank / count);
}
