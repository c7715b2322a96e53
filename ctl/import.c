#include <errno.h>
#include <stdio.h>

#include "base/memory.h"
#include "ctl/local/supervisor.h"
#include "ctl/verb.h"
#include "ctl/workmodel_file.h"

struct import {
    const char *output, *mesh, *image;
    const char *egress;
};

static const struct option_entry entries[] = {
    {'o', "output", OPTION_TO_STRING(struct import, output), .argument = "FILE.yaml",
     .help = "Where the DpuServices go; by default to standard output."},
    {0, "mesh", OPTION_TO_STRING(struct import, mesh), .argument = "FILE.json",
     .help = "A servicemesh.json or servicegraph.json: who calls whom, for a work model that does "
             "not say it itself, as those of muBench's first versions."},
    {0, "image", OPTION_TO_STRING(struct import, image), .argument = "IMAGE",
     .help = "The agents' image. muBench's own, which the files name, is not what runs."},
    {0, "egress", OPTION_TO_STRING(struct import, egress), .argument = "MODE",
     .fallback = "forward",
     .help = "What becomes of calls to other services, for all: spec.egress.mode."},
};

static const char *const description[] = {
    "Makes a DpuService of each service of a muBench work model. K8S-PARAMETERS is muBench's "
    "K8sParameters.json: what it sets counts for all services. Old spellings are read as well.",
    "What has no counterpart is left out and told: each time a line on standard error and a "
    "comment "
    "in the output, with file and JSON pointer. What is wrong is told all at once, and then "
    "nothing "
    "is written.",
    NULL,
};

static const struct option_example examples[] = {
    {"dpumesh import workmodel.json -o app.yaml", "makes DpuServices"},
    {"dpumesh import workmodel.json K8sParameters.json | dpumesh up -f -", "and runs them"},
};

static const struct option_status statuses[] = {
    {STATUS_OK, "written, also when something had no counterpart"},
    {STATUS_FAILED, "the output could not be written"},
    {STATUS_USAGE, "usage, or a bad file; each problem is one line on standard error"},
};

/* The files that were given, in place of those of source. */
static void read_files(const struct import *import, const struct options *options,
                       struct workmodel_source *source, struct problems *repeated,
                       struct problems *problems)
{
    workmodel_file_read(options->operands[0], &source->model, problems, problems);
    if (import->mesh)
        workmodel_file_read(import->mesh, &source->mesh, problems, problems);
    /* The K8sParameters.json that muBench comes with has keys twice. */
    if (options->operand_count > 1)
        workmodel_file_read(options->operands[1], &source->parameters, repeated, problems);
}

static void source_free(struct workmodel_source *source)
{
    json_decref(source->model.root);
    json_decref(source->mesh.root);
    json_decref(source->parameters.root);
}

static int import_files(const struct import *import, const struct options *options)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT, repeated = PROBLEMS_INIT;
    cleanup_workmodel struct workmodel_documents made = WORKMODEL_DOCUMENTS_INIT;
    struct workmodel_source source CLEANUP(source_free) = {.image = import->image,
                                                           .egress = import->egress};

    read_files(import, options, &source, &repeated, &problems);
    /* What could be read is checked, too, so that all is told at once. */
    if (source.model.root)
        workmodel_import(&source, &made, &problems);
    if (problems.count > 0) {
        problems_print(&problems, stderr, "dpumesh: ");
        return STATUS_USAGE;
    }
    workmodel_note_repeated(&repeated, made.notes);
    const struct workmodel_file *parameters = &source.parameters;
    cleanup_free char *title =
        xasprintf("Made by dpumesh import from %s%s%s.", source.model.name,
                  parameters->root ? " and " : "", parameters->root ? parameters->name : "");
    return workmodel_write(&made, import->output, title);
}

static int run(const struct option_command *command, int argc, char **argv)
{
    struct import import;
    cleanup_options struct options options = OPTIONS_INIT;
    cleanup_error struct error *err = NULL;

    int r = options_parse(command, argc, argv, &import, &options, &err);
    if (r == 0)
        r = workmodel_check_options(import.image, import.egress, &err);
    if (r != 0)
        return options_exit(command, r, err);
    return import_files(&import, &options);
}

const struct option_command verb_import = {
    .name = "import",
    .parent = "dpumesh",
    .summary = "make DpuServices of a muBench work model",
    .description = description,
    OPTION_ENTRIES(entries),
    .operands = "WORKMODEL [K8S-PARAMETERS]",
    .operands_min = 1,
    .operands_max = 2,
    OPTION_EXAMPLES(examples),
    OPTION_STATUSES(statuses),
    .run = run,
};
