/*
 * Private to the children: what children.c, children_pod.c and fingerprint.c share. Everything that
 * returns a json_t * gives it to its caller.
 */
#ifndef DPUMESH_SPEC_CHILDREN_PRIVATE_H
#define DPUMESH_SPEC_CHILDREN_PRIVATE_H

#include <stdint.h>

#include "base/buffer.h"
#include "spec/agent_config.h"
#include "spec/children.h"

/*
 * On each child that can hold more than every child holds: the names of the parts that this
 * DpuService asks for, separated by spaces. By it a digest of the live object alone knows which
 * parts are ours and which somebody else added (fingerprint.c has the names).
 */

enum { CHILD_OWNS_MAX = 1 << 16 /* bytes: at most 144 names of at most 330 bytes */ };

#define FNV_START UINT64_C(0xcbf29ce484222325)

/* 64-bit FNV-1a (Fowler, Noll, Vo) of size bytes, going on from hash. */
static inline uint64_t fnv1a(uint64_t hash, const void *data, size_t size)
{
    const unsigned char *byte = data;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ byte[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* The labels by which the Service and the Deployment find the pods; they can never change. */
json_t *child_selector_labels(const struct dpuservice *service);

/* The labels of every child and of the pods. */
json_t *child_recommended_labels(const struct dpuservice *service);

/* The pod template; config: the text of the agent's configuration. Appends to owns the names of the
 * parts that were asked for. */
json_t *child_pod_template(const struct dpuservice *service, const char *config,
                           struct buffer *owns);

/* Where a pod's diskStress writes: an emptyDir, there when the workload uses a disk. */
#define CHILD_SCRATCH_PATH "/var/lib/dpumesh"

/* Bytes that a replica's diskStress may hold at once; 0: it uses no disk. */
uint64_t child_disk_bytes(const struct dpuservice *service);

/* Volumes with what TLS takes from Secrets and ConfigMaps, as far as it is asked for; appends to
 * owns as above. */
void child_add_tls(const struct dpuservice *service, json_t *container, json_t *volumes,
                   struct buffer *owns);

/* Where those files are in the pod, in place of what the document says. Borrows from static text.
 */
void child_tls_files(struct agent_config *config);

/* The spec of a HorizontalPodAutoscaler. Appends to owns as above. */
json_t *child_autoscaler_spec(const struct dpuservice *service, struct buffer *owns);

/* Appends a name to a list of owned parts; key may be NULL. */
void child_owns(struct buffer *owns, const char *name, const char *key);

#endif
