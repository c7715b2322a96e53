/*
 * The objects of deploy/, as `kubectl apply -k deploy/` applies them, from the copies of crds/ and
 * deploy/base that the program holds (embedded.h): that part of kustomize which these files use.
 *
 *     struct manifest_options options = {.namespace = "dpumesh-system"};
 *     json_auto_t *objects = NULL;
 *     if (manifests_render(&options, &objects, &err) < 0)
 *         ...
 *
 * tests/deploy compares the result with kustomize's. Pure; any thread.
 */
#ifndef DPUMESH_CTL_CLUSTER_MANIFESTS_H
#define DPUMESH_CTL_CLUSTER_MANIFESTS_H

#include <jansson.h>

#include "base/error.h"
#include "ctl/cluster/embedded.h"
#include "kube/client.h"

struct manifest_options {
    const char *namespace; /* instead of the one that deploy/base names; NULL: that one */
    const char *image;     /* of the operator, with its tag; NULL: that of deploy/base */
};

/*
 * Makes the array of objects in the order in which they are to be applied: the CRD, the Namespace,
 * what may be done, and last what runs. 0 and *ret_objects (owned by the caller), or -EPROTO and a
 * sentence: the files say something that this does not understand, which tests would have found.
 */
int manifests_render(const struct manifest_options *options, json_t **ret_objects,
                     struct error **err);

/* The same from other files, for tests. */
int manifests_render_files(const struct embedded_file *files,
                           const struct manifest_options *options, json_t **ret_objects,
                           struct error **err);

/* Where an object of these kinds is found in the API, or NULL: not one of these. Static. */
const struct kube_resource *manifest_resource(const json_t *object);

#endif
