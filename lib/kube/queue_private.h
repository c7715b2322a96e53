/*
 * How a queue is laid out: an entry for each key that waits, is worked on, is delayed, or has
 * failed; it is freed when none of these holds. Everything is guarded by the queue's lock.
 *
 * Takers that find nothing sleep. One of them at most keeps the time of the next delayed key (on
 * the condition `timer`), the others sleep without a timeout (`ready`): without delayed keys nobody
 * wakes up. Whoever takes a key and leaves work behind wakes the next one.
 */
#ifndef DPUMESH_KUBE_QUEUE_PRIVATE_H
#define DPUMESH_KUBE_QUEUE_PRIVATE_H

#include <pthread.h>

#include "kube/queue.h"

enum { QUEUE_LANES = 2, QUEUE_HIGH_RUN = 9, QUEUE_TABLE_MIN = 16 };

#define QUEUE_NOT_DELAYED SIZE_MAX

struct queue_entry {
    struct queue_entry *chain;           /* in the bucket */
    struct queue_entry *previous, *next; /* in the lane, or among those worked on */
    uint64_t hash;
    uint64_t since_ns; /* waiting: since when; worked on: likewise */
    uint64_t due_ns;   /* delayed: until when */
    size_t heap_place; /* QUEUE_NOT_DELAYED: it is not */
    unsigned failures;
    enum kube_lane lane; /* that it waits in, or was taken from, or comes back to */
    bool waiting;        /* in a lane */
    bool working;        /* taken and not done */
    bool again;          /* added while it was worked on */
    char key[];
};

struct queue_list {
    struct queue_entry *first, *last;
};

/* Delayed entries; the earliest is at the root. */
struct queue_heap {
    struct queue_entry **entries;
    size_t count, capacity;
};

struct queue_metrics {
    struct metric *depth, *adds, *retries, *queue_duration, *work_duration, *unfinished, *longest;
};

struct kube_queue {
    uint64_t backoff_first_ns, backoff_most_ns;
    struct queue_metrics metrics; /* NULLs without a registry */
    pthread_mutex_t lock;         /* of all below */
    pthread_cond_t ready, timer;
    struct queue_entry **buckets;
    size_t bucket_count, entry_count;
    struct queue_list lanes[QUEUE_LANES];
    struct queue_list working;
    size_t depth;
    struct queue_heap delayed;
    unsigned
        high_run; /* taken from the high lane while the low one had some, since one from that */
    unsigned sleepers; /* on ready */
    bool timed;        /* somebody sleeps on timer */
    bool stopped;
    uint64_t adds, retries;
};

void queue_heap_add(struct queue_heap *heap, struct queue_entry *entry);
void queue_heap_remove(struct queue_heap *heap, struct queue_entry *entry);

/* Entries by key: NULL when there is none; find_or_make never. */
struct queue_entry *queue_find(struct kube_queue *queue, const char *key);
struct queue_entry *queue_find_or_make(struct kube_queue *queue, const char *key);

/* Frees the entry when nothing needs it any more. */
void queue_settle(struct kube_queue *queue, struct queue_entry *entry);

/* Frees all entries but those that are worked on. */
void queue_sweep(struct kube_queue *queue);

void queue_list_append(struct queue_list *list, struct queue_entry *entry);
void queue_list_remove(struct queue_list *list, struct queue_entry *entry);

void queue_metrics_declare(struct kube_queue *queue, const struct kube_queue_options *options);
void queue_metrics_withdraw(struct kube_queue *queue);

#endif
