/*
 * An SVG of measured against predicted: for each frame size host cores and p99 over the offered
 * rate. Dots are measurements (hollow: not fitted), lines are predictions.
 */
#ifndef DPUMESH_CTL_PLOT_H
#define DPUMESH_CTL_PLOT_H

#include "base/buffer.h"
#include "ctl/score.h"

/*
 * Appends the picture of one profile and its rows, which are in the order of frames. 0, or -ENOBUFS
 * when out is too small.
 */
int plot_validation(const struct profile *profile, const struct score *scores, size_t count,
                    const struct score_settings *settings, struct buffer *out);

/* Whether the profile was fitted to this row. */
bool plot_fitted(const struct profile *profile, const struct measurement *row);

#endif
