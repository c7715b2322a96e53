/*
 * The runtime of a controller: stores kept by reflectors, one work queue, a few workers that call
 * reconcile with a key. Level-triggered: reconcile looks at the stores and makes the world so; it
 * may be called at any time, and again.
 *
 *     static const struct kube_controller_source sources[] = {
 *         {.resource = &widgets, .key = own_key},
 *         {.resource = &config_maps, .key = owner_key, .label_selector = "app=widget"},
 *     };
 *     struct kube_controller_options options = {.name = "widget", .sources = sources,
 *         .source_count = 2, .reconcile = reconcile, .workers = 2, .context = &state};
 *     kube_controller_new(client, &options, &controller, &err);
 *     kube_controller_watch(controller, &err);      reflectors run, so that caches are warm
 *     kube_controller_work(controller, &err);       workers too, once all stores are synced
 *     ...
 *     kube_controller_free(controller);             running reconciles finish
 *
 * One that leads by a lease calls kube_controller_work() when it begins to lead and
 * kube_controller_rest() when it ends to. While it rests, changes only reach the stores; when it
 * begins to work, the key of every object is queued.
 *
 * Threads: one each reflector, one each worker, and one for the resync when it is asked for. watch,
 * work, rest, stop and free may come from any thread, but one at a time; all others from any.
 *
 * Metrics as controller-runtime's, label controller: controller_runtime_reconcile_total{result},
 * controller_runtime_reconcile_errors_total, controller_runtime_reconcile_time_seconds,
 * controller_runtime_active_workers, controller_runtime_max_concurrent_reconciles; and the queue's,
 * the reflectors' and the client's. The histogram's bounds are controller-runtime's up to a minute,
 * but for eight between them: a family has 32 at most.
 */
#ifndef DPUMESH_KUBE_CONTROLLER_H
#define DPUMESH_KUBE_CONTROLLER_H

#include "kube/client.h"
#include "kube/queue.h"
#include "kube/reflector.h"
#include "kube/store.h"

enum {
    KUBE_SOURCES_MAX = 16,
    KUBE_KEY_BYTES_MAX = 512 /* a key; a namespace has 63 at most, a name 253 */
};

struct kube_controller;

/* Adds a key ("namespace/name") to those that a change concerns. */
typedef void kube_key_add(void *adding, const char *key);

/* What is watched and whose business a change is. */
struct kube_controller_source {
    const struct kube_resource *resource;
    const char *name; /* in metrics, where two sources watch one resource; NULL: its plural */
    const char *label_selector, *field_selector;
    bool managed_fields; /* the transform reads metadata.managedFields */
    bool secondary; /* keys that its changes concern come after those of other sources, though one
                       in ten of them meanwhile: for what follows from our own writes */
    struct kube_store_options store;
    /* Appends the key ("namespace/name", or "name" for cluster-scoped ones) that a change of object
     * concerns; false: nobody's. Called for the object before and after each change. NULL: the
     * object's own. */
    bool (*key)(void *context, const struct kube_object *object, struct buffer *ret_key);
    /* The same for a change that concerns any number of keys, instead of key: calls add with each.
     * It may read the controller's stores; the source's own has the change already. */
    void (*keys)(void *context, struct kube_controller *controller,
                 const struct kube_object *object, kube_key_add *add, void *adding);
    /* Can veto a change that does not matter, such as one of status alone: called when both are
     * there. NULL: all matter. */
    bool (*matters)(void *context, const struct kube_object *before,
                    const struct kube_object *after);
};

enum kube_outcome_kind { KUBE_DONE, KUBE_RETRY, KUBE_AFTER };

/* What reconcile wants next: nothing; to be called again after the key's backoff (it failed, and
 * message says why); or after a time. What the newest call wants counts: a time that an earlier one
 * asked for is forgotten. */
struct kube_outcome {
    enum kube_outcome_kind kind;
    uint64_t after_ns;
    char *message; /* KUBE_RETRY: a sentence for failed(), or NULL; freed by the runtime */
};

struct kube_controller_options {
    const char *name;
    const struct kube_controller_source *sources; /* the first is the one that keys name */
    size_t source_count;
    const char *const *namespaces; /* NULL-terminated; NULL: all. With several, each source has a
                                      reflector a namespace, into one store */
    struct kube_outcome (*reconcile)(void *context, struct kube_controller *controller,
                                     const char *namespace, const char *name);
    /* A list or a watch (what: the resource's plural, key NULL) or a reconcile (what: the
     * controller's name) failed; for the log. Any thread of the controller. */
    void (*failed)(void *context, const char *what, const char *key, const char *message);
    void *context;              /* also of the sources' key and matters; stores have their own */
    unsigned workers;           /* 0: 4 */
    uint64_t resync_ns;         /* the first source's keys again in this time, spread; 0: never */
    uint64_t watch_ns, idle_ns; /* of the reflectors */
    uint64_t backoff_first_ns, backoff_most_ns;             /* of keys; 0: the queue's */
    uint64_t watch_backoff_first_ns, watch_backoff_most_ns; /* 0: the reflectors' */
    bool paged_only;
    struct metrics *metrics;
};

/* Options' arrays must stay until kube_controller_free(). 0 or -errno and a sentence. */
int kube_controller_new(struct kube_client *client, const struct kube_controller_options *options,
                        struct kube_controller **ret_controller, struct error **err);

/* Starts the reflectors, so that caches are warm. Once; later calls do nothing. 0, or -errno and a
 * sentence (then none runs). */
int kube_controller_watch(struct kube_controller *controller, struct error **err);

/* Starts the workers (and the reflectors, when they do not run yet); they begin once all stores are
 * synced: for who leads. Returns at once. Does nothing while they run. */
int kube_controller_work(struct kube_controller *controller, struct error **err);

/* Ends the workers, who finish what they are at, and empties the queue; the reflectors run on. For
 * who leads no longer, but may again. */
void kube_controller_rest(struct kube_controller *controller);

/* Whether all reflectors have synced. */
bool kube_controller_synced(const struct kube_controller *controller);

/* How long ago the quietest of the reflectors heard from the server, or else began to ask, for
 * /healthz; 0 before they run. */
uint64_t kube_controller_silence_ns(struct kube_controller *controller);

/* The store of a source, by its place in the array. */
struct kube_store *kube_controller_store(struct kube_controller *controller, size_t source);

struct kube_queue *kube_controller_queue(struct kube_controller *controller);

/* Ends the workers, who finish what they are at, then the reflectors. Stores can still be read. */
void kube_controller_stop(struct kube_controller *controller);

/* Stops and frees it; NULL is fine. */
void kube_controller_free(struct kube_controller *controller);

#endif
