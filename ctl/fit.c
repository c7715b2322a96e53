#include "ctl/fit.h"

#include <errno.h>
#include <math.h>
#include <nlopt.h>
#include <string.h>

#include "base/memory.h"
#include "ctl/fit_private.h"
#include "model/random.h"

/* Weights of the residuals, and the size from which on one counts as an outlier. */
static const double weight_part = 0.3, weight_p99 = 0.1, weight_ceiling = 2.0, outlier = 0.1;

/* Soft L1: a residual as it counts. */
static double bent(double residual)
{
    double z = residual / outlier;

    return copysign(outlier * sqrt(2 * (sqrt(1 + z * z) - 1)), residual);
}

static double safe_log(double predicted, double measured)
{
    return log(fmax(predicted, 1e-9) / measured);
}

size_t fit_residual_count(const struct fit_problem *problem)
{
    return 4 * problem->rows->count + problem->frame_count + problem->count;
}

void fit_profile_at(const struct fit_problem *problem, const double *x, struct profile *ret)
{
    *ret = problem->start;
    memset(ret->error, 0, sizeof ret->error);
    for (size_t i = 0; i < problem->count; i++) {
        const struct fit_prior *prior = &problem->priors[i];
        const struct profile_row *row = &profile_rows[prior->parameter];
        double value = exp(x[i]) * fit_scale(prior, ret);
        ret->value[prior->parameter] = fmin(fmax(value, row->low), row->high);
    }
}

/*
 * Predicts one row, by the closed form (which knows no p99) or by the simulation. A row near or
 * past the ceiling of the moment is simulated just below it: what a full path costs is seen there
 * as well, and its queue, which takes long to fill, says nothing; that it can't carry the row, the
 * residual of the ceiling says.
 */
static struct path_result predict(const struct fit_problem *problem, const struct profile *profile,
                                  const struct measurement *row, bool simulate)
{
    struct path_result result = {.p99_us = 0};
    struct path_means means;

    path_estimate(profile, row->frame_bytes, row->achieved_per_s, &means);
    if (!simulate) {
        result.client_cores = means.client_cores;
        result.server_cores = means.server_cores;
        return result;
    }
    struct path_load load = {.frame_bytes = row->frame_bytes,
                             .rate_per_s = fmin(row->achieved_per_s, 0.98 * means.ceiling_per_s),
                             .connections = problem->settings->connections,
                             .duration_s = 10,
                             .messages_max = problem->settings->messages,
                             .seed = problem->settings->seed};
    path_simulate(profile, &load, &result);
    return result;
}

void fit_residuals(const struct fit_problem *problem, const double *x, bool simulate,
                   double *residuals)
{
    const struct measurements *rows = problem->rows;
    struct profile profile;
    struct path_means means;
    size_t n = 0;

    fit_profile_at(problem, x, &profile);
    for (size_t i = 0; i < rows->count; i++) {
        const struct measurement *row = &rows->items[i];
        struct path_result got = predict(problem, &profile, row, simulate);
        residuals[n++] = bent(
            safe_log(got.client_cores + got.server_cores, row->client_cores + row->server_cores));
        residuals[n++] = bent(weight_part * safe_log(got.client_cores, row->client_cores));
        residuals[n++] = bent(weight_part * safe_log(got.server_cores, row->server_cores));
        bool timed = simulate && row->clean;
        residuals[n++] = timed ? bent(weight_p99 * safe_log(got.p99_us, row->p99_us)) : 0;
    }
    for (size_t i = 0; i < problem->frame_count; i++) {
        path_estimate(&profile, problem->frames[i], 1, &means);
        double ceiling = measurements_ceiling(rows, problem->frames[i]);
        double residual = safe_log(means.ceiling_per_s, ceiling);
        /* Where the path was never full, the ceiling is somewhere above. */
        if (residual > 0 && !measurements_reach_ceiling(rows, problem->frames[i]))
            residual = 0;
        residuals[n++] = bent(weight_ceiling * (residual < 0 ? 2 : 1) * residual);
    }
    for (size_t i = 0; i < problem->count; i++) {
        const struct fit_prior *prior = &problem->priors[i];
        residuals[n++] = FIT_USUAL_ERROR * (x[i] - log(prior->usual)) / prior->spread;
    }
}

static double cost_at(const struct fit_problem *problem, const double *x, bool simulate)
{
    double sum = 0;

    fit_residuals(problem, x, simulate, problem->scratch);
    for (size_t i = 0; i < fit_residual_count(problem); i++)
        sum += problem->scratch[i] * problem->scratch[i];
    return sum;
}

/* NLopt's functions give a gradient to those who ask for one; ours have none. */
/* NOLINTBEGIN(readability-non-const-parameter): the type is nlopt_func's */
static double cost_estimated(unsigned n, const double *x, double *gradient, void *context)
{
    (void)n;
    (void)gradient;
    return cost_at(context, x, false);
}

static double cost_simulated(unsigned n, const double *x, double *gradient, void *context)
{
    (void)n;
    (void)gradient;
    return cost_at(context, x, true);
}
/* NOLINTEND(readability-non-const-parameter) */

/* Minimises from x with at most that many evaluations; x and *cost are the best point. */
static int minimise(struct fit_problem *problem, nlopt_algorithm algorithm, nlopt_func function,
                    unsigned evaluations, double step, double *x, double *cost, struct error **err)
{
    double low[FIT_PARAMETERS_MAX], high[FIT_PARAMETERS_MAX];
    nlopt_opt optimiser = nlopt_create(algorithm, (unsigned)problem->count);

    if (!optimiser)
        return error_make(err, ENOMEM, "the optimiser has no memory");
    for (size_t i = 0; i < problem->count; i++) {
        low[i] = log(problem->priors[i].low);
        high[i] = log(problem->priors[i].high);
    }
    nlopt_set_lower_bounds(optimiser, low);
    nlopt_set_upper_bounds(optimiser, high);
    nlopt_set_min_objective(optimiser, function, problem);
    nlopt_set_initial_step1(optimiser, step);
    nlopt_set_maxeval(optimiser, (int)evaluations);
    nlopt_set_xtol_abs1(optimiser, 1e-4);
    nlopt_set_ftol_rel(optimiser, 1e-7);
    int r = nlopt_optimize(optimiser, x, cost);
    nlopt_destroy(optimiser);
    /* Rounding that stands in the way of a better point is an end as good as another. */
    if (r < 0 && r != NLOPT_ROUNDOFF_LIMITED)
        return error_make(err, EINVAL, "the optimiser gives up: %s",
                          nlopt_result_to_string((nlopt_result)r));
    return 0;
}

/* A start: the usual values, or something around them, within the bounds. */
static void draw_start(const struct fit_problem *problem, unsigned k, struct random_stream *stream,
                       double *x)
{
    for (size_t i = 0; i < problem->count; i++) {
        const struct fit_prior *prior = &problem->priors[i];
        /* Irwin-Hall: the sum of three uniforms is normal enough, with variance 1/4. */
        double normal = 2 * (random_unit(stream) + random_unit(stream) + random_unit(stream) - 1.5);
        x[i] = log(prior->usual) + (k > 0 ? normal * prior->spread : 0);
        x[i] = fmin(fmax(x[i], log(prior->low)), log(prior->high));
    }
}

/* The frames of the rows, each once; *ret_count of them, owned by the caller. */
static double *find_frames(const struct measurements *rows, size_t *ret_count)
{
    double *frames = xcalloc(rows->count, sizeof *frames);
    size_t count = 0;

    for (size_t i = 0; i < rows->count; i++) {
        size_t j = 0;
        while (j < count && frames[j] != rows->items[i].frame_bytes)
            j++;
        if (j == count)
            frames[count++] = rows->items[i].frame_bytes;
    }
    *ret_count = count;
    return frames;
}

static int search(struct fit_problem *problem, double *ret_x, double *ret_cost, struct error **err)
{
    const struct fit_settings *settings = problem->settings;
    struct random_stream stream;
    double best = INFINITY, x[FIT_PARAMETERS_MAX] = {0}, cost = INFINITY;

    random_seed(&stream, settings->seed, 1);
    for (unsigned k = 0; k < settings->starts; k++) {
        draw_start(problem, k, &stream, x);
        int r = minimise(problem, NLOPT_LN_SBPLX, cost_estimated, 4000, 0.3, x, &cost, err);
        if (r < 0)
            return r;
        if (cost < best) {
            best = cost;
            memcpy(ret_x, x, problem->count * sizeof *x);
        }
    }
    *ret_cost = best;
    if (settings->evaluations == 0)
        return 0;
    return minimise(problem, NLOPT_LN_SBPLX, cost_simulated, settings->evaluations, 0.2, ret_x,
                    ret_cost, err);
}

/* Of a problem whose parameters are chosen. */
static int enough(const struct fit_problem *problem, size_t rows, struct error **err)
{
    if (rows >= problem->count / 2)
        return 0;
    return error_make(err, EINVAL, "%zu rows are too few to fit %zu parameters; give at least %zu",
                      rows, problem->count, problem->count / 2);
}

int fit_enough(const struct profile *start, size_t rows, struct error **err)
{
    struct fit_problem problem = {.count = 0};

    int r = fit_priors(start, &problem, err);
    return r < 0 ? r : enough(&problem, rows, err);
}

int fit_profile(const struct profile *start, const struct measurements *rows,
                const struct fit_settings *settings, struct fit_result *ret, struct error **err)
{
    struct fit_problem problem = {.start = *start, .rows = rows, .settings = settings};
    double x[FIT_PARAMETERS_MAX] = {0};
    struct fit_result result = {.count = 0};

    int r = fit_priors(start, &problem, err);
    if (r < 0)
        return r;
    r = enough(&problem, rows->count, err);
    if (r < 0)
        return r;
    cleanup_free double *frames = find_frames(rows, &problem.frame_count);
    problem.frames = frames;
    cleanup_free double *scratch = xcalloc(fit_residual_count(&problem), sizeof *scratch);
    problem.scratch = scratch;
    r = search(&problem, x, &result.cost, err);
    if (r < 0)
        return r;
    fit_profile_at(&problem, x, &result.profile);
    result.count = problem.count;
    for (size_t i = 0; i < problem.count; i++) {
        const struct fit_prior *prior = &problem.priors[i];
        result.parameters[i] = prior->parameter;
        result.at_bound[i] = x[i] - log(prior->low) < 0.01 || log(prior->high) - x[i] < 0.01;
    }
    fit_errors(&problem, x, &result);
    result.profile.fitted_count = 0;
    for (size_t i = 0; i < rows->count && i < PROFILE_FITTED_MAX; i++)
        result.profile.fitted[result.profile.fitted_count++] =
            (struct profile_fitted){rows->items[i].frame_bytes, rows->items[i].offered_per_s};
    *ret = result;
    return 0;
}
