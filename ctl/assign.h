/*
 * "s0=3,s1=2": how many replicas of which service, as --replicas and `dpumesh scale` take it.
 */
#ifndef DPUMESH_CTL_ASSIGN_H
#define DPUMESH_CTL_ASSIGN_H

#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"

enum { ASSIGN_MAX = 256 }; /* services in one list */

struct assignment {
    char *service;
    unsigned replicas;
};

struct assignments {
    size_t count;
    struct assignment *items;
};

#define ASSIGNMENTS_INIT                                                                           \
    {                                                                                              \
        0, NULL                                                                                    \
    }

/*
 * Appends the assignments of one text. Each service may be named once over all texts of a list;
 * replicas are 0 to max. 0, or -EINVAL and a sentence (then list holds those before the bad one).
 */
int assignments_parse(const char *text, unsigned max, struct assignments *list, struct error **err);

/* Frees it; the list is empty again. */
void assignments_free(struct assignments *list);

#define cleanup_assignments CLEANUP(assignments_free)

#endif
