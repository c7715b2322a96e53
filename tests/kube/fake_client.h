/*
 * A server for tests of what stands on lib/kube's client: this file's kube_list() and kube_watch()
 * take the place of the real ones and serve a history of objects that the test writes, with the
 * faults that it orders. Link it before lib/kube.
 *
 *     struct kube_client *server = fake_new();
 *     fake_put(server, "widgets", "shop", "a", "first");
 *     fake_order(server, FAKE_WATCH, (struct fake_fault){.error = -EIO, .after = 3});
 *     ... kube_reflector_start(server, ...)
 *
 * Any thread.
 */
#ifndef DPUMESH_TESTS_KUBE_FAKE_CLIENT_H
#define DPUMESH_TESTS_KUBE_FAKE_CLIENT_H

#include "kube/client.h"

enum fake_call { FAKE_LIST, FAKE_STREAM, FAKE_WATCH, FAKE_CALLS };

/* What goes wrong with one call. All zero: nothing. */
struct fake_fault {
    unsigned after; /* items or events that still come */
    int error;      /* then the call returns this; 0: it ends well, when ends is set */
    bool ends;
    int status;     /* of the result */
    int error_code; /* instead, an ERROR event with this code comes */
    bool no_bookmarks;
    bool mute; /* nothing comes any more, until the idle timeout; of a list: until it is stopped */
    bool no_version; /* the list has no resourceVersion */
    uint64_t retry_after_ns;
};

struct kube_client *fake_new(void);
void fake_free(struct kube_client *server);

/* Changes the server's objects; returns the new version. spec is a string. */
unsigned fake_put(struct kube_client *server, const char *plural, const char *namespace,
                  const char *name, const char *spec);
void fake_delete(struct kube_client *server, const char *plural, const char *namespace,
                 const char *name);

/* Forgets the history: whoever watches from an older version than now gets 410. */
void fake_compact(struct kube_client *server);

/* The history starts anew at a lower version, as after a database was restored. */
void fake_restore(struct kube_client *server);

/* Sends a bookmark to all watches. */
void fake_bookmark(struct kube_client *server);

/* Cuts all watches that run. */
void fake_cut(struct kube_client *server, struct fake_fault fault);

/* The next call of this kind that has no fault yet gets this one. */
void fake_order(struct kube_client *server, enum fake_call call, struct fake_fault fault);

/* From here on every call of this kind does. */
void fake_always(struct kube_client *server, enum fake_call call, struct fake_fault fault);

/* Random faults, once in so many calls; 0: none from here on. */
void fake_random(struct kube_client *server, uint64_t seed, unsigned once_in);

/* How many calls of the kind there were, and how many watches run now. */
unsigned fake_calls(struct kube_client *server, enum fake_call call);
unsigned fake_watching(struct kube_client *server);

/* Calls visit for each of the server's objects. */
void fake_each(struct kube_client *server, const char *plural,
               void (*visit)(void *context, const char *namespace, const char *name,
                             unsigned version, const char *spec),
               void *context);

#endif
