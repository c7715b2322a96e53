#include <errno.h>
#include <stdio.h>

#include "ctl/local/supervisor.h"
#include "ctl/verb.h"
#include "spec/application.h"

struct validate {
    struct option_list files;
};

static const struct option_entry entries[] = {
    {'f', "file", OPTION_TO_LIST(struct validate, files), .argument = "FILE",
     .help = "A file of DpuServices, YAML or JSON; \"-\" reads standard input."},
};

static const struct option_status statuses[] = {
    {STATUS_OK, "all documents are valid"},
    {STATUS_USAGE, "usage, or problems were found; each is one line on standard error"},
};

static int run(const struct option_command *command, int argc, char **argv)
{
    struct validate validate;
    cleanup_options struct options options = OPTIONS_INIT;
    cleanup_error struct error *err = NULL;
    int r = options_parse(command, argc, argv, &validate, &options, &err);
    cleanup_option_list struct option_list files = validate.files;
    if (r == 0 && files.count == 0)
        r = error_make(&err, EINVAL, "no file is given; add -f FILE");
    if (r != 0)
        return options_exit(command, r, err);

    cleanup_application struct application application = APPLICATION_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    if (application_load(files.items, files.count, &application, &problems) < 0) {
        problems_print(&problems, stderr, "dpumesh: ");
        return STATUS_USAGE;
    }
    problems_print(&application.skipped, stderr, "dpumesh: left out: ");
    printf("%zu service%s, no problems\n", application.count, application.count == 1 ? "" : "s");
    return STATUS_OK;
}

const struct option_command verb_validate = {
    .name = "validate",
    .parent = "dpumesh",
    .summary = "check DpuService files without running anything",
    OPTION_ENTRIES(entries),
    OPTION_STATUSES(statuses),
    .run = run,
};
