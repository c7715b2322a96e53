#include "kube/store.h"

#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "kube/store_private.h"

struct kube_store *kube_store_new(const struct kube_store_options *options)
{
    struct kube_store *store = xcalloc(1, sizeof(*store));
    store->options = *options;
    if (!store->options.data_bytes)
        store->options.data_bytes = STORE_DATA_BYTES;
    if (store->options.data_bytes > STORE_DATA_BYTES_MAX)
        store->options.data_bytes = STORE_DATA_BYTES_MAX;
    store->free = STORE_NONE;
    pthread_mutex_init(&store->lock, NULL);
    return store;
}

void kube_store_free(struct kube_store *store)
{
    if (!store)
        return;
    for (uint32_t id = 0; id < store->slot_count; id++)
        kube_object_unref(store_slot(store, id)->object);
    store_clear(store);
    pthread_mutex_destroy(&store->lock);
    free(store);
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* Who the object is; false when it has no name, so that it can't be kept. Texts are borrowed. */
static bool identify(const json_t *object, struct kube_object *ret_parts)
{
    const json_t *metadata = json_object_get(object, "metadata");
    *ret_parts = (struct kube_object){.namespace = text_of(metadata, "namespace"),
                                      .name = text_of(metadata, "name"),
                                      .uid = text_of(metadata, "uid"),
                                      .resource_version = text_of(metadata, "resourceVersion")};
    return ret_parts->name[0] != '\0';
}

static int append_text(const char *text, size_t size, void *buffer)
{
    return buffer_append(buffer, text, size);
}

/* What is kept without a transform: everything but the bookkeeping of who owns which field. */
static int keep_all(const json_t *object, struct buffer *out)
{
    json_auto_t *copy = json_deep_copy(object);
    json_object_del(json_object_get(copy, "metadata"), "managedFields");
    return json_dump_callback(copy, append_text, out, JSON_COMPACT) < 0 ? -ENOBUFS : 0;
}

/* Makes what is kept of object; NULL: nothing is. */
static struct kube_object *convert(const struct kube_store *store, const json_t *object,
                                   struct kube_object *parts, uint32_t ret_keys[KUBE_INDEXES_MAX])
{
    const struct kube_store_options *options = &store->options;
    cleanup_buffer struct buffer data = BUFFER_INIT(options->data_bytes);
    int r = options->transform ? options->transform(options->context, object, &data)
                               : keep_all(object, &data);
    if (r == -ENOBUFS)
        buffer_clear(&data);
    else if (r < 0)
        return NULL;
    const char *keys[KUBE_INDEXES_MAX] = {NULL};
    if (options->index)
        options->index(options->context, object, keys);
    parts->data = data.data;
    parts->data_length = (uint32_t)data.length;
    return object_make(parts, keys, ret_keys);
}

/* Whether this very version is kept already; then it counts as put again. */
static bool touch(struct kube_store *store, const struct kube_object *parts)
{
    bool same = false;
    pthread_mutex_lock(&store->lock);
    uint32_t id = store_find(store, parts->namespace, parts->name);
    if (id != STORE_NONE) {
        struct store_slot *slot = store_slot(store, id);
        same = parts->resource_version[0] &&
               strcmp(slot->object->resource_version, parts->resource_version) == 0 &&
               strcmp(slot->object->uid, parts->uid) == 0;
        if (same)
            slot->generation = store->generation;
    }
    pthread_mutex_unlock(&store->lock);
    return same;
}

static void drop(struct kube_store *store, const struct kube_object *parts,
                 kube_store_change *change, void *context)
{
    struct kube_object *before = NULL;
    pthread_mutex_lock(&store->lock);
    uint32_t id = store_find(store, parts->namespace, parts->name);
    if (id != STORE_NONE)
        before = store_remove(store, id);
    pthread_mutex_unlock(&store->lock);
    if (before && change)
        change(context, before, NULL);
    kube_object_unref(before);
}

void kube_store_put(struct kube_store *store, const json_t *object, kube_store_change *change,
                    void *context)
{
    struct kube_object parts;
    uint32_t keys[KUBE_INDEXES_MAX];
    if (!identify(object, &parts) || touch(store, &parts))
        return;
    struct kube_object *after = convert(store, object, &parts, keys);
    if (!after) {
        drop(store, &parts, change, context);
        return;
    }
    struct kube_object *before = NULL;
    kube_object_ref(after); /* for change(); the first reference is the store's */
    pthread_mutex_lock(&store->lock);
    uint32_t id = store_find(store, parts.namespace, parts.name);
    if (id == STORE_NONE)
        store_insert(store, after, keys);
    else
        before = store_exchange(store, id, after, keys);
    pthread_mutex_unlock(&store->lock);
    if (change)
        change(context, before, after);
    kube_object_unref(before);
    kube_object_unref(after);
}

void kube_store_delete(struct kube_store *store, const json_t *object, kube_store_change *change,
                       void *context)
{
    struct kube_object parts;
    if (identify(object, &parts))
        drop(store, &parts, change, context);
}

uint32_t kube_store_replace_begin(struct kube_store *store)
{
    pthread_mutex_lock(&store->lock);
    uint32_t mark = ++store->generation;
    pthread_mutex_unlock(&store->lock);
    return mark;
}

/* References that were counted under the lock, to be used without it. */
struct snapshot {
    const struct kube_object **objects;
    size_t count, capacity;
};

static void snapshot_add(struct snapshot *snapshot, const struct kube_object *object)
{
    if (snapshot->count == snapshot->capacity) {
        snapshot->capacity = snapshot->capacity * 2 + 16;
        snapshot->objects =
            xreallocarray(snapshot->objects, snapshot->capacity, sizeof(*snapshot->objects));
    }
    snapshot->objects[snapshot->count++] = object;
}

static void snapshot_free(struct snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->count; i++)
        kube_object_unref(snapshot->objects[i]);
    free(snapshot->objects);
}

void kube_store_replace_end(struct kube_store *store, uint32_t mark, const char *namespace,
                            kube_store_change *change, void *context)
{
    __attribute__((cleanup(snapshot_free))) struct snapshot gone = {0};
    pthread_mutex_lock(&store->lock);
    /* Removing the last object empties the table, and with it slot_count. */
    for (uint32_t id = 0; id < store->slot_count; id++) {
        const struct store_slot *slot = store_slot(store, id);
        /* As a difference, because generations wrap. */
        if (slot->object && (int32_t)(slot->generation - mark) < 0 &&
            (!namespace || strcmp(slot->object->namespace, namespace) == 0))
            snapshot_add(&gone, store_remove(store, id));
    }
    pthread_mutex_unlock(&store->lock);
    for (size_t i = 0; change && i < gone.count; i++)
        change(context, gone.objects[i], NULL);
}

const struct kube_object *kube_store_get(struct kube_store *store, const char *namespace,
                                         const char *name)
{
    const struct kube_object *object = NULL;
    pthread_mutex_lock(&store->lock);
    uint32_t id = store_find(store, namespace, name);
    if (id != STORE_NONE)
        object = kube_object_ref(store_slot(store, id)->object);
    pthread_mutex_unlock(&store->lock);
    return object;
}

/* Under the lock. */
static void snapshot_index(struct kube_store *store, unsigned index, const char *key,
                           struct snapshot *ret)
{
    uint32_t head = store_index_find(store, index, key), id = head;
    if (head == STORE_NONE)
        return;
    do {
        const struct store_slot *slot = store_slot(store, id);
        snapshot_add(ret, kube_object_ref(slot->object));
        id = slot->links[index].next;
    } while (id != head);
}

int kube_store_each(struct kube_store *store, int index, const char *key,
                    int (*visit)(void *context, const struct kube_object *object), void *context)
{
    __attribute__((cleanup(snapshot_free))) struct snapshot all = {0};
    pthread_mutex_lock(&store->lock);
    if (index >= 0 && index < KUBE_INDEXES_MAX)
        snapshot_index(store, (unsigned)index, key, &all);
    for (uint32_t id = 0; index < 0 && id < store->slot_count; id++) {
        const struct store_slot *slot = store_slot(store, id);
        if (slot->object)
            snapshot_add(&all, kube_object_ref(slot->object));
    }
    pthread_mutex_unlock(&store->lock);
    int r = 0;
    for (size_t i = 0; i < all.count && !r; i++)
        r = visit(context, all.objects[i]);
    return r;
}

size_t kube_store_count(struct kube_store *store)
{
    pthread_mutex_lock(&store->lock);
    size_t count = store->names.count;
    pthread_mutex_unlock(&store->lock);
    return count;
}

/* An array as the allocator rounds it: 16 bytes, with a header of 8. */
static size_t block_bytes(size_t size)
{
    return size ? (size + sizeof(size_t) + 15) & ~(size_t)15 : 0;
}

size_t kube_store_bytes(struct kube_store *store)
{
    pthread_mutex_lock(&store->lock);
    size_t slot = sizeof(struct store_slot) + store->link_count * sizeof(struct store_link);
    size_t bytes = block_bytes(sizeof(*store)) + store->object_bytes +
                   block_bytes(store->chunk_capacity * sizeof(*store->chunks)) +
                   store->chunk_count * block_bytes(STORE_CHUNK_SLOTS * slot) +
                   block_bytes(store->names.size * sizeof(uint32_t));
    for (unsigned i = 0; i < KUBE_INDEXES_MAX; i++)
        bytes += block_bytes(store->indexes[i].size * sizeof(uint32_t));
    pthread_mutex_unlock(&store->lock);
    return bytes;
}
