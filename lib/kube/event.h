/*
 * Events (events.k8s.io/v1) about objects: what `kubectl describe` shows. Recorded without waiting;
 * a thread sends them. The same event (object, type, reason, action, note) within ten minutes is a
 * series: its count is patched at most every six minutes, as client-go's recorder does; a token
 * bucket a source object (25, one more every five minutes) drops what would flood. Losing events is
 * fine; the queue has a cap (queue_max), and so have series and buckets (4096 each, the ones that
 * were quiet for longest go). The thread wakes for an event, and for a count that is due.
 *
 *     struct kube_event_options options = {.controller = "example.com/widget",
 *         .instance = hostname, .metrics = metrics};
 *     kube_events_start(client, &options, &events, &err);
 *     kube_event(events, &widget, "Warning", "QuotaExceeded", "Reconciling", "%s", message);
 *     kube_events_stop(events);
 *
 * Verbs needed on events of events.k8s.io: create, patch. An event that could not be sent (no
 * answer, 429, 5xx) is tried four times with growing pauses; what else the server refuses is
 * dropped at once.
 *
 * Metrics: events_sent_total (requests that worked), events_dropped_total{reason}: queue_full,
 * spam, not_allowed, failed, stopped.
 */
#ifndef DPUMESH_KUBE_EVENT_H
#define DPUMESH_KUBE_EVENT_H

#include "kube/client.h"

struct kube_event_options {
    const char *controller; /* "dpumesh.io/operator": reportingController; copied */
    const char *instance;   /* "dpumesh-operator-abc": reportingInstance; copied, cut at 128 */
    unsigned queue_max;     /* 0: 1000 */
    uint64_t retry_ns;      /* the first pause before an event is tried again; 0: 500 ms */
    /* Whether we may write now (the leader may); NULL: always. In the events' thread. */
    bool (*allowed)(void *context);
    /* Whether there are more urgent requests than events: they wait then, 10 s at most, and only
     * while less than half of queue_max do. NULL: never. In the events' thread. */
    bool (*busy)(void *context);
    /* An event was given up; a sentence. In the events' thread; may be NULL. */
    void (*failed)(void *context, const char *message);
    void *context;
    struct metrics *metrics; /* NULL: nothing is counted */
};

struct kube_events;

/* What an event is about. */
struct kube_reference {
    const char *api_version, *kind, *namespace, *name, *uid; /* may be NULL or "" */
    const char *resource_version;                            /* the same */
};

/* Starts the thread. 0 and *ret_events, or -errno and a sentence. */
int kube_events_start(struct kube_client *client, const struct kube_event_options *options,
                      struct kube_events **ret_events, struct error **err);

/* type: "Normal" or "Warning"; reason: "Created" (CamelCase, at most 128); action: "Reconciling";
 * note: a sentence, cut at 1024 bytes; bytes that are not UTF-8 become U+FFFD. Any thread; never
 * blocks on the network. Nothing happens when events is NULL. */
void kube_event(struct kube_events *events, const struct kube_reference *about, const char *type,
                const char *reason, const char *action, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

/* Waits until all that was recorded is sent, counts of series included, or given up; false when
 * that took longer than timeout_ns. */
bool kube_events_flush(struct kube_events *events, uint64_t timeout_ns);

/* Sends what waits for at most a second, and frees it; the call that is under way then is waited
 * for (kube_client_cancel() ends it). NULL is fine. */
void kube_events_stop(struct kube_events *events);

#endif
