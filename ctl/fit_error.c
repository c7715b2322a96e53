#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "ctl/fit_private.h"

typedef double matrix[FIT_PARAMETERS_MAX][FIT_PARAMETERS_MAX];

/* Half a step of the differences, natural logarithm: 5 %. */
static const double half_step = 0.05;

/* The data say next to nothing of a parameter that they make less than this part less uncertain. */
static const double hardly = 0.9;

/* Inverts a symmetric positive matrix by Gauss and Jordan; false when it is singular. */
static bool invert(matrix a, matrix ret, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            ret[i][j] = i == j;
    for (size_t column = 0; column < n; column++) {
        size_t pivot = column;
        for (size_t i = column + 1; i < n; i++)
            if (fabs(a[i][column]) > fabs(a[pivot][column]))
                pivot = i;
        if (fabs(a[pivot][column]) < 1e-15)
            return false;
        for (size_t j = 0; j < n; j++) {
            double t = a[column][j], u = ret[column][j];
            a[column][j] = a[pivot][j];
            a[pivot][j] = t;
            ret[column][j] = ret[pivot][j];
            ret[pivot][j] = u;
        }
        double scale = 1 / a[column][column];
        for (size_t j = 0; j < n; j++) {
            a[column][j] *= scale;
            ret[column][j] *= scale;
        }
        for (size_t i = 0; i < n; i++) {
            double factor = i == column ? 0 : a[i][column];
            for (size_t j = 0; j < n; j++) {
                a[i][j] -= factor * a[column][j];
                ret[i][j] -= factor * ret[column][j];
            }
        }
    }
    return true;
}

/* The residuals at x, and their derivatives by central differences; owned by who asked. */
struct slope {
    double *residuals; /* m */
    double *jacobian;  /* of each parameter in turn, m */
    size_t m, n;
};

static void slope_free(struct slope *slope)
{
    free(slope->residuals);
    free(slope->jacobian);
}

#define cleanup_slope CLEANUP(slope_free)

static struct slope slope_at(const struct fit_problem *problem, const double *x)
{
    size_t m = fit_residual_count(problem), n = problem->count;
    bool simulate = problem->settings->evaluations > 0;
    cleanup_free double *other = xcalloc(m, sizeof *other);
    struct slope slope = {xcalloc(m, sizeof *other), xcalloc(m * n, sizeof *other), m, n};
    double at[FIT_PARAMETERS_MAX];

    fit_residuals(problem, x, simulate, slope.residuals);
    for (size_t i = 0; i < n; i++) {
        double *column = slope.jacobian + i * m;
        memcpy(at, x, n * sizeof *at);
        at[i] = x[i] + half_step;
        fit_residuals(problem, at, simulate, column);
        at[i] = x[i] - half_step;
        fit_residuals(problem, at, simulate, other);
        for (size_t k = 0; k < m; k++)
            column[k] = (column[k] - other[k]) / (2 * half_step);
    }
    return slope;
}

/* Adds weight times J'J of residuals first to first + count: what they vary, alike and alone. */
static void add_alike(const struct slope *slope, size_t first, size_t count, double weight,
                      matrix sum)
{
    for (size_t k = first; k < first + count; k++)
        for (size_t i = 0; i < slope->n; i++)
            for (size_t j = 0; j < slope->n; j++)
                sum[i][j] +=
                    weight * slope->jacobian[i * slope->m + k] * slope->jacobian[j * slope->m + k];
}

/* Adds weight times the square of J'r of these residuals: what they vary together, as they are. */
static void add_together(const struct slope *slope, size_t first, size_t count, double weight,
                         matrix sum)
{
    double pull[FIT_PARAMETERS_MAX] = {0};

    for (size_t i = 0; i < slope->n; i++)
        for (size_t k = first; k < first + count; k++)
            pull[i] += slope->residuals[k] * slope->jacobian[i * slope->m + k];
    for (size_t i = 0; i < slope->n; i++)
        for (size_t j = 0; j < slope->n; j++)
            sum[i][j] += weight * pull[i] * pull[j];
}

/* a b of two n by n matrices. */
static void multiply(matrix a, matrix b, matrix ret, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            ret[i][j] = 0;
            for (size_t k = 0; k < n; k++)
                ret[i][j] += a[i][k] * b[k][j];
        }
}

/*
 * How far the point may be from the truth, as a covariance: H^-1 V H^-1 (White's sandwich), where H
 * is J'J, and V what the residuals vary. Rows vary as they do, the four residuals of one together,
 * times N / (N - n), as n parameters have been bent to them; where they are too few to tell, each
 * as much as a row usually does. The prior varies as it is wide, whatever the rows are: a
 * parameter that they say nothing of is known no better than beforehand.
 */
static bool covariance_at(const struct fit_problem *problem, const double *x, matrix ret)
{
    cleanup_slope struct slope slope = slope_at(problem, x);
    size_t n = slope.n, rows = problem->rows->count, told = rows + problem->frame_count;
    matrix normal = {{0}}, vary = {{0}}, inverse, half;
    const double usual = FIT_USUAL_ERROR * FIT_USUAL_ERROR;

    add_alike(&slope, 0, slope.m, 1, normal);
    if (!invert(normal, inverse, n))
        return false;
    if (told > n) {
        double bent = (double)told / (double)(told - n);
        for (size_t i = 0; i < rows; i++)
            add_together(&slope, 4 * i, 4, bent, vary);
        for (size_t i = 4 * rows; i < slope.m - n; i++)
            add_together(&slope, i, 1, bent, vary);
    } else {
        add_alike(&slope, 0, slope.m - n, usual, vary);
    }
    add_alike(&slope, slope.m - n, n, usual, vary);
    multiply(inverse, vary, half, n);
    multiply(half, inverse, ret, n);
    return true;
}

/*
 * Covariances of the parameters' own logarithms, given those of the point's: the logarithm of a
 * value is the point's and the powers of its scale.
 */
static void unscale(const struct fit_problem *problem, matrix covariance)
{
    size_t n = problem->count;

    for (size_t i = 0; i < n; i++)
        for (size_t p = 0; p < FIT_POWERS_MAX; p++) {
            struct fit_power power = problem->priors[i].scale[p];
            for (size_t j = 0; j < i && power.power != 0; j++) {
                if (problem->priors[j].parameter != power.of)
                    continue;
                /* Row and column i get the power times those of j, which is its own already. */
                for (size_t k = 0; k < n; k++)
                    covariance[i][k] += power.power * covariance[j][k];
                for (size_t k = 0; k < n; k++)
                    covariance[k][i] += power.power * covariance[k][j];
            }
        }
}

void fit_errors(const struct fit_problem *problem, const double *x, struct fit_result *result)
{
    size_t n = problem->count;
    matrix covariance = {{0}};

    bool known = covariance_at(problem, x, covariance);
    for (size_t i = 0; i < n; i++)
        result->untold[i] = !known || sqrt(covariance[i][i]) > hardly * problem->priors[i].spread;
    if (known)
        unscale(problem, covariance);
    for (size_t i = 0; i < n; i++) {
        enum profile_parameter parameter = problem->priors[i].parameter;
        result->relative_error[i] = known ? sqrt(covariance[i][i]) : INFINITY;
        result->profile.error[parameter] =
            known ? result->relative_error[i] * result->profile.value[parameter] : 0;
        for (size_t j = 0; j < n; j++)
            result->correlation[i][j] =
                known ? covariance[i][j] / sqrt(covariance[i][i] * covariance[j][j]) : 0;
    }
}
