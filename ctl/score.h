/*
 * Predictions beside measurements: the errors of each row, and their medians and tails.
 */
#ifndef DPUMESH_CTL_SCORE_H
#define DPUMESH_CTL_SCORE_H

#include <stdint.h>

#include "ctl/measurements.h"
#include "model/path.h"

/* One row and what is predicted for it. Errors are predicted / measured - 1. */
struct score {
    const struct measurement *row; /* borrowed */
    struct path_result predicted;
    double host_error; /* of client's and server's cores together */
    double client_error, server_error;
    double achieved_error;
    double p99_factor; /* predicted / measured */
    bool timed;        /* p99 counts: the measured path was not full */
};

/* How rows are simulated. */
struct score_settings {
    unsigned connections;
    uint64_t messages; /* a row; 0: ten seconds */
    uint64_t seed;
};

/* Predicts one row. */
struct score score_row(const struct profile *profile, const struct measurement *row,
                       const struct score_settings *settings);

/* The q-quantile of values, which are sorted by this; NAN when there are none. */
double score_quantile(double *values, size_t count, double q);

/* A growing list of numbers, freed with score_list_free(). */
struct score_list {
    size_t count;
    double *values;
};

#define SCORE_LIST_INIT                                                                            \
    {                                                                                              \
        .count = 0, .values = NULL                                                                 \
    }

void score_list_add(struct score_list *list, double value);
void score_list_free(struct score_list *list);

#define cleanup_score_list CLEANUP(score_list_free)

#endif
