/* Pages of a real agent, for the tests of lib/figures: pages/fresh was taken before its first
 * request; pages/before and pages/after in the middle of load, about two seconds apart, and
 * pages/openmetrics right after. Include once in a program. */
#ifndef DPUMESH_TESTS_FIGURES_PAGE_H
#define DPUMESH_TESTS_FIGURES_PAGE_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "figures/figures.h"

static inline void page_load(const char *name, struct agent_figures *ret)
{
    cleanup_buffer struct buffer text = BUFFER_INIT(1 << 20);
    cleanup_error struct error *err = NULL;
    char path[512], chunk[4096];
    size_t size;

    snprintf(path, sizeof(path), "%s/%s", PAGES_DIRECTORY, name);
    cleanup_file FILE *file = fopen(path, "re");
    cr_assert_not_null(file, "%s", path);
    while ((size = fread(chunk, 1, sizeof(chunk), file)) > 0)
        buffer_append(&text, chunk, size);
    cr_assert_eq(agent_figures_read(text.data, text.length, ret, &err), 0, "%s: %s", path,
                 error_message(err));
}

#endif
