#include <errno.h>
#include <stdio.h>

#include "ctl/local/pick.h"
#include "ctl/local/report.h"
#include "ctl/terminal.h"
#include "ctl/verb.h"

struct ps {
    const char *name;
    bool json;
};

static const struct option_entry entries[] = {
    {'n', "name", OPTION_TO_STRING(struct ps, name), .argument = "APP",
     .help = "Only this application."},
    {0, "json", OPTION_TO_FLAG(struct ps, json),
     .help = "Print one JSON object; its fields are stable (docs/local-mode.md)."},
};

static const struct option_status statuses[] = {
    {STATUS_OK, "printed, also when nothing runs"},
    {STATUS_FAILED, "an application runs and does not answer; the others are printed"},
    {STATUS_USAGE, "usage"},
    {STATUS_NOT_RUNNING, "the application of --name does not run"},
};

/* STATUS_FAILED and a sentence when it runs and does not answer. */
static int append(json_t *list, const char *name)
{
    cleanup_rundir struct rundir dir = RUNDIR_INIT;
    cleanup_error struct error *err = NULL;
    json_auto_t *answer = NULL;
    /* It may end between the listing and the question: then it does not run. */
    if (rundir_open(name, &dir, &err) < 0 ||
        control_call(&dir, json_pack("{s:s}", "verb", "ps"), CONTROL_TIMEOUT_NS, false, &answer,
                     &err) < 0) {
        return error_number(err) == ETIMEDOUT ? complain(STATUS_FAILED, "%s: does not answer", name)
                                              : STATUS_OK;
    }
    json_array_append(list, json_object_get(answer, "application"));
    return STATUS_OK;
}

static int collect(const char *name, json_t *list)
{
    if (name) {
        cleanup_error struct error *err = NULL;
        cleanup_rundir struct rundir dir = RUNDIR_INIT;
        int status = pick_application(name, &dir, &err);
        if (status != STATUS_OK)
            return complain(status, "%s", error_message(err));
        return append(list, name);
    }
    char **names;
    size_t count;
    cleanup_error struct error *err = NULL;
    if (rundir_list(&names, &count, &err) < 0)
        return complain(STATUS_FAILED, "%s", error_message(err));
    int status = STATUS_OK;
    for (size_t i = 0; i < count; i++) {
        if (append(list, names[i]) != STATUS_OK)
            status = STATUS_FAILED;
        free(names[i]);
    }
    free(names);
    return status;
}

static void print(const json_t *list, int status)
{
    size_t i;
    json_t *application;
    if (json_array_size(list) == 0 && status == STATUS_OK)
        say("no application is running; start one with \"dpumesh up -f FILE\"");
    json_array_foreach(list, i, application)
    {
        printf("%s%s: %s, pid %lld\n", i ? "\n" : "",
               json_string_value(json_object_get(application, "name")),
               json_string_value(json_object_get(application, "state")),
               (long long)json_integer_value(json_object_get(application, "pid")));
        report_print(application, true, stdout);
    }
}

static int run(const struct option_command *command, int argc, char **argv)
{
    struct ps ps;
    cleanup_options struct options options = OPTIONS_INIT;
    cleanup_error struct error *err = NULL;
    int r = options_parse(command, argc, argv, &ps, &options, &err);
    if (r != 0)
        return options_exit(command, r, err);

    json_auto_t *list = json_array();
    int status = collect(ps.name, list);
    if (status > STATUS_FAILED)
        return status;
    if (ps.json) {
        json_auto_t *whole = json_pack("{s:s, s:O}", "apiVersion", "dpumesh.io/local/v1alpha1",
                                       "applications", list);
        json_dumpf(whole, stdout, JSON_INDENT(2));
        putchar('\n');
    } else {
        print(list, status);
    }
    return status;
}

const struct option_command verb_ps = {
    .name = "ps",
    .parent = "dpumesh",
    .summary = "list the applications that run on this machine",
    OPTION_ENTRIES(entries),
    OPTION_STATUSES(statuses),
    .run = run,
};
