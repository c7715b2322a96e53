#include <stdio.h>
#include <string.h>

#include "ctl/documents.h"
#include "ctl/local/supervisor.h"
#include "ctl/verb.h"
#include "spec/callees.h"
#include "spec/children.h"

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

/* Where the callees of one of the services answer, as the operator would find them. */
struct looking {
    const struct application *application;
    const struct dpuservice *caller;
};

static bool same_namespace(const struct dpuservice *a, const struct dpuservice *b)
{
    return a->namespace && b->namespace ? strcmp(a->namespace, b->namespace) == 0
                                        : a->namespace == b->namespace;
}

static char *look_up(void *context, const char *name)
{
    const struct looking *looking = context;
    const struct dpuservice *callee = application_find(looking->application, name);
    if (!callee || !same_namespace(callee, looking->caller))
        return NULL;
    return service_address(callee->service.http_port, callee->workload.path);
}

static int run(const struct option_command *command, int argc, char **argv)
{
    cleanup_application struct application application = APPLICATION_INIT;
    int status;
    if (documents_read(command, argc, argv, &application, &status) < 0)
        return status;
    json_auto_t *items = json_array();
    for (size_t i = 0; i < application.count; i++) {
        cleanup_children struct children children = CHILDREN_INIT;
        struct looking looking = {&application, application.services[i]};
        callees_resolve(application.services[i], look_up, &looking);
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
    OPTION_ENTRIES(documents_entries),
    OPTION_STATUSES(statuses),
    .run = run,
};
