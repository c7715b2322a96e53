#include "model/special.h"

#include <math.h>

double normal_probability(double x)
{
    return 0.5 * erfc(-x * M_SQRT1_2);
}

/* Peter Acklam's rational approximation, 2003: relative error below 1.15e-9. */
static double normal_quantile_rough(double p)
{
    static const double a[] = {-3.969683028665376e+01, 2.209460984245205e+02,
                               -2.759285104469687e+02, 1.383577518672690e+02,
                               -3.066479806614716e+01, 2.506628277459239e+00};
    static const double b[] = {-5.447609879822406e+01, 1.615858368580409e+02,
                               -1.556989798598866e+02, 6.680131188771972e+01,
                               -1.328068155288572e+01};
    static const double c[] = {-7.784894002430293e-03, -3.223964580411365e-01,
                               -2.400758277161838e+00, -2.549732539343734e+00,
                               4.374664141464968e+00,  2.938163982698783e+00};
    static const double d[] = {7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00,
                               3.754408661907416e+00};
    static const double low = 0.02425;

    if (p < low || p > 1 - low) {
        double q = sqrt(-2 * log(p < low ? p : 1 - p));
        double x = (((((c[0] * q + c[1]) * q + c[2]) * q + c[3]) * q + c[4]) * q + c[5]) /
                   ((((d[0] * q + d[1]) * q + d[2]) * q + d[3]) * q + 1);
        return p < low ? x : -x;
    }
    double q = p - 0.5, r = q * q;
    return (((((a[0] * r + a[1]) * r + a[2]) * r + a[3]) * r + a[4]) * r + a[5]) * q /
           (((((b[0] * r + b[1]) * r + b[2]) * r + b[3]) * r + b[4]) * r + 1);
}

double normal_quantile(double p)
{
    double x = normal_quantile_rough(p);
    double error = normal_probability(x) - p;
    double u = error * sqrt(2 * M_PI) * exp(x * x / 2);

    return x - u / (1 + x * u / 2);
}

/* Abramowitz and Stegun 6.5.29: a series that converges fast for x < shape + 1. */
static double gamma_series(double shape, double x)
{
    double term = 1 / shape, sum = term;

    for (unsigned n = 1; n < 10000 && term > 1e-16 * sum; n++) {
        term *= x / (shape + n);
        sum += term;
    }
    return sum * exp(shape * log(x) - x - lgamma(shape));
}

/* 6.5.31: a continued fraction for the rest, by Lentz's method. */
static double gamma_fraction(double shape, double x)
{
    double b = x + 1 - shape, c = 1e300, d = 1 / b, h = d;

    for (unsigned n = 1; n < 10000; n++) {
        double a = n * (shape - n);
        b += 2;
        d = 1 / (a * d + b);
        c = b + a / c;
        h *= c * d;
        if (fabs(c * d - 1) < 1e-16)
            break;
    }
    return h * exp(shape * log(x) - x - lgamma(shape));
}

double gamma_probability(double shape, double x)
{
    if (x <= 0)
        return 0;
    return x < shape + 1 ? gamma_series(shape, x) : 1 - gamma_fraction(shape, x);
}

double gamma_quantile(double shape, double p)
{
    double low = 0, high = shape + 1;

    if (p <= 0)
        return 0;
    while (gamma_probability(shape, high) < p)
        high *= 2;
    /* Small shapes have quantiles near 0: halving finds their magnitude too. */
    for (unsigned i = 0; i < 2000 && high - low > 1e-13 * high; i++) {
        double middle =
            low > 0 ? (high > 4 * low ? sqrt(low * high) : (low + high) / 2) : high / 16;
        if (gamma_probability(shape, middle) < p)
            low = middle;
        else
            high = middle;
        if (high < 1e-300)
            break;
    }
    return (low + high) / 2;
}
