#include "ctl/calibrate.h"

#include <errno.h>

#include "ctl/fit.h"
#include "ctl/local/supervisor.h"
#include "ctl/terminal.h"
#include "ctl/verb.h"

int (*calibrate_run)(const struct calibrate *calibrate);

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
    {STATUS_USAGE, "usage, bad measurements, or a dpumesh built without NLopt; each problem is one "
                   "line on standard error"},
};

static int run(const struct option_command *command, int argc, char **argv)
{
    struct calibrate calibrate;
    cleanup_options struct options options = OPTIONS_INIT;
    cleanup_error struct error *err = NULL;

    int r = options_parse(command, argc, argv, &calibrate, &options, &err);
    if (r == 0 && !calibrate_run)
        return complain(STATUS_USAGE, "this dpumesh was built without NLopt, which fits profiles");
    if (r == 0 && (!calibrate.data || !calibrate.config))
        r = error_make(&err, EINVAL, "no %s; add --data FILE.csv and --config NAME",
                       calibrate.data ? "configuration is named" : "measurements are given");
    if (r != 0)
        return options_exit(command, r, err);
    return calibrate_run(&calibrate);
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
