/*
 * `dpumesh calibrate`: the verb's options in ctl/calibrate.c, the fit and what is printed of it in
 * ctl/calibrate_fit.c, which a program without NLopt has not.
 */
#ifndef DPUMESH_CTL_CALIBRATE_H
#define DPUMESH_CTL_CALIBRATE_H

#include <stdbool.h>
#include <stdint.h>

/* The verb's options, as they were given; texts are NULL where they were not. */
struct calibrate {
    const char *data;
    const char *config;
    const char *output;
    const char *start;
    const char *name;
    unsigned kind;
    unsigned connections;
    unsigned starts;
    unsigned evaluations;
    uint64_t messages;
    bool cross_validate;
    bool json;
};

/*
 * Fits, prints, writes the profile, and returns the exit status. Set by the program that has NLopt,
 * to calibrate_fit; NULL: it has none.
 */
extern int (*calibrate_run)(const struct calibrate *calibrate);

/* What calibrate_run does; data and config are given. Complaints go to standard error. */
int calibrate_fit(const struct calibrate *calibrate);

#endif
