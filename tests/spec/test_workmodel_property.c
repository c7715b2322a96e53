/* Round trips of random work models: what is drawn comes from a seed, and a failure prints it. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "model/random.h"
#include "spec/settings.h"
#include "spec/workmodel.h"
#include "spec/workmodel_private.h"

enum { MODELS = 100, SERVICES_MAX = 12, TEXT_BYTES_MAX = 1 << 20 };

static unsigned die(struct random_stream *stream, unsigned low, unsigned high)
{
    return (unsigned)random_range(stream, low, high);
}

static json_t *draw_record(struct random_stream *stream, const struct record *record);

/* A value of a field of the tables, within its bounds; NULL: of a type that is not drawn here. */
static json_t *draw_value(struct random_stream *stream, const struct field *field)
{
    unsigned low, high, most = field->max < 10000 ? (unsigned)field->max : 10000;

    switch (field->type) {
    case FIELD_BOOL:
        return json_boolean(die(stream, 0, 1));
    case FIELD_UNSIGNED:
        return json_integer(die(stream, (unsigned)field->min, most));
    case FIELD_NUMBER:
        return json_real(die(stream, 0, 4000) / 8.0);
    case FIELD_SECONDS:
        return json_real(die(stream, 0, 4000) / 1000.0);
    case FIELD_RANGE:
        low = die(stream, (unsigned)field->min, most);
        high = die(stream, low, most);
        return json_pack("[i, i]", (int)low, (int)high);
    case FIELD_RECORD:
        return draw_record(stream, field->record);
    default:
        return NULL;
    }
}

/* Some of the fields, in muBench's spelling; of a choice, one. */
static json_t *draw_record(struct random_stream *stream, const struct record *record)
{
    json_t *object = json_object();
    size_t only = die(stream, 0, (unsigned)record->field_count - 1);

    for (size_t i = 0; i < record->field_count; i++) {
        const struct field *field = &record->fields[i];
        if (record->choice ? i != only : die(stream, 0, 3) == 0)
            continue;
        if (strcmp(field->name, "plugin") == 0)
            continue;
        json_t *value = draw_value(stream, field);
        cleanup_free char *name = workmodel_snake(field->name);
        const char *key =
            strcmp(name, "mean_response_size") == 0 && die(stream, 0, 1) ? "mean_bandwidth" : name;
        if (value)
            json_object_set_new(object, key, value);
    }
    return object;
}

static json_t *draw_internal(struct random_stream *stream)
{
    json_t *internal = draw_record(stream, &internal_service_record);
    if (json_object_size(internal) == 0) /* one that this version has not */
        json_object_set_new(internal, "compute_pi", json_object());
    return internal;
}

/* Calls to later services, so that none comes back. */
static json_t *draw_groups(struct random_stream *stream, unsigned service, unsigned services)
{
    json_t *groups = json_array();

    for (unsigned left = service + 1 < services ? die(stream, 0, 3) : 0; left > 0; left--) {
        json_t *list = json_array(), *probabilities = json_object();
        unsigned count = die(stream, 1, 4);
        for (unsigned i = 0; i < count; i++) {
            unsigned callee = die(stream, service + 1, services - 1);
            cleanup_free char *name =
                die(stream, 0, 2) ? xasprintf("s%u", callee) : xasprintf("s%u__%u", callee, i);
            json_array_append_new(list, json_string(name));
            if (die(stream, 0, 1))
                json_object_set_new(probabilities, name, json_real(die(stream, 0, 8) / 8.0));
        }
        json_t *group =
            json_pack("{s:i, s:o}", "seq_len", (int)die(stream, 1, 6), "services", list);
        if (die(stream, 0, 1))
            json_object_set(group, "probabilities", probabilities);
        json_decref(probabilities);
        json_array_append_new(groups, group);
    }
    return groups;
}

/* Where the tables have them. */
static void draw_behaviors(struct random_stream *stream, json_t *service, unsigned index,
                           unsigned services)
{
    const struct field *field =
        workmodel_named(workmodel_workload_record(), "alternativeBehaviors");
    json_t *behaviors = json_object();

    for (unsigned left = field->type == FIELD_MAP ? die(stream, 0, 2) : 0; left > 0; left--) {
        cleanup_free char *name = xasprintf("b%u", left);
        json_t *one = json_object();
        if (die(stream, 0, 1))
            json_object_set_new(one, "internal_service", draw_internal(stream));
        if (die(stream, 0, 1))
            json_object_set_new(one, "external_services", draw_groups(stream, index, services));
        json_object_set_new(behaviors, name, one);
    }
    if (json_object_size(behaviors))
        json_object_set(service, "alternative_behaviors", behaviors);
    json_decref(behaviors);
}

static void draw_pods(struct random_stream *stream, json_t *service)
{
    if (die(stream, 0, 1))
        json_object_set_new(service, "cpu-requests", json_string("100m"));
    if (die(stream, 0, 1))
        json_object_set_new(service, "cpu-limits", json_string("1.5"));
    if (die(stream, 0, 1))
        json_object_set_new(service, "memory-limits", json_string("64Mi"));
    if (die(stream, 0, 1))
        json_object_set_new(service, "pod_antiaffinity", json_boolean(die(stream, 0, 1)));
    if (die(stream, 0, 1))
        json_object_set_new(service, "node_affinity", json_pack("[s, s]", "n1", "n2"));
    if (die(stream, 0, 1))
        json_object_set_new(service, "scheduler-name", json_string("mine"));
    if (die(stream, 0, 1))
        json_object_set_new(service, "namespace", json_string("mub"));
}

static json_t *draw_model(struct random_stream *stream)
{
    unsigned services = die(stream, 1, SERVICES_MAX);
    json_t *model = json_object();

    for (unsigned i = 0; i < services; i++) {
        cleanup_free char *name = xasprintf("s%u", i);
        json_t *service = json_object();
        json_object_set_new(service, "internal_service", draw_internal(stream));
        if (die(stream, 0, 3))
            json_object_set_new(service, "external_services", draw_groups(stream, i, services));
        if (die(stream, 0, 1))
            json_object_set_new(service, "workers", json_integer(die(stream, 1, 8)));
        if (die(stream, 0, 1))
            json_object_set_new(service, "threads", json_integer(die(stream, 1, 300)));
        if (die(stream, 0, 1))
            json_object_set_new(service, "replicas", json_integer(die(stream, 0, 1000)));
        if (die(stream, 0, 1))
            json_object_set_new(service, "path", json_string("/x/y"));
        draw_pods(stream, service);
        draw_behaviors(stream, service, i, services);
        if (die(stream, 0, 1))
            json_object_set_new(service, "request_method", json_string("rest"));
        json_object_set_new(model, name, service);
    }
    return model;
}

/* The model as DpuServices, written as YAML and read again; "what it means" is their JSON with all
 * defaults in it. */
static json_t *meaning(json_t *model, uint64_t seed, struct application *application)
{
    cleanup_workmodel struct workmodel_documents made = WORKMODEL_DOCUMENTS_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_documents struct documents documents = DOCUMENTS_INIT;
    cleanup_buffer struct buffer text = BUFFER_INIT(TEXT_BYTES_MAX);
    struct workmodel_source source = {.model = {"m.json", model}, .egress = "forward"};
    cleanup_free char *dump = json_dumps(model, 0);

    cr_assert_eq(workmodel_import(&source, &made, &problems), 0, "seed %zu: %s\n%s", (size_t)seed,
                 problems.count ? problems.texts[0] : "", dump);
    cr_assert_eq(workmodel_print(&made, "Title", &text), 0);
    cr_assert_eq(documents_parse(text.data, text.length, "a.yaml", &documents, &problems), 0);
    cr_assert_eq(application_parse(&documents, "a.yaml", application, &problems), 0,
                 "seed %zu: %s\n%s", (size_t)seed, problems.count ? problems.texts[0] : "", dump);
    json_t *list = json_array();
    for (size_t i = 0; i < application->count; i++)
        json_array_append_new(list, dpuservice_emit(application->services[i]));
    return list;
}

/* Import, export, import: the same meaning; and what was exported once is exported the same again.
 */
Test(workmodel_property, round_trips)
{
    for (uint64_t seed = 1; seed <= MODELS; seed++) {
        cleanup_application struct application first = APPLICATION_INIT, second = APPLICATION_INIT;
        struct random_stream stream;
        json_t *list, *other;
        random_seed(&stream, seed, 0);
        json_auto_t *model = draw_model(&stream);
        json_auto_t *means = meaning(model, seed, &first);
        json_auto_t *back = workmodel_export(&first, &list);
        json_auto_t *notes = list;
        json_auto_t *means_again = meaning(back, seed, &second);
        json_auto_t *again = workmodel_export(&second, &other);
        json_decref(other);
        cleanup_free char *dump = json_dumps(model, 0), *back_dump = json_dumps(back, 0);

        cr_assert(json_equal(means, means_again), "seed %zu:\n%s\n%s", (size_t)seed, dump,
                  back_dump);
        cr_assert(json_equal(back, again), "seed %zu", (size_t)seed);
        cr_assert_eq(json_array_size(notes), 0, "seed %zu: %s", (size_t)seed,
                     json_string_value(json_array_get(notes, 0)));
    }
}

/* One character of a right model's text changed: never a crash, and a sentence or documents. */
Test(workmodel_property, spoiled_models)
{
    for (uint64_t seed = 1; seed <= MODELS; seed++) {
        cleanup_workmodel struct workmodel_documents made = WORKMODEL_DOCUMENTS_INIT;
        cleanup_problems struct problems problems = PROBLEMS_INIT;
        struct random_stream stream;
        random_seed(&stream, seed, 1);
        json_auto_t *model = draw_model(&stream);
        cleanup_free char *text = json_dumps(model, 0);
        text[random_range(&stream, 0, strlen(text) - 1)] =
            "0x\"{}[],: -"[random_range(&stream, 0, 10)];
        json_auto_t *spoiled = json_loads(text, JSON_DECODE_ANY, NULL);
        struct workmodel_source source = {.model = {"m.json", spoiled}};
        if (spoiled)
            cr_assert_eq(workmodel_import(&source, &made, &problems) < 0, problems.count > 0);
    }
}
