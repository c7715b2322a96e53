/* Entries by key and by age. */
#include "kube/lru.h"

#include "kube/hash.h"

struct kube_lru_key kube_lru_key(const void *data, size_t length)
{
    return (struct kube_lru_key){{kube_hash(data, length, 0), kube_hash(data, length, 1)}};
}

static struct kube_lru_entry **slot_of(struct kube_lru *lru, const struct kube_lru_key *key)
{
    return &lru->slots[key->half[0] % KUBE_LRU_SLOTS];
}

struct kube_lru_entry *kube_lru_find(const struct kube_lru *lru, const struct kube_lru_key *key)
{
    struct kube_lru_entry *entry = lru->slots[key->half[0] % KUBE_LRU_SLOTS];
    while (entry && (entry->key.half[0] != key->half[0] || entry->key.half[1] != key->half[1]))
        entry = entry->chain;
    return entry;
}

static void link_newest(struct kube_lru *lru, struct kube_lru_entry *entry)
{
    entry->newer = NULL;
    entry->older = lru->newest;
    if (lru->newest)
        lru->newest->newer = entry;
    else
        lru->oldest = entry;
    lru->newest = entry;
}

static void unlink_entry(struct kube_lru *lru, struct kube_lru_entry *entry)
{
    if (entry->newer)
        entry->newer->older = entry->older;
    else
        lru->newest = entry->older;
    if (entry->older)
        entry->older->newer = entry->newer;
    else
        lru->oldest = entry->newer;
}

void kube_lru_add(struct kube_lru *lru, struct kube_lru_entry *entry)
{
    struct kube_lru_entry **slot = slot_of(lru, &entry->key);
    entry->chain = *slot;
    *slot = entry;
    link_newest(lru, entry);
    lru->count++;
}

void kube_lru_remove(struct kube_lru *lru, struct kube_lru_entry *entry)
{
    struct kube_lru_entry **at = slot_of(lru, &entry->key);
    while (*at != entry)
        at = &(*at)->chain;
    *at = entry->chain;
    unlink_entry(lru, entry);
    lru->count--;
}

void kube_lru_touch(struct kube_lru *lru, struct kube_lru_entry *entry)
{
    unlink_entry(lru, entry);
    link_newest(lru, entry);
}
