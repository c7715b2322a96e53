#include <string.h>

#include "base/memory.h"
#include "kube/hash.h"
#include "kube/queue_private.h"

static void heap_place(struct queue_heap *heap, size_t place, struct queue_entry *entry)
{
    heap->entries[place] = entry;
    entry->heap_place = place;
}

/* Moves the entry from place towards the root as far as it is earlier. */
static void heap_rise(struct queue_heap *heap, size_t place, struct queue_entry *entry)
{
    while (place > 0) {
        struct queue_entry *parent = heap->entries[(place - 1) / 2];
        if (parent->due_ns <= entry->due_ns)
            break;
        heap_place(heap, place, parent);
        place = (place - 1) / 2;
    }
    heap_place(heap, place, entry);
}

static void heap_sink(struct queue_heap *heap, size_t place, struct queue_entry *entry)
{
    for (size_t child; (child = place * 2 + 1) < heap->count; place = child) {
        if (child + 1 < heap->count &&
            heap->entries[child + 1]->due_ns < heap->entries[child]->due_ns)
            child++;
        if (entry->due_ns <= heap->entries[child]->due_ns)
            break;
        heap_place(heap, place, heap->entries[child]);
    }
    heap_place(heap, place, entry);
}

void queue_heap_add(struct queue_heap *heap, struct queue_entry *entry)
{
    if (heap->count == heap->capacity) {
        heap->capacity = heap->capacity * 2 + 16;
        heap->entries = xreallocarray(heap->entries, heap->capacity, sizeof(*heap->entries));
    }
    heap_rise(heap, heap->count++, entry);
}

void queue_heap_remove(struct queue_heap *heap, struct queue_entry *entry)
{
    size_t place = entry->heap_place;
    struct queue_entry *last = heap->entries[--heap->count];
    entry->heap_place = QUEUE_NOT_DELAYED;
    if (last == entry)
        return;
    if (last->due_ns < entry->due_ns)
        heap_rise(heap, place, last);
    else
        heap_sink(heap, place, last);
}

static struct queue_entry **bucket_of(const struct kube_queue *queue, uint64_t hash)
{
    return &queue->buckets[hash & (queue->bucket_count - 1)];
}

static struct queue_entry *find_hashed(const struct kube_queue *queue, const char *key,
                                       uint64_t hash)
{
    struct queue_entry *entry = queue->bucket_count ? *bucket_of(queue, hash) : NULL;
    while (entry && (entry->hash != hash || strcmp(entry->key, key) != 0))
        entry = entry->chain;
    return entry;
}

struct queue_entry *queue_find(struct kube_queue *queue, const char *key)
{
    return find_hashed(queue, key, kube_hash_text(key, 0));
}

static void table_resize(struct kube_queue *queue, size_t count)
{
    struct queue_entry **before = queue->buckets;
    size_t before_count = queue->bucket_count;
    queue->buckets = xcalloc(count, sizeof(*queue->buckets));
    queue->bucket_count = count;
    for (size_t i = 0; i < before_count; i++) {
        for (struct queue_entry *entry = before[i], *following; entry; entry = following) {
            struct queue_entry **bucket = bucket_of(queue, entry->hash);
            following = entry->chain;
            entry->chain = *bucket;
            *bucket = entry;
        }
    }
    free(before);
}

struct queue_entry *queue_find_or_make(struct kube_queue *queue, const char *key)
{
    uint64_t hash = kube_hash_text(key, 0);
    struct queue_entry *entry = find_hashed(queue, key, hash);
    if (entry)
        return entry;
    if (queue->entry_count == queue->bucket_count)
        table_resize(queue, queue->bucket_count ? queue->bucket_count * 2 : QUEUE_TABLE_MIN);
    size_t length = strlen(key);
    entry = xmalloc(sizeof(*entry) + length + 1);
    *entry =
        (struct queue_entry){.hash = hash, .heap_place = QUEUE_NOT_DELAYED, .lane = KUBE_LANE_HIGH};
    memcpy(entry->key, key, length + 1);
    struct queue_entry **bucket = bucket_of(queue, hash);
    entry->chain = *bucket;
    *bucket = entry;
    queue->entry_count++;
    return entry;
}

void queue_settle(struct kube_queue *queue, struct queue_entry *entry)
{
    if (entry->waiting || entry->working || entry->failures ||
        entry->heap_place != QUEUE_NOT_DELAYED)
        return;
    struct queue_entry **at = bucket_of(queue, entry->hash);
    while (*at != entry)
        at = &(*at)->chain;
    *at = entry->chain;
    free(entry);
    queue->entry_count--;
    /* A flood that is over gives its memory back. */
    if (queue->bucket_count > QUEUE_TABLE_MIN && queue->entry_count < queue->bucket_count / 8)
        table_resize(queue, queue->bucket_count / 4 < QUEUE_TABLE_MIN ? QUEUE_TABLE_MIN
                                                                      : queue->bucket_count / 4);
}

void queue_sweep(struct kube_queue *queue)
{
    /* Not by queue_settle(), which may resize the table on the way. */
    for (size_t i = 0; i < queue->bucket_count; i++) {
        struct queue_entry **at = &queue->buckets[i];
        for (struct queue_entry *entry; (entry = *at);) {
            if (entry->working) {
                at = &entry->chain;
                continue;
            }
            *at = entry->chain;
            free(entry);
            queue->entry_count--;
        }
    }
}

void queue_list_append(struct queue_list *list, struct queue_entry *entry)
{
    entry->next = NULL;
    entry->previous = list->last;
    if (list->last)
        list->last->next = entry;
    else
        list->first = entry;
    list->last = entry;
}

void queue_list_remove(struct queue_list *list, struct queue_entry *entry)
{
    if (entry->previous)
        entry->previous->next = entry->next;
    else
        list->first = entry->next;
    if (entry->next)
        entry->next->previous = entry->previous;
    else
        list->last = entry->previous;
    entry->previous = entry->next = NULL;
}
