/*
 * What people are told about a bad document, in whole sentences. A case is one mistake, and its
 * sentences are all that is said about it.
 *
 *     unsigned wrong = 0;
 *     bad_check("kind: DpuServce\n", "app.yaml:1: kind: ...", &wrong);
 *     cr_assert_eq(wrong, 0);
 */
#ifndef DPUMESH_TESTS_SPEC_BAD_H
#define DPUMESH_TESTS_SPEC_BAD_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "spec/application.h"

struct bad {
    const char *text;
    const char *sentences; /* joined by new lines */
};

/* Reads text as app.yaml; counts it in *wrong, and logs it, when other sentences are said. */
static inline void bad_check(const char *text, const char *sentences, unsigned *wrong)
{
    cleanup_documents struct documents documents = DOCUMENTS_INIT;
    cleanup_application struct application application = APPLICATION_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    char said[4096] = "";

    int ret = documents_parse(text, strlen(text), "app.yaml", &documents, &problems);
    if (ret == 0)
        ret = application_parse(&documents, "app.yaml", &application, &problems);
    for (size_t i = 0; i < problems.count && i < PROBLEMS_MAX; i++)
        snprintf(said + strlen(said), sizeof(said) - strlen(said), "%s%s", i ? "\n" : "",
                 problems.texts[i]);
    if (ret < 0 && strcmp(said, sentences) == 0)
        return;
    (*wrong)++;
    cr_log_error("%s\n  expected: %s\n  got (%d): %s", text, sentences, ret, said);
}

#define BAD_HEAD "apiVersion: dpumesh.io/v1alpha1\nkind: DpuService\nmetadata:"

/* Reads each case's text as fields of spec, from line 6 on, in a DpuService named s0; s1 follows
 * it.
 */
static inline void bad_check_specs(const struct bad *cases, size_t count)
{
    unsigned wrong = 0;
    char text[2048];

    for (size_t i = 0; i < count; i++) {
        snprintf(text, sizeof(text),
                 BAD_HEAD "\n  name: s0\nspec:\n%s---\n" BAD_HEAD " {name: s1}\n", cases[i].text);
        bad_check(text, cases[i].sentences, &wrong);
    }
    cr_assert_eq(wrong, 0, "%u of %zu", wrong, count);
}

#endif
