#include "model/distribution.h"

#include <math.h>
#include <stdlib.h>

static uint64_t capped(uint64_t ns)
{
    return ns < DISTRIBUTION_DRAW_MAX_NS ? ns : DISTRIBUTION_DRAW_MAX_NS;
}

uint64_t distribution_draw(const struct distribution *distribution, struct random_stream *stream)
{
    double ns;

    switch (distribution->kind) {
    case DISTRIBUTION_CONSTANT:
        return capped(distribution->value_ns);
    case DISTRIBUTION_UNIFORM:
        return capped(random_range(stream, distribution->low_ns, distribution->high_ns));
    case DISTRIBUTION_EXPONENTIAL:
        ns = random_exponential(stream, (double)distribution->value_ns);
        /* Compared as double first: converting a larger one to uint64_t is undefined. */
        return ns >= (double)DISTRIBUTION_DRAW_MAX_NS ? DISTRIBUTION_DRAW_MAX_NS
                                                      : (uint64_t)(ns + 0.5);
    }
    abort(); /* not a kind: a caller's bug, never input */
}

double distribution_mean_ns(const struct distribution *distribution)
{
    switch (distribution->kind) {
    case DISTRIBUTION_CONSTANT:
    case DISTRIBUTION_EXPONENTIAL:
        return (double)distribution->value_ns;
    case DISTRIBUTION_UNIFORM:
        return ((double)distribution->low_ns + (double)distribution->high_ns) / 2;
    }
    abort();
}

double distribution_quantile_ns(const struct distribution *distribution, double q)
{
    switch (distribution->kind) {
    case DISTRIBUTION_CONSTANT:
        return (double)distribution->value_ns;
    case DISTRIBUTION_UNIFORM:
        return (double)distribution->low_ns +
               q * ((double)distribution->high_ns - (double)distribution->low_ns);
    case DISTRIBUTION_EXPONENTIAL:
        return -(double)distribution->value_ns * log1p(-q);
    }
    abort();
}
