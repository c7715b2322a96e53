#include "operator/written.h"

#include <pthread.h>
#include <string.h>

#include "base/memory.h"
#include "operator/trim.h"

struct written_slot {
    uint64_t desired, live, version, applied_ns;
    bool used, seen; /* seen: the store held this version, or a later one */
};

struct written_entry {
    struct written_entry *next;
    struct written_id id;
    uint64_t status_version; /* 0: the store has it */
    json_t *status;
    struct written_slot children[CHILD_KINDS];
};

enum { BUCKETS = 4096 };

struct written {
    pthread_mutex_t lock;
    size_t count;
    struct written_entry *buckets[BUCKETS];
};

struct written *written_new(void)
{
    struct written *written = xcalloc(1, sizeof *written);
    pthread_mutex_init(&written->lock, NULL);
    return written;
}

static void entry_free(struct written_entry *entry)
{
    json_decref(entry->status);
    free(entry);
}

void written_free(struct written *written)
{
    if (!written)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        while (written->buckets[i]) {
            struct written_entry *entry = written->buckets[i];
            written->buckets[i] = entry->next;
            entry_free(entry);
        }
    pthread_mutex_destroy(&written->lock);
    free(written);
}

uint64_t written_name(const char *namespace, const char *name)
{
    cleanup_free char *text = xasprintf("%s/%s", namespace, name);
    return trim_uid(text);
}

/* Where the entry is linked, or would be. Lock held, here and below. */
static struct written_entry **place_of(struct written *written, uint64_t name)
{
    struct written_entry **at = &written->buckets[(name ^ name >> 32) % BUCKETS];
    while (*at && (*at)->id.name != name)
        at = &(*at)->next;
    return at;
}

static void drop(struct written *written, struct written_entry **at)
{
    struct written_entry *entry = *at;
    *at = entry->next;
    written->count--;
    entry_free(entry);
}

/* The entry's place, or NULL; what a predecessor of the same name left goes. */
static struct written_entry **find(struct written *written, struct written_id id)
{
    struct written_entry **at = place_of(written, id.name);
    if (*at && (*at)->id.uid != id.uid)
        drop(written, at);
    return *at && (*at)->id.name == id.name ? at : NULL;
}

static struct written_entry *entry_of(struct written *written, struct written_id id)
{
    struct written_entry **at = find(written, id);
    if (at)
        return *at;
    at = place_of(written, id.name);
    *at = xcalloc(1, sizeof **at);
    (*at)->id = id;
    written->count++;
    return *at;
}

static void drop_when_empty(struct written *written, struct written_entry **at)
{
    for (unsigned i = 0; i < CHILD_KINDS; i++)
        if ((*at)->children[i].used)
            return;
    if ((*at)->status_version == 0)
        drop(written, at);
}

static void forget_status(struct written *written, struct written_entry **at)
{
    (*at)->status_version = 0;
    json_decref((*at)->status);
    (*at)->status = NULL;
    drop_when_empty(written, at);
}

void written_child(struct written *written, struct written_id id, enum child_kind kind,
                   uint64_t desired, uint64_t live, uint64_t version, uint64_t now_ns)
{
    pthread_mutex_lock(&written->lock);
    entry_of(written, id)->children[kind] = (struct written_slot){
        .desired = desired, .live = live, .version = version, .applied_ns = now_ns, .used = true};
    pthread_mutex_unlock(&written->lock);
}

static enum written_verdict judge(struct written_slot *slot, uint64_t desired, bool present,
                                  uint64_t live, uint64_t version, uint64_t now_ns)
{
    if (slot->desired != desired)
        return present && live == desired && version >= slot->version ? WRITTEN_IN_SYNC
                                                                      : WRITTEN_DRIFT;
    bool patient = now_ns < slot->applied_ns + WRITTEN_PATIENCE_NS;
    if (!present)
        return slot->seen || !patient ? WRITTEN_DRIFT : WRITTEN_WAIT;
    if (version < slot->version)
        return patient ? WRITTEN_WAIT : WRITTEN_DRIFT;
    slot->seen = true;
    return live == desired || live == slot->live ? WRITTEN_IN_SYNC : WRITTEN_DRIFT;
}

enum written_verdict written_judge(struct written *written, struct written_id id,
                                   enum child_kind kind, uint64_t desired, bool present,
                                   uint64_t live, uint64_t version, uint64_t now_ns)
{
    enum written_verdict verdict = present && live == desired ? WRITTEN_IN_SYNC : WRITTEN_DRIFT;
    pthread_mutex_lock(&written->lock);
    struct written_entry **at = find(written, id);
    if (at && (*at)->children[kind].used) {
        struct written_slot *slot = &(*at)->children[kind];
        verdict = judge(slot, desired, present, live, version, now_ns);
        if (verdict != WRITTEN_WAIT && (live == desired || !present)) {
            /* The store has caught up, or the child is made anew: nothing to remember. */
            slot->used = false;
            drop_when_empty(written, at);
        }
    }
    pthread_mutex_unlock(&written->lock);
    return verdict;
}

void written_status(struct written *written, struct written_id id, uint64_t version, json_t *status)
{
    pthread_mutex_lock(&written->lock);
    struct written_entry *entry = entry_of(written, id);
    entry->status_version = version;
    json_decref(entry->status);
    /* A copy: jansson reads a reference count without atomics before it changes it with them, so
     * that no JSON is shared by threads here. */
    entry->status = json_deep_copy(status);
    pthread_mutex_unlock(&written->lock);
}

json_t *written_status_after(struct written *written, struct written_id id, uint64_t version)
{
    json_t *status = NULL;
    pthread_mutex_lock(&written->lock);
    struct written_entry **at = find(written, id);
    if (at && (*at)->status_version > version)
        status = json_deep_copy((*at)->status);
    else if (at)
        forget_status(written, at);
    pthread_mutex_unlock(&written->lock);
    return status;
}

bool written_status_seen(struct written *written, struct written_id id, uint64_t version)
{
    pthread_mutex_lock(&written->lock);
    struct written_entry **at = find(written, id);
    bool ours = at && (*at)->status_version == version;
    if (at && (*at)->status_version <= version)
        forget_status(written, at);
    pthread_mutex_unlock(&written->lock);
    return ours;
}

void written_forget(struct written *written, uint64_t name)
{
    pthread_mutex_lock(&written->lock);
    struct written_entry **at = place_of(written, name);
    if (*at)
        drop(written, at);
    pthread_mutex_unlock(&written->lock);
}

size_t written_count(struct written *written)
{
    pthread_mutex_lock(&written->lock);
    size_t count = written->count;
    pthread_mutex_unlock(&written->lock);
    return count;
}
