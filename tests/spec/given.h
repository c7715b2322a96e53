/*
 * What tests begin with: a DpuService of the text under its spec, and the configuration that an
 * agent reads. Both must be right, and are the caller's.
 */
#ifndef DPUMESH_TESTS_SPEC_GIVEN_H
#define DPUMESH_TESTS_SPEC_GIVEN_H

#include <criterion/criterion.h>
#include <string.h>

#include "base/memory.h"
#include "doc/document.h"
#include "spec/agent_config.h"
#include "spec/dpuservice.h"

/* metadata: lines of it besides the name, indented by two, or "". */
static inline struct dpuservice *read_labelled(const char *metadata, const char *spec)
{
    cleanup_documents struct documents documents = DOCUMENTS_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    struct dpuservice *service = NULL;
    cleanup_free char *text = xasprintf("apiVersion: dpumesh.io/v1alpha1\nkind: DpuService\n"
                                        "metadata:\n  name: s0\n%sspec:\n%s",
                                        metadata, spec);
    int ret = documents_parse(text, strlen(text), "app.yaml", &documents, &problems);
    if (ret == 0)
        ret = dpuservice_parse(&documents.items[0], &service, &problems);
    cr_assert_eq(ret, 0, "%s", problems.count ? problems.texts[0] : "no sentence");
    return service;
}

static inline struct dpuservice *read_service(const char *spec)
{
    return read_labelled("", spec);
}

static inline struct agent_config *agent_of(const char *text)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    struct agent_config *config = NULL;
    int ret = agent_config_parse(text, strlen(text), "agent.json", &config, &problems);
    cr_assert_eq(ret, 0, "%s", problems.count ? problems.texts[0] : "no sentence");
    return config;
}

#endif
