#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "ctl/fit_private.h"

typedef double matrix[FIT_PARAMETERS_MAX][FIT_PARAMETERS_MAX];

/* Half a step of the differences, natural logarithm: 5 %. */
static const double half_step = 0.05;

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

/* The normal matrix J'J of the residuals at x, by central differences. */
static void normal_matrix(const struct fit_problem *problem, const double *x, matrix ret)
{
    size_t m = fit_residual_count(problem), n = problem->count;
    cleanup_free double *jacobian = xcalloc(m * n, sizeof *jacobian);
    cleanup_free double *other = xcalloc(m, sizeof *other);
    double at[FIT_PARAMETERS_MAX];

    for (size_t i = 0; i < n; i++) {
        memcpy(at, x, n * sizeof *at);
        at[i] = x[i] + half_step;
        fit_residuals(problem, at, problem->settings->evaluations > 0, &jacobian[i * m]);
        at[i] = x[i] - half_step;
        fit_residuals(problem, at, problem->settings->evaluations > 0, other);
        for (size_t k = 0; k < m; k++)
            jacobian[i * m + k] = (jacobian[i * m + k] - other[k]) / (2 * half_step);
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            ret[i][j] = 0;
            for (size_t k = 0; k < m; k++)
                ret[i][j] += jacobian[i * m + k] * jacobian[j * m + k];
        }
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
    size_t n = problem->count, m = fit_residual_count(problem);
    matrix normal, covariance;

    normal_matrix(problem, x, normal);
    bool known = invert(normal, covariance, n);
    if (known)
        unscale(problem, covariance);
    /* The prior's residuals count as observations too, so there are m - n degrees of freedom. */
    double variance = result->cost / (double)(m - n);
    for (size_t i = 0; i < n; i++) {
        enum profile_parameter parameter = problem->priors[i].parameter;
        result->relative_error[i] = known ? sqrt(fabs(covariance[i][i]) * variance) : INFINITY;
        result->profile.error[parameter] =
            known ? result->relative_error[i] * result->profile.value[parameter] : 0;
        for (size_t j = 0; j < n; j++)
            result->correlation[i][j] =
                known ? covariance[i][j] / sqrt(fabs(covariance[i][i] * covariance[j][j])) : 0;
    }
}
