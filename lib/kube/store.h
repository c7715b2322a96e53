/*
 * What is known of the objects of one resource: a hash table of trimmed objects by namespace/name,
 * with indexes. An object is kept in one block of memory as the bytes that a transform made of it
 * (only what the controller reads), not as a JSON tree: ten thousand of them must be cheap.
 *
 * Any thread reads. A reader gets a counted reference to an immutable object, valid until it is
 * released, whatever happens to the store meanwhile. Each object has one writer: the thread of the
 * reflector whose namespace it is in; several reflectors may write to one store, a namespace each.
 *
 *     cleanup_kube_object const struct kube_object *pod = kube_store_get(store, "shop", "s0-1");
 *     if (pod)
 *         ... pod->data ...
 *
 * What it costs: an object's own bytes and 80 to 100 more, with an index 20 more and its key.
 */
#ifndef DPUMESH_KUBE_STORE_H
#define DPUMESH_KUBE_STORE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/cleanup.h"

enum { KUBE_INDEXES_MAX = 4 };

/* One object, immutable, reference-counted. Strings and data lie in the same block. */
struct kube_object {
    const char *namespace; /* "" for a cluster-scoped one */
    const char *name;
    const char *uid;              /* "" when there is none */
    const char *resource_version; /* the same */
    const char *data; /* what the transform wrote; followed by a NUL that is not counted */
    uint32_t data_length;
    uint32_t references; /* private, atomic */
};

/* Takes a further reference, and gives one back. NULL is fine. */
const struct kube_object *kube_object_ref(const struct kube_object *object);
void kube_object_unref(const struct kube_object *object);
static inline void kube_object_cleanup_fn(const struct kube_object **object)
{
    kube_object_unref(*object);
}
#define cleanup_kube_object CLEANUP(kube_object_cleanup_fn)

/*
 * What is kept of objects. transform appends to out what is to be kept of object (NULL transform:
 * compact JSON without metadata.managedFields). 0; -ENOBUFS: too large, the object is kept without
 * data; any other negative value: the object is not kept at all (as if deleted).
 * index fills keys[0 .. KUBE_INDEXES_MAX) for object with borrowed texts that live as long as
 * object (NULL: not in that index). Usual: keys[0] the uid of the controlling owner, keys[1] a
 * label.
 */
struct kube_store_options {
    int (*transform)(void *context, const json_t *object, struct buffer *out);
    void (*index)(void *context, const json_t *object, const char *keys[KUBE_INDEXES_MAX]);
    void *context;
    size_t data_bytes; /* cap on what is kept of one object; 0: 256 KiB; at most 1 GiB */
};

struct kube_store;

struct kube_store *kube_store_new(const struct kube_store_options *options);
void kube_store_free(struct kube_store *store); /* NULL is fine; references stay valid */

/* What a write did, in terms of before and after; both borrowed for the call. before NULL: added.
 * after NULL: deleted. Called with no lock held, in the writer's thread. */
typedef void kube_store_change(void *context, const struct kube_object *before,
                               const struct kube_object *after);

/* Puts an object in, or replaces it; nothing changes when its resourceVersion is the one that is
 * kept already (change is not called then). */
void kube_store_put(struct kube_store *store, const json_t *object, kube_store_change *change,
                    void *context);

/* Takes it out. */
void kube_store_delete(struct kube_store *store, const json_t *object, kube_store_change *change,
                       void *context);

/*
 * Atomic replacement by a new list: objects put between begin and end make the new content, what
 * was not put is deleted at end (with change called for each), and readers see the old content of
 * what has not come yet until then. kube_store_put() and kube_store_delete() work as always
 * meanwhile. begin returns a mark for end. A list that failed is simply never ended: what was put
 * stays, nothing is deleted. namespace: the list was of this one alone, so nothing else goes; NULL:
 * of all.
 */
uint32_t kube_store_replace_begin(struct kube_store *store);
void kube_store_replace_end(struct kube_store *store, uint32_t mark, const char *namespace,
                            kube_store_change *change, void *context);

/* A reference to the object, or NULL. namespace "" for cluster-scoped. */
const struct kube_object *kube_store_get(struct kube_store *store, const char *namespace,
                                         const char *name);

/* Calls visit for every object (index -1) or those whose key in the index is this one, on a
 * snapshot, without a lock held. A non-zero value from visit ends it and is returned. */
int kube_store_each(struct kube_store *store, int index, const char *key,
                    int (*visit)(void *context, const struct kube_object *object), void *context);

size_t kube_store_count(struct kube_store *store);

/* Bytes held in objects (as the allocator rounds them) and tables, for a gauge. What only readers
 * still hold is not counted. */
size_t kube_store_bytes(struct kube_store *store);

#endif
