/* Bad work models: each field with values of every wrong kind, and rules between services. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "bad.h"
#include "base/memory.h"
#include "spec/field.h"

#define HEAD "apiVersion: dpumesh.io/v1alpha1\nkind: DpuService\nmetadata: {name: "

/* ---- every field ---- */

/* JSON texts: something of every type, and numbers far outside of any bounds. */
static const char *const values[] = {
    "true",  "-1",     "1e300", "0.5",        "\"\"",
    "\"x\"", "[]",     "[0]",   "[[[[0]]]]",  "{}",
    "null",  "[9, 1]", "-1e9",  "4294967297", "{\"\": {\"a\": 0}}"};

/* A document with a value at a path of keys under spec.workload; "" in it is an element of a list,
 * and * a name. */
static json_t *document_with(const char *const *path, size_t depth, json_t *value)
{
    for (size_t i = depth; i-- > 0;) {
        json_t *outer = path[i][0] ? json_object() : json_array();
        if (path[i][0])
            json_object_set_new(outer, strcmp(path[i], "*") == 0 ? "b1" : path[i], value);
        else
            json_array_append_new(outer, value);
        value = outer;
    }
    return json_pack("{s:s, s:s, s:{s:s}, s:{s:o}}", "apiVersion", "dpumesh.io/v1alpha1", "kind",
                     "DpuService", "metadata", "name", "s0", "spec", "workload", value);
}

struct tally {
    unsigned fields, refused, accepted;
};

/* One value: whatever is said is a sentence about it, or about what is missing beside it; and what
 * passes can be written and read again. */
static void try_value(const char *const *path, size_t depth, const char *text, struct tally *tally)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    json_auto_t *document = document_with(path, depth, value);
    cleanup_free char *json = json_dumps(document, 0);
    cleanup_documents struct documents documents = DOCUMENTS_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_dpuservice struct dpuservice *service = NULL;

    cr_assert_eq(documents_parse(json, strlen(json), "a.json", &documents, &problems), 0);
    if (dpuservice_parse(&documents.items[0], &service, &problems) < 0) {
        cr_assert_gt(problems.count, 0);
        for (size_t i = 0; i < problems.count && i < PROBLEMS_MAX; i++)
            cr_assert_eq(strncmp(problems.texts[i], "a.json:1: s0: spec.workload", 27), 0,
                         "%s says %s", json, problems.texts[i]);
        tally->refused++;
        return;
    }
    json_auto_t *emitted = dpuservice_emit(service);
    struct document written = {.file = service->file, .root = emitted};
    cleanup_dpuservice struct dpuservice *again = NULL;
    cr_assert_eq(dpuservice_parse(&written, &again, &problems), 0, "%s", json);
    json_auto_t *emitted_again = dpuservice_emit(again);
    cr_assert(json_equal(emitted, emitted_again), "%s", json);
    tally->accepted++;
}

static void try_record(const struct record *record, const char **path, size_t depth,
                       struct tally *tally)
{
    for (size_t i = 0; i < record->field_count; i++) {
        const struct field *field = &record->fields[i];
        size_t inner = depth;
        cr_assert_lt(depth + 2, 16);
        path[inner++] = field->name;
        tally->fields++;
        for (size_t j = 0; j < sizeof values / sizeof *values; j++)
            try_value(path, inner, values[j], tally);
        if (field->type == FIELD_RECORDS)
            path[inner++] = "";
        if (field->type == FIELD_MAP)
            path[inner++] = "*";
        if (field->record)
            try_record(field->record, path, inner, tally);
    }
}

/* The table of a field inside the whole document's. */
static const struct record *record_of(const struct record *record, const char *name)
{
    for (size_t i = 0; i < record->field_count; i++)
        if (strcmp(record->fields[i].name, name) == 0)
            return record->fields[i].record;
    cr_assert_fail("no field %s", name);
    return NULL;
}

Test(bad_workload, every_field_with_every_kind_of_value)
{
    const struct record *spec = record_of(&dpuservice_record, "spec");
    const char *path[16];
    struct tally tally = {0, 0, 0};

    try_record(record_of(spec, "workload"), path, 0, &tally);
    cr_assert_gt(tally.fields, 70);
    /* Nulls pass, and a few values of the right kind. */
    cr_assert_gt(tally.refused, tally.accepted * 2, "%u refused, %u accepted", tally.refused,
                 tally.accepted);
    cr_assert_gt(tally.accepted, tally.fields / 2);
}

/* ---- sentences ---- */

#define S1             "---\n" HEAD "s1}\n"
#define WORKLOAD(text) HEAD "s0}\nspec:\n  workload:\n" text S1

static const struct bad bad_workloads[] = {
    {WORKLOAD("    internalService:\n"
              "      loader: {memoryStress: {memorySize: 4000001, memoryIo: -1}}\n"),
     "app.yaml:7: s0: spec.workload.internalService.loader.memoryStress.memorySize: 4000001 is "
     "above 4000000; give 1 to 4000000\n"
     "app.yaml:7: s0: spec.workload.internalService.loader.memoryStress.memoryIo: -1 is below 0; "
     "give 0 to 100000000"},
    {WORKLOAD("    internalService:\n"
              "      loader: {diskStress: {diskWriteBlockCount: 70000, diskWriteBlockSize: "
              "70000}}\n"),
     "app.yaml:7: s0: spec.workload.internalService.loader.diskStress.diskWriteBlockCount: 70000 "
     "blocks of 70000 bytes are 4900000000 bytes; at most 1073741824"},
    {WORKLOAD("    internalService:\n"
              "      loader: {diskStress: {tmpFileName: a/b}}\n"),
     "app.yaml:7: s0: spec.workload.internalService.loader.diskStress.tmpFileName: \"a/b\" is not "
     "a file's name without a directory (letters, digits, ., _ and -), such as mubtestfile.txt"},
    {WORKLOAD("    internalService:\n"
              "      plugin: {path: lib.so, function: 1st, timeout: 0s, responseBytes: 0}\n"),
     "app.yaml:7: s0: spec.workload.internalService.plugin.path: \"lib.so\" is not an absolute "
     "path without spaces, such as /usr/lib/dpumesh/plugins/example.so\n"
     "app.yaml:7: s0: spec.workload.internalService.plugin.function: \"1st\" is not a function's "
     "name (letters, digits and _), such as wordcount\n"
     "app.yaml:7: s0: spec.workload.internalService.plugin.timeout: 0s is below 1ms; give 1ms to "
     "1h\n"
     "app.yaml:7: s0: spec.workload.internalService.plugin.responseBytes: 0 is below 1; give 1 to "
     "64Mi"},
    {WORKLOAD("    internalService: {plugin: {}}\n"),
     "app.yaml:6: s0: spec.workload.internalService.plugin.path: missing; give an absolute path "
     "without spaces, such as /usr/lib/dpumesh/plugins/example.so\n"
     "app.yaml:6: s0: spec.workload.internalService.plugin.function: missing; give a function's "
     "name (letters, digits and _), such as wordcount"},
    {WORKLOAD("    alternativeBehaviors: [b1]\n"),
     "app.yaml:6: s0: spec.workload.alternativeBehaviors: must be an object (names with values), "
     "not a list"},
    {WORKLOAD("    alternativeBehaviors:\n"
              "      b1:\n"
              "        internalServices: {}\n"),
     "app.yaml:8: s0: spec.workload.alternativeBehaviors.b1.internalServices: unknown field; did "
     "you mean internalService?"},
    {WORKLOAD("    alternativeBehaviors:\n"
              "      b1:\n"
              "        internalService: {loader: {cpuStress: {trials: 0}}}\n"
              "        externalServices: [{services: [s1], seqLen: 2}]\n"),
     "app.yaml:8: s0: spec.workload.alternativeBehaviors.b1.internalService.loader.cpuStress."
     "trials: 0 is below 1; give 1 to 65535\n"
     "app.yaml:9: s0: spec.workload.alternativeBehaviors.b1.externalServices[0].seqLen: 2 is "
     "above the number of services in the group; give at most 1"},
    {WORKLOAD("    alternativeBehaviors:\n"
              "      b1:\n"
              "        externalServices: [{services: [s0]}, {services: [s7]}]\n"),
     "app.yaml:8: s0: spec.workload.alternativeBehaviors.b1.externalServices[0].services[0]: a "
     "service can't call itself; name another service, or remove it\n"
     "app.yaml:8: s0: spec.workload.alternativeBehaviors.b1.externalServices[1].services[0]: no "
     "service \"s7\" in these files; known are s0, s1"},
    {WORKLOAD("    threads: 1\n"
              "    threads: 2\n"),
     "app.yaml:7:5: duplicate key threads, first on line 6; remove one"},
};

Test(bad_workload, sentences)
{
    unsigned wrong = 0;
    for (size_t i = 0; i < sizeof bad_workloads / sizeof *bad_workloads; i++)
        bad_check(bad_workloads[i].text, bad_workloads[i].sentences, &wrong);
    cr_assert_eq(wrong, 0, "%u", wrong);
}

/* A plugin's params may be anything, but not of any depth: the document's reader keeps it. */
Test(bad_workload, deep_nesting)
{
    char text[4096], deep[1024] = "";
    unsigned wrong = 0;
    for (unsigned i = 0; i < 100; i++)
        strncat(deep, "[", sizeof deep - strlen(deep) - 1);
    for (unsigned i = 0; i < 100; i++)
        strncat(deep, "]", sizeof deep - strlen(deep) - 1);
    snprintf(text, sizeof text,
             HEAD "s0}\nspec:\n  workload:\n    internalService:\n"
                  "      plugin: {path: /a.so, function: f, params: {a: %s}}\n",
             deep);
    bad_check(text, "app.yaml:7:112: nested deeper than 64 levels", &wrong);
    cr_assert_eq(wrong, 0);
}

/* ---- rings of calls ---- */

#define SERVICE(name, text) HEAD name "}\nspec: {workload: {" text "}}\n---\n"
#define CALLS(list)         "externalServices: [{services: [" list "]}]"

static const struct bad rings[] = {
    {SERVICE("s0", CALLS("s1")) SERVICE("s1", CALLS("s0")),
     "app.yaml:9: s1: spec.workload.externalServices[0].services[0]: s0, s1, and s0 again call one "
     "another without end; remove a call, or give it a probability below 1"},
    {SERVICE("s0", CALLS("s1")) SERVICE("s1", CALLS("s2, s2__2")) SERVICE("s2", CALLS("s3, s1")) //
     SERVICE("s3", ""),
     "app.yaml:14: s2: spec.workload.externalServices[0].services[1]: s1, s2, and s1 again call "
     "one another without end; remove a call, or give it a probability below 1"},
    /* Only under a behaviour, whose list one of them does not have. */
    {SERVICE("s0", "alternativeBehaviors: {b1: {" CALLS("s1") "}}") SERVICE("s1", CALLS("s0")),
     "app.yaml:9: s1: spec.workload.externalServices[0].services[0]: s0, s1, and s0 again call one "
     "another without end; remove a call, or give it a probability below 1"},
    {SERVICE("s1", CALLS("s0")) SERVICE("s0", "alternativeBehaviors: {b1: {" CALLS("s1") "}}"),
     "app.yaml:4: s1: spec.workload.externalServices[0].services[0]: s0, s1, and s0 again call one "
     "another without end; remove a call, or give it a probability below 1"},
};

/* Dice, a sample, or a behaviour that does not call back end a ring. */
static const char *const no_rings[] = {
    SERVICE("s0", CALLS("s1")) SERVICE("s1", "externalServices: [{services: [s0], probabilities: "
                                             "{s0: 0.9}}]"),
    SERVICE("s0", CALLS("s1")) SERVICE("s1", "externalServices: [{services: [s0, s2], seqLen: 1}]")
        SERVICE("s2", ""),
    SERVICE("s0", CALLS("s1")) SERVICE("s1", CALLS("s2")) SERVICE("s2", "")
        SERVICE("s3", CALLS("s0, s1, s2")),
    SERVICE("s0", CALLS("s1") ", alternativeBehaviors: {b1: {externalServices: []}}")
        SERVICE("s1", "alternativeBehaviors: {b1: {" CALLS("s0") "}}"),
};

Test(bad_workload, rings_of_calls)
{
    unsigned wrong = 0;
    for (size_t i = 0; i < sizeof rings / sizeof *rings; i++)
        bad_check(rings[i].text, rings[i].sentences, &wrong);
    cr_assert_eq(wrong, 0, "%u", wrong);
    for (size_t i = 0; i < sizeof no_rings / sizeof *no_rings; i++) {
        cleanup_documents struct documents documents = DOCUMENTS_INIT;
        cleanup_application struct application application = APPLICATION_INIT;
        cleanup_problems struct problems problems = PROBLEMS_INIT;
        cr_assert_eq(documents_parse(no_rings[i], strlen(no_rings[i]), "a", &documents, &problems),
                     0);
        cr_assert_eq(application_parse(&documents, "a", &application, &problems), 0, "%s",
                     problems.count ? problems.texts[0] : "");
    }
}
