/*
 * The part of kustomize that deploy/base/kustomization.yaml uses: resources, configMapGenerator and
 * images, and the namespace of a kustomization above it. Whatever else stands in the file is
 * refused, so that nobody writes there what `dpumesh install` would pass over. Private to
 * manifests.c. Pure; any thread.
 */
#ifndef DPUMESH_CTL_CLUSTER_KUSTOMIZE_H
#define DPUMESH_CTL_CLUSTER_KUSTOMIZE_H

#include <jansson.h>

#include "base/error.h"

/* 0, or -EPROTO and a sentence: the kustomization asks for more than is done here. */
int kustomize_check(json_t *kustomization, struct error **err);

/*
 * Appends the ConfigMap of a generator with this data (texts), named with kustomize's hash of its
 * content, and has every object before it name it so. 0, or -errno and a sentence.
 */
int kustomize_add_config_map(json_t *objects, const json_t *generator, json_t *data,
                             struct error **err);

/*
 * The suffix that kustomize gives a ConfigMap of this data: ten letters and digits. Source:
 * sigs.k8s.io/kustomize/api/hasher. 0, or -errno and a sentence.
 */
int kustomize_hash(json_t *data, char ret_suffix[11], struct error **err);

/* Puts the names and tags of `images` in; image (may be NULL) goes in the place of all of them. */
void kustomize_images(json_t *objects, const json_t *kustomization, const char *image);

/* Moves everything into a namespace, as `namespace:` does: the Namespace object is renamed. */
void kustomize_namespace(json_t *objects, const char *namespace);

#endif
