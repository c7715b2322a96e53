/* Series of events and token buckets of objects. */
#include "kube/event_series.h"

#include <stdlib.h>

#include "base/memory.h"

/* How full an object's bucket is, as the instant at which it is full again (the virtual scheduling
 * form of a token bucket, ITU-T I.371). */
struct bucket {
    struct kube_lru_entry entry; /* must be the first */
    uint64_t full_ns;
};

void event_table_init(struct event_table *table)
{
    *table = (struct event_table){.due_ns = UINT64_MAX};
}

static struct event_series *series_of(struct kube_lru_entry *entry)
{
    return (struct event_series *)entry;
}

static struct bucket *bucket_of(struct kube_lru_entry *entry)
{
    return (struct bucket *)entry;
}

void event_series_forget(struct event_table *table, struct event_series *series)
{
    kube_lru_remove(&table->series, &series->entry);
    free(series->namespace);
    free(series->name);
    free(series);
}

static void bucket_forget(struct event_table *table, struct bucket *bucket)
{
    kube_lru_remove(&table->buckets, &bucket->entry);
    free(bucket);
}

void event_table_free(struct event_table *table)
{
    while (table->series.oldest)
        event_series_forget(table, series_of(table->series.oldest));
    while (table->buckets.oldest)
        bucket_forget(table, bucket_of(table->buckets.oldest));
}

/* Lets go of what has no say any more, and of the oldest where there is too much. */
static void expire(struct event_table *table, uint64_t now_ns)
{
    struct kube_lru_entry *entry;
    while ((entry = table->series.oldest) &&
           (table->series.count >= EVENT_SERIES_MAX ||
            now_ns - series_of(entry)->observed_ns >= EVENT_IDLE_NS))
        event_series_forget(table, series_of(entry));
    while ((entry = table->buckets.oldest) &&
           (table->buckets.count >= EVENT_SERIES_MAX || bucket_of(entry)->full_ns <= now_ns))
        bucket_forget(table, bucket_of(entry));
}

static bool take_token(struct event_table *table, const struct kube_lru_key *object,
                       uint64_t now_ns)
{
    struct bucket *bucket = bucket_of(kube_lru_find(&table->buckets, object));
    if (!bucket) {
        bucket = xcalloc(1, sizeof(*bucket));
        bucket->entry.key = *object;
        kube_lru_add(&table->buckets, &bucket->entry);
    } else {
        kube_lru_touch(&table->buckets, &bucket->entry);
    }
    if (bucket->full_ns < now_ns)
        bucket->full_ns = now_ns;
    if (bucket->full_ns - now_ns > (EVENT_BURST - 1) * EVENT_TOKEN_NS)
        return false;
    bucket->full_ns += EVENT_TOKEN_NS;
    return true;
}

/* When the next word on a series may be sent. */
static uint64_t next_word(const struct event_series *series)
{
    return series->told_ns ? series->told_ns + EVENT_REFRESH_NS : 0;
}

enum event_verdict event_table_record(struct event_table *table, const struct kube_lru_key *key,
                                      const struct kube_lru_key *object, uint64_t now_ns,
                                      uint64_t unix_ns, struct event_series **ret_series)
{
    struct event_series *series;
    if (now_ns < table->now_ns)
        now_ns = table->now_ns;
    table->now_ns = now_ns;
    expire(table, now_ns);
    series = series_of(kube_lru_find(&table->series, key));
    if (series) {
        kube_lru_touch(&table->series, &series->entry);
        series->count += series->count < INT32_MAX; /* int32 in the API */
    } else {
        if (!take_token(table, object, now_ns))
            return EVENT_SPAM;
        series = xcalloc(1, sizeof(*series));
        series->entry.key = *key;
        series->count = series->told = 1;
        kube_lru_add(&table->series, &series->entry);
    }
    series->observed_ns = now_ns;
    series->observed_unix_ns = unix_ns;
    *ret_series = series;
    if (series->count == 1)
        return EVENT_NEW;
    if (next_word(series) <= now_ns)
        return EVENT_TELL;
    if (next_word(series) < table->due_ns)
        table->due_ns = next_word(series);
    return EVENT_COUNTED;
}

struct event_series *event_table_due(struct event_table *table, uint64_t now_ns, bool all)
{
    if (!all && now_ns < table->due_ns)
        return NULL;
    /* Rare: once in six minutes for each series that is busy. */
    table->due_ns = UINT64_MAX;
    for (struct kube_lru_entry *entry = table->series.oldest; entry; entry = entry->newer) {
        struct event_series *series = series_of(entry);
        if (series->count == series->told)
            continue;
        if (all || next_word(series) <= now_ns) {
            table->due_ns = 0; /* there may be more: look again after this one */
            return series;
        }
        if (next_word(series) < table->due_ns)
            table->due_ns = next_word(series);
    }
    return NULL;
}

void event_series_told(struct event_series *series, uint64_t now_ns)
{
    series->told = series->count;
    series->told_ns = now_ns;
}
