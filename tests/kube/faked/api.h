/*
 * An API server in the test's own process: kube_get() and the other calls of kube/client.h on
 * objects in memory, with resourceVersions, conflicts and faults to order. Linked instead of
 * lib/kube/client*.c. Any thread.
 */
#ifndef DPUMESH_TESTS_KUBE_FAKED_API_H
#define DPUMESH_TESTS_KUBE_FAKED_API_H

#include <pthread.h>
#include <stdatomic.h>

#include "kube/client.h"

enum api_verb { API_GET, API_CREATE, API_UPDATE, API_PATCH, API_VERBS };

struct api {
    pthread_mutex_t lock; /* guards all */
    json_t *objects;      /* by "leases/namespace/name" */
    unsigned version;
    unsigned served[API_VERBS]; /* calls that reached it */
};

/* What a caller's way to the server is like; defined here, opaque to lib/kube. */
struct kube_client {
    struct api *api;
    _Atomic bool unreachable;
    _Atomic int refuse;        /* an HTTP status that every call gets; 0: none */
    _Atomic int refuse_times;  /* so often; then refuse ends; 0: for ever */
    _Atomic int lose_answers;  /* of so many calls that did what they were to do */
    _Atomic uint64_t delay_ns; /* of every call */
    _Atomic unsigned calls;
    _Atomic unsigned in_calls; /* under way now */
    _Atomic bool gone;         /* patches find nothing, once */
};

void api_init(struct api *api);
void api_free(struct api *api);

/* Takes out, puts in (owned by the server then), reads (a copy; NULL: none) an object. */
void api_delete(struct api *api, const char *key);
void api_put(struct api *api, const char *key, json_t *object);
json_t *api_read(struct api *api, const char *key);

/* Waits until condition(context), for seconds at most; whether it came true. */
bool eventually(bool (*condition)(void *context), void *context, double seconds);

void sleep_ms(unsigned ms);

#endif
