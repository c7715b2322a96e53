/*
 * Private to the fit: its problem as the optimiser sees it. Points are logarithms of parameters, in
 * those of others where their prior has a scale.
 */
#ifndef DPUMESH_CTL_FIT_PRIVATE_H
#define DPUMESH_CTL_FIT_PRIVATE_H

#include "ctl/fit.h"

enum { FIT_POWERS_MAX = 3 };

/*
 * How much a row is usually off, and how strong the prior is: a parameter one spread off costs as
 * much as one row 10 %, so that prior and rows weigh as Bayes' rule has it.
 */
#define FIT_USUAL_ERROR 0.1

/* A power of a parameter's value; 0: none. */
struct fit_power {
    enum profile_parameter of;
    int power;
};

/*
 * A parameter that is fitted: its bounds, its usual value, and the spread of that, natural log.
 * What is known beforehand is often not the parameter but what it is in others (a hold-off in
 * wake-ups): bounds and usual value are those of value / scale, where scale is a product of powers
 * of parameters that stand before this one in the table, or are not fitted. So are points.
 */
struct fit_prior {
    enum profile_parameter parameter;
    double low, high;
    double usual, spread;
    bool usually; /* fitted unless the start says which */
    struct fit_power scale[FIT_POWERS_MAX];
};

struct fit_problem {
    struct profile start;
    const struct measurements *rows;
    const struct fit_settings *settings;
    struct fit_prior priors[FIT_PARAMETERS_MAX];
    size_t count; /* parameters */
    double *frames;
    size_t frame_count;
    double *scratch; /* room for the residuals */
};

/*
 * Chooses what is fitted: the parameters for which start has an error (it was fitted then), else
 * the usual ones of its kind. 0, or -EINVAL and a sentence.
 */
int fit_priors(const struct profile *start, struct fit_problem *problem, struct error **err);

/* What a prior's value is a multiple of, in this profile; above 0. */
double fit_scale(const struct fit_prior *prior, const struct profile *profile);

/* How many residuals there are: four a row, one a frame, one a parameter. */
size_t fit_residual_count(const struct fit_problem *problem);

/* The residuals at a point, by the closed form or by the simulation. */
void fit_residuals(const struct fit_problem *problem, const double *x, bool simulate,
                   double *residuals);

/* The profile at a point. */
void fit_profile_at(const struct fit_problem *problem, const double *x, struct profile *ret);

/* Standard errors and correlations at the best point, into result and its profile. */
void fit_errors(const struct fit_problem *problem, const double *x, struct fit_result *result);

#endif
