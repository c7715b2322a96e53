#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "ctl/documents.h"
#include "ctl/local/supervisor.h"
#include "ctl/terminal.h"
#include "ctl/verb.h"
#include "ctl/workmodel_file.h"

struct export
{
    struct option_list files;
    const char *output;
};

enum { OUTPUT_BYTES_MAX = 64 << 20 };

static const struct option_entry entries[] = {
    {'f', "file", OPTION_TO_LIST(struct export, files), .argument = "FILE",
     .help = "A file of DpuServices, YAML or JSON; \"-\" reads standard input."},
    {'o', "output", OPTION_TO_STRING(struct export, output), .argument = "FILE.json",
     .help = "Where the work model goes; by default to standard output."},
};

static const char *const description[] = {
    "Writes DpuServices as a muBench work model, with every default filled in. What muBench has no "
    "word for is left out and told, a line on standard error for each.",
    NULL,
};

static const struct option_example examples[] = {
    {"dpumesh export -f app.yaml -o workmodel.json", "writes a work model"},
};

static const struct option_status statuses[] = {
    {STATUS_OK, "written, also when something was left out"},
    {STATUS_FAILED, "the output could not be written"},
    {STATUS_USAGE, "usage, or a bad document; each problem is one line on standard error"},
};

static int export_files(const struct export *export, const struct application *application)
{
    cleanup_buffer struct buffer text = BUFFER_INIT(OUTPUT_BYTES_MAX);
    cleanup_error struct error *err = NULL;
    json_t *list;
    json_auto_t *model = workmodel_export(application, &list);
    json_auto_t *notes = list;

    cleanup_free char *json = json_dumps(model, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    if (buffer_printf(&text, "%s\n", json) < 0)
        return complain(STATUS_FAILED, "the work model is larger than %d MiB",
                        OUTPUT_BYTES_MAX >> 20);
    if (workmodel_file_write(export->output, &text, &err) < 0)
        return complain(STATUS_FAILED, "%s", error_message(err));
    workmodel_say_notes(notes);
    return STATUS_OK;
}

static int run(const struct option_command *command, int argc, char **argv)
{
    struct export export;
    cleanup_options struct options options = OPTIONS_INIT;
    cleanup_error struct error *err = NULL;
    cleanup_application struct application application = APPLICATION_INIT;
    int status = STATUS_USAGE;

    int r = options_parse(command, argc, argv, &export, &options, &err);
    cleanup_option_list struct option_list files = export.files;
    if (r == 0)
        r = documents_open(&files, NULL, &application, &status, &err);
    if (r != 0 && (r == OPTIONS_DONE || err))
        return options_exit(command, r, err);
    if (r != 0)
        return status;
    problems_print(&application.skipped, stderr, "dpumesh: left out: ");
    return export_files(&export, &application);
}

const struct option_command verb_export = {
    .name = "export",
    .parent = "dpumesh",
    .summary = "write DpuServices as a muBench work model",
    .description = description,
    OPTION_ENTRIES(entries),
    OPTION_EXAMPLES(examples),
    OPTION_STATUSES(statuses),
    .run = run,
};
