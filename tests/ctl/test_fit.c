#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "ctl/crossval.h"
#include "ctl/fit_private.h"
#include "ctl/plot.h"

enum { RATES = 8, FRAMES = 3, ROWS = RATES * FRAMES };

static const struct fit_settings quick = {
    .starts = 2, .evaluations = 0, .messages = 2000, .connections = 8, .seed = 1};

/* Measurements that a known profile would give, by its closed form. */
static void synthesise(const struct profile *profile, struct measurement *rows)
{
    static const double frames[FRAMES] = {64, 1024, 8192};
    static const double parts[RATES] = {0.02, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95, 1};

    for (unsigned i = 0; i < ROWS; i++) {
        struct path_means means;
        double frame = frames[i / RATES];
        path_estimate(profile, frame, 1, &means);
        double rate = parts[i % RATES] * means.ceiling_per_s;
        path_estimate(profile, frame, rate, &means);
        rows[i] = (struct measurement){.config = "known",
                                       .frame_bytes = frame,
                                       .offered_per_s = rate,
                                       .achieved_per_s = rate,
                                       .client_cores = means.client_cores,
                                       .server_cores = means.server_cores,
                                       .p99_us = 500,
                                       .clean = parts[i % RATES] < 1,
                                       .rank = i % RATES,
                                       .first = i % RATES == 0};
    }
}

static struct profile known(void)
{
    struct profile profile;

    fit_start(PROFILE_SIDECAR, &profile);
    profile.value[PROFILE_MESSAGE_NS] = 450;
    profile.value[PROFILE_COPY_NS] = 150;
    profile.value[PROFILE_BYTE_NS] = 1.3;
    profile.value[PROFILE_WAKE_NS] = 30000;
    profile.value[PROFILE_SERVER_RATIO] = 0.5;
    profile.value[PROFILE_SERVER_BYTE_RATIO] = 0.8;
    return profile;
}

/* What made the data is found again, as far as the prior lets it. */
Test(fit, finds_what_made_the_data)
{
    struct measurement rows[ROWS];
    struct measurements list = {ROWS, rows};
    cleanup_error struct error *err = NULL;
    struct profile truth = known(), start;
    struct fit_result fit;

    synthesise(&truth, rows);
    fit_start(PROFILE_SIDECAR, &start);
    cr_assert_eq(fit_profile(&start, &list, &quick, &fit, &err), 0, "%s", error_message(err));
    cr_assert_eq(fit.count, 10);
    static const enum profile_parameter sure[] = {PROFILE_MESSAGE_NS, PROFILE_BYTE_NS,
                                                  PROFILE_WAKE_NS, PROFILE_SERVER_BYTE_RATIO};
    for (size_t i = 0; i < sizeof sure / sizeof sure[0]; i++)
        cr_assert_float_eq(fit.profile.value[sure[i]] / truth.value[sure[i]], 1, 0.07, "%s: %g",
                           profile_rows[sure[i]].name, fit.profile.value[sure[i]]);
    for (size_t i = 0; i < fit.count; i++) {
        cr_assert_gt(fit.profile.error[fit.parameters[i]], 0);
        cr_assert_float_eq(fit.correlation[i][i], 1, 1e-9);
    }
    /* The closed form has no p99, so nothing but the prior says how long a stall is. */
    for (size_t i = 0; i < fit.count; i++)
        if (fit.parameters[i] == PROFILE_STALL_NS)
            cr_assert_float_eq(fit.profile.value[PROFILE_STALL_NS] / 600000, 1, 0.01);
    cr_assert_eq(fit.profile.fitted_count, ROWS);
    cr_assert(plot_fitted(&fit.profile, &rows[3]));
    struct measurement other = rows[3];
    other.offered_per_s *= 1.1;
    cr_assert_not(plot_fitted(&fit.profile, &other));
}

/* The highest rate measured is no ceiling where all of it was carried in time. */
Test(fit, of_a_path_that_was_never_full)
{
    struct measurement rows[ROWS], some[ROWS];
    struct measurements list = {0, some};
    cleanup_error struct error *err = NULL;
    struct profile truth = known(), start;
    struct fit_result fit;

    synthesise(&truth, rows);
    for (unsigned i = 0; i < ROWS; i++)
        if (i % RATES < 4) /* up to 40 % */
            some[list.count++] = rows[i];
    cr_assert_not(measurements_reach_ceiling(&list, 1024));
    fit_start(PROFILE_SIDECAR, &start);
    cr_assert_eq(fit_profile(&start, &list, &quick, &fit, &err), 0, "%s", error_message(err));
    for (unsigned i = 0; i < FRAMES; i++) {
        double frame = rows[i * RATES].frame_bytes;
        struct path_means want, got;
        path_estimate(&truth, frame, 1, &want);
        path_estimate(&fit.profile, frame, 1, &got);
        cr_assert_float_eq(got.ceiling_per_s / want.ceiling_per_s, 1, 0.25, "%g B: %g of %g", frame,
                           got.ceiling_per_s, want.ceiling_per_s);
    }
}

/* What is known of a DPU path in other parameters: the start has them multiplied out. */
Test(fit, priors_have_scales)
{
    struct fit_problem problem = {.count = 0};
    cleanup_error struct error *err = NULL;
    struct profile start, got;
    double x[FIT_PARAMETERS_MAX];

    fit_start(PROFILE_DPU, &start);
    cr_assert_eq(fit_priors(&start, &problem, &err), 0);
    cr_assert_eq(problem.count, FIT_PARAMETERS_MAX);
    problem.start = start;
    for (size_t i = 0; i < problem.count; i++)
        x[i] = log(problem.priors[i].usual);
    fit_profile_at(&problem, x, &got);
    for (int p = 0; p < PROFILE_PARAMETERS; p++)
        cr_assert_float_eq(got.value[p], start.value[p], 1e-9 * start.value[p], "%s",
                           profile_rows[p].name);
    for (size_t i = 0; i < problem.count; i++)
        if (problem.priors[i].parameter == PROFILE_WAKE_NS)
            x[i] += log(2);
    fit_profile_at(&problem, x, &got);
    cr_assert_float_eq(got.value[PROFILE_WAKE_NS] / start.value[PROFILE_WAKE_NS], 2, 1e-9);
    cr_assert_float_eq(got.value[PROFILE_HOLDOFF_NS] / start.value[PROFILE_HOLDOFF_NS], 2, 1e-9,
                       "the hold-off is so many wake-ups");
    cr_assert_float_eq(got.value[PROFILE_SERVER_WAKE_RATIO] * got.value[PROFILE_WAKE_NS] /
                           start.value[PROFILE_SERVER_WAKE_RATIO] / start.value[PROFILE_WAKE_NS],
                       1, 1e-9, "and the server's wake-up does not depend on the client's");
}

/* The error of a parameter that was fitted in others holds what those are off. */
Test(fit, errors_are_those_of_the_values)
{
    struct measurement rows[ROWS];
    struct measurements list = {ROWS, rows};
    cleanup_error struct error *err = NULL;
    struct profile start;
    struct fit_result fit;
    double wake = 0, holdoff = 0;

    fit_start(PROFILE_DPU, &start);
    synthesise(&start, rows);
    /* The client's wake-ups alone: the ratio of hold-off and wake-up is all the prior knows. */
    start.error[PROFILE_WAKE_NS] = start.error[PROFILE_HOLDOFF_NS] = 1;
    for (unsigned i = 0; i < ROWS; i++) {
        rows[i].client_cores *= i % 2 ? 1.1 : 0.9;
        rows[i].server_cores *= i % 2 ? 1.1 : 0.9;
    }
    cr_assert_eq(fit_profile(&start, &list, &quick, &fit, &err), 0, "%s", error_message(err));
    cr_assert_eq(fit.count, 2);
    for (size_t i = 0; i < fit.count; i++)
        *(fit.parameters[i] == PROFILE_WAKE_NS ? &wake : &holdoff) = fit.relative_error[i];
    cr_assert_gt(wake, 0);
    cr_assert_gt(holdoff, 1.05 * wake, "hold-off %g, wake-up %g", holdoff, wake);
    cr_assert_gt(fit.correlation[1][0], 0.2, "%g", fit.correlation[1][0]);
}

/* What the rows say nothing of is known as well as before, however well they are met. */
Test(fit, an_error_is_no_less_than_the_prior_s_where_the_rows_are_silent)
{
    struct measurement rows[ROWS];
    struct measurements list = {ROWS, rows};
    cleanup_error struct error *err = NULL;
    struct profile truth, start;
    struct fit_result fit;
    double stall = 0, message = 0;

    fit_start(PROFILE_SIDECAR, &start);
    truth = start;
    synthesise(&truth, rows);
    cr_assert_eq(fit_profile(&start, &list, &quick, &fit, &err), 0, "%s", error_message(err));
    for (size_t i = 0; i < fit.count; i++) {
        if (fit.parameters[i] == PROFILE_STALL_NS) {
            /* The closed form knows no p99, the only thing that stalls change. */
            cr_assert(fit.untold[i]);
            stall = fit.relative_error[i];
        }
        if (fit.parameters[i] == PROFILE_MESSAGE_NS) {
            cr_assert_not(fit.untold[i]);
            message = fit.relative_error[i];
        }
    }
    cr_assert_float_eq(stall, 0.5, 0.01, "%g", stall);
    cr_assert_lt(message, 0.15);
}

/* The simulation, not only its closed form, is brought to the data. */
Test(fit, refines_on_the_simulation)
{
    struct measurement rows[ROWS];
    struct measurements list = {ROWS, rows};
    struct fit_settings settings = quick;
    cleanup_error struct error *err = NULL;
    struct profile truth = known(), start;
    struct fit_result rough, fine;

    synthesise(&truth, rows);
    for (unsigned i = 0; i < ROWS; i++) {
        struct path_load load = {.frame_bytes = rows[i].frame_bytes,
                                 .rate_per_s = 0.97 * rows[i].offered_per_s,
                                 .connections = 8,
                                 .duration_s = 10,
                                 .messages_max = 20000,
                                 .seed = 5};
        struct path_result result;
        path_simulate(&truth, &load, &result);
        rows[i].offered_per_s = rows[i].achieved_per_s = load.rate_per_s;
        rows[i].client_cores = result.client_cores;
        rows[i].server_cores = result.server_cores;
        rows[i].p99_us = result.p99_us;
    }
    fit_start(PROFILE_SIDECAR, &start);
    settings.evaluations = 1;
    cr_assert_eq(fit_profile(&start, &list, &settings, &rough, &err), 0);
    settings.evaluations = 60;
    cr_assert_eq(fit_profile(&start, &list, &settings, &fine, &err), 0);
    cr_assert_lt(fine.cost, rough.cost);
}

Test(fit, refuses_what_it_can_not_fit)
{
    struct measurement rows[ROWS];
    struct measurements list = {3, rows};
    cleanup_error struct error *few = NULL, *direct = NULL;
    struct profile truth = known(), start;
    struct fit_result fit;

    synthesise(&truth, rows);
    fit_start(PROFILE_SIDECAR, &start);
    cr_assert_lt(fit_profile(&start, &list, &quick, &fit, &few), 0);
    cr_assert_str_eq(error_message(few),
                     "3 rows are too few to fit 10 parameters; give at least 5");
    fit_start(PROFILE_DIRECT, &start);
    cr_assert_lt(fit_profile(&start, &list, &quick, &fit, &direct), 0);
    cr_assert_str_eq(error_message(direct),
                     "a direct path has nothing to fit; give a dpu or a sidecar");
}

/* Rows that were not seen are predicted, and better than by the straight line. */
Test(crossval, beats_the_straight_line)
{
    struct measurement rows[ROWS];
    struct measurements list = {ROWS, rows};
    struct score_settings score = {.connections = 8, .messages = 5000, .seed = 1};
    cleanup_crossval struct crossval crossval = {.rate = {.host = SCORE_LIST_INIT}};
    cleanup_error struct error *err = NULL;
    struct profile truth = known(), start;

    synthesise(&truth, rows);
    fit_start(PROFILE_SIDECAR, &start);
    struct fit_settings settings = quick;
    settings.starts = 1;
    cr_assert_eq(crossval_run(&start, &list, &settings, &score, &crossval, &err), 0);
    cr_assert_eq(crossval.rate.host.count, ROWS, "each row is left out once");
    cr_assert_eq(crossval.frame.host.count, ROWS);
    cr_assert_eq(crossval.frame.ceiling.count, FRAMES);
    double ours = score_quantile(crossval.rate.host.values, ROWS, 0.5);
    double line = score_quantile(crossval.rate.line.values, ROWS, 0.5);
    cr_assert_lt(ours, 0.03, "%g", ours);
    cr_assert_lt(ours, line, "%g, straight line %g", ours, line);
}
