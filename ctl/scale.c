#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "ctl/assign.h"
#include "ctl/local/pick.h"
#include "ctl/local/report.h"
#include "ctl/terminal.h"
#include "ctl/verb.h"

struct scale {
    const char *name;
    bool no_wait;
    uint64_t timeout_ns;
};

static const struct option_entry entries[] = {
    {'n', "name", OPTION_TO_STRING(struct scale, name), .argument = "APP",
     .help = "Which application, when several run."},
    {0, "no-wait", OPTION_TO_FLAG(struct scale, no_wait),
     .help = "Do not wait until new replicas are ready and surplus ones have drained."},
    {0, "timeout", OPTION_TO_DURATION(struct scale, timeout_ns), .argument = "TIME",
     .fallback = "60s", .help = "How long to wait; 0 waits without a limit."},
};

static const struct option_example examples[] = {
    {"dpumesh scale s0 3", "three replicas of s0"},
    {"dpumesh scale s0=3 s1=2", "several services"},
    {"dpumesh scale s0 0", "none: connections wait in the backlog until there is one again"},
};

static const struct option_status statuses[] = {
    {STATUS_OK, "as many replicas as asked for are ready (with --no-wait: asked for)"},
    {STATUS_FAILED, "a replica failed, or was not ready in time"},
    {STATUS_USAGE, "usage, or no such service"},
    {STATUS_NOT_RUNNING, "no application is running"},
};

/* "s0 3" is "s0=3" with a blank, as kubectl's users type it. */
static int parse(const struct options *options, struct assignments *list, struct error **err)
{
    if (options->operand_count == 2 && !strchr(options->operands[0], '=')) {
        cleanup_free char *text = xasprintf("%s=%s", options->operands[0], options->operands[1]);
        return assignments_parse(text, PLAN_REPLICAS_MAX, list, err);
    }
    for (size_t i = 0; i < options->operand_count; i++) {
        int r = assignments_parse(options->operands[i], PLAN_REPLICAS_MAX, list, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int run(const struct option_command *command, int argc, char **argv)
{
    struct scale scale;
    cleanup_options struct options options = OPTIONS_INIT;
    cleanup_error struct error *err = NULL;
    cleanup_assignments struct assignments list = ASSIGNMENTS_INIT;
    int r = options_parse(command, argc, argv, &scale, &options, &err);
    if (r == 0)
        r = parse(&options, &list, &err);
    if (r != 0)
        return options_exit(command, r, err);

    json_auto_t *application = NULL;
    for (size_t i = 0; i < list.count; i++) {
        json_t *request =
            json_pack("{s:s, s:s, s:i, s:b}", "verb", "scale", "service", list.items[i].service,
                      "replicas", (int)list.items[i].replicas, "wait", !scale.no_wait);
        json_decref(application);
        application = NULL;
        int status = pick_and_call(scale.name, request, scale.timeout_ns, false, &application);
        if (status != STATUS_OK)
            return status;
    }
    report_print(application, false, stdout);
    return STATUS_OK;
}

const struct option_command verb_scale = {
    .name = "scale",
    .parent = "dpumesh",
    .summary = "change how many replicas of a service run",
    OPTION_ENTRIES(entries),
    .operands = "SERVICE N | SERVICE=N...",
    .operands_min = 1,
    .operands_max = ASSIGN_MAX,
    OPTION_EXAMPLES(examples),
    OPTION_STATUSES(statuses),
    .run = run,
};
