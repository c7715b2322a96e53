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
#include "ctl/verb.h"
#include "spec/profile.h"

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

static const struct option_entry entries[] = {
    {0, "data", OPTION_TO_STRING(struct calibrate, data), .argument = "FILE.csv",
     .help = "Measurements, with the columns config, frame, offered, achieved, client, server and "
             "p99."},
    {0, "config", OPTION_TO_STRING(struct calibrate, config), .argument = "NAME",
     .help = "Which configuration of the file."},
    {'o', "output", OPTION_TO_STRING(struct calibrate, output), .argument = "FILE.json",
     .help = "Where the profile goes."},
    {'p', "profile", OPTION_TO_STRING(struct calibrate, start), .argument = "NAME|FILE",
     .help = "A profile for what is not fitted: workers, buffers, delays. Its parameters with an "
             "error are those that are fitted, anew."},
    {0, "kind", OPTION_TO_CHOICE(struct calibrate, kind), .argument = "KIND", .fallback = "dpu",
     .choices = profile_kinds, .help = "What the path is, when no profile is given."},
    {0, "name", OPTION_TO_STRING(struct calibrate, name), .argument = "NAME",
     .help = "The profile's name; by default the configuration's."},
    {'c', "connections", OPTION_TO_UNSIGNED(struct calibrate, connections), .argument = "N",
     .fallback = "8", .min = 1, .max = 1000000, .help = "Connections of the measurements."},
    {0, "starts", OPTION_TO_UNSIGNED(struct calibrate, starts), .argument = "N", .fallback = "12",
     .min = 1, .max = FIT_STARTS_MAX, .help = "Points at which the search begins."},
    {0, "evaluations", OPTION_TO_UNSIGNED(struct calibrate, evaluations), .argument = "N",
     .fallback = "300", .max = 1000000,
     .help = "Simulations of all rows that the best of them gets; 0 stays with the closed form."},
    {0, "messages", OPTION_TO_UINT64(struct calibrate, messages), .argument = "N",
     .fallback = "10000", .min = 100, .max = 1000000000, .help = "Messages simulated a row."},
    {0, "cross-validate", OPTION_TO_FLAG(struct calibrate, cross_validate),
     .help = "Also leave out each rate and each frame in turn, and say how well they are "
             "predicted. Takes a dozen times as long."},
    {0, "json", OPTION_TO_FLAG(struct calibrate, json),
     .help = "Print JSON: parameters, and of the cross-validation every single error."},
};

static const char *const description[] = {
    "Fits a profile to measurements: bounded least squares on the simulation, begun at several "
    "points. Prints the parameters with their standard errors, which of them the data can't tell "
    "apart, and what is left of each row.",
    NULL,
};

static const struct option_example examples[] = {
    {"dpumesh calibrate --data bluefield3-l4.csv --config dpumesh-native -o my-dpu.json",
     "fits a DPU"},
    {"dpumesh calibrate --data mine.csv --config proxy --kind sidecar -o proxy.json",
     "fits a proxy on the host"},
};

static const struct option_status statuses[] = {
    {STATUS_OK, "fitted"},
    {STATUS_FAILED, "the profile could not be written"},
    {STATUS_USAGE, "usage, or bad measurements; each problem is one line on standard error"},
};

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
        if (fit->relative_error[i] > 1) {
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
        table_cell(&table, "x%.2f%s", score.p99_factor, row->clean ? "" : " full");
    }
    puts("");
    table_print(&table, stdout);
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

/* The fit and, where there is one, the cross-validation. */
static void print_json(const struct fit_result *fit, const struct crossval *crossval)
{
    json_auto_t *root = json_object();
    json_t *parameters = json_array();

    for (size_t i = 0; i < fit->count; i++) {
        const struct profile_row *row = &profile_rows[fit->parameters[i]];
        json_array_append_new(parameters,
                              json_pack("{s:s, s:f, s:s, s:f, s:b}", "name", row->name, "value",
                                        fit->profile.value[fit->parameters[i]], "unit", row->unit,
                                        "relative_error", fit->relative_error[i], "at_bound",
                                        fit->at_bound[i]));
    }
    json_object_set_new(root, "parameters", parameters);
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
    if (strlen(name) >= sizeof start.name) {
        problem_add(problems,
                    "the name %s is too long for a profile; give one of at most %d "
                    "characters with --name",
                    name, PROFILE_NAME_MAX - 1);
        return -EINVAL;
    }
    memcpy(start.name, name, strlen(name) + 1);
    *ret_start = start;
    return 0;
}

static int calibrate_run(const struct calibrate *calibrate, const struct measurements *rows,
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

    if (fit_profile(start, rows, &settings, &fit, &err) < 0)
        return complain(STATUS_USAGE, "%s", error_message(err));
    if (!calibrate->json) {
        print_parameters(&fit);
        print_residuals(&fit.profile, rows, &score);
    }
    if (calibrate->output && write_profile(calibrate, &fit, &err) < 0)
        return complain(STATUS_FAILED, "%s", error_message(err));
    cleanup_crossval struct crossval crossval = {.rate = {.host = SCORE_LIST_INIT}};
    if (calibrate->cross_validate &&
        crossval_run(start, rows, &settings, &score, &crossval, &err) < 0)
        return complain(STATUS_USAGE, "%s", error_message(err));
    if (calibrate->json) {
        print_json(&fit, calibrate->cross_validate ? &crossval : NULL);
    } else if (calibrate->cross_validate) {
        puts("");
        print_errors("rates left out", &crossval.rate);
        print_errors("frames left out", &crossval.frame);
    }
    return STATUS_OK;
}

static int run(const struct option_command *command, int argc, char **argv)
{
    struct calibrate calibrate;
    struct profile start;
    cleanup_options struct options options = OPTIONS_INIT;
    cleanup_error struct error *err = NULL;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_measurements struct measurements rows = MEASUREMENTS_INIT;

    int r = options_parse(command, argc, argv, &calibrate, &options, &err);
    if (r == 0 && (!calibrate.data || !calibrate.config)) {
        error_make(&err, EINVAL, "no %s; add --data FILE.csv and --config NAME",
                   calibrate.data ? "configuration is named" : "measurements are given");
        r = -EINVAL;
    }
    if (r != 0)
        return options_exit(command, r, err);
    if (load(&calibrate, &rows, &start, &problems) < 0) {
        problems_print(&problems, stderr, "dpumesh: ");
        return STATUS_USAGE;
    }
    return calibrate_run(&calibrate, &rows, &start);
}

const struct option_command verb_calibrate = {
    .name = "calibrate",
    .parent = "dpumesh",
    .summary = "fit a profile to measurements of a data path",
    .description = description,
    OPTION_ENTRIES(entries),
    OPTION_EXAMPLES(examples),
    OPTION_STATUSES(statuses),
    .run = run,
};
