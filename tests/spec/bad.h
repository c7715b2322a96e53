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

#endif
