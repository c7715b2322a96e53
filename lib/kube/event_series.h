/*
 * Which occurrences become Event objects, which are counted in one that is there, and which are
 * dropped; without I/O and without a clock.
 *
 * An occurrence is new, or it is like one before that was less than EVENT_IDLE_NS ago: then both
 * are of one series, which is one Event object with a count. The second occurrence is told to the
 * server at once, further ones when EVENT_REFRESH_NS passed since the last word: so a series costs
 * a request in six minutes (client-go's tools/events, finishTime). A new Event object takes a token
 * of its object's bucket (client-go's tools/record, EventSourceObjectSpamFilter); counting takes
 * none.
 *
 * One thread. Private to lib/kube.
 */
#ifndef DPUMESH_KUBE_EVENT_SERIES_H
#define DPUMESH_KUBE_EVENT_SERIES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "kube/lru.h"

#define EVENT_IDLE_NS    (600 * NS_PER_S) /* after which a series is over */
#define EVENT_REFRESH_NS (360 * NS_PER_S) /* between two words on one series */
#define EVENT_TOKEN_NS   (300 * NS_PER_S) /* for one more token */

enum { EVENT_BURST = 25, EVENT_SERIES_MAX = 4096 };

/* One series. Fields are for reading. */
struct event_series {
    struct kube_lru_entry entry; /* must be the first */
    uint64_t observed_ns;        /* of the last occurrence, monotonic */
    uint64_t observed_unix_ns;   /* the same on the wall clock */
    uint64_t told_ns;            /* when a count was sent last; 0: never */
    unsigned count, told;        /* occurrences; and those that the server knows */
    char *namespace, *name;      /* of the Event object; set by the owner, freed by the table */
};

struct event_table {
    struct kube_lru series, buckets;
    uint64_t now_ns; /* of the last occurrence; those of two threads may come out of order */
    uint64_t due_ns; /* no count is due before; UINT64_MAX: none waits */
};

enum event_verdict {
    EVENT_NEW,     /* create the Event */
    EVENT_TELL,    /* send the count */
    EVENT_COUNTED, /* nothing to do now */
    EVENT_SPAM     /* drop it; there is no series */
};

void event_table_init(struct event_table *table);
void event_table_free(struct event_table *table);

/* An occurrence; keys of the whole occurrence and of the object that it is about. *ret_series stays
 * valid until the next call that takes the table. */
enum event_verdict event_table_record(struct event_table *table, const struct kube_lru_key *key,
                                      const struct kube_lru_key *object, uint64_t now_ns,
                                      uint64_t unix_ns, struct event_series **ret_series);

/* A series whose count is to be sent by now, or NULL; all: any whose count is not known yet. */
struct event_series *event_table_due(struct event_table *table, uint64_t now_ns, bool all);

/* The count is being sent: whether that works or not, the next word comes later. */
void event_series_told(struct event_series *series, uint64_t now_ns);

/* The Event is not there (any more): the next occurrence is a new one. */
void event_series_forget(struct event_table *table, struct event_series *series);

#endif
