/*
 * A work queue of keys, as client-go's workqueue: a key that is added while it waits is there once;
 * one that is added while it is worked on comes again when that is done; so a key is never worked
 * on by two workers. Failed keys come back after a backoff of their own, and keys can be added with
 * a delay. Two lanes: what the first list brought (low) does not hold up live changes (high): of
 * ten keys taken while both lanes have some, one is from the low lane, so that neither starves.
 *
 * Metrics, label name: workqueue_depth, workqueue_adds_total, workqueue_retries_total,
 * workqueue_queue_duration_seconds, workqueue_work_duration_seconds,
 * workqueue_unfinished_work_seconds, workqueue_longest_running_processor_seconds.
 *
 * Any thread. Time is the monotonic clock.
 */
#ifndef DPUMESH_KUBE_QUEUE_H
#define DPUMESH_KUBE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "obs/metric.h"

enum kube_lane { KUBE_LANE_HIGH, KUBE_LANE_LOW };

struct kube_queue_options {
    const char *name;          /* of the metrics' label */
    uint64_t backoff_first_ns; /* 0: 5 ms; doubles with each failure of a key */
    uint64_t backoff_most_ns;  /* 0: 1000 s (client-go's) */
    struct metrics *metrics;   /* NULL: none */
};

struct kube_queue;

struct kube_queue *kube_queue_new(const struct kube_queue_options *options);
void kube_queue_free(struct kube_queue *queue); /* workers must have ended; NULL is fine */

/* Adds a key (copied). A key that waits in the low lane moves to the high one when it is added to
 * that. Ignored after kube_queue_stop(). */
void kube_queue_add(struct kube_queue *queue, const char *key, enum kube_lane lane);

/* Adds it after delay_ns, to the lane that it was in last; of several delays the earliest counts.
 */
void kube_queue_add_after(struct kube_queue *queue, const char *key, uint64_t delay_ns);

/* The same after its backoff, and counts a failure. Returns the backoff. */
uint64_t kube_queue_retry(struct kube_queue *queue, const char *key);

/* Its work went well: forgets its failures, and a delay that was asked for before that work. A key
 * that waits in a lane still comes. */
void kube_queue_forget(struct kube_queue *queue, const char *key);

/* How often it failed in a row. */
unsigned kube_queue_failures(struct kube_queue *queue, const char *key);

/* Takes a key to work on, waiting for one; NULL after kube_queue_stop(). The caller owns the text
 * and must call kube_queue_done() with it. */
char *kube_queue_take(struct kube_queue *queue);

/* Ends the work on a key (not the ownership of the text). */
void kube_queue_done(struct kube_queue *queue, const char *key);

/* Wakes all workers with NULL; what waits is dropped, delayed keys and failures too. */
void kube_queue_stop(struct kube_queue *queue);

/* After kube_queue_stop(), once the workers have ended: takes keys again. */
void kube_queue_reopen(struct kube_queue *queue);

/* Keys that wait to be taken (delayed ones not counted). */
size_t kube_queue_depth(struct kube_queue *queue);

#endif
