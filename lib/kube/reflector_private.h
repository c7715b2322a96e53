/* How a reflector is laid out, and its two kinds of session with the server. */
#ifndef DPUMESH_KUBE_REFLECTOR_PRIVATE_H
#define DPUMESH_KUBE_REFLECTOR_PRIVATE_H

#include <pthread.h>

#include "kube/reflector.h"
#include "kube/thread.h"

struct reflector_metrics {
    struct metric *lists, *list_duration, *watches, *watch_failures, *items, *bytes;
};

struct kube_reflector {
    struct kube_client *client;
    struct kube_reflector_options options; /* texts are ours */
    struct reflector_metrics metrics;      /* NULLs without a registry */
    pthread_t thread;
    struct kube_bell bell; /* rung when synced or stop change */

    /* Atomic, written with the bell's lock held. */
    bool stop;
    bool synced;
    uint64_t heard_ns; /* atomic */

    /* The rest belongs to the thread. */
    char *resource_version;  /* to watch from; NULL: list first */
    bool streaming;          /* the server takes sendInitialEvents, as far as we know */
    bool paged_next;         /* the last streaming list came to nothing: page the next one */
    unsigned short_sessions; /* in a row: the exponent of the backoff */
    unsigned refusals;       /* answers in a row that made no watch of resource_version */
    uint64_t retry_after_ns; /* the server wants so long a pause */
};

/* Lists in pages and replaces the store's content. 0, or -errno (reported). */
int reflector_list(struct kube_reflector *reflector);

/* One watch, from resource_version, or a streaming list and the watch that it turns into. Returns
 * once it has ended, for whatever reason, which is reported and shows in the reflector's fields. */
void reflector_watch(struct kube_reflector *reflector);

/* The store holds all that the server has as of this version, which is taken over. */
void reflector_complete(struct kube_reflector *reflector, uint32_t mark, uint64_t began_ns,
                        char *resource_version);

void reflector_heard(struct kube_reflector *reflector);
void reflector_report(struct kube_reflector *reflector, const char *message);

static inline bool reflector_stopping(const struct kube_reflector *reflector)
{
    return __atomic_load_n(&reflector->stop, __ATOMIC_ACQUIRE);
}

/* Adds 1 to a metric that may be NULL. */
static inline void reflector_count(const struct metric *metric)
{
    if (metric)
        metric_add(metric, 1);
}

#endif
