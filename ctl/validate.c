#include <errno.h>
#include <stdio.h>

#include "ctl/documents.h"
#include "ctl/local/supervisor.h"
#include "ctl/validate_profile.h"
#include "ctl/verb.h"

struct validate {
    struct option_list files;
    struct validate_profile measured;
};

static const struct option_entry entries[] = {
    {'f', "file", OPTION_TO_LIST(struct validate, files), .argument = "FILE",
     .help = "A file of DpuServices, YAML or JSON, or a folder of such files; \"-\" reads "
             "standard input."},
    {'p', "profile", OPTION_TO_LIST(struct validate, measured.profiles), .argument = "NAME|FILE",
     .help = "A profile whose predictions are compared with --data."},
    {0, "data", OPTION_TO_STRING(struct validate, measured.data), .argument = "FILE.csv",
     .help = "Measurements, with the columns config, frame, offered, achieved, client, server and "
             "p99."},
    {0, "config", OPTION_TO_STRING(struct validate, measured.config), .argument = "NAME",
     .help = "Which configuration of the file a profile is compared with; by default the one of "
             "its name."},
    {0, "svg", OPTION_TO_STRING(struct validate, measured.svg), .argument = "FILE.svg",
     .help = "Draw measured against predicted, of one profile."},
    {'c', "connections", OPTION_TO_UNSIGNED(struct validate, measured.connections), .argument = "N",
     .fallback = "8", .min = 1, .max = 1000000, .help = "Connections of the measurements."},
    {0, "messages", OPTION_TO_UINT64(struct validate, measured.messages), .argument = "N",
     .fallback = "1000000",
     .help = "Messages simulated a row at most; 0: ten seconds of virtual time."},
    {0, "json", OPTION_TO_FLAG(struct validate, measured.json),
     .help = "Print the comparison as JSON."},
};

static const char *const description[] = {
    "With -f: reads DpuServices as up and apply do, and says all that is wrong with them.",
    "With --profile and --data: predicts each measured row, and prints the errors by "
    "configuration, frame and metric. A row that the profile was not fitted to is marked.",
    NULL,
};

static const struct option_example examples[] = {
    {"dpumesh validate -f app.yaml", "checks DpuServices"},
    {"dpumesh validate --profile bluefield3-native --data bluefield3-l4.csv --svg native.svg",
     "checks a profile"},
};

static const struct option_status statuses[] = {
    {STATUS_OK, "all documents are valid; the profile was compared, however well it fits"},
    {STATUS_FAILED, "the picture could not be written"},
    {STATUS_USAGE, "usage, or problems were found; each is one line on standard error"},
};

/* Documents, or profiles and measurements. 0, or -EINVAL and a sentence. */
static int check(const struct validate *validate, struct error **err)
{
    const struct validate_profile *measured = &validate->measured;
    bool profile = measured->profiles.count > 0;

    if (validate->files.count > 0 && (profile || measured->data))
        return error_make(err, EINVAL,
                          "-f checks documents, --profile and --data a profile; give "
                          "one or the other");
    if (profile != (measured->data != NULL))
        return error_make(err, EINVAL,
                          profile ? "no measurements are given; add --data FILE.csv"
                                  : "no profile is given; add --profile NAME");
    if (!profile && validate->files.count == 0)
        return error_make(err, EINVAL,
                          "no file is given; add -f FILE, or --profile NAME and "
                          "--data FILE.csv");
    if (measured->svg && measured->profiles.count > 1)
        return error_make(err, EINVAL, "--svg draws one profile; give --profile once");
    return 0;
}

static int run(const struct option_command *command, int argc, char **argv)
{
    struct validate validate;
    cleanup_options struct options options = OPTIONS_INIT;
    cleanup_error struct error *err = NULL;
    cleanup_application struct application application = APPLICATION_INIT;
    int status;

    int r = options_parse(command, argc, argv, &validate, &options, &err);
    cleanup_option_list struct option_list files = validate.files;
    cleanup_option_list struct option_list profiles = validate.measured.profiles;
    if (r == 0)
        r = check(&validate, &err);
    if (r != 0)
        return options_exit(command, r, err);
    if (profiles.count > 0)
        return validate_profile(&validate.measured);
    static const struct datapath_override none;
    if (documents_open(&files, &none, &application, &status, &err) < 0)
        return status;
    problems_print(&application.skipped, stderr, "dpumesh: left out: ");
    printf("%zu service%s, no problems\n", application.count, application.count == 1 ? "" : "s");
    return STATUS_OK;
}

const struct option_command verb_validate = {
    .name = "validate",
    .parent = "dpumesh",
    .summary = "check DpuService files, or a profile against measurements",
    .description = description,
    OPTION_ENTRIES(entries),
    OPTION_EXAMPLES(examples),
    OPTION_STATUSES(statuses),
    .run = run,
};
