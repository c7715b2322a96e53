/*
 * Requests to the API server. Calls block; any number of threads may call at once, each call takes
 * a connection (a curl handle) from the client's pool and gives it back, so that connections are
 * reused and there are never more than calls at one time. HTTP/2 where the server has it.
 *
 *     static const struct kube_resource config_maps = {"", "v1", "configmaps", "ConfigMap", true};
 *     cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
 *     if (kube_get(client, &config_maps, "default", "settings", &result) == 0)
 *         ... json_object_get(result.object, "data")
 *     else if (result.status != 404)
 *         log_warn("no settings", LOG_STR("why", result.message));
 *
 * Retries: what had no effect for certain is sent again (429 and 503 with Retry-After, refused or
 * unsent connections; GET, server-side apply and DELETE with a precondition also after a lost
 * connection), with jittered exponential pauses, within the call's deadline. A 401 is tried once
 * more with a renewed credential. Everything else comes back to the caller.
 *
 * What may be counted is counted under client-go's names: rest_client_requests_total{code,method,
 * host}, rest_client_request_duration_seconds{verb,host} (histogram),
 * rest_client_rate_limiter_duration_seconds{verb,host},
 * rest_client_request_retries_total{code,verb,host}.
 */
#ifndef DPUMESH_KUBE_CLIENT_H
#define DPUMESH_KUBE_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "kube/config.h"
#include "obs/metric.h"

/* A kind of object. Static data. */
struct kube_resource {
    const char *group;   /* "" for the core group */
    const char *version; /* "v1" */
    const char *plural;  /* "deployments" */
    const char *kind;    /* "Deployment" */
    bool namespaced;
};

struct kube_client_options {
    const char *user_agent; /* "dpumesh-operator/0.1.0" */
    double qps;             /* requests a second over time; 0: no limit */
    unsigned burst;         /* that may be sent at once beyond that; 0: 2 * qps */
    uint64_t timeout_ns;    /* deadline of a call with its retries; 0: 30 s */
    size_t answer_bytes;    /* cap on one answer's body; 0: 32 MiB */
    unsigned tries_max;     /* of one call within its deadline; 0: 10, as client-go */
    unsigned idle_max;      /* connections that are kept for later calls; 0: 4 */
    /* HTTP/1.1 even where the server has HTTP/2. A connection carries one request at a time here
     * either way; the framing of HTTP/2 costs a quarter of a request's processor time, on the
     * server's side too (bench/README.md). */
    bool http1;
    struct metrics *metrics; /* NULL: nothing is counted */
    /*
     * What the server warns of ("unknown field \"spec.x\"", "... is deprecated"), one line of at
     * most 1 KiB; what is the request ("PATCH apps/v1 deployments shop/s0-dpu"). Called once for a
     * text, as long as it is among the last 256, and at most 16 times for an answer, within the
     * call that got it and in its thread. NULL: warnings are dropped.
     */
    void (*warning)(void *context, const char *what, const char *text);
    void *warning_context;
};

struct kube_client;

/* What came of a call. */
struct kube_result {
    int status;              /* HTTP status; 0: no answer came */
    char reason[64];         /* of the Status object: "AlreadyExists"; "" without one */
    char *message;           /* one sentence on what failed; NULL on success */
    uint64_t retry_after_ns; /* from Retry-After; 0: none */
    json_t *object; /* the answer's JSON, also a Status of a failure; may be NULL. Whole numbers are
                       json_real if one of them is beyond 64 bits */
};

#define KUBE_RESULT_INIT                                                                           \
    {                                                                                              \
        .status = 0                                                                                \
    }

/* Frees what it holds and empties it; kube_ calls do so first, so a result can be used again. */
void kube_result_free(struct kube_result *result);
#define cleanup_kube_result CLEANUP(kube_result_free)

/* config must outlive the client. 0 and *ret_client (owned by the caller), or -errno and a
 * sentence. */
int kube_client_new(const struct kube_config *config, const struct kube_client_options *options,
                    struct kube_client **ret_client, struct error **err);

/* All calls must have returned. NULL is fine. */
void kube_client_free(struct kube_client *client);

/* Makes every running and later call and stream return -ECANCELED soon; for shutdown. Any thread.
 */
void kube_client_cancel(struct kube_client *client);

/* Makes every running watch and list look at its stop flag now. Set the flag first, with a release
 * store
 * (__atomic_store_n). Any thread. */
void kube_client_wake(struct kube_client *client);

/*
 * All calls below return 0 for a 2xx answer, else: -ENOENT 404, -EEXIST 409 AlreadyExists, -ESTALE
 * 409 Conflict or 410, -EACCES 401 or 403, -EINVAL 400, 422 and other 4xx, -EBUSY 429, -EREMOTEIO
 * 5xx, -ETIMEDOUT when the deadline passed, -ECANCELED, -EPROTO for an answer that is no JSON or
 * too large, or what the connection failed with (-ECONNREFUSED, -EIO...). result is always filled
 * in and result->message tells "PATCH apps/v1 deployments shop/s0-dpu: 403 Forbidden: ...".
 * namespace: NULL for cluster-scoped resources, and in kube_list() for all namespaces.
 */
int kube_get(struct kube_client *client, const struct kube_resource *resource,
             const char *namespace, const char *name, struct kube_result *result);

/* body is only read. */
int kube_create(struct kube_client *client, const struct kube_resource *resource,
                const char *namespace, const json_t *body, struct kube_result *result);

/* PUT; body must have metadata.resourceVersion, else a conflict can't be seen. */
int kube_update(struct kube_client *client, const struct kube_resource *resource,
                const char *namespace, const char *name, const json_t *body,
                struct kube_result *result);

enum kube_patch_type { KUBE_PATCH_MERGE, KUBE_PATCH_JSON, KUBE_PATCH_STRATEGIC };

/* How much of the object a write's answer brings into kube_result.object. Less is less work. */
enum kube_answer {
    KUBE_ANSWER_WHOLE,
    KUBE_ANSWER_BARE,     /* metadata.managedFields, half of many an object, are [] */
    KUBE_ANSWER_METADATA, /* a PartialObjectMetadata, bare as well */
    KUBE_ANSWER_NONE      /* nothing; a failure is told as ever */
};

struct kube_write_options {
    const char *subresource; /* "status", "scale"; NULL: the object itself */
    const char *manager;     /* fieldManager */
    bool force;              /* server-side apply: take over fields of other managers */
    bool dry_run;            /* dryRun=All */
    enum kube_answer answer;
};

/* kube_create() with options: manager, dry_run and answer count. */
int kube_create_with(struct kube_client *client, const struct kube_resource *resource,
                     const char *namespace, const json_t *body,
                     const struct kube_write_options *options, struct kube_result *result);

int kube_patch(struct kube_client *client, const struct kube_resource *resource,
               const char *namespace, const char *name, enum kube_patch_type type,
               const json_t *patch, const struct kube_write_options *options,
               struct kube_result *result);

/* Server-side apply of body, whose metadata.name and namespace say what. options->manager is
 * required. */
int kube_apply(struct kube_client *client, const struct kube_resource *resource, const json_t *body,
               const struct kube_write_options *options, struct kube_result *result);

/* uid: only this very object (precondition); NULL: whatever has the name. Dependants go in the
 * background. */
int kube_delete(struct kube_client *client, const struct kube_resource *resource,
                const char *namespace, const char *name, const char *uid,
                struct kube_result *result);

/* Any other request: path begins with '/', query may be NULL ("a=b&c=d", encoded). Not retried
 * unless method is GET. */
int kube_request(struct kube_client *client, const char *method, const char *path,
                 const char *query, const char *content_type, const json_t *body,
                 struct kube_result *result);

struct kube_read_options {
    const char *query; /* "a=b&c=d", encoded; NULL: none */
    bool stream;       /* no deadline, not tried again: a log that is followed */
    uint64_t idle_ns;  /* of a stream: nothing came for so long, -ETIMEDOUT; 0: for ever */
    const bool *stop;  /* of a stream, as in kube_watch(); or NULL */
};

/*
 * GET of what need not be JSON: a pod's log, a page through the API server's proxy. sink takes the
 * bytes of a 200 answer as they come; a negative value from it ends the call and is returned. Once
 * it has seen bytes the request is not sent again. Returns as the calls above; result->object stays
 * NULL but for a failure's Status.
 */
int kube_read(struct kube_client *client, const char *path, const struct kube_read_options *options,
              int (*sink)(void *context, const char *data, size_t size), void *context,
              struct kube_result *result);

/* The path of a resource's collection or (name) of one object; owned by the caller. */
char *kube_path(const struct kube_resource *resource, const char *namespace, const char *name,
                const char *subresource);

struct kube_list_options {
    const char *label_selector, *field_selector; /* plain text, not encoded; NULL: none */
    const char *resource_version;                /* "0": from the server's cache; NULL: newest */
    unsigned limit;                              /* objects a page; 0: 500 */
    bool strip_managed_fields; /* metadata.managedFields reads [], at about half the cost */
};

/*
 * Lists all pages. The answer is cut into items as it comes, so that memory holds one object at a
 * time whatever the length of a page. item is called for each (object borrowed; it has kind and
 * apiVersion filled in); a negative value from it ends the list and is returned.
 * ret_resource_version (may be NULL) is the list's, to be freed by the caller. -ESTALE: the
 * continue token expired; start again. The client's deadline is that of a page, its answer_bytes
 * the cap of an item. A connection that breaks within a page after an item was given out ends the
 * list (-EIO): a second answer might be of another state. stop (may be NULL) is read between pages,
 * in pauses before a page is asked for again, whenever something came, every five seconds, and at
 * once after kube_client_wake(); true ends the list with -ECANCELED.
 */
int kube_list(struct kube_client *client, const struct kube_resource *resource,
              const char *namespace, const struct kube_list_options *options,
              int (*item)(void *context, json_t *object), void *context, const bool *stop,
              char **ret_resource_version, struct kube_result *result);

struct kube_watch_options {
    const char *label_selector, *field_selector;
    const char *resource_version; /* to watch from; NULL with initial_events */
    bool initial_events;          /* streaming list: sendInitialEvents=true, from the newest state,
                                     with the bookmark k8s.io/initial-events-end */
    uint64_t timeout_ns; /* asked of the server (timeoutSeconds); 0: five to ten minutes, drawn */
    uint64_t idle_ns;    /* nothing at all came for so long, bookmarks included: the
                            connection counts as dead, -ETIMEDOUT; 0: 90 s */
    size_t event_bytes;  /* cap on one event; a longer one is -EMSGSIZE; 0: 8 MiB */
    bool strip_managed_fields; /* as in struct kube_list_options */
};

/*
 * Watches until the server ends the stream (0) or something fails. event is called for every event
 * with its type ("ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR") and object (borrowed); a
 * negative value from it ends the watch and is returned. An answer that is not 200 is returned as
 * by the other calls, and result tells more (-EINVAL when initial_events is not served). stop (may
 * be NULL) is read whenever something came, every five seconds, and at once after
 * kube_client_wake(); true ends the watch with -ECANCELED. Only a 401 is tried again here, once,
 * with a renewed credential: everything else is the caller's to see, and to try again.
 */
int kube_watch(struct kube_client *client, const struct kube_resource *resource,
               const char *namespace, const struct kube_watch_options *options,
               int (*event)(void *context, const char *type, json_t *object), void *context,
               const bool *stop, struct kube_result *result);

#endif
