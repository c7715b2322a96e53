#include "kube/queue.h"

#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "kube/queue_private.h"

#define BACKOFF_FIRST_NS (5 * NS_PER_MS)
#define BACKOFF_MOST_NS  (1000 * NS_PER_S)

struct kube_queue *kube_queue_new(const struct kube_queue_options *options)
{
    struct kube_queue *queue = xcalloc(1, sizeof(*queue));
    queue->backoff_first_ns =
        options->backoff_first_ns ? options->backoff_first_ns : BACKOFF_FIRST_NS;
    queue->backoff_most_ns = options->backoff_most_ns ? options->backoff_most_ns : BACKOFF_MOST_NS;
    pthread_mutex_init(&queue->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&queue->ready, &monotonic);
    pthread_cond_init(&queue->timer, &monotonic);
    pthread_condattr_destroy(&monotonic);
    queue_metrics_declare(queue, options);
    return queue;
}

void kube_queue_free(struct kube_queue *queue)
{
    if (!queue)
        return;
    queue_metrics_withdraw(queue);
    for (size_t i = 0; i < queue->bucket_count; i++) {
        for (struct queue_entry *entry = queue->buckets[i], *following; entry; entry = following) {
            following = entry->chain;
            free(entry);
        }
    }
    free(queue->buckets);
    free(queue->delayed.entries);
    pthread_cond_destroy(&queue->ready);
    pthread_cond_destroy(&queue->timer);
    pthread_mutex_destroy(&queue->lock);
    free(queue);
}

/* Wakes one taker, if any sleeps. A wake-up that comes twice to one taker loses nothing: whoever
 * takes a key and leaves some behind wakes the next one. */
static void wake_one(struct kube_queue *queue)
{
    if (queue->sleepers)
        pthread_cond_signal(&queue->ready);
    else if (queue->timed)
        pthread_cond_signal(&queue->timer);
}

static void append_waiting(struct kube_queue *queue, struct queue_entry *entry, enum kube_lane lane)
{
    entry->lane = lane;
    entry->waiting = true;
    entry->since_ns = clock_monotonic_ns();
    queue_list_append(&queue->lanes[lane], entry);
    queue->depth++;
}

static void add_entry(struct kube_queue *queue, struct queue_entry *entry, enum kube_lane lane)
{
    if (entry->working) {
        /* It comes back when the work is done, by the better of the lanes it was added to. */
        if (!entry->again || lane == KUBE_LANE_HIGH)
            entry->lane = lane;
        queue->adds += !entry->again;
        entry->again = true;
        return;
    }
    if (entry->waiting) {
        if (entry->lane == KUBE_LANE_LOW && lane == KUBE_LANE_HIGH) {
            queue_list_remove(&queue->lanes[KUBE_LANE_LOW], entry);
            entry->lane = lane;
            queue_list_append(&queue->lanes[lane], entry);
        }
        return;
    }
    queue->adds++;
    append_waiting(queue, entry, lane);
    wake_one(queue);
}

void kube_queue_add(struct kube_queue *queue, const char *key, enum kube_lane lane)
{
    pthread_mutex_lock(&queue->lock);
    if (!queue->stopped)
        add_entry(queue, queue_find_or_make(queue, key), lane);
    pthread_mutex_unlock(&queue->lock);
}

/* Delays the entry, unless it comes earlier already. */
static void delay_entry(struct kube_queue *queue, struct queue_entry *entry, uint64_t delay_ns)
{
    uint64_t now = clock_monotonic_ns();
    uint64_t due_ns = delay_ns > UINT64_MAX - now ? UINT64_MAX : now + delay_ns;
    if (entry->heap_place != QUEUE_NOT_DELAYED) {
        if (entry->due_ns <= due_ns)
            return;
        queue_heap_remove(&queue->delayed, entry);
    }
    entry->due_ns = due_ns;
    queue_heap_add(&queue->delayed, entry);
    if (queue->delayed.entries[0] != entry)
        return;
    /* The time to wake up at has changed. Without somebody who keeps it, a sleeper becomes that. */
    if (queue->timed)
        pthread_cond_signal(&queue->timer);
    else
        wake_one(queue);
}

void kube_queue_add_after(struct kube_queue *queue, const char *key, uint64_t delay_ns)
{
    pthread_mutex_lock(&queue->lock);
    if (!queue->stopped) {
        struct queue_entry *entry = queue_find_or_make(queue, key);
        if (delay_ns)
            delay_entry(queue, entry, delay_ns);
        else
            add_entry(queue, entry, entry->lane);
    }
    pthread_mutex_unlock(&queue->lock);
}

uint64_t kube_queue_retry(struct kube_queue *queue, const char *key)
{
    uint64_t delay_ns = queue->backoff_first_ns;
    pthread_mutex_lock(&queue->lock);
    if (!queue->stopped) {
        struct queue_entry *entry = queue_find_or_make(queue, key);
        for (unsigned i = 0; i < entry->failures && delay_ns < queue->backoff_most_ns; i++)
            delay_ns = delay_ns > UINT64_MAX / 2 ? UINT64_MAX : delay_ns * 2;
        if (delay_ns > queue->backoff_most_ns)
            delay_ns = queue->backoff_most_ns;
        if (entry->failures < UINT32_MAX)
            entry->failures++;
        queue->retries++;
        delay_entry(queue, entry, delay_ns);
    }
    pthread_mutex_unlock(&queue->lock);
    return delay_ns;
}

void kube_queue_forget(struct kube_queue *queue, const char *key)
{
    pthread_mutex_lock(&queue->lock);
    struct queue_entry *entry = queue_find(queue, key);
    if (entry) {
        entry->failures = 0;
        if (entry->heap_place != QUEUE_NOT_DELAYED)
            queue_heap_remove(&queue->delayed, entry);
        queue_settle(queue, entry);
    }
    pthread_mutex_unlock(&queue->lock);
}

unsigned kube_queue_failures(struct kube_queue *queue, const char *key)
{
    pthread_mutex_lock(&queue->lock);
    const struct queue_entry *entry = queue_find(queue, key);
    unsigned failures = entry ? entry->failures : 0;
    pthread_mutex_unlock(&queue->lock);
    return failures;
}

/* Moves keys whose delay is over into the lanes that they came from. */
static void release_due(struct kube_queue *queue)
{
    if (!queue->delayed.count)
        return;
    uint64_t now = clock_monotonic_ns();
    while (queue->delayed.count && queue->delayed.entries[0]->due_ns <= now) {
        struct queue_entry *entry = queue->delayed.entries[0];
        queue_heap_remove(&queue->delayed, entry);
        add_entry(queue, entry, entry->lane);
    }
}

/* The next key's entry, or NULL. */
static struct queue_entry *choose(struct kube_queue *queue)
{
    struct queue_entry *high = queue->lanes[KUBE_LANE_HIGH].first;
    struct queue_entry *low = queue->lanes[KUBE_LANE_LOW].first;
    if (high && !low)
        return high;
    if (high && queue->high_run < QUEUE_HIGH_RUN) {
        queue->high_run++;
        return high;
    }
    queue->high_run = 0;
    return low;
}

static void sleep_until_woken(struct kube_queue *queue)
{
    if (queue->delayed.count && !queue->timed) {
        uint64_t due_ns = queue->delayed.entries[0]->due_ns;
        struct timespec due = {.tv_sec = (time_t)(due_ns / NS_PER_S),
                               .tv_nsec = (long)(due_ns % NS_PER_S)};
        queue->timed = true;
        pthread_cond_timedwait(&queue->timer, &queue->lock, &due);
        queue->timed = false;
    } else {
        queue->sleepers++;
        pthread_cond_wait(&queue->ready, &queue->lock);
        queue->sleepers--;
    }
}

/* Takes the entry out of its lane; returns how long it waited. */
static uint64_t begin_work(struct kube_queue *queue, struct queue_entry *entry)
{
    uint64_t now = clock_monotonic_ns(), waited_ns = now - entry->since_ns;
    queue_list_remove(&queue->lanes[entry->lane], entry);
    queue->depth--;
    entry->waiting = false;
    entry->working = true;
    entry->since_ns = now;
    queue_list_append(&queue->working, entry);
    /* More to take, or nobody left to keep the time. */
    if (queue->depth || (queue->delayed.count && !queue->timed))
        wake_one(queue);
    return waited_ns;
}

char *kube_queue_take(struct kube_queue *queue)
{
    char *key = NULL;
    uint64_t waited_ns = 0;
    pthread_mutex_lock(&queue->lock);
    while (!queue->stopped && !key) {
        release_due(queue);
        struct queue_entry *entry = choose(queue);
        if (entry) {
            key = xstrdup(entry->key);
            waited_ns = begin_work(queue, entry);
        } else {
            sleep_until_woken(queue);
        }
    }
    pthread_mutex_unlock(&queue->lock);
    if (key && queue->metrics.queue_duration)
        metric_observe(queue->metrics.queue_duration, (double)waited_ns / (double)NS_PER_S);
    return key;
}

void kube_queue_done(struct kube_queue *queue, const char *key)
{
    uint64_t worked_ns = 0;
    pthread_mutex_lock(&queue->lock);
    struct queue_entry *entry = queue_find(queue, key);
    bool worked = entry && entry->working;
    if (worked) {
        worked_ns = clock_monotonic_ns() - entry->since_ns;
        queue_list_remove(&queue->working, entry);
        entry->working = false;
        if (entry->again && !queue->stopped) {
            append_waiting(queue, entry, entry->lane);
            wake_one(queue);
        }
        entry->again = false;
        queue_settle(queue, entry);
    }
    pthread_mutex_unlock(&queue->lock);
    if (worked && queue->metrics.work_duration)
        metric_observe(queue->metrics.work_duration, (double)worked_ns / (double)NS_PER_S);
}

/* Drops all but what is worked on. */
static void drop_entries(struct kube_queue *queue)
{
    for (size_t i = 0; i < queue->bucket_count; i++) {
        for (struct queue_entry *entry = queue->buckets[i]; entry; entry = entry->chain) {
            if (entry->waiting)
                queue_list_remove(&queue->lanes[entry->lane], entry);
            entry->waiting = entry->again = false;
            entry->heap_place = QUEUE_NOT_DELAYED;
            entry->failures = 0;
        }
    }
    queue->delayed.count = 0;
    queue->depth = 0;
}

void kube_queue_stop(struct kube_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->stopped = true;
    drop_entries(queue);
    queue_sweep(queue);
    pthread_cond_broadcast(&queue->ready);
    pthread_cond_broadcast(&queue->timer);
    pthread_mutex_unlock(&queue->lock);
}

void kube_queue_reopen(struct kube_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->stopped = false;
    pthread_mutex_unlock(&queue->lock);
}

size_t kube_queue_depth(struct kube_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    size_t depth = queue->depth;
    pthread_mutex_unlock(&queue->lock);
    return depth;
}
