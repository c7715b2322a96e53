/* `dpumesh validate --profile`: predictions of profiles beside measurements. */
#ifndef DPUMESH_CTL_VALIDATE_PROFILE_H
#define DPUMESH_CTL_VALIDATE_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/option.h"

struct validate_profile {
    struct option_list profiles; /* names or files */
    const char *data;            /* measurements */
    const char *config;          /* NULL: the one of the profile's name */
    const char *svg;             /* where the picture goes; NULL: none */
    unsigned connections;
    uint64_t messages; /* simulated a row; 0: ten seconds */
    bool json;
};

/* Prints the tables and writes the picture; the exit status, and why was told. */
int validate_profile(const struct validate_profile *validate);

#endif
