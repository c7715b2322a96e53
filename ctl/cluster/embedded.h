/*
 * Files of the source tree that the program holds, so that it can do without the tree. Written by
 * cmake/Embed.cmake when the program is built. Static, any thread.
 */
#ifndef DPUMESH_CTL_CLUSTER_EMBEDDED_H
#define DPUMESH_CTL_CLUSTER_EMBEDDED_H

#include <stddef.h>

struct embedded_file {
    const char *name; /* from the top of the tree: "deploy/base/rbac.yaml"; NULL ends the list */
    const unsigned char *data;
    size_t size; /* bytes */
};

/* crds/ and deploy/base/, for `dpumesh install`. */
extern const struct embedded_file embedded_deploy[];

#endif
