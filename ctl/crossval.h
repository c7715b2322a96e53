/*
 * Cross-validation: a profile is fitted without some rows, which it then predicts. Once each rate
 * (the k-th of every frame) is left out, and once each frame. Beside it stands the model to beat, a
 * straight line capped at one core: cores = min(1, rate * (fixed + per_byte * frame)) of each side.
 */
#ifndef DPUMESH_CTL_CROSSVAL_H
#define DPUMESH_CTL_CROSSVAL_H

#include "ctl/fit.h"
#include "ctl/score.h"

/* Absolute errors of rows that were not seen. */
struct crossval_errors {
    struct score_list host;    /* |predicted / measured - 1| */
    struct score_list p99;     /* the factor between them, at least 1; below saturation */
    struct score_list ceiling; /* |predicted / measured - 1| */
    struct score_list line;    /* host, by the straight line */
};

struct crossval {
    struct crossval_errors rate, frame;
};

/* Whether what is left of the rows, whatever is left out, can be fitted: 0, or -EINVAL and a
 * sentence. Those of a frame lie together, as measurements_select() gives them. */
int crossval_check(const struct profile *start, const struct measurements *rows,
                   struct error **err);

/* Adds the errors of one configuration to ret. 0, or -EINVAL and a sentence. */
int crossval_run(const struct profile *start, const struct measurements *rows,
                 const struct fit_settings *fit, const struct score_settings *score,
                 struct crossval *ret, struct error **err);

/* Frees the lists. */
void crossval_free(struct crossval *crossval);

#define cleanup_crossval CLEANUP(crossval_free)

#endif
