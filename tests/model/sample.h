/*
 * A profile to test the model on: round figures, near those of the shipped ones.
 */
#ifndef DPUMESH_TESTS_MODEL_SAMPLE_H
#define DPUMESH_TESTS_MODEL_SAMPLE_H

#include "model/profile.h"

/* One in which nothing is given: what may be left out has its default, and the rest is 0. */
static inline struct profile nothing_given(enum profile_kind kind)
{
    struct profile profile = {.kind = kind};

    for (int i = 0; i < PROFILE_PARAMETERS; i++)
        profile.value[i] = profile_rows[i].fallback;
    return profile;
}

static inline struct profile sample(enum profile_kind kind)
{
    struct profile profile = nothing_given(kind);
    double *value = profile.value;

    value[PROFILE_MESSAGE_NS] = 100;
    value[PROFILE_BYTE_NS] = 0.6;
    value[PROFILE_WAKE_NS] = 5000;
    value[PROFILE_HOST_SHARE] = 0.98;
    value[PROFILE_PATH_NS] = 20000;
    value[PROFILE_SERVER_RATIO] = 0.7;
    value[PROFILE_BUFFER_BYTES] = 4 << 20;
    if (kind == PROFILE_DPU) {
        value[PROFILE_HOLDOFF_NS] = 20000;
        value[PROFILE_ARM_WORKERS] = 4;
        value[PROFILE_ARM_MESSAGE_NS] = 500;
        value[PROFILE_ARM_BYTE_NS] = 2.5;
        value[PROFILE_DMA_UNITS] = 4;
        value[PROFILE_DMA_COPY_NS] = 2000;
        value[PROFILE_LARGEST_BYTES] = 8192;
        value[PROFILE_COALESCE_BYTES] = 8192;
        value[PROFILE_KEEP_ALIVE_NS] = 1e6;
    }
    return profile;
}

#endif
