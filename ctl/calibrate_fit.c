#include "ctl/calibrate.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "ctl/crossval.h"
#include "ctl/fit.h"
#include "ctl/local/supervisor.h"
#include "ctl/measurements.h"
#include "ctl/score.h"
#include "ctl/table.h"
#include "ctl/terminal.h"
#include "spec/profile.h"

/* Correlations from which on two parameters are not told apart. */
static const double together = 0.9;

static void print_parameters(const struct fit_result *fit)
{
    cleanup_table struct table table = TABLE_INIT;

    table_column(&table, "PARAMETER");
    table_column(&table, ">VALUE");
    table_column(&table, "UNIT");
    table_column(&table, ">ERROR");
    table_column(&table, "MEANING");
    for (size_t i = 0; i < fit->count; i++) {
        const struct profile_row *row = &profile_rows[fit->parameters[i]];
        table_cell(&table, "%s", row->name);
        table_cell(&table, "%.4g", fit->profile.value[fit->parameters[i]]);
        table_cell(&table, "%s", row->unit);
        table_cell(&table, "%.0f%%", 100 * fit->relative_error[i]);
        table_cell(&table, "%s%s", row->help, fit->at_bound[i] ? " (at its bound)" : "");
    }
    table_print(&table, stdout);
    bool said = false;
    for (size_t i = 0; i < fit->count; i++) {
        if (fit->untold[i]) {
            printf("the data hardly say anything of %s\n", profile_rows[fit->parameters[i]].name);
            said = true;
        }
        for (size_t j = 0; j < i; j++)
            if (fabs(fit->correlation[i][j]) > together) {
                printf("the data can't tell %s from %s (correlation %.2f)\n",
                       profile_rows[fit->parameters[j]].name, profile_rows[fit->parameters[i]].name,
                       fit->correlation[i][j]);
                said = true;
            }
    }
    if (!said)
        printf("no two parameters are correlated by more than %.1f\n", together);
}

static void print_residuals(const struct profile *profile, const struct measurements *rows,
                            const struct score_settings *settings)
{
    static const char *const titles[] = {">FRAME",     ">OFFERED/S", ">HOST CORES", ">PREDICTED",
                                         ">HOST",      ">CLIENT",    ">SERVER",     ">P99 US",
                                         ">PREDICTED", ">P99"};
    cleanup_table struct table table = TABLE_INIT;

    for (size_t i = 0; i < sizeof titles / sizeof titles[0]; i++)
        table_column(&table, titles[i]);
    for (size_t i = 0; i < rows->count; i++) {
        const struct measurement *row = &rows->items[i];
        struct score score = score_row(profile, row, settings);
        table_cell(&table, "%.0f", row->frame_bytes);
        table_cell(&table, "%.0f", row->offered_per_s);
        table_cell(&table, "%.3f", row->client_cores + row->server_cores);
        table_cell(&table, "%.3f", score.predicted.client_cores + score.predicted.server_cores);
        table_cell(&table, "%+.1f%%", 100 * score.host_error);
        table_cell(&table, "%+.1f%%", 100 * score.client_error);
        table_cell(&table, "%+.1f%%", 100 * score.server_error);
        table_cell(&table, "%.0f", row->p99_us);
        table_cell(&table, "%.0f", score.predicted.p99_us);
        cleanup_free char *other = row->contradicts ? xasprintf(" line %u contradicts line %u",
                                                                row->line, row->contradicts)
                                                    : xstrdup("");
        table_cell(&table, "x%.2f%s%s", score.p99_factor, row->clean ? "" : " full", other);
    }
    puts("");
    table_print(&table, stdout);
}

/*
 * Says for each frame that the profile can't carry what was measured where it is the DPU that is
 * full, of which most is not fitted: the fit has then bent all else.
 */
static void print_ceilings(const struct profile *profile, const struct measurements *rows)
{
    for (size_t i = 0; i < rows->count; i++) {
        double frame_bytes = rows->items[i].frame_bytes;
        double measured = measurements_ceiling(rows, frame_bytes);
        struct path_means means;
        if (!rows->items[i].first)
            continue;
        path_estimate(profile, frame_bytes, 1, &means);
        double busiest = fmax(path_host_ns(profile, frame_bytes, false),
                              path_host_ns(profile, frame_bytes, true));
        if (means.ceiling_per_s < 0.9 * measured &&
            means.ceiling_per_s < 0.99e9 * path_host_share(profile, frame_bytes) / busiest)
            printf(
                "of %.0f B the profile's Arm workers and DMA units carry %.0f a second, and %.0f "
                "were achieved; give --profile with those of your DPU\n",
                frame_bytes, means.ceiling_per_s, measured);
    }
}

static void print_errors(const char *what, struct crossval_errors *errors)
{
    printf("%s: host cores %.1f %% median, %.1f %% p90 (straight line %.1f %%, %.1f %%), p99 "
           "factor %.2f median",
           what, 100 * score_quantile(errors->host.values, errors->host.count, 0.5),
           100 * score_quantile(errors->host.values, errors->host.count, 0.9),
           100 * score_quantile(errors->line.values, errors->line.count, 0.5),
           100 * score_quantile(errors->line.values, errors->line.count, 0.9),
           score_quantile(errors->p99.values, errors->p99.count, 0.5));
    if (errors->ceiling.count > 0)
        printf(", ceilings %.1f %% median, %.1f %% worst",
               100 * score_quantile(errors->ceiling.values, errors->ceiling.count, 0.5),
               100 * score_quantile(errors->ceiling.values, errors->ceiling.count, 1));
    puts("");
}

static json_t *list_json(const struct score_list *list)
{
    json_t *array = json_array();

    for (size_t i = 0; i < list->count; i++)
        json_array_append_new(array, json_real(list->values[i]));
    return array;
}

static json_t *errors_json(const struct crossval_errors *errors)
{
    return json_pack("{s:o, s:o, s:o, s:o}", "host", list_json(&errors->host), "straight_line",
                     list_json(&errors->line), "p99_factor", list_json(&errors->p99), "ceiling",
                     list_json(&errors->ceiling));
}

/* Pairs of parameters that the data can't tell apart. */
static json_t *pairs_json(const struct fit_result *fit)
{
    json_t *pairs = json_array();

    for (size_t i = 0; i < fit->count; i++)
        for (size_t j = 0; j < i; j++)
            if (fabs(fit->correlation[i][j]) > together)
                json_array_append_new(pairs, json_pack("{s:[s, s], s:f}", "parameters",
                                                       profile_rows[fit->parameters[j]].name,
                                                       profile_rows[fit->parameters[i]].name,
                                                       "correlation", fit->correlation[i][j]));
    return pairs;
}

/* What is left of each row. */
static json_t *residuals_json(const struct profile *profile, const struct measurements *rows,
                              const struct score_settings *settings)
{
    json_t *list = json_array();

    for (size_t i = 0; i < rows->count; i++) {
        const struct measurement *row = &rows->items[i];
        struct score score = score_row(profile, row, settings);
        json_t *object = json_pack(
            "{s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:b}", "line", (json_int_t)row->line,
            "frame_bytes", row->frame_bytes, "offered_per_s", row->offered_per_s, "host_error",
            score.host_error, "client_error", score.client_error, "server_error",
            score.server_error, "p99_factor", score.p99_factor, "clean", row->clean);
        if (row->contradicts)
            json_object_set_new(object, "contradicts_line", json_integer(row->contradicts));
        json_array_append_new(list, object);
    }
    return list;
}

/* The fit and, where there is one, the cross-validation. */
static void print_json(const struct fit_result *fit, const struct measurements *rows,
                       const struct score_settings *settings, const struct crossval *crossval)
{
    json_auto_t *root = json_object();
    json_t *parameters = json_array();

    for (size_t i = 0; i < fit->count; i++) {
        const struct profile_row *row = &profile_rows[fit->parameters[i]];
        json_array_append_new(parameters,
                              json_pack("{s:s, s:f, s:s, s:f, s:b, s:b}", "name", row->name,
                                        "value", fit->profile.value[fit->parameters[i]], "unit",
                                        row->unit, "relative_error", fit->relative_error[i],
                                        "untold", fit->untold[i], "at_bound", fit->at_bound[i]));
    }
    json_object_set_new(root, "parameters", parameters);
    json_object_set_new(root, "not_told_apart", pairs_json(fit));
    json_object_set_new(root, "rows", residuals_json(&fit->profile, rows, settings));
    json_object_set_new(root, "cost", json_real(fit->cost));
    if (crossval)
        json_object_set_new(root, "cross_validation",
                            json_pack("{s:o, s:o}", "rates", errors_json(&crossval->rate), "frames",
                                      errors_json(&crossval->frame)));
    cleanup_free char *text = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    puts(text);
}

static int write_profile(const struct calibrate *calibrate, const struct fit_result *fit,
                         struct error **err)
{
    const char *sources[PROFILE_PARAMETERS];
    const char *slash = strrchr(calibrate->data, '/');
    cleanup_free char *fitted = xasprintf("fitted by dpumesh calibrate to %s of %s",
                                          calibrate->config, slash ? slash + 1 : calibrate->data);
    cleanup_free char *kept = xasprintf(
        "taken over from %s", calibrate->start ? calibrate->start : "the kind's defaults");

    for (int i = 0; i < PROFILE_PARAMETERS; i++)
        sources[i] = fit->profile.error[i] > 0 ? fitted : kept;
    cleanup_free char *text = xasprintf("Fitted to %s.", calibrate->config);
    json_auto_t *root = profile_json(&fit->profile, text, sources);
    cleanup_free char *json = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    cleanup_free char *line = xasprintf("%s\n", json);
    return file_write(calibrate->output, line, strlen(line), 0644, err);
}

/* What the options name: rows and a start. 0, or a negative errno and problems. */
static int load(const struct calibrate *calibrate, struct measurements *rows,
                struct profile *ret_start, struct problems *problems)
{
    cleanup_measurements struct measurements all = MEASUREMENTS_INIT;
    struct profile start;

    int r = measurements_load(calibrate->data, &all, problems);
    if (r == 0)
        r = measurements_select(&all, calibrate->config, rows, problems);
    if (r < 0)
        return r;
    if (calibrate->start)
        r = profile_load(calibrate->start, &start, problems);
    else
        fit_start((enum profile_kind)calibrate->kind, &start);
    if (r < 0)
        return r;
    const char *name = calibrate->name ? calibrate->name : calibrate->config;
    if (!profile_name_valid(name)) {
        problem_add(problems,
                    "a profile can't be called %s; give 1 to %d letters, digits, '.', '_' and '-' "
                    "with --name",
                    *name ? name : "nothing", PROFILE_NAME_MAX - 1);
        return -EINVAL;
    }
    memcpy(start.name, name, strlen(name) + 1);
    *ret_start = start;
    return 0;
}

static int fit_and_print(const struct calibrate *calibrate, const struct measurements *rows,
                         const struct profile *start)
{
    struct fit_settings settings = {.starts = calibrate->starts,
                                    .evaluations = calibrate->evaluations,
                                    .messages = calibrate->messages,
                                    .connections = calibrate->connections,
                                    .seed = 1};
    struct score_settings score = {
        .connections = calibrate->connections, .messages = 400000, .seed = 7};
    cleanup_error struct error *err = NULL;
    struct fit_result fit;

    if (calibrate->cross_validate && crossval_check(start, rows, &err) < 0)
        return complain(STATUS_USAGE, "%s", error_message(err));
    if (fit_profile(start, rows, &settings, &fit, &err) < 0)
        return complain(STATUS_USAGE, "%s", error_message(err));
    if (!calibrate->json) {
        print_parameters(&fit);
        print_residuals(&fit.profile, rows, &score);
        print_ceilings(&fit.profile, rows);
    }
    if (calibrate->output && write_profile(calibrate, &fit, &err) < 0)
        return complain(STATUS_FAILED, "%s", error_message(err));
    cleanup_crossval struct crossval crossval = {.rate = {.host = SCORE_LIST_INIT}};
    if (calibrate->cross_validate &&
        crossval_run(start, rows, &settings, &score, &crossval, &err) < 0)
        return complain(STATUS_USAGE, "%s", error_message(err));
    if (calibrate->json) {
        print_json(&fit, rows, &score, calibrate->cross_validate ? &crossval : NULL);
    } else if (calibrate->cross_validate) {
        puts("");
        print_errors("rates left out", &crossval.rate);
        print_errors("frames left out", &crossval.frame);
    }
    return STATUS_OK;
}

int calibrate_fit(const struct calibrate *calibrate)
{
    struct profile start;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_measurements struct measurements rows = MEASUREMENTS_INIT;

    if (load(calibrate, &rows, &start, &problems) < 0) {
        problems_print(&problems, stderr, "dpumesh: ");
        return STATUS_USAGE;
    }
    measurements_contradictions(&rows, calibrate->data, &problems);
    problems_print(&problems, stderr, "dpumesh: ");
    return fit_and_print(calibrate, &rows, &start);
}
