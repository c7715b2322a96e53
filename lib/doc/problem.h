/*
 * All that is wrong with a document, at once. Each problem is one sentence that begins with where:
 * "app.yaml:12: s0: spec.egress.workers: -3 is below 0; give 0 (no cap) to 100000".
 * A list belongs to its caller and one thread.
 */
#ifndef DPUMESH_DOC_PROBLEM_H
#define DPUMESH_DOC_PROBLEM_H

#include <stddef.h>
#include <stdio.h>

#include "base/cleanup.h"

enum { PROBLEMS_MAX = 100 }; /* kept; further ones are only counted */

struct problems {
    size_t count; /* found, also those past PROBLEMS_MAX */
    char **texts; /* the first PROBLEMS_MAX */
};

#define PROBLEMS_INIT                                                                              \
    {                                                                                              \
        0, NULL                                                                                    \
    }

/* Adds one sentence. Control characters in it, which what is quoted may hold, become question
 * marks. */
void problem_add(struct problems *problems, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Prints them, each on a line after prefix, and "... and N more" when the list was cut. */
void problems_print(const struct problems *problems, FILE *file, const char *prefix);

/* Frees the texts; the list is empty again. */
void problems_free(struct problems *problems);

#define cleanup_problems CLEANUP(problems_free)

#endif
