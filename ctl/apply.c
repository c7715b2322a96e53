#include <stdio.h>

#include "ctl/local/pick.h"
#include "ctl/local/report.h"
#include "ctl/verb.h"

struct apply {
    const char *name;
};

static const struct option_entry entries[] = {
    {'n', "name", OPTION_TO_STRING(struct apply, name), .argument = "APP",
     .help = "Which application, when several run."},
};

static const char *const description[] = {
    "Has a running application read its files again. Changed configurations are handed to the "
    "agents, "
    "which take them over without a restart; changed replica numbers are scaled. Services and "
    "ports "
    "can't change while the application runs.",
    NULL,
};

static const struct option_status statuses[] = {
    {STATUS_OK, "the configurations were handed over"},
    {STATUS_FAILED, "a configuration could not be written"},
    {STATUS_USAGE, "usage, a bad document (the old one stays), or services or ports changed"},
    {STATUS_NOT_RUNNING, "no application is running"},
};

static int run(const struct option_command *command, int argc, char **argv)
{
    struct apply apply;
    cleanup_options struct options options = OPTIONS_INIT;
    cleanup_error struct error *err = NULL;
    int r = options_parse(command, argc, argv, &apply, &options, &err);
    if (r != 0)
        return options_exit(command, r, err);

    json_auto_t *application = NULL;
    int status =
        pick_and_call(apply.name, json_pack("{s:s}", "verb", "apply"), 0, false, &application);
    if (status == STATUS_OK)
        report_print(application, false, stdout);
    return status;
}

const struct option_command verb_apply = {
    .name = "apply",
    .parent = "dpumesh",
    .summary = "read an application's files again",
    .description = description,
    OPTION_ENTRIES(entries),
    OPTION_STATUSES(statuses),
    .run = run,
};
