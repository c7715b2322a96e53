#include <errno.h>
#include <math.h>

#include "ctl/fit_private.h"

/*
 * Bounds, usual magnitudes and how far those spread (natural logarithm), and what they are in,
 * where that is another parameter. docs/model.md says where each comes from: those of a DPU are
 * between what the two DPU paths of the shipped measurements come to, and spread as far as these
 * are apart, so that a path of which little is measured is taken to be one like them.
 */
static const struct fit_prior dpu[] = {
    {PROFILE_MESSAGE_NS, 1, 3000, 96, 0.6, true, {{0}}},
    {PROFILE_COPY_NS, 0.01, 100, 1.5, 0.9, true, {{PROFILE_MESSAGE_NS, 1}}},
    {PROFILE_BYTE_NS, 0.01, 10, 0.58, 0.12, true, {{0}}},
    {PROFILE_WAKE_NS, 100, 100000, 2100, 1.35, true, {{0}}},
    {PROFILE_HOLDOFF_NS, 0.1, 100, 4.2, 0.2, true, {{PROFILE_WAKE_NS, 1}}},
    {PROFILE_SERVER_RATIO, 0.05, 2, 0.44, 0.45, true, {{0}}},
    {PROFILE_SERVER_BYTE_RATIO, 0.05, 2, 0.62, 0.35, true, {{0}}},
    /* The server's wake-up in ns, and its hold-off in those. */
    {PROFILE_SERVER_WAKE_RATIO, 100, 100000, 8000, 0.4, true, {{PROFILE_WAKE_NS, -1}}},
    {PROFILE_SERVER_HOLDOFF_RATIO,
     0.1,
     100,
     10,
     0.25,
     true,
     {{PROFILE_SERVER_WAKE_RATIO, 1}, {PROFILE_WAKE_NS, 1}, {PROFILE_HOLDOFF_NS, -1}}},
    {PROFILE_HOST_SHARE, 0.85, 0.99, 0.97, 0.05, false, {{0}}},
    {PROFILE_ARM_MESSAGE_NS, 1, 10000, 100, 1, false, {{0}}},
    {PROFILE_ARM_BYTE_NS, 0.1, 30, 2.5, 0.3, true, {{0}}},
    {PROFILE_DMA_COPY_NS, 100, 10000, 1869, 0.3, false, {{0}}},
    {PROFILE_COALESCE_BYTES, 64, 100000, 8192, 0.5, false, {{0}}},
};

static const struct fit_prior sidecar[] = {
    {PROFILE_MESSAGE_NS, 1, 3000, 400, 0.3, true, {{0}}},
    {PROFILE_COPY_NS, 0.01, 100, 0.5, 0.4, true, {{PROFILE_MESSAGE_NS, 1}}},
    {PROFILE_BYTE_NS, 0.01, 10, 1, 0.6, true, {{0}}},
    {PROFILE_WAKE_NS, 1000, 200000, 31000, 0.3, true, {{0}}},
    {PROFILE_HOLDOFF_NS, 10, 300000, 5000, 1, true, {{0}}},
    {PROFILE_SERVER_RATIO, 0.05, 2, 0.55, 0.3, true, {{0}}},
    {PROFILE_SERVER_BYTE_RATIO, 0.05, 2, 1.05, 0.3, true, {{0}}},
    {PROFILE_SERVER_WAKE_RATIO, 0.05, 4, 1, 0.3, true, {{0}}},
    {PROFILE_SERVER_HOLDOFF_RATIO, 0.05, 50, 1, 1, false, {{0}}},
    {PROFILE_HOST_SHARE, 0.9, 0.99, 0.978, 0.01, true, {{0}}},
    {PROFILE_STALL_NS, 10000, 5e6, 600000, 0.5, true, {{0}}},
};

double fit_scale(const struct fit_prior *prior, const struct profile *profile)
{
    double scale = 1;

    for (size_t i = 0; i < FIT_POWERS_MAX && prior->scale[i].power != 0; i++)
        scale *= pow(fmax(profile->value[prior->scale[i].of], 1e-3), prior->scale[i].power);
    return scale;
}

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
            value[priors[i].parameter] = priors[i].usual * fit_scale(&priors[i], &profile);
    value[PROFILE_SEGMENT_BYTES] = 1024;
    if (kind == PROFILE_DPU) {
        value[PROFILE_LARGEST_BYTES] = 8192;
        value[PROFILE_HOST_SHARE] = 0.98;
        value[PROFILE_STALL_NS] = 50000;
        value[PROFILE_ARM_WORKERS] = 4;
        value[PROFILE_ARM_MESSAGE_NS] = 100;
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
