#include <string.h>

#include "base/memory.h"
#include "kube/hash.h"
#include "kube/store_private.h"

static size_t slot_bytes(unsigned link_count)
{
    return sizeof(struct store_slot) + link_count * sizeof(struct store_link);
}

struct store_slot *store_slot(const struct kube_store *store, uint32_t id)
{
    char *chunk = store->chunks[id / STORE_CHUNK_SLOTS];
    return (struct store_slot *)(void *)(chunk +
                                         id % STORE_CHUNK_SLOTS * slot_bytes(store->link_count));
}

static uint32_t name_hash(const char *namespace, const char *name)
{
    return (uint32_t)kube_hash_text(name, kube_hash_text(namespace, 0));
}

static const char *link_key(const struct store_slot *slot, unsigned index)
{
    return (const char *)slot->object + slot->links[index].key;
}

static uint32_t *table_bucket(const struct store_table *table, uint32_t hash)
{
    return &table->buckets[hash & (table->size - 1)];
}

/* The hash of a chained slot and the field that chains it, in the table of names (index -1) or of
 * an index. */
static uint32_t *chain_of(const struct kube_store *store, int index, uint32_t id,
                          uint32_t *ret_hash)
{
    struct store_slot *slot = store_slot(store, id);
    if (index < 0) {
        *ret_hash = name_hash(slot->object->namespace, slot->object->name);
        return &slot->next;
    }
    *ret_hash = (uint32_t)kube_hash_text(link_key(slot, (unsigned)index), 0);
    return &slot->links[index].bucket_next;
}

/* Makes room for one more. */
static void table_grow(const struct kube_store *store, struct store_table *table, int index)
{
    if (table->count < (uint64_t)table->size * STORE_TABLE_LOAD)
        return;
    struct store_table grown = {.size = table->size ? table->size * 2 : STORE_TABLE_MIN,
                                .count = table->count};
    grown.buckets = xmalloc(grown.size * sizeof(*grown.buckets));
    for (uint32_t i = 0; i < grown.size; i++)
        grown.buckets[i] = STORE_NONE;
    for (uint32_t i = 0; i < table->size; i++) {
        for (uint32_t id = table->buckets[i], following; id != STORE_NONE; id = following) {
            uint32_t hash, *chain = chain_of(store, index, id, &hash);
            uint32_t *bucket = table_bucket(&grown, hash);
            following = *chain;
            *chain = *bucket;
            *bucket = id;
        }
    }
    free(table->buckets);
    *table = grown;
}

static void table_add(struct kube_store *store, struct store_table *table, int index, uint32_t id)
{
    table_grow(store, table, index);
    uint32_t hash, *chain = chain_of(store, index, id, &hash);
    uint32_t *bucket = table_bucket(table, hash);
    *chain = *bucket;
    *bucket = id;
    table->count++;
}

/* Where the chain points to id, which is in it. */
static uint32_t *table_place(const struct kube_store *store, const struct store_table *table,
                             int index, uint32_t id)
{
    uint32_t hash;
    chain_of(store, index, id, &hash);
    uint32_t *at = table_bucket(table, hash);
    while (*at != id)
        at = chain_of(store, index, *at, &hash);
    return at;
}

uint32_t store_find(const struct kube_store *store, const char *namespace, const char *name)
{
    if (!store->names.size)
        return STORE_NONE;
    uint32_t id = *table_bucket(&store->names, name_hash(namespace, name));
    while (id != STORE_NONE) {
        const struct store_slot *slot = store_slot(store, id);
        if (strcmp(slot->object->name, name) == 0 &&
            strcmp(slot->object->namespace, namespace) == 0)
            break;
        id = slot->next;
    }
    return id;
}

uint32_t store_index_find(const struct kube_store *store, unsigned index, const char *key)
{
    const struct store_table *table = &store->indexes[index];
    if (!table->size)
        return STORE_NONE;
    uint32_t id = *table_bucket(table, (uint32_t)kube_hash_text(key, 0));
    while (id != STORE_NONE) {
        const struct store_slot *slot = store_slot(store, id);
        if (strcmp(link_key(slot, index), key) == 0)
            break;
        id = slot->links[index].bucket_next;
    }
    return id;
}

/* Adds the slot to its key's ring, or makes it the head of a new one; links[index].key is set. */
static void index_add(struct kube_store *store, unsigned index, uint32_t id)
{
    struct store_slot *slot = store_slot(store, id);
    struct store_link *link = &slot->links[index];
    uint32_t head_id = store_index_find(store, index, link_key(slot, index));
    if (head_id == STORE_NONE) {
        link->previous = link->next = id;
        table_add(store, &store->indexes[index], (int)index, id);
        return;
    }
    struct store_link *head = &store_slot(store, head_id)->links[index];
    link->bucket_next = STORE_MEMBER;
    link->next = head_id;
    link->previous = head->previous;
    store_slot(store, head->previous)->links[index].next = id;
    head->previous = id;
}

static void index_remove(struct kube_store *store, unsigned index, uint32_t id)
{
    struct store_table *table = &store->indexes[index];
    struct store_link *link = &store_slot(store, id)->links[index];
    if (link->bucket_next != STORE_MEMBER) {
        uint32_t *at = table_place(store, table, (int)index, id);
        if (link->next == id) {
            *at = link->bucket_next;
            table->count--;
        } else {
            store_slot(store, link->next)->links[index].bucket_next = link->bucket_next;
            *at = link->next;
        }
    }
    store_slot(store, link->previous)->links[index].next = link->next;
    store_slot(store, link->next)->links[index].previous = link->previous;
    link->key = 0;
}

/* Gives every slot links for count indexes. Happens when an index is used for the first time. */
static void widen(struct kube_store *store, unsigned count)
{
    size_t before = slot_bytes(store->link_count), after = slot_bytes(count);
    for (size_t i = 0; i < store->chunk_count; i++) {
        char *chunk = xcalloc(STORE_CHUNK_SLOTS, after);
        for (size_t k = 0; k < STORE_CHUNK_SLOTS; k++)
            memcpy(chunk + k * after, store->chunks[i] + k * before, before);
        free(store->chunks[i]);
        store->chunks[i] = chunk;
    }
    store->link_count = count;
}

static void widen_for(struct kube_store *store, const uint32_t keys[KUBE_INDEXES_MAX])
{
    unsigned count = KUBE_INDEXES_MAX;
    while (count > store->link_count && !keys[count - 1])
        count--;
    if (count > store->link_count)
        widen(store, count);
}

/* A free slot, cleared. */
static uint32_t take_slot(struct kube_store *store)
{
    uint32_t id = store->free;
    if (id != STORE_NONE) {
        store->free = store_slot(store, id)->next;
    } else {
        id = store->slot_count++;
        if (id / STORE_CHUNK_SLOTS == store->chunk_count) {
            if (store->chunk_count == store->chunk_capacity) {
                store->chunk_capacity = store->chunk_capacity * 2 + 4;
                store->chunks =
                    xreallocarray(store->chunks, store->chunk_capacity, sizeof(*store->chunks));
            }
            store->chunks[store->chunk_count++] =
                xcalloc(STORE_CHUNK_SLOTS, slot_bytes(store->link_count));
        }
    }
    memset(store_slot(store, id), 0, slot_bytes(store->link_count));
    return id;
}

void store_insert(struct kube_store *store, struct kube_object *object,
                  const uint32_t keys[KUBE_INDEXES_MAX])
{
    widen_for(store, keys);
    uint32_t id = take_slot(store);
    struct store_slot *slot = store_slot(store, id);
    slot->object = object;
    slot->generation = store->generation;
    table_add(store, &store->names, -1, id);
    for (unsigned i = 0; i < store->link_count; i++) {
        slot->links[i].key = keys[i];
        if (keys[i])
            index_add(store, i, id);
    }
    store->object_bytes += object_bytes(object);
}

struct kube_object *store_exchange(struct kube_store *store, uint32_t id,
                                   struct kube_object *object,
                                   const uint32_t keys[KUBE_INDEXES_MAX])
{
    widen_for(store, keys);
    struct store_slot *slot = store_slot(store, id);
    struct kube_object *before = slot->object;
    bool stays[KUBE_INDEXES_MAX];
    for (unsigned i = 0; i < store->link_count; i++) {
        stays[i] = slot->links[i].key && keys[i] &&
                   strcmp(link_key(slot, i), (const char *)object + keys[i]) == 0;
        if (slot->links[i].key && !stays[i])
            index_remove(store, i, id);
    }
    slot->object = object;
    slot->generation = store->generation;
    for (unsigned i = 0; i < store->link_count; i++) {
        slot->links[i].key = keys[i];
        if (keys[i] && !stays[i])
            index_add(store, i, id);
    }
    store->object_bytes += object_bytes(object);
    store->object_bytes -= object_bytes(before);
    return before;
}

struct kube_object *store_remove(struct kube_store *store, uint32_t id)
{
    struct store_slot *slot = store_slot(store, id);
    for (unsigned i = 0; i < store->link_count; i++)
        if (slot->links[i].key)
            index_remove(store, i, id);
    *table_place(store, &store->names, -1, id) = slot->next;
    store->names.count--;
    struct kube_object *object = STEAL_POINTER(slot->object);
    store->object_bytes -= object_bytes(object);
    slot->next = store->free;
    store->free = id;
    if (!store->names.count)
        store_clear(store);
    return object;
}

void store_clear(struct kube_store *store)
{
    for (size_t i = 0; i < store->chunk_count; i++)
        free(store->chunks[i]);
    free(store->chunks);
    free(store->names.buckets);
    for (unsigned i = 0; i < KUBE_INDEXES_MAX; i++) {
        free(store->indexes[i].buckets);
        store->indexes[i] = (struct store_table){0};
    }
    store->names = (struct store_table){0};
    store->chunks = NULL;
    store->chunk_count = store->chunk_capacity = 0;
    store->free = STORE_NONE;
    store->slot_count = 0;
}
