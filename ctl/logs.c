#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "ctl/local/follow.h"
#include "ctl/local/pick.h"
#include "ctl/local/supervisor.h"
#include "ctl/terminal.h"
#include "ctl/verb.h"

struct logs {
    const char *name;
    unsigned tail;
    bool follow;
};

static const struct option_entry entries[] = {
    {'n', "name", OPTION_TO_STRING(struct logs, name), .argument = "APP",
     .help = "Which application, when several run."},
    {'f', "follow", OPTION_TO_FLAG(struct logs, follow),
     .help =
         "Go on with what is printed from now on, new replicas too, until the application ends."},
    {'t', "tail", OPTION_TO_UNSIGNED(struct logs, tail), .argument = "N", .fallback = "100",
     .max = 1000000, .help = "How many of the last lines of each replica."},
};

static const char *const description[] = {
    "Prints what replicas have printed. SERVICE is a service (all its replicas, also those that "
    "ended, "
    "each line after the replica's name) or one replica such as s0-1; without it, everything.",
    NULL,
};

static const struct option_status statuses[] = {
    {STATUS_OK, "printed"},
    {STATUS_USAGE, "usage, or no such service"},
    {STATUS_NOT_RUNNING, "no application is running"},
};

static int run(const struct option_command *command, int argc, char **argv)
{
    struct logs logs;
    cleanup_options struct options options = OPTIONS_INIT;
    cleanup_error struct error *err = NULL;
    cleanup_rundir struct rundir dir = RUNDIR_INIT;
    int r = options_parse(command, argc, argv, &logs, &options, &err);
    if (r != 0)
        return options_exit(command, r, err);
    int status = pick_application(logs.name, &dir, &err);
    if (status != STATUS_OK)
        return complain(status, "%s", error_message(err));
    const char *which = options.operand_count ? options.operands[0] : NULL;
    if (follow_logs(&dir, which, logs.tail, logs.follow, stdout, &err) < 0)
        return complain(STATUS_USAGE, "%s", error_message(err));
    return STATUS_OK;
}

const struct option_command verb_logs = {
    .name = "logs",
    .parent = "dpumesh",
    .summary = "print what replicas have printed",
    .description = description,
    OPTION_ENTRIES(entries),
    .operands = "[SERVICE|REPLICA]",
    .operands_max = 1,
    OPTION_STATUSES(statuses),
    .run = run,
};
