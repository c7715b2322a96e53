/*
 * Keeps a store equal to what the API server has of one resource: a thread that lists and watches.
 * As client-go's Reflector: streaming list where it is served (sendInitialEvents), else a paged
 * list; watch with bookmarks; a watch that ended resumes from the last resourceVersion; 410 Gone
 * (as a status or an ERROR event) lists anew, and the store is replaced in one step; failures are
 * tried again with a jittered backoff (0.8 s doubling to 30 s, reset once a watch lasted). The
 * objects come without metadata.managedFields, unless they are asked for.
 *
 *     struct kube_reflector_options options = {.resource = &pods, .store = store, .change = f};
 *     if (kube_reflector_start(client, &options, &reflector, &err) < 0)
 *         ...
 *     if (!kube_reflector_wait(reflector, clock_monotonic_ns() + 10 * NS_PER_S))
 *         ... not synced yet
 *     kube_reflector_stop(reflector);
 *
 * One thread starts and stops it; the questions may come from any thread in between.
 */
#ifndef DPUMESH_KUBE_REFLECTOR_H
#define DPUMESH_KUBE_REFLECTOR_H

#include "kube/client.h"
#include "kube/store.h"

struct kube_reflector_options {
    const struct kube_resource *resource;
    const char *name;           /* label resource of its metrics; NULL: the resource's plural */
    const char *namespace;      /* NULL: all */
    const char *label_selector; /* NULL: none */
    const char *field_selector;
    struct kube_store *store;  /* outlives the reflector */
    kube_store_change *change; /* in the reflector's thread; may be NULL */
    /* A list or a watch failed; message is a sentence. In the reflector's thread; may be NULL. */
    void (*failed)(void *context, const struct kube_resource *resource, const char *message);
    /* The store holds a complete list for the first time. Likewise. */
    void (*synced)(void *context);
    void *context;
    bool managed_fields; /* keep metadata.managedFields, half of most objects; else they are cut
                            out before anybody reads them */
    bool paged_only;     /* do not try the streaming list */
    uint64_t watch_ns;   /* timeoutSeconds of a watch; 0: drawn, five to ten minutes */
    uint64_t idle_ns;    /* see kube_watch_options */
    uint64_t backoff_first_ns, backoff_most_ns; /* 0: 800 ms, 30 s */
    struct metrics *metrics; /* NULL: none. reflector_lists_total, reflector_list_duration_seconds,
                                reflector_watches_total, reflector_watch_failures_total,
                                reflector_items, reflector_bytes; label resource */
};

struct kube_reflector;

/* Starts the thread. Options' texts are copied, but for resource; owned by the caller. 0 or -errno
 * and a sentence. */
int kube_reflector_start(struct kube_client *client, const struct kube_reflector_options *options,
                         struct kube_reflector **ret_reflector, struct error **err);

/* Whether the store has held a complete list at least once. */
bool kube_reflector_synced(const struct kube_reflector *reflector);

/* Waits for that until the monotonic instant deadline_ns; false when it passed. */
bool kube_reflector_wait(struct kube_reflector *reflector, uint64_t deadline_ns);

/* Monotonic instant of the last word from the server (event, bookmark, list, or the orderly end of
 * a watch); 0: none yet. */
uint64_t kube_reflector_heard_ns(const struct kube_reflector *reflector);

/* Tells the thread to end, without waiting, so that several end at one time. */
void kube_reflector_ask_stop(struct kube_reflector *reflector);

/* Ends the thread and frees it; NULL is fine. At once, but for a list whose next object is awaited:
 * that may take as long as a call of the client. */
void kube_reflector_stop(struct kube_reflector *reflector);

#endif
