#include "spec/application.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "base/text.h"
#include "doc/folder.h"
#include "spec/application_ring.h"
#include "spec/samples.h"

enum {
    KNOWN_BYTES_MAX = 200, /* of the list of known services in a sentence */
    NODE_PORT_LOW = 30000,
    NODE_PORT_HIGH = 32767
};

static const char *text_at(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* Whether a document is ours to read. What is not is noted, or a problem when it looks like a
 * mistake. */
static bool is_ours(const struct document *document, struct problems *skipped,
                    struct problems *problems)
{
    static const char group[] = "dpumesh.io/";
    const json_t *metadata = json_object_get(document->root, "metadata");
    const char *version = text_at(document->root, "apiVersion");
    const char *kind = text_at(document->root, "kind");
    const char *name = text_at(metadata, "name");
    struct source source = document_source(document, name);
    struct place root = PLACE_ROOT(&source), at = PLACE_KEY(&root, "kind");

    if (!kind) {
        place_problem(&at, problems, "missing; write kind: %s", DPUSERVICE_KIND);
        return false;
    }
    if (strcmp(kind, DPUSERVICE_KIND) == 0)
        return true;
    if (version && strncmp(version, group, sizeof(group) - 1) != 0 &&
        strcasecmp(kind, DPUSERVICE_KIND) != 0) {
        place_problem(&root, skipped, "%.64s", kind);
        return false;
    }
    place_problem(&at, problems, "\"%.64s\" is not known; write %s", kind, DPUSERVICE_KIND);
    return false;
}

const struct dpuservice *application_find(const struct application *application, const char *name)
{
    for (size_t i = 0; i < application->count; i++)
        if (application->services[i]->name && strcmp(application->services[i]->name, name) == 0)
            return application->services[i];
    return NULL;
}

/* Takes the service in unless its name is taken. */
static int add_service(struct application *application, struct dpuservice *service,
                       struct problems *problems)
{
    const struct dpuservice *first =
        service->name ? application_find(application, service->name) : NULL;
    struct source source = dpuservice_source(service);
    struct place root = PLACE_ROOT(&source), metadata = PLACE_KEY(&root, "metadata");
    struct place name = PLACE_KEY(&metadata, "name");

    if (first) {
        place_problem(&name, problems,
                      "a second DpuService of this name, the first is in %s:%u; rename one",
                      first->file, first->line);
        return -EINVAL;
    }
    application->services =
        xreallocarray(application->services, application->count + 1, sizeof(struct dpuservice *));
    application->services[application->count++] = service;
    return 0;
}

/* "s0, s1, s2", cut when there are many. */
static void known_names(const struct application *application, struct buffer *out)
{
    for (size_t i = 0; i < application->count; i++) {
        if (out->length > KNOWN_BYTES_MAX) {
            buffer_printf(out, " and %zu more", application->count - i);
            return;
        }
        buffer_printf(out, "%s%s", i ? ", " : "", application->services[i]->name);
    }
}

static void unknown_callee(const struct application *application, const char *callee,
                           const struct place *place, struct problems *problems)
{
    cleanup_buffer struct buffer known = BUFFER_INIT(2 * KNOWN_BYTES_MAX);
    struct text_nearest search = TEXT_NEAREST_INIT(callee);

    known_names(application, &known);
    /* Short names such as s1 and s9 are all near each other: then the list says more. */
    for (size_t i = 0; i < application->count && strlen(callee) > 3; i++)
        text_nearest_offer(&search, application->services[i]->name);
    if (search.best)
        place_problem(place, problems, "no service \"%s\" in these files; did you mean %s?", callee,
                      search.best);
    else
        place_problem(place, problems, "no service \"%s\" in these files; known are %s", callee,
                      buffer_terminate(&known));
}

/* Whether a service calls this name somewhere else than in these files. */
static bool is_elsewhere(const struct dpuservice *service, const char *callee)
{
    const struct egress_destination *destination =
        egress_destination(&service->egress, callee, strlen(callee));
    return destination && destination->url;
}

static void check_groups(const struct application *application, const struct dpuservice *service,
                         const struct external_group *groups, size_t count,
                         const struct place *workload, struct problems *problems)
{
    struct place list = PLACE_KEY(workload, "externalServices");

    for (size_t i = 0; i < count; i++) {
        struct place at = PLACE_INDEX(&list, i), services = PLACE_KEY(&at, "services");
        for (size_t j = 0; j < groups[i].call_count; j++) {
            struct place call = PLACE_INDEX(&services, j);
            const char *callee = groups[i].calls[j].service;
            if (callee && !application_find(application, callee) && !is_elsewhere(service, callee))
                unknown_callee(application, callee, &call, problems);
        }
    }
}

static void check_callees(const struct application *application, const struct dpuservice *service,
                          struct problems *problems)
{
    const struct workload_settings *workload = &service->workload;
    struct source source = dpuservice_source(service);
    struct place root = PLACE_ROOT(&source), spec = PLACE_KEY(&root, "spec");
    struct place at = PLACE_KEY(&spec, "workload");
    struct place behaviors = PLACE_KEY(&at, "alternativeBehaviors");

    check_groups(application, service, workload->groups, workload->group_count, &at, problems);
    for (size_t i = 0; i < workload->behavior_count; i++) {
        const struct alternative_behavior *behavior = &workload->behaviors[i];
        struct place own = PLACE_KEY(&behaviors, behavior->id);
        check_groups(application, service, behavior->groups, behavior->group_count, &own, problems);
    }
}

/* Who is said how to be called must be one that can be. */
static void check_destinations(const struct application *application,
                               const struct dpuservice *service, struct problems *problems)
{
    const struct egress_settings *egress = &service->egress;
    struct source source = dpuservice_source(service);
    struct place root = PLACE_ROOT(&source), spec = PLACE_KEY(&root, "spec");
    struct place at = PLACE_KEY(&spec, "egress"), list = PLACE_KEY(&at, "destinations");

    for (size_t i = 0; i < egress->destination_count; i++) {
        const struct egress_destination *destination = &egress->destinations[i];
        struct place entry = PLACE_INDEX(&list, i), name = PLACE_KEY(&entry, "name");
        if (destination->name && !destination->url &&
            !application_find(application, destination->name))
            unknown_callee(application, destination->name, &name, problems);
    }
}

/* Node ports are the cluster's: two services can't have the same. */
static void check_node_ports(const struct application *application, struct problems *problems)
{
    const struct dpuservice *owners[NODE_PORT_HIGH - NODE_PORT_LOW + 1] = {NULL};

    for (size_t i = 0; i < application->count; i++) {
        const struct dpuservice *service = application->services[i];
        const unsigned ports[] = {service->service.bridge_node_port,
                                  service->service.http_node_port};
        for (size_t j = 0; j < 2; j++) {
            struct source source = dpuservice_source(service);
            struct place root = PLACE_ROOT(&source), spec = PLACE_KEY(&root, "spec");
            struct place inner = PLACE_KEY(&spec, "service");
            struct place node_ports = PLACE_KEY(&inner, "nodePorts");
            struct place at = PLACE_KEY(&node_ports, j == 0 ? "bridge" : "http");
            if (!ports[j])
                continue;
            const struct dpuservice **owner = &owners[ports[j] - NODE_PORT_LOW];
            if (*owner && *owner != service) /* twice in one is that service's own problem */
                place_problem(&at, problems, "%u is also a node port of %s; give each its own",
                              ports[j], (*owner)->name ? (*owner)->name : "another service");
            else
                *owner = service;
        }
    }
}

/* The services among the documents, each with its data path if all profiles are known; clears
 * *complete where the name of one is not. */
static void read_services(const struct documents *documents,
                          const struct datapath_override *override, bool profiles_known,
                          struct application *application, bool *complete,
                          struct problems *problems)
{

    for (size_t i = 0; i < documents->count; i++) {
        const struct document *document = &documents->items[i];
        size_t count = problems->count;
        if (own_profiles_is(document))
            continue;
        if (!is_ours(document, &application->skipped, problems)) {
            *complete &= problems->count == count;
            continue;
        }
        cleanup_dpuservice struct dpuservice *service = dpuservice_read(document, problems);
        *complete &= service->name != NULL;
        /* An override that is wrong for one is told once. */
        if (problems->count == count && profiles_known &&
            own_profiles_give(&application->profiles, override, service, problems) < 0)
            profiles_known = !override->profile;
        if (add_service(application, service, problems) == 0)
            service = NULL;
    }
}

/* complete: the documents are all that there are; else one that could not be read is missing. */
static int parse(const struct documents *documents, const char *origin, bool complete,
                 const struct datapath_override *override, struct application *application,
                 struct problems *problems)
{
    size_t before = problems->count;

    for (size_t i = 0; i < documents->count; i++)
        if (own_profiles_is(&documents->items[i]))
            own_profiles_take(&application->profiles, &documents->items[i], problems);
    own_profiles_load(&application->profiles, override, problems);
    /* One that is missing may be in what could not be read. */
    bool profiles_known = complete && problems->count == before;
    read_services(documents, override, profiles_known, application, &complete, problems);
    if (problems->count == before && application->count == 0)
        problem_add(problems, "%s: no DpuService in it", origin);
    /* A service whose name is not known would make callees look missing: one cause, one problem. */
    for (size_t i = 0; complete && i < application->count; i++) {
        check_callees(application, application->services[i], problems);
        check_destinations(application, application->services[i], problems);
    }
    if (complete)
        application_check_rings(application, problems);
    check_node_ports(application, problems);
    if (problems->count == before)
        return 0;
    application_free(application);
    return -EINVAL;
}

int application_parse(const struct documents *documents, const char *origin,
                      struct application *application, struct problems *problems)
{
    return parse(documents, origin, true, &(struct datapath_override){.profile = NULL}, application,
                 problems);
}

int application_load(const char *const *paths, size_t path_count, struct application *application,
                     struct problems *problems)
{
    return application_load_with(paths, path_count, &(struct datapath_override){.profile = NULL},
                                 application, problems);
}

int application_load_with(const char *const *paths, size_t path_count,
                          const struct datapath_override *override, struct application *application,
                          struct problems *problems)
{
    cleanup_documents struct documents documents = DOCUMENTS_INIT;
    size_t before = problems->count;
    int first = 0;

    for (size_t i = 0; i < path_count; i++) {
        int ret = documents_load_path(paths[i], &documents, problems);
        first = first ? first : ret;
    }
    bool complete = problems->count == before;
    for (size_t i = 0; i < documents.count; i++)
        if (samples_expand(&documents.items[i], problems) < 0 && first == 0)
            first = -EINVAL;
    if (documents.count > 0 || problems->count == before) {
        int ret = parse(&documents, path_count ? paths[0] : "no file", complete, override,
                        application, problems);
        first = first ? first : ret;
    }
    if (first < 0)
        application_free(application);
    return first;
}

void application_free(struct application *application)
{
    for (size_t i = 0; i < application->count; i++)
        dpuservice_free(application->services[i]);
    free(application->services);
    problems_free(&application->skipped);
    own_profiles_free(&application->profiles);
    *application = (struct application)APPLICATION_INIT;
}
