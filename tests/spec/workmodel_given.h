/*
 * What tests of work models begin with: an import of a model's text, checked against the spec and
 * the notes that come of it, and an export of DpuServices' text.
 */
#ifndef DPUMESH_TESTS_SPEC_WORKMODEL_GIVEN_H
#define DPUMESH_TESTS_SPEC_WORKMODEL_GIVEN_H

#include <criterion/criterion.h>
#include <string.h>

#include "base/memory.h"
#include "spec/workmodel_private.h"

static inline json_t *load(const char *text)
{
    json_error_t error;
    json_t *root = json_loads(text, 0, &error);
    cr_assert_not_null(root, "%s: %s", text, error.text);
    return root;
}

struct given {
    const char *model, *mesh, *parameters, *egress;
};

static inline int import(const struct given *given, struct workmodel_documents *made,
                         struct problems *problems)
{
    json_auto_t *model = load(given->model);
    json_auto_t *mesh = given->mesh ? load(given->mesh) : NULL;
    json_auto_t *parameters = given->parameters ? load(given->parameters) : NULL;
    struct workmodel_source source = {.model = {"m.json", model},
                                      .mesh = {"g.json", mesh},
                                      .parameters = {"k.json", parameters},
                                      .egress = given->egress};
    return workmodel_import(&source, made, problems);
}

/* The spec of the i-th service is as expected, and so are all notes, each on a line. */
static inline void expect(struct given given, size_t i, const char *spec, const char *notes)
{
    cleanup_workmodel struct workmodel_documents made = WORKMODEL_DOCUMENTS_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_buffer struct buffer text = BUFFER_INIT(1 << 16);

    cr_assert_eq(import(&given, &made, &problems), 0, "%s: %s", given.model,
                 problems.count ? problems.texts[0] : "");
    json_auto_t *wanted = load(spec);
    json_t *got = json_object_get(made.items[i].object, "spec");
    cleanup_free char *dump = json_dumps(got, 0);
    cr_assert(json_equal(got, wanted), "%s: %s", given.model, dump);
    for (size_t j = 0; j < json_array_size(made.notes); j++)
        buffer_printf(&text, "%s\n", json_string_value(json_array_get(made.notes, j)));
    for (size_t j = 0; j < json_array_size(made.items[i].notes); j++)
        buffer_printf(&text, "%s\n", json_string_value(json_array_get(made.items[i].notes, j)));
    cr_assert_str_eq(buffer_terminate(&text), notes, "%s", given.model);
}

/* The work model of a text; *ret_notes: what it leaves out. Both the caller's. */
static inline json_t *export(const char *yaml, json_t **ret_notes)
{
    cleanup_documents struct documents documents = DOCUMENTS_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_application struct application application = APPLICATION_INIT;

    cr_assert_eq(documents_parse(yaml, strlen(yaml), "a.yaml", &documents, &problems), 0);
    cr_assert_eq(application_parse(&documents, "a.yaml", &application, &problems), 0, "%s",
                 problems.count ? problems.texts[0] : "");
    return workmodel_export(&application, ret_notes);
}

#endif
