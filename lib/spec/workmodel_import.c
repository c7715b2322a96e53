#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "doc/document.h"
#include "doc/yaml_text.h"
#include "spec/workmodel_private.h"

/* The groups that the mesh has for the service; *ret_place, of two, is where. NULL: none. */
static json_t *mesh_groups(const struct workmodel_source *source, const char *name,
                           const struct place *root, struct place ret_place[2],
                           const struct place **ret_at)
{
    json_t *entry = json_object_get(source->mesh.root, name);

    ret_place[0] = (struct place)PLACE_KEY(root, name);
    *ret_at = &ret_place[0];
    if (!json_is_object(entry))
        return entry;
    ret_place[1] = (struct place)PLACE_KEY(&ret_place[0], "external_services");
    *ret_at = &ret_place[1];
    return json_object_get(entry, "external_services");
}

static void take_mesh(struct conversion *conversion, const struct place *root)
{
    static const char *const path[WORKMODEL_PATH_MAX] = {"spec", "workload", "externalServices"};
    const json_t *workload =
        json_object_get(json_object_get(conversion->document, "spec"), "workload");
    struct place places[2], storage[WORKMODEL_PATH_MAX + 1];
    const struct place *at;
    json_t *groups = mesh_groups(conversion->source, conversion->name, root, places, &at);

    if (!groups)
        return;
    if (json_object_get(workload, "externalServices")) {
        convert_note(conversion, at, "the work model says itself whom it calls; left out");
        return;
    }
    const struct field *field = workmodel_named(workmodel_workload_record(), "externalServices");
    const struct place *to = convert_path(path, storage);
    convert_put(conversion, path, convert_value(conversion, field, groups, at, to), at);
}

/* What the command line sets. */
static void take_options(struct conversion *conversion, const struct place *from)
{
    static const char *const image[WORKMODEL_PATH_MAX] = {"spec", "image"};
    static const char *const egress[WORKMODEL_PATH_MAX] = {"spec", "egress", "mode"};
    const struct workmodel_source *source = conversion->source;

    convert_put(conversion, image, source->image ? json_string(source->image) : NULL, from);
    convert_put(conversion, egress, source->egress ? json_string(source->egress) : NULL, from);
}

/* A mesh of services that are not in the model belongs to another model. */
static void check_mesh(const struct workmodel_source *source, const struct place *root,
                       struct problems *problems)
{
    char shown[PLACE_VALUE_MAX];
    const char *name;
    json_t *entry;

    if (source->mesh.root && !json_is_object(source->mesh.root))
        place_problem(root, problems, "must be an object of services, not %s",
                      place_value(source->mesh.root, shown));
    json_object_foreach(source->mesh.root, name, entry)
    {
        struct place at = PLACE_KEY(root, name);
        if (!json_object_get(source->model.root, name))
            place_problem(&at, problems, "not a service of the work model %s", source->model.name);
    }
}

#define GENERATOR_SENTENCE                                                                         \
    "parameters of muBench's generators, not a work model; give them to dpumesh generate"
#define RUNNER_SENTENCE                                                                            \
    "parameters of muBench's runner, not a work model; dpumesh load sends requests"

/* muBench's other files, by a key that only they have. */
static const struct other_file {
    const char *key, *sentence;
} other_files[] = {
    {"K8sParameters", "this is a K8sParameters.json, not a work model; give the work model first"},
    {"ServiceGraphParameters", GENERATOR_SENTENCE},
    {"ServiceMeshParameters", GENERATOR_SENTENCE},
    {"WorkModelParameters", GENERATOR_SENTENCE},
    {"RunnerParameters", RUNNER_SENTENCE},
    {"TrafficParameters", RUNNER_SENTENCE},
    {"WorkLoadParameters", RUNNER_SENTENCE},
    {"K8sParametersFilePath",
     "files for muBench's autopilot, not a work model; give the files that it names"},
};

/* Whether it can be a work model at all. */
static bool check_model(const struct workmodel_source *source, const struct place *root,
                        struct problems *problems)
{
    char shown[PLACE_VALUE_MAX];
    size_t count = json_object_size(source->model.root);

    if (!json_is_object(source->model.root) || count == 0) {
        place_problem(root, problems, "must be an object of services, not %s",
                      count == 0 && json_is_object(source->model.root)
                          ? "an empty one"
                          : place_value(source->model.root, shown));
        return false;
    }
    for (size_t i = 0; i < sizeof(other_files) / sizeof(other_files[0]); i++) {
        if (!json_object_get(source->model.root, other_files[i].key))
            continue;
        place_problem(root, problems, "%s", other_files[i].sentence);
        return false;
    }
    if (count > DOCUMENTS_MAX)
        place_problem(root, problems, "%zu services; at most %d", count, DOCUMENTS_MAX);
    return true;
}

/* A copy with its fields in the order of the tables, as people write documents. */
static json_t *in_order(const struct record *record, json_t *object)
{
    if (!json_is_object(object))
        return json_incref(object);
    json_t *copy = json_object();
    for (size_t i = 0; i < record->field_count; i++) {
        const struct field *field = &record->fields[i];
        json_t *value = json_object_get(object, field->name);
        if (value && field->type == FIELD_RECORD)
            json_object_set_new(copy, field->name, in_order(field->record, value));
        else if (value)
            json_object_set(copy, field->name, value);
    }
    json_object_update_missing(copy, object);
    return copy;
}

struct import {
    struct conversion conversion;
    struct place model, mesh; /* roots */
    struct place parameters[2];
    json_t *overrides; /* NULL: none */
    struct workmodel_documents made;
};

static bool sets_namespace(json_t *overrides)
{
    const char *key;
    json_t *value;

    json_object_foreach(overrides, key, value)
    {
        if (workmodel_same_name(key, "namespace"))
            return true;
    }
    return false;
}

static void import_service(struct import *import, const char *name, json_t *service)
{
    struct conversion *conversion = &import->conversion;
    struct workmodel_documents *made = &import->made;
    struct place at = PLACE_KEY(&import->model, name);

    convert_begin(conversion, name, &at);
    convert_service(conversion, service, &at);
    if (!sets_namespace(import->overrides))
        convert_compare_url(conversion, service, &at);
    take_mesh(conversion, &import->mesh);
    if (import->overrides) {
        conversion->overriding = true;
        convert_service(conversion, import->overrides, &import->parameters[1]);
        conversion->overriding = false;
    }
    take_options(conversion, &at);
    convert_check(conversion);
    if (made->count < DOCUMENTS_MAX) {
        made->items = xreallocarray(made->items, made->count + 1, sizeof(*made->items));
        made->items[made->count++] = (struct workmodel_document){
            in_order(&dpuservice_record, conversion->document), json_incref(conversion->notes)};
    }
    convert_end(conversion);
    conversion->index++;
}

int workmodel_import(const struct workmodel_source *source,
                     struct workmodel_documents *ret_documents, struct problems *problems)
{
    struct source model = {.file = source->model.name, .pointers = true};
    struct source mesh = {.file = source->mesh.name, .pointers = true}, parameters;
    struct import import = {.conversion = {.source = source, .problems = problems},
                            .model = PLACE_ROOT(&model),
                            .mesh = PLACE_ROOT(&mesh)};
    size_t before = problems->count;
    const char *name;
    json_t *service;

    json_auto_t *notes = json_array();
    import.overrides =
        workmodel_parameters(&import.conversion, notes, import.parameters, &parameters);
    check_mesh(source, &import.mesh, problems);
    if (check_model(source, &import.model, problems)) {
        json_object_foreach(source->model.root, name, service)
            import_service(&import, name, service);
        workmodel_check_calls(&import.conversion.calls, source->model.root, notes, problems);
    }
    json_decref(import.overrides);
    /* Simulated calls leave no pod. */
    bool right = problems->count == before;
    if (right && source->egress && strcmp(source->egress, "forward") == 0) {
        workmodel_add_urls(&import.conversion.calls, &import.made);
        workmodel_add_hops(&import.conversion.calls, &import.model, &import.made);
    }
    workmodel_calls_free(&import.conversion.calls);
    if (!right) {
        workmodel_documents_free(&import.made);
        return -EINVAL;
    }
    import.made.notes = json_incref(notes);
    *ret_documents = import.made;
    return 0;
}

static int print_notes(json_t *notes, struct buffer *out)
{
    json_t *note;
    size_t i;
    int ret = 0;

    json_array_foreach(notes, i, note)
    {
        int one = yaml_comment(json_string_value(note), out);
        ret = one < 0 ? one : ret;
    }
    return ret;
}

int workmodel_print(const struct workmodel_documents *documents, const char *title,
                    struct buffer *out)
{
    int ret = yaml_comment(title, out);

    if (ret == 0)
        ret = print_notes(documents->notes, out);
    for (size_t i = 0; i < documents->count && ret == 0; i++) {
        if (i > 0)
            ret = buffer_puts(out, "---\n");
        if (ret == 0)
            ret = print_notes(documents->items[i].notes, out);
        if (ret == 0)
            ret = yaml_text(documents->items[i].object, out);
    }
    return ret;
}

void workmodel_documents_free(struct workmodel_documents *documents)
{
    for (size_t i = 0; i < documents->count; i++) {
        json_decref(documents->items[i].object);
        json_decref(documents->items[i].notes);
    }
    free(documents->items);
    json_decref(documents->notes);
    *documents = (struct workmodel_documents)WORKMODEL_DOCUMENTS_INIT;
}
