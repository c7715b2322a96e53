#include <stdio.h>

#include "ctl/local/pick.h"
#include "ctl/local/supervisor.h"
#include "ctl/terminal.h"
#include "ctl/verb.h"

struct down {
    const char *name;
    bool all;
};

static const struct option_entry entries[] = {
    {'n', "name", OPTION_TO_STRING(struct down, name), .argument = "APP",
     .help = "Which application, when several run."},
    {'a', "all", OPTION_TO_FLAG(struct down, all), .help = "All applications of this user."},
};

static const struct option_status statuses[] = {
    {STATUS_OK, "all replicas have drained and ended"},
    {STATUS_FAILED, "the supervisor did not answer"},
    {STATUS_USAGE, "usage"},
    {STATUS_NOT_RUNNING, "no application is running"},
};

/* No limit: the supervisor kills what has not drained in time. */
static int stop(const char *name)
{
    return pick_and_call(name, json_pack("{s:s}", "verb", "down"), 0, true, NULL);
}

static int stop_all(void)
{
    char **names;
    size_t count;
    cleanup_error struct error *err = NULL;
    if (rundir_list(&names, &count, &err) < 0)
        return complain(STATUS_FAILED, "%s", error_message(err));
    int status = STATUS_OK;
    for (size_t i = 0; i < count; i++) {
        int one = stop(names[i]);
        if (one != STATUS_OK && one != STATUS_NOT_RUNNING)
            status = one;
        free(names[i]);
    }
    free(names);
    return status;
}

static int run(const struct option_command *command, int argc, char **argv)
{
    struct down down;
    cleanup_options struct options options = OPTIONS_INIT;
    cleanup_error struct error *err = NULL;
    int r = options_parse(command, argc, argv, &down, &options, &err);
    if (r != 0)
        return options_exit(command, r, err);
    return down.all ? stop_all() : stop(down.name);
}

const struct option_command verb_down = {
    .name = "down",
    .parent = "dpumesh",
    .summary = "drain and stop an application",
    OPTION_ENTRIES(entries),
    OPTION_STATUSES(statuses),
    .run = run,
};
