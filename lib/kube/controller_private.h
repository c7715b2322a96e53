/* How a controller is laid out: reflectors put keys into a queue, workers take them out. */
#ifndef DPUMESH_KUBE_CONTROLLER_PRIVATE_H
#define DPUMESH_KUBE_CONTROLLER_PRIVATE_H

#include <pthread.h>

#include "kube/controller.h"
#include "kube/thread.h"

enum { CONTROLLER_WORKERS = 4, CONTROLLER_RESULTS = 3 };

/* A source and what goes with it; the context of its reflectors. */
struct controller_source {
    struct kube_controller *controller;
    const struct kube_controller_source *source;
    struct kube_store *store;
};

struct controller_metrics {
    struct metric *results[CONTROLLER_RESULTS]; /* by kube_outcome_kind */
    struct metric *errors, *time, *active, *most;
};

struct kube_controller {
    struct kube_client *client;
    struct kube_controller_options options;
    struct controller_metrics metrics; /* NULLs without a registry */
    struct controller_source sources[KUBE_SOURCES_MAX];
    struct kube_queue *queue;
    bool queueing;    /* atomic: changes go to the queue */
    unsigned pending; /* atomic: reflectors that have not synced */

    struct kube_bell
        bell; /* of what follows; rung when pending becomes 0, and at the end of work */
    bool working;
    uint64_t began_ns; /* the reflectors started; 0: not yet */
    struct kube_reflector **reflectors;
    size_t reflector_count;

    /* Of whoever starts and stops. */
    pthread_t *workers;
    unsigned worker_count; /* that run */
    pthread_t resync;
    bool resync_runs;
};

/* The thread of a worker, and the one that adds keys again over time; the context is the
 * controller. */
void *controller_work(void *context);
void *controller_resync(void *context);

/* The key that the object concerns, in a buffer of KUBE_KEY_BYTES_MAX; false: nobody's. */
bool controller_key(const struct controller_source *source, const struct kube_object *object,
                    struct buffer *ret_key);

void controller_metrics_declare(struct kube_controller *controller);

#endif
