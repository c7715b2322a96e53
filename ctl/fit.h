/*
 * The fit of a profile to measurements: bounded least squares on the simulation of path.h, begun at
 * several points on its closed form.
 *
 * Each row gives a residual for host cores together, for the client's and the server's, and for p99
 * where the path was not full; each frame one for the ceiling. All are logarithms of predicted to
 * measured, so that 10 % counts the same at each rate, and each is bent (soft L1) so that an
 * outlier does not pull the rest. What the rows do not say is held by a prior: the usual magnitude
 * of a parameter, or of what it is in others, as docs/model.md lists it.
 */
#ifndef DPUMESH_CTL_FIT_H
#define DPUMESH_CTL_FIT_H

#include "base/error.h"
#include "ctl/measurements.h"
#include "model/path.h"
#include "model/profile.h"

enum { FIT_PARAMETERS_MAX = 10, FIT_STARTS_MAX = 1000 };

struct fit_settings {
    unsigned starts;      /* of the closed form */
    unsigned evaluations; /* of the simulation */
    uint64_t messages;    /* simulated a row and evaluation */
    unsigned connections; /* that the measurements were made with */
    uint64_t seed;
};

struct fit_result {
    struct profile profile; /* with standard errors */
    size_t count;           /* parameters fitted */
    enum profile_parameter parameters[FIT_PARAMETERS_MAX];
    double relative_error[FIT_PARAMETERS_MAX]; /* standard error / value: by the rows' scatter and
                                                  by how wide the prior is */
    double correlation[FIT_PARAMETERS_MAX][FIT_PARAMETERS_MAX];
    bool untold[FIT_PARAMETERS_MAX]; /* the data say next to nothing of it */
    bool at_bound[FIT_PARAMETERS_MAX];
    double cost;
};

/*
 * Fits the parameters for which start has an error, or the usual ones of its kind when it has none;
 * the others keep start's values, and what start says of those that are fitted is not used. rows:
 * of one configuration. 0, or -EINVAL and a sentence (too few rows, or what the optimiser says).
 */
int fit_profile(const struct profile *start, const struct measurements *rows,
                const struct fit_settings *settings, struct fit_result *ret, struct error **err);

/* Whether so many rows are enough to fit what fit_profile() would: 0, or -EINVAL and a sentence. */
int fit_enough(const struct profile *start, size_t rows, struct error **err);

/* What is known beforehand of a kind of path: the start of a fit. */
void fit_start(enum profile_kind kind, struct profile *ret);

#endif
