#include <stdio.h>

#include "ctl/documents.h"
#include "ctl/local/supervisor.h"
#include "ctl/verb.h"

static const struct option_status statuses[] = {
    {STATUS_OK, "all documents are valid"},
    {STATUS_USAGE, "usage, or problems were found; each is one line on standard error"},
};

static int run(const struct option_command *command, int argc, char **argv)
{
    cleanup_application struct application application = APPLICATION_INIT;
    int status;
    if (documents_read(command, argc, argv, &application, &status) < 0)
        return status;
    problems_print(&application.skipped, stderr, "dpumesh: left out: ");
    printf("%zu service%s, no problems\n", application.count, application.count == 1 ? "" : "s");
    return STATUS_OK;
}

const struct option_command verb_validate = {
    .name = "validate",
    .parent = "dpumesh",
    .summary = "check DpuService files without running anything",
    OPTION_ENTRIES(documents_entries),
    OPTION_STATUSES(statuses),
    .run = run,
};
