/* Bad work models: each field, each key of the parameters' file, and each service of a mesh, with
 * values of every kind. Whatever comes is an import, or sentences that name the file and the
 * place. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "base/memory.h"
#include "spec/workmodel_private.h"

/* JSON texts: something of every type, and numbers far outside of any bounds. */
static const char *const values[] = {"true",
                                     "-1",
                                     "1e300",
                                     "0.5",
                                     "\"\"",
                                     "\"x\"",
                                     "[]",
                                     "[0]",
                                     "{}",
                                     "null",
                                     "[9, 1]",
                                     "[\"s1\"]",
                                     "{\"a\\nb\": {}, \"c\": {}}",
                                     "\"\\n\"",
                                     "-1e9",
                                     "[[0]]",
                                     "7",
                                     "4294967297",
                                     "{\"\": {\"a\": 0}}"};

/* The keys of a service that are no fields of the tables' workload. */
static const char *const others[] = {
    "replicas",         "cpu-requests",   "cpu-limits",     "memory-requests",
    "memory-limits",    "scheduler-name", "namespace",      "pod_antiaffinity",
    "node_affinity",    "request_method", "params",         "url",
    "request_protocol", "image",          "sidecar",        "request_parameters",
    "external_service", "mean_bandwidth", "nobody_knows it"};

/* What K8sParameters.json may say for all services. */
static const char *const parameters[] = {
    "replicas",       "cpu-requests", "cpu-limits",   "memory-requests", "memory-limits",
    "scheduler-name", "namespace",    "path",         "image",           "cluster_domain",
    "nginx-gw",       "sleep",        "dns-resolver", "InternalService"};

enum { MODEL, PARAMETERS, MESH, FILES };
static const char *const files[FILES] = {"m.json", "k.json", "g.json"};
static const char *const outer[FILES] = {"s0", "K8sParameters", "s0"};

struct tally {
    unsigned tried, refused, noted;
};

/* value inside a path of keys; "" in it is an element of a list. */
static json_t *inside(char *const *path, size_t depth, json_t *value)
{
    for (size_t i = depth; i-- > 0;) {
        json_t *holder = path[i][0] ? json_object() : json_array();
        if (path[i][0])
            json_object_set_new(holder, path[i], value);
        else
            json_array_append_new(holder, value);
        value = holder;
    }
    return value;
}

/* A mistake is told at the place or above it, or at what is missing beside it: below its first key.
 */
static void check_places(const struct problems *problems, unsigned file, const char *first,
                         const char *text)
{
    cleanup_free char *place = first ? xasprintf("%s: /%s/%s", files[file], outer[file], first)
                                     : xasprintf("%s: /%s", files[file], outer[file]);
    cr_assert_gt(problems->count, 0, "%s: refused without a word", text);
    for (size_t i = 0; i < problems->count && i < PROBLEMS_MAX; i++) {
        const char *rest = problems->texts[i] + strlen(place);
        cr_assert_eq(strncmp(problems->texts[i], place, strlen(place)), 0, "%s says %s", text,
                     problems->texts[i]);
        cr_assert(*rest == '/' || strncmp(rest, ": ", 2) == 0, "%s says %s", text,
                  problems->texts[i]);
        cr_assert_null(strchr(problems->texts[i], '\n'), "%s: more than a line", text);
    }
}

/* How many notes there are; each is a line. */
static size_t notes_in(json_t *notes)
{
    json_t *note;
    size_t i;

    json_array_foreach(notes, i, note)
    {
        const char *text = json_string_value(note);
        cr_assert_null(strchr(text, '\n'), "%s", text);
    }
    return json_array_size(notes);
}

static size_t notes_of(const struct workmodel_documents *made)
{
    size_t count = notes_in(made->notes);
    for (size_t i = 0; i < made->count; i++)
        count += notes_in(made->items[i].notes);
    return count;
}

/* One value in one file; the others are good. */
static void try_value(unsigned file, char *const *path, size_t depth, const char *text,
                      struct tally *tally)
{
    cleanup_workmodel struct workmodel_documents made = WORKMODEL_DOCUMENTS_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    json_auto_t *wrong = json_pack("{s:o}", outer[file], inside(path, depth, value));
    json_auto_t *good = json_pack("{s:{}, s:{}}", "s0", "s1");
    struct workmodel_source source = {.model = {"m.json", file == MODEL ? wrong : good}};
    if (file == MODEL)
        json_object_set_new(wrong, "s1", json_object());
    if (file == PARAMETERS)
        source.parameters = (struct workmodel_file){"k.json", wrong};
    if (file == MESH)
        source.mesh = (struct workmodel_file){"g.json", wrong};
    cleanup_free char *shown = json_dumps(wrong, 0);

    tally->tried++;
    if (workmodel_import(&source, &made, &problems) < 0) {
        cr_assert_eq(made.count, 0);
        check_places(&problems, file, depth && path[0][0] ? path[0] : NULL, shown);
        tally->refused++;
        return;
    }
    cr_assert_eq(made.count, 2, "%s", shown);
    tally->noted += notes_of(&made) > 0;
}

static void try_values(unsigned file, char *const *path, size_t depth, struct tally *tally)
{
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        try_value(file, path, depth, values[i], tally);
}

static void try_record(const struct record *record, char **path, size_t depth, struct tally *tally)
{
    static char element[] = "", behavior[] = "b1";

    for (size_t i = 0; i < record->field_count; i++) {
        const struct field *field = &record->fields[i];
        cleanup_free char *key = workmodel_snake(field->name);
        size_t inner = depth;
        cr_assert_lt(depth + 2, 16);
        path[inner++] = key;
        try_values(MODEL, path, inner, tally);
        if (field->type == FIELD_RECORDS)
            path[inner++] = element;
        if (field->type == FIELD_MAP)
            path[inner++] = behavior;
        if (field->record)
            try_record(field->record, path, inner, tally);
    }
}

static void try_keys(unsigned file, const char *const *keys, size_t count, struct tally *tally)
{
    for (size_t i = 0; i < count; i++) {
        cleanup_free char *key = xstrdup(keys[i]);
        try_values(file, &key, 1, tally);
    }
}

Test(bad_workmodel, every_field_with_every_kind_of_value)
{
    struct tally tally = {0, 0, 0};
    char *path[16];

    try_record(workmodel_workload_record(), path, 0, &tally);
    cr_assert_gt(tally.tried, 70 * (sizeof values / sizeof *values));
    cr_assert_gt(tally.refused, tally.tried / 2, "%u of %u", tally.refused, tally.tried);
    cr_assert_lt(tally.refused, tally.tried);

    tally = (struct tally){0, 0, 0};
    try_keys(MODEL, others, sizeof others / sizeof *others, &tally);
    try_values(MODEL, path, 0, &tally);
    cr_assert_gt(tally.refused, tally.tried / 3, "%u of %u", tally.refused, tally.tried);
    /* What an import has no counterpart for may be anything: it is noted. */
    cr_assert_gt(tally.noted, 4 * (sizeof values / sizeof *values) / 2);
}

Test(bad_workmodel, every_parameter_and_mesh_with_every_kind_of_value)
{
    struct tally tally = {0, 0, 0};
    static char external[] = "external_services", element[] = "", services[] = "services";
    char *const groups[] = {external, element, services, element};

    try_keys(PARAMETERS, parameters, sizeof parameters / sizeof *parameters, &tally);
    try_values(PARAMETERS, NULL, 0, &tally);
    cr_assert_gt(tally.refused, tally.tried / 3, "%u of %u", tally.refused, tally.tried);
    cr_assert_gt(tally.noted, 0);

    tally = (struct tally){0, 0, 0};
    for (size_t depth = 0; depth <= sizeof groups / sizeof *groups; depth++)
        try_values(MESH, groups, depth, &tally);
    cr_assert_gt(tally.refused, tally.tried / 2, "%u of %u", tally.refused, tally.tried);
}
