/*
 * A table of at most so many entries by a 128-bit key; the one that was not used for longest makes
 * room. Entries are structures of the user's that begin with a struct kube_lru_entry; the table
 * links them and owns nothing. One thread. Private to lib/kube.
 */
#ifndef DPUMESH_KUBE_LRU_H
#define DPUMESH_KUBE_LRU_H

#include <stddef.h>
#include <stdint.h>

enum { KUBE_LRU_SLOTS = 1024 };

/* A hash wide enough to stand for what it was made of. */
struct kube_lru_key {
    uint64_t half[2];
};

/* Of length bytes; differs between processes. */
struct kube_lru_key kube_lru_key(const void *data, size_t length);

struct kube_lru_entry {
    struct kube_lru_key key;
    struct kube_lru_entry *chain;         /* others of the same slot */
    struct kube_lru_entry *newer, *older; /* in the order of use */
};

/* All zero is an empty one. */
struct kube_lru {
    struct kube_lru_entry *slots[KUBE_LRU_SLOTS];
    struct kube_lru_entry *newest, *oldest;
    size_t count;
};

/* The entry with this key, or NULL. */
struct kube_lru_entry *kube_lru_find(const struct kube_lru *lru, const struct kube_lru_key *key);

/* Adds an entry as the newest; entry->key is set and not in the table. */
void kube_lru_add(struct kube_lru *lru, struct kube_lru_entry *entry);

/* Takes it out. */
void kube_lru_remove(struct kube_lru *lru, struct kube_lru_entry *entry);

/* Makes it the newest. */
void kube_lru_touch(struct kube_lru *lru, struct kube_lru_entry *entry);

#endif
