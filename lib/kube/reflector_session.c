#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "kube/reflector_private.h"

enum { REFUSALS_MAX = 3 };

struct session {
    struct kube_reflector *reflector;
    uint64_t began_ns;
    uint32_t mark;   /* of the replacement that is under way */
    bool initial;    /* a streaming list whose end has not come yet */
    bool events;     /* there was one at least */
    bool gone;       /* an ERROR event told that our version is too old */
    bool list_again; /* another ERROR event: what we know is in doubt */
    char *failure;   /* a sentence of our own on why the session ended */
};

static void session_cleanup(struct session *session)
{
    free(session->failure);
}

static int take_item(void *context, json_t *object)
{
    struct session *session = context;
    struct kube_reflector *reflector = session->reflector;
    const struct kube_reflector_options *options = &reflector->options;
    if (reflector_stopping(reflector))
        return -ECANCELED;
    reflector_heard(reflector);
    kube_store_put(options->store, object, options->change, options->context);
    return 0;
}

static const char *result_message(const struct kube_result *result, const char *otherwise)
{
    return result->message ? result->message : otherwise;
}

int reflector_list(struct kube_reflector *reflector)
{
    const struct kube_reflector_options *options = &reflector->options;
    struct session session = {.reflector = reflector, .began_ns = clock_monotonic_ns()};
    const struct kube_list_options list = {.label_selector = options->label_selector,
                                           .field_selector = options->field_selector,
                                           .strip_managed_fields = !options->managed_fields};
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    cleanup_free char *version = NULL;
    reflector->paged_next = false;
    session.mark = kube_store_replace_begin(options->store);
    int r = kube_list(reflector->client, options->resource, options->namespace, &list, take_item,
                      &session, &reflector->stop, &version, &result);
    reflector->retry_after_ns = result.retry_after_ns;
    if (r < 0) {
        if (!reflector_stopping(reflector))
            reflector_report(reflector, result_message(&result, strerror(-r)));
        return r;
    }
    /* Without a version there is nothing to watch from. */
    if (!version || !version[0]) {
        reflector_report(reflector, "the list has no metadata.resourceVersion");
        return -EPROTO;
    }
    reflector_complete(reflector, session.mark, session.began_ns, STEAL_POINTER(version));
    return 0;
}

/* A Status object in an ERROR event. */
static int take_error(struct session *session, const json_t *status)
{
    const char *reason = json_string_value(json_object_get(status, "reason"));
    const char *message = json_string_value(json_object_get(status, "message"));
    json_int_t code = json_integer_value(json_object_get(status, "code"));
    if (!reason)
        reason = "";
    session->gone = code == 410 || strcmp(reason, "Expired") == 0 || strcmp(reason, "Gone") == 0;
    session->list_again = !session->gone;
    session->failure = xasprintf("watch %s: the server ended it: %s (code %d)",
                                 session->reflector->options.resource->plural,
                                 message ? message : reason, (int)code);
    return session->gone ? -ESTALE : -EREMOTEIO;
}

static int take_bookmark(struct session *session, const json_t *metadata, const char *version)
{
    struct kube_reflector *reflector = session->reflector;
    if (!session->initial)
        return 0;
    const json_t *annotations = json_object_get(metadata, "annotations");
    const char *end = json_string_value(json_object_get(annotations, "k8s.io/initial-events-end"));
    /* The server sends no other bookmark before that one, so that one was lost. */
    if (!end || strcmp(end, "true") != 0 || !version) {
        session->failure = xasprintf("list %s: the end of the streaming list was not marked",
                                     reflector->options.resource->plural);
        return -EPROTO;
    }
    session->initial = false;
    reflector_complete(reflector, session->mark, session->began_ns, xstrdup(version));
    return 0;
}

static int take_event(void *context, const char *type, json_t *object)
{
    struct session *session = context;
    struct kube_reflector *reflector = session->reflector;
    const struct kube_reflector_options *options = &reflector->options;
    if (reflector_stopping(reflector))
        return -ECANCELED;
    reflector_heard(reflector);
    if (strcmp(type, "ERROR") == 0)
        return take_error(session, object);
    session->events = true;
    const json_t *metadata = json_object_get(object, "metadata");
    const char *version = json_string_value(json_object_get(metadata, "resourceVersion"));
    if (strcmp(type, "BOOKMARK") == 0) {
        int r = take_bookmark(session, metadata, version);
        if (r < 0)
            return r;
    } else if (strcmp(type, "ADDED") == 0 || strcmp(type, "MODIFIED") == 0) {
        kube_store_put(options->store, object, options->change, options->context);
    } else if (strcmp(type, "DELETED") == 0) {
        kube_store_delete(options->store, object, options->change, options->context);
    }
    /* The objects of a streaming list come in no order: their versions say nothing yet. */
    if (!session->initial && version && strcmp(version, reflector->resource_version) != 0) {
        free(reflector->resource_version);
        reflector->resource_version = xstrdup(version);
    }
    return 0;
}

static void forget_version(struct kube_reflector *reflector)
{
    free(reflector->resource_version);
    reflector->resource_version = NULL;
    reflector->refusals = 0;
}

/* What the end of a watch says about the version to go on from. */
static void judge(struct session *session, int r, const struct kube_result *result)
{
    struct kube_reflector *reflector = session->reflector;
    if (session->events || r == 0)
        reflector->refusals = 0;
    else if (result->status)
        reflector->refusals++;
    bool doubt = session->gone || session->list_again || r == -ESTALE || r == -EMSGSIZE ||
                 r == -EINVAL || r == -ENOENT;
    /* Such as a version that the server will never have, after its database was restored. */
    if (doubt || reflector->refusals >= REFUSALS_MAX)
        forget_version(reflector);
}

/* Whether the server said that it has no streaming lists. */
static bool streaming_refused(int r, const struct kube_result *result)
{
    return result->status == 400 || result->status == 422 || r == -EINVAL;
}

void reflector_watch(struct kube_reflector *reflector)
{
    const struct kube_reflector_options *options = &reflector->options;
    __attribute__((cleanup(session_cleanup))) struct session session = {
        .reflector = reflector,
        .began_ns = clock_monotonic_ns(),
        .initial = !reflector->resource_version,
    };
    /* The call must not see its own event change the version under it. */
    cleanup_free char *version =
        reflector->resource_version ? xstrdup(reflector->resource_version) : NULL;
    const struct kube_watch_options watch = {.label_selector = options->label_selector,
                                             .field_selector = options->field_selector,
                                             .resource_version = version,
                                             .initial_events = session.initial,
                                             .timeout_ns = options->watch_ns,
                                             .idle_ns = options->idle_ns,
                                             .strip_managed_fields = !options->managed_fields};
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    if (session.initial)
        session.mark = kube_store_replace_begin(options->store);
    reflector_count(reflector->metrics.watches);
    int r = kube_watch(reflector->client, options->resource, options->namespace, &watch, take_event,
                       &session, &reflector->stop, &result);
    if (reflector_stopping(reflector))
        return;
    reflector->retry_after_ns = result.retry_after_ns;
    if (session.initial && !session.events && streaming_refused(r, &result)) {
        reflector->streaming = false;
        return;
    }
    if (r < 0)
        reflector_count(reflector->metrics.watch_failures);
    else
        reflector_heard(reflector); /* a server that ends a quiet watch is there */
    if (session.initial)
        reflector->paged_next = true;
    else
        judge(&session, r, &result);
    if (r < 0 && r != -ESTALE)
        reflector_report(reflector,
                         session.failure ? session.failure : result_message(&result, strerror(-r)));
}
