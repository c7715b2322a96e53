/* Functions of statistics that the C library does not have. Pure; any thread. */
#ifndef DPUMESH_MODEL_SPECIAL_H
#define DPUMESH_MODEL_SPECIAL_H

/* The standard normal distribution function. */
double normal_probability(double x);

/* Its inverse for 0 < p < 1, to 1e-15 of p (Acklam's approximation and one step of Halley). */
double normal_quantile(double p);

/* The regularised lower incomplete gamma function P(shape, x), shape > 0, x >= 0. */
double gamma_probability(double shape, double x);

/* Its inverse in x, 0 <= p < 1, to a relative 1e-12. */
double gamma_quantile(double shape, double p);

#endif
