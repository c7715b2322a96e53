/*
 * How a store is laid out. An object that is kept has a slot, which it keeps through all its
 * versions; slots are numbered, lie in chunks that never move while others are added, and are
 * linked by their numbers: half of what pointers would cost.
 *
 * The table of names chains slots by the hash of namespace and name. The table of an index chains
 * one slot for each key, the key's head; all slots of the key form a ring through it. So a key
 * that thousands of objects share does not slow down others, and leaving a ring is O(1).
 *
 * Everything here is guarded by the store's lock, but for objects, which are immutable.
 */
#ifndef DPUMESH_KUBE_STORE_PRIVATE_H
#define DPUMESH_KUBE_STORE_PRIVATE_H

#include <pthread.h>

#include "kube/store.h"

enum {
    STORE_CHUNK_SLOTS = 64,
    STORE_DATA_BYTES = 256 << 10,   /* default cap of an object's data */
    STORE_DATA_BYTES_MAX = 1 << 30, /* so that offsets fit 32 bits */
    STORE_TABLE_LOAD = 2,           /* entries a bucket before the table doubles */
    STORE_TABLE_MIN = 16            /* buckets of the first table */
};

#define STORE_NONE   UINT32_MAX       /* no slot */
#define STORE_MEMBER (UINT32_MAX - 1) /* of bucket_next: not the head of its key */

/* An object's place in one index. */
struct store_link {
    uint32_t key;         /* offset of the key's text in the object's block; 0: not in this index */
    uint32_t bucket_next; /* the head: next head in the bucket; others: STORE_MEMBER */
    uint32_t previous, next; /* the ring of the key */
};

struct store_slot {
    struct kube_object *object; /* NULL: free */
    uint32_t next;              /* in the bucket of its name; when free: next free one */
    uint32_t generation;        /* store->generation when it was put last */
    struct store_link links[];  /* store->link_count of them */
};

struct store_table {
    uint32_t *buckets;
    uint32_t size;  /* a power of two, or 0 */
    uint32_t count; /* chained entries */
};

struct kube_store {
    struct kube_store_options options;
    pthread_mutex_t lock; /* of all below */
    char **chunks;
    size_t chunk_count, chunk_capacity;
    unsigned link_count; /* links a slot has: as many indexes as were ever used */
    uint32_t free;       /* first free slot */
    uint32_t slot_count; /* slots in use, ever */
    uint32_t generation; /* counts replacements; wraps */
    struct store_table names;
    struct store_table indexes[KUBE_INDEXES_MAX];
    size_t object_bytes;
};

/*
 * Makes an object of its parts with one reference. keys[i] may be NULL; ret_keys[i] is the offset
 * of the key's text from the object, 0 for none.
 */
struct kube_object *object_make(const struct kube_object *parts,
                                const char *const keys[KUBE_INDEXES_MAX],
                                uint32_t ret_keys[KUBE_INDEXES_MAX]);

/* What the allocator gave away for it, its own header included. */
size_t object_bytes(struct kube_object *object);

struct store_slot *store_slot(const struct kube_store *store, uint32_t id);

/* The slot of a name, or STORE_NONE. */
uint32_t store_find(const struct kube_store *store, const char *namespace, const char *name);

/* Takes over the object's reference and puts it in a new slot. */
void store_insert(struct kube_store *store, struct kube_object *object,
                  const uint32_t keys[KUBE_INDEXES_MAX]);

/* Puts the object in the place of the slot's, whose reference goes to the caller. */
struct kube_object *store_exchange(struct kube_store *store, uint32_t id,
                                   struct kube_object *object,
                                   const uint32_t keys[KUBE_INDEXES_MAX]);

/* Empties the slot; the object's reference goes to the caller. */
struct kube_object *store_remove(struct kube_store *store, uint32_t id);

/* The head of a key in an index, or STORE_NONE. */
uint32_t store_index_find(const struct kube_store *store, unsigned index, const char *key);

/* Frees chunks and tables, which must hold no object. */
void store_clear(struct kube_store *store);

#endif
