#include <errno.h>
#include <stdio.h>

#include "ctl/local/supervisor.h"
#include "ctl/verb.h"
#include "spec/application.h"
#include "spec/children.h"

struct render {
    struct option_list files;
};

static const struct option_entry entries[] = {
    {'f', "file", OPTION_TO_LIST(struct render, files), .argument = "FILE",
     .help = "A file of DpuServices, YAML or JSON; \"-\" reads standard input."},
};

static const char *const description[] = {
    "Prints the Kubernetes objects that the operator applies for these DpuServices, and that "
    "\"dpumesh "
    "up\" runs as processes: one v1 List in JSON, which kubectl apply -f reads.",
    NULL,
};

static const struct option_status statuses[] = {
    {STATUS_OK, "printed"},
    {STATUS_USAGE, "usage, or a bad document"},
};

static int run(const struct option_command *command, int argc, char **argv)
{
    struct render render;
    cleanup_options struct options options = OPTIONS_INIT;
    cleanup_error struct error *err = NULL;
    int r = options_parse(command, argc, argv, &render, &options, &err);
    cleanup_option_list struct option_list files = render.files;
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
    json_auto_t *items = json_array();
    for (size_t i = 0; i < application.count; i++) {
        cleanup_children struct children children = CHILDREN_INIT;
        spec_children(application.services[i], &children);
        for (int kind = 0; kind < CHILD_KINDS; kind++)
            if (children.objects[kind])
                json_array_append(items, children.objects[kind]);
    }
    json_auto_t *list =
        json_pack("{s:s, s:s, s:O}", "apiVersion", "v1", "kind", "List", "items", items);
    cleanup_free char *text = spec_json_text(list);
    puts(text);
    return STATUS_OK;
}

const struct option_command verb_render = {
    .name = "render",
    .parent = "dpumesh",
    .summary = "print the Kubernetes objects behind DpuService files",
    .description = description,
    OPTION_ENTRIES(entries),
    OPTION_STATUSES(statuses),
    .run = run,
};
