#include "model/distribution.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "model/special.h"

/* Steps of the integrals and searches over quantiles. */
enum { STEPS = 20000 };

static uint64_t capped(uint64_t ns)
{
    return ns < DISTRIBUTION_DRAW_MAX_NS ? ns : DISTRIBUTION_DRAW_MAX_NS;
}

/* Compared as double first: converting a larger one to uint64_t is undefined. */
static uint64_t rounded(double ns)
{
    return ns >= (double)DISTRIBUTION_DRAW_MAX_NS ? DISTRIBUTION_DRAW_MAX_NS : (uint64_t)(ns + 0.5);
}

/* Gamma of this shape and scale 1 (Marsaglia and Tsang, 2000). */
static double draw_gamma(double shape, struct random_stream *stream)
{
    double boost = 1;

    if (shape < 1) {
        boost = pow(1 - random_unit(stream), 1 / shape);
        shape += 1;
    }
    double d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        /* Half a step away from 0 and 1, where the quantile is infinite. */
        double x = normal_quantile(random_unit(stream) + 0x1.0p-54);
        double v = 1 + c * x;
        if (v <= 0)
            continue;
        v = v * v * v;
        if (log(1 - random_unit(stream)) < 0.5 * x * x + d - d * v + d * log(v))
            return boost * d * v;
    }
}

static double table_quantile(const struct distribution *distribution, double q)
{
    const struct distribution_point *table = distribution->table;
    size_t low = 0, high = distribution->point_count - 1;

    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (table[middle].fraction <= q)
            low = middle;
        else
            high = middle;
    }
    double width = table[high].fraction - table[low].fraction;
    double part = width > 0 ? (q - table[low].fraction) / width : 0;
    return (double)table[low].ns + part * ((double)table[high].ns - (double)table[low].ns);
}

static double total_weight(const struct distribution *distribution)
{
    double total = 0;

    for (size_t i = 0; i < distribution->part_count; i++)
        total += distribution->parts[i].weight;
    return total;
}

static uint64_t draw_part(const struct distribution *distribution, struct random_stream *stream)
{
    double left = random_unit(stream) * total_weight(distribution);
    size_t i = 0;

    while (i + 1 < distribution->part_count && left >= distribution->parts[i].weight)
        left -= distribution->parts[i++].weight;
    return distribution_draw(&distribution->parts[i].distribution, stream);
}

static double plain_quantile(const struct distribution *distribution, double q);

static uint64_t plain_draw(const struct distribution *distribution, struct random_stream *stream)
{
    double value_ns = (double)distribution->value_ns;

    switch (distribution->kind) {
    case DISTRIBUTION_CONSTANT:
        return distribution->value_ns;
    case DISTRIBUTION_UNIFORM:
        return random_range(stream, distribution->low_ns, distribution->high_ns);
    case DISTRIBUTION_EXPONENTIAL:
        return rounded(random_exponential(stream, value_ns));
    case DISTRIBUTION_GAMMA:
        return rounded(value_ns * draw_gamma(distribution->shape, stream));
    case DISTRIBUTION_MIXTURE:
        return draw_part(distribution, stream);
    case DISTRIBUTION_NORMAL:
    case DISTRIBUTION_LOGNORMAL:
    case DISTRIBUTION_PARETO:
    case DISTRIBUTION_WEIBULL:
    case DISTRIBUTION_EMPIRICAL: /* by inversion */
        return rounded(plain_quantile(distribution, random_unit(stream)));
    }
    abort(); /* not a kind: a caller's bug, never input */
}

uint64_t distribution_draw(const struct distribution *distribution, struct random_stream *stream)
{
    uint64_t ns = capped(capped(plain_draw(distribution, stream)) + distribution->shift_ns);

    return distribution->cap_ns > 0 && ns > distribution->cap_ns ? distribution->cap_ns : ns;
}

/* The part of all draws that is at most ns long, of a mixture's part: its quantile turned round. */
static double probability(const struct distribution *distribution, double ns)
{
    double low = 0, high = 1;

    while (high - low > 1e-13) {
        double middle = (low + high) / 2;
        if (distribution_quantile_ns(distribution, middle) <= ns)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static double mixture_quantile(const struct distribution *distribution, double q)
{
    double low = INFINITY, high = 0, total = total_weight(distribution);

    for (size_t i = 0; i < distribution->part_count; i++) {
        double part = distribution_quantile_ns(&distribution->parts[i].distribution, q);
        low = fmin(low, part);
        high = fmax(high, part);
    }
    while (high - low > 1e-9 * high + 1e-6) {
        double middle = (low + high) / 2, below = 0;
        for (size_t i = 0; i < distribution->part_count; i++)
            below += distribution->parts[i].weight / total *
                     probability(&distribution->parts[i].distribution, middle);
        if (below < q)
            low = middle;
        else
            high = middle;
    }
    return high;
}

/* The part of a normal distribution that lies below 0, and is cut off. */
static double normal_cut(const struct distribution *distribution)
{
    return normal_probability(-(double)distribution->value_ns / (double)distribution->deviation_ns);
}

static double plain_quantile(const struct distribution *distribution, double q)
{
    double value_ns = (double)distribution->value_ns, shape = distribution->shape;
    /* A stream draws 0 once in 2^53 times; the quantile there is minus infinity, or below. */
    double inside = fmin(fmax(q, 0x1.0p-54), 1 - 0x1.0p-53);

    switch (distribution->kind) {
    case DISTRIBUTION_CONSTANT:
        return value_ns;
    case DISTRIBUTION_UNIFORM:
        return (double)distribution->low_ns +
               q * ((double)distribution->high_ns - (double)distribution->low_ns);
    case DISTRIBUTION_EXPONENTIAL:
        return -value_ns * log1p(-q);
    case DISTRIBUTION_NORMAL: {
        double cut = normal_cut(distribution);
        return fmax(0, value_ns + (double)distribution->deviation_ns *
                                      normal_quantile(cut + inside * (1 - cut)));
    }
    case DISTRIBUTION_LOGNORMAL:
        return value_ns * exp(shape * normal_quantile(inside));
    case DISTRIBUTION_PARETO:
        return value_ns * exp(-log1p(-q) / shape);
    case DISTRIBUTION_WEIBULL:
        return value_ns * pow(-log1p(-q), 1 / shape);
    case DISTRIBUTION_GAMMA:
        return value_ns * gamma_quantile(shape, q);
    case DISTRIBUTION_EMPIRICAL:
        return table_quantile(distribution, q);
    case DISTRIBUTION_MIXTURE:
        return mixture_quantile(distribution, q);
    }
    abort();
}

double distribution_quantile_ns(const struct distribution *distribution, double q)
{
    double ns = plain_quantile(distribution, q) + (double)distribution->shift_ns;

    return distribution->cap_ns > 0 ? fmin(ns, (double)distribution->cap_ns) : ns;
}

static double table_mean(const struct distribution *distribution)
{
    const struct distribution_point *table = distribution->table;
    double sum = 0;

    for (size_t i = 0; i + 1 < distribution->point_count; i++)
        sum += (table[i + 1].fraction - table[i].fraction) *
               ((double)table[i].ns + (double)table[i + 1].ns) / 2;
    return sum;
}

static double mixture_mean(const struct distribution *distribution)
{
    double sum = 0, total = total_weight(distribution);

    for (size_t i = 0; i < distribution->part_count; i++)
        sum += distribution->parts[i].weight / total *
               distribution_mean_ns(&distribution->parts[i].distribution);
    return sum;
}

static double plain_mean(const struct distribution *distribution)
{
    double value_ns = (double)distribution->value_ns, shape = distribution->shape;

    switch (distribution->kind) {
    case DISTRIBUTION_CONSTANT:
    case DISTRIBUTION_EXPONENTIAL:
        return value_ns;
    case DISTRIBUTION_UNIFORM:
        return ((double)distribution->low_ns + (double)distribution->high_ns) / 2;
    case DISTRIBUTION_NORMAL: {
        double deviation_ns = (double)distribution->deviation_ns, x = value_ns / deviation_ns;
        double density = exp(-0.5 * x * x) / sqrt(2 * M_PI);
        return value_ns + deviation_ns * density / (1 - normal_cut(distribution));
    }
    case DISTRIBUTION_LOGNORMAL:
        return value_ns * exp(shape * shape / 2);
    case DISTRIBUTION_PARETO:
        return shape > 1 ? value_ns * shape / (shape - 1) : INFINITY;
    case DISTRIBUTION_WEIBULL:
        return value_ns * tgamma(1 + 1 / shape);
    case DISTRIBUTION_GAMMA:
        return value_ns * shape;
    case DISTRIBUTION_EMPIRICAL:
        return table_mean(distribution);
    case DISTRIBUTION_MIXTURE:
        return mixture_mean(distribution);
    }
    abort();
}

/*
 * The mean with a cap is the integral of the quantile, which a cap bounds; midpoints of q = 1 - (1
 * - u)^3 put most steps into the tail.
 */
static double capped_mean(const struct distribution *distribution)
{
    double sum = 0;

    if (distribution->kind == DISTRIBUTION_MIXTURE) {
        /* Capping each part caps the mixture. */
        double total = total_weight(distribution);
        for (size_t i = 0; i < distribution->part_count; i++) {
            struct distribution part = distribution->parts[i].distribution;
            uint64_t cap_ns = distribution->cap_ns > distribution->shift_ns
                                  ? distribution->cap_ns - distribution->shift_ns
                                  : 1;
            if (part.cap_ns == 0 || part.cap_ns > cap_ns)
                part.cap_ns = cap_ns;
            sum += distribution->parts[i].weight / total * distribution_mean_ns(&part);
        }
        return fmin(sum + (double)distribution->shift_ns, (double)distribution->cap_ns);
    }
    for (unsigned i = 0; i < STEPS; i++) {
        double rest = 1 - (i + 0.5) / STEPS;
        sum += 3 * rest * rest * distribution_quantile_ns(distribution, 1 - rest * rest * rest) /
               STEPS;
    }
    return sum;
}

double distribution_mean_ns(const struct distribution *distribution)
{
    if (distribution->cap_ns > 0)
        return capped_mean(distribution);
    return plain_mean(distribution) + (double)distribution->shift_ns;
}

static int check_table(const struct distribution *distribution, struct error **err)
{
    const struct distribution_point *table = distribution->table;
    size_t count = distribution->point_count;

    if (count < 2 || count > DISTRIBUTION_SAMPLES_MAX + 2)
        return error_make(err, EINVAL, "a quantile table has %zu points; give 2 to %d", count,
                          DISTRIBUTION_SAMPLES_MAX + 2);
    if (table[0].fraction != 0 || table[count - 1].fraction != 1)
        return error_make(err, EINVAL, "a quantile table goes from %g to %g; begin at 0, end at 1",
                          table[0].fraction, table[count - 1].fraction);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 &&
            !(table[i].fraction >= table[i - 1].fraction && table[i].ns >= table[i - 1].ns))
            return error_make(err, EINVAL, "a quantile table falls at point %zu; it must rise", i);
    }
    return 0;
}

static int check_at(const struct distribution *distribution, unsigned depth, struct error **err)
{
    switch (distribution->kind) {
    case DISTRIBUTION_CONSTANT:
    case DISTRIBUTION_EXPONENTIAL:
        return 0;
    case DISTRIBUTION_UNIFORM:
        if (distribution->low_ns > distribution->high_ns)
            return error_make(err, EINVAL, "a uniform distribution's low is above its high");
        return 0;
    case DISTRIBUTION_NORMAL:
        if (distribution->deviation_ns == 0)
            return error_make(err, EINVAL, "a standard deviation of 0; give one above 0");
        return 0;
    case DISTRIBUTION_LOGNORMAL:
    case DISTRIBUTION_PARETO:
    case DISTRIBUTION_WEIBULL:
    case DISTRIBUTION_GAMMA:
        if (!(distribution->shape > 0) || !isfinite(distribution->shape))
            return error_make(err, EINVAL, "a shape of %g; give a number above 0",
                              distribution->shape);
        return 0;
    case DISTRIBUTION_EMPIRICAL:
        return check_table(distribution, err);
    case DISTRIBUTION_MIXTURE:
        break;
    }
    if (depth == DISTRIBUTION_DEPTH_MAX)
        return error_make(err, EINVAL, "mixtures of mixtures deeper than %d",
                          DISTRIBUTION_DEPTH_MAX);
    if (distribution->part_count < 1 || distribution->part_count > DISTRIBUTION_PARTS_MAX)
        return error_make(err, EINVAL, "a mixture of %zu parts; give 1 to %d",
                          distribution->part_count, DISTRIBUTION_PARTS_MAX);
    for (size_t i = 0; i < distribution->part_count; i++) {
        const struct distribution_part *part = &distribution->parts[i];
        if (!(part->weight > 0) || !isfinite(part->weight))
            return error_make(err, EINVAL, "a weight of %g; give a number above 0", part->weight);
        int r = check_at(&part->distribution, depth + 1, err);
        if (r < 0)
            return error_prefix(err, r, "part %zu", i);
    }
    return 0;
}

int distribution_check(const struct distribution *distribution, struct error **err)
{
    return check_at(distribution, 1, err);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

int distribution_from_samples(double *samples_ns, size_t count,
                              struct distribution_point **ret_table, struct error **err)
{
    if (count < 1 || count > DISTRIBUTION_SAMPLES_MAX)
        return error_make(err, EINVAL, "%zu samples; give 1 to %d", count,
                          DISTRIBUTION_SAMPLES_MAX);
    for (size_t i = 0; i < count; i++)
        if (!(samples_ns[i] >= 0) || !isfinite(samples_ns[i]))
            return error_make(err, EINVAL, "sample %zu is %g ns; give durations of 0 or more", i,
                              samples_ns[i]);
    qsort(samples_ns, count, sizeof *samples_ns, compare);
    struct distribution_point *table = xcalloc(count + 2, sizeof *table);
    table[0] = (struct distribution_point){0, rounded(samples_ns[0])};
    for (size_t i = 0; i < count; i++)
        table[i + 1] =
            (struct distribution_point){((double)i + 0.5) / (double)count, rounded(samples_ns[i])};
    table[count + 1] = (struct distribution_point){1, rounded(samples_ns[count - 1])};
    *ret_table = table;
    return 0;
}
