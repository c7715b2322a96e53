/*
 * From DpuServices to a work model. Works on the emitted JSON, in which all defaults stand: what
 * muBench has a word for is renamed, and the rest is noted where it is not the default.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "doc/document.h"
#include "spec/dpuservice.h"
#include "spec/workmodel_private.h"

/* An export under way: of one service, and what became of all. */
struct export
{
    const struct application *application;
    const struct dpuservice *service;
    unsigned depth; /* calls in a row that may lead to it */
    json_t *notes;
    json_t *out; /* the service in the work model */
};

static void note(struct export *export, const struct place *place, const char *sentence)
{
    cleanup_problems struct problems one = PROBLEMS_INIT;

    place_problem(place, &one, "%s", sentence);
    json_array_append_new(export->notes, json_string_nocheck(one.texts[0]));
}

/* A copy with muBench's names, as deep as the tables' own names go. */
static json_t *rename_all(json_t *value)
{
    json_t *copy, *entry;
    const char *key;
    size_t i;

    if (json_is_array(value)) {
        copy = json_array();
        json_array_foreach(value, i, entry) json_array_append_new(copy, rename_all(entry));
        return copy;
    }
    if (!json_is_object(value))
        return json_incref(value);
    copy = json_object();
    json_object_foreach(value, key, entry)
    {
        cleanup_free char *name = workmodel_snake(key);
        json_object_set_new(copy, name, rename_all(entry));
    }
    return copy;
}

/* The groups; names of services are left as they are. */
static json_t *export_groups(json_t *groups)
{
    json_t *list = json_array(), *group, *value;
    const char *key;
    size_t i;

    json_array_foreach(groups, i, group)
    {
        json_t *out = json_object();
        json_object_foreach(group, key, value)
        {
            cleanup_free char *name = workmodel_snake(key);
            json_object_set(out, name, value);
        }
        json_array_append_new(list, out);
    }
    return list;
}

static json_t *export_internal(struct export *export, json_t *internal, const struct place *at)
{
    if (!json_is_object(internal) || json_object_size(internal) == 0) {
        note(export, at,
             "muBench's services always run a function; written as one that does nothing");
        return workmodel_idle();
    }
    if (json_object_get(internal, "plugin")) {
        struct place plugin = PLACE_KEY(at, "plugin");
        note(export, &plugin, "muBench's functions are Python; written as one that does nothing");
        return workmodel_idle();
    }
    return rename_all(internal);
}

static json_t *export_behaviors(struct export *export, json_t *behaviors, const struct place *at)
{
    json_t *out = json_object(), *behavior;
    const char *key;

    json_object_foreach(behaviors, key, behavior)
    {
        struct place place = PLACE_KEY(at, key), inner = PLACE_KEY(&place, "internalService");
        json_t *groups = json_object_get(behavior, "externalServices"), *one = json_object();
        json_t *internal = json_object_get(behavior, "internalService");
        /* muBench's cell looks whether the second is there, and then takes the first. */
        if (internal) {
            json_object_set_new(one, "internal_service", export_internal(export, internal, &inner));
            json_object_set(one, "internal_services", json_object_get(one, "internal_service"));
        }
        if (groups)
            json_object_set_new(one, "external_services", export_groups(groups));
        json_object_set_new(out, key, one);
    }
    return out;
}

static void export_workload(struct export *export, json_t *workload, const struct place *at)
{
    static const char *const plain[] = {"path", "workers", "threads"};
    json_t *method = json_object_get(workload, "requestMethod");
    json_t *behaviors = json_object_get(workload, "alternativeBehaviors");
    struct place internal = PLACE_KEY(at, "internalService");
    struct place alternatives = PLACE_KEY(at, "alternativeBehaviors");

    json_object_set_new(export->out, "external_services",
                        export_groups(json_object_get(workload, "externalServices")));
    json_object_set_new(
        export->out, "internal_service",
        export_internal(export, json_object_get(workload, "internalService"), &internal));
    if (json_object_size(behaviors))
        json_object_set_new(export->out, "alternative_behaviors",
                            export_behaviors(export, behaviors, &alternatives));
    json_object_set(export->out, "request_method", method);
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
        json_object_set(export->out, plain[i], json_object_get(workload, plain[i]));
}

/* resources.requests and .limits, of which muBench knows cpu and memory. */
static void export_resources(struct export *export, json_t *resources, const struct place *at)
{
    static const char *const kinds[] = {"requests", "limits"};
    const char *key;
    json_t *quantity;

    for (size_t i = 0; i < 2; i++) {
        struct place kind = PLACE_KEY(at, kinds[i]);
        json_object_foreach(json_object_get(resources, kinds[i]), key, quantity)
        {
            struct place place = PLACE_KEY(&kind, key);
            cleanup_free char *name = xasprintf("%s-%s", key, kinds[i]);
            if (strcmp(key, "cpu") == 0 || strcmp(key, "memory") == 0)
                json_object_set(export->out, name, quantity);
            else
                note(export, &place, "muBench knows cpu and memory alone; left out");
        }
    }
}

/* Whether the affinity is of the form that an import of pod_antiaffinity makes. */
static bool is_antiaffinity(const struct dpuservice *service, const json_t *affinity)
{
    json_auto_t *own =
        json_pack("{s:[{s:{s:{s:s}}, s:s}]}", "requiredDuringSchedulingIgnoredDuringExecution",
                  "labelSelector", "matchLabels", "app.kubernetes.io/instance", service->name,
                  "topologyKey", "kubernetes.io/hostname");
    return json_equal(own, affinity);
}

/* The nodes of a node_affinity as an import makes it; NULL when it is of another form. */
static json_t *node_names(json_t *affinity)
{
    json_t *terms =
        json_object_get(json_object_get(affinity, "requiredDuringSchedulingIgnoredDuringExecution"),
                        "nodeSelectorTerms");
    json_t *values = json_object_get(
        json_array_get(json_object_get(json_array_get(terms, 0), "matchExpressions"), 0), "values");
    json_auto_t *own = json_pack(
        "{s:{s:[{s:[{s:s, s:s, s:O}]}]}}", "requiredDuringSchedulingIgnoredDuringExecution",
        "nodeSelectorTerms", "matchExpressions", "key", "kubernetes.io/hostname", "operator", "In",
        "values", values ? values : json_null());
    return values && json_equal(own, affinity) ? values : NULL;
}

static void export_affinity(struct export *export, json_t *affinity, const struct place *at)
{
    const char *key;
    json_t *value;

    json_object_foreach(affinity, key, value)
    {
        struct place place = PLACE_KEY(at, key);
        json_t *nodes = strcmp(key, "nodeAffinity") == 0 ? node_names(value) : NULL;
        if (strcmp(key, "podAntiAffinity") == 0 && is_antiaffinity(export->service, value))
            json_object_set_new(export->out, "pod_antiaffinity", json_true());
        else if (nodes)
            json_object_set(export->out, "node_affinity", nodes);
        else
            note(export, &place, "of another form than muBench's; left out");
    }
}

/* Notes what differs from the default: the whole of what the default has not. */
static void note_rest(struct export *export, json_t *value, const json_t *fallback,
                      const struct place *at)
{
    const char *key;
    json_t *entry;

    if (json_equal(value, fallback))
        return;
    if (!json_is_object(value) || !json_is_object(fallback)) {
        note(export, at, "no counterpart in muBench, left out");
        return;
    }
    json_object_foreach(value, key, entry)
    {
        struct place place = PLACE_KEY(at, key);
        note_rest(export, entry, json_object_get(fallback, key), &place);
    }
}

static void export_pod(struct export *export, json_t *pod, const json_t *fallback,
                       const struct place *at)
{
    json_t *scheduler = json_object_get(pod, "schedulerName");
    struct place affinity = PLACE_KEY(at, "affinity");

    if (scheduler)
        json_object_set(export->out, "scheduler-name", scheduler);
    export_affinity(export, json_object_get(pod, "affinity"), &affinity);
    json_object_del(pod, "schedulerName");
    json_object_del(pod, "affinity");
    note_rest(export, pod, fallback, at);
}

/* All defaults: those of a service that says nothing but its name. Owned by the caller. */
static json_t *defaults(const char *name)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    json_auto_t *root = json_pack("{s:s, s:s, s:{s:s}}", "apiVersion", DPUSERVICE_API_VERSION,
                                  "kind", DPUSERVICE_KIND, "metadata", "name", name);
    struct document document = {.file = (char *)(uintptr_t) "defaults", .root = root};
    cleanup_dpuservice struct dpuservice *service = dpuservice_read(&document, &problems);

    return dpuservice_emit(service);
}

/* Whether an import of the application would write this destination by itself. */
static bool is_derived(const struct export *export, const json_t *destination)
{
    const char *name = json_string_value(json_object_get(destination, "name"));
    const struct dpuservice *from = export->service,
                            *to = application_find(export->application, name);
    if (!to)
        return false;
    struct workmodel_end caller = {from->name, from->namespace, from->workload.path};
    struct workmodel_end callee = {to->name, to->namespace, to->workload.path};
    cleanup_free char *url = workmodel_url(&caller, &callee);
    if (!url)
        return false;
    json_auto_t *own = json_pack("{s:s, s:s, s:s}", "name", name, "mode", "forward", "url", url);
    return json_equal(own, destination);
}

/* The number of hops that an import of the application would write is none that needs telling. */
static void drop_derived_hops(const struct export *export, json_t *egress, const json_t *fallback)
{
    json_t *forward = json_object_get(egress, "forward");

    if (json_integer_value(json_object_get(forward, "hops")) == workmodel_hops(export->depth))
        json_object_set(forward, "hops",
                        json_object_get(json_object_get(fallback, "forward"), "hops"));
}

/* Takes them out. */
static void drop_derived(const struct export *export, json_t *egress)
{
    json_t *destinations = json_object_get(egress, "destinations");

    for (size_t i = json_array_size(destinations); i > 0; i--)
        if (is_derived(export, json_array_get(destinations, i - 1)))
            json_array_remove(destinations, i - 1);
    if (json_array_size(destinations) == 0)
        json_object_del(egress, "destinations");
}

/* muBench's services really call each other; that is one mode of ours, and simulated calls are a
 * change when there are any. */
static void export_egress(struct export *export, json_t *egress, const json_t *fallback,
                          const struct place *at)
{
    const char *mode = json_string_value(json_object_get(egress, "mode"));
    struct place place = PLACE_KEY(at, "mode");

    if (strcmp(mode, "simulate") == 0 && export->service->workload.group_count > 0)
        note(export, &place, "muBench has no simulated calls; its services call each other");
    json_object_set(egress, "mode", json_object_get(fallback, "mode"));
    drop_derived(export, egress);
    drop_derived_hops(export, egress, fallback);
    note_rest(export, egress, fallback, at);
}

static void export_service(struct export *export)
{
    const struct dpuservice *service = export->service;
    struct source source = dpuservice_source(service);
    struct place root = PLACE_ROOT(&source), metadata = PLACE_KEY(&root, "metadata");
    struct place spec = PLACE_KEY(&root, "spec"), workload = PLACE_KEY(&spec, "workload");
    struct place resources = PLACE_KEY(&spec, "resources"), pod = PLACE_KEY(&spec, "podTemplate");
    struct place egress = PLACE_KEY(&spec, "egress");
    json_auto_t *all = dpuservice_emit(service), *plain = defaults(service->name);
    json_t *given = json_object_get(all, "spec"), *fallback = json_object_get(plain, "spec");
    json_t *about = json_object_get(all, "metadata");

    export_workload(export, json_object_get(given, "workload"), &workload);
    json_object_set(export->out, "replicas", json_object_get(given, "replicas"));
    export_resources(export, json_object_get(given, "resources"), &resources);
    export_pod(export, json_object_get(given, "podTemplate"),
               json_object_get(fallback, "podTemplate"), &pod);
    export_egress(export, json_object_get(given, "egress"), json_object_get(fallback, "egress"),
                  &egress);
    if (service->namespace)
        json_object_set_new(export->out, "namespace", json_string(service->namespace));
    static const char *const done[] = {"workload", "replicas", "resources", "podTemplate",
                                       "egress"};
    for (size_t i = 0; i < sizeof(done) / sizeof(done[0]); i++)
        json_object_del(given, done[i]);
    note_rest(export, given, fallback, &spec);
    json_object_del(about, "namespace");
    note_rest(export, about, json_object_get(plain, "metadata"), &metadata);
}

json_t *workmodel_export(const struct application *application, json_t **ret_notes)
{
    cleanup_free unsigned *depths = workmodel_depths(application);
    json_t *model = json_object();

    *ret_notes = json_array();
    for (size_t i = 0; i < application->count; i++) {
        struct export export = {.application = application,
                                .service = application->services[i],
                                .depth = depths[i],
                                .notes = *ret_notes,
                                .out = json_object()};
        export_service(&export);
        json_object_set_new(model, application->services[i]->name, export.out);
    }
    return model;
}
