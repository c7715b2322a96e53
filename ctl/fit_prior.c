#include <errno.h>

#include "ctl/fit_private.h"

/*
 * Bounds, usual magnitudes and how far those spread (natural logarithm). The magnitudes are those
 * of the trade, not of the data: a system call and a wake-up take microseconds, memory is copied at
 * one or two GB/s by a core that also does protocol work, Arm cores are a few times slower.
 */
static const struct fit_prior dpu[] = {
    {PROFILE_MESSAGE_NS, 1, 3000, 60, 0.5, true},
    {PROFILE_COPY_NS, 1, 3000, 60, 1, false},
    {PROFILE_BYTE_NS, 0.01, 10, 0.6, 0.3, true},
    {PROFILE_WAKE_NS, 50, 100000, 4000, 1, true},
    {PROFILE_HOLDOFF_NS, 10, 300000, 15000, 1, true},
    {PROFILE_SERVER_RATIO, 0.05, 2, 0.6, 0.4, true},
    {PROFILE_SERVER_BYTE_RATIO, 0.05, 2, 0.7, 0.4, true},
    {PROFILE_SERVER_WAKE_RATIO, 0.05, 30, 0.8, 0.8, true},
    {PROFILE_SERVER_HOLDOFF_RATIO, 0.05, 30, 1, 0.6, true},
    {PROFILE_HOST_SHARE, 0.85, 0.99, 0.97, 0.05, false},
    {PROFILE_ARM_MESSAGE_NS, 1, 10000, 500, 1, true},
    {PROFILE_ARM_BYTE_NS, 0.1, 30, 2.6, 0.3, true},
    {PROFILE_DMA_COPY_NS, 100, 10000, 1869, 0.3, false},
    {PROFILE_COALESCE_BYTES, 64, 100000, 8192, 0.5, false},
};

static const struct fit_prior sidecar[] = {
    {PROFILE_MESSAGE_NS, 1, 3000, 300, 0.5, true},
    {PROFILE_COPY_NS, 1, 3000, 200, 1, true},
    {PROFILE_BYTE_NS, 0.01, 10, 0.9, 0.6, true},
    {PROFILE_WAKE_NS, 1000, 200000, 40000, 0.3, true},
    {PROFILE_HOLDOFF_NS, 10, 300000, 5000, 1, true},
    {PROFILE_SERVER_RATIO, 0.05, 2, 0.6, 0.4, true},
    {PROFILE_SERVER_BYTE_RATIO, 0.05, 2, 0.9, 0.4, true},
    {PROFILE_SERVER_WAKE_RATIO, 0.05, 4, 1, 0.2, true},
    {PROFILE_SERVER_HOLDOFF_RATIO, 0.05, 50, 1, 1, false},
    {PROFILE_HOST_SHARE, 0.9, 0.99, 0.978, 0.005, true},
    {PROFILE_STALL_NS, 10000, 5e6, 600000, 0.5, true},
};

static const struct fit_prior *table(enum profile_kind kind, size_t *ret_count)
{
    switch (kind) {
    case PROFILE_DPU:
        *ret_count = sizeof dpu / sizeof dpu[0];
        return dpu;
    case PROFILE_SIDECAR:
        *ret_count = sizeof sidecar / sizeof sidecar[0];
        return sidecar;
    case PROFILE_DIRECT:
        break;
    }
    *ret_count = 0;
    return NULL;
}

int fit_priors(const struct profile *start, struct fit_problem *problem, struct error **err)
{
    size_t rows;
    const struct fit_prior *priors = table(start->kind, &rows);
    bool marked = false;

    if (!priors)
        return error_make(err, EINVAL, "a direct path has nothing to fit; give a dpu or a sidecar");
    for (int i = 0; i < PROFILE_PARAMETERS; i++)
        marked |= start->error[i] > 0;
    for (size_t i = 0; i < rows; i++) {
        if (marked ? !(start->error[priors[i].parameter] > 0) : !priors[i].usually)
            continue;
        if (problem->count == FIT_PARAMETERS_MAX)
            return error_make(err, EINVAL,
                              "the start has errors for more than %d parameters; at "
                              "most so many are fitted",
                              FIT_PARAMETERS_MAX);
        problem->priors[problem->count++] = priors[i];
    }
    if (problem->count == 0)
        return error_make(err, EINVAL, "none of the parameters with an error can be fitted");
    return 0;
}

void fit_start(enum profile_kind kind, struct profile *ret)
{
    size_t rows;
    const struct fit_prior *priors = table(kind, &rows);
    struct profile profile = {.name = "start", .kind = kind};
    double *value = profile.value;

    for (int i = 0; i < PROFILE_PARAMETERS; i++)
        value[i] = profile_rows[i].fallback;
    for (size_t i = 0; i < rows; i++)
        if (priors[i].usually)
            value[priors[i].parameter] = priors[i].usual;
    value[PROFILE_SEGMENT_BYTES] = 1024;
    if (kind == PROFILE_DPU) {
        value[PROFILE_LARGEST_BYTES] = 8192;
        value[PROFILE_HOST_SHARE] = 0.98;
        value[PROFILE_STALL_NS] = 50000;
        value[PROFILE_ARM_WORKERS] = 4;
        value[PROFILE_DMA_UNITS] = 2;
        value[PROFILE_DMA_COPY_NS] = 1869;
        value[PROFILE_COALESCE_BYTES] = 8192;
        value[PROFILE_KEEP_ALIVE_NS] = 1e6;
        value[PROFILE_PATH_NS] = 100000;
        value[PROFILE_BUFFER_BYTES] = 64 << 20;
    } else {
        value[PROFILE_PATH_NS] = 23000;
        value[PROFILE_BUFFER_BYTES] = 16 << 20;
    }
    *ret = profile;
}
