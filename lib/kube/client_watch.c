#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "kube/client_private.h"
#include "kube/json_split.h"

enum { QUERY_MAX = 64 << 10 };

#define EVENT_BYTES   ((size_t)8 << 20)
#define IDLE_NS       (90 * NS_PER_S)
/* A watch lasts this long, and up to twice as long, as client-go's: all of a cluster's watches must
 * not begin anew together. */
#define WATCH_LEAST_S 300

struct watch {
    int (*event)(void *context, const char *type, json_t *object);
    void *context;
    struct json_split split;
    bool ended; /* by the caller's event() */
    char problem[JSON_ERROR_TEXT_LENGTH + 64];
};

static int take_event(void *context, const char *text, size_t length)
{
    struct watch *watch = context;
    json_error_t where;
    json_auto_t *root = kube_json_load(text, length, &where);
    const char *type = json_string_value(json_object_get(root, "type"));
    json_t *object = json_object_get(root, "object");

    if (!root) {
        snprintf(watch->problem, sizeof(watch->problem), "an event is not JSON: %s", where.text);
        return -EPROTO;
    }
    if (!type || !json_is_object(object)) {
        snprintf(watch->problem, sizeof(watch->problem), "an event has no type or no object");
        return -EPROTO;
    }
    int ret = watch->event(watch->context, type, object);
    watch->ended = ret < 0;
    return ret;
}

static int take_stream(void *context, const char *data, size_t size)
{
    struct watch *watch = context;
    return json_split_feed(&watch->split, data, size);
}

static void watch_query(struct buffer *query, const struct kube_watch_options *options)
{
    uint64_t seconds = options->timeout_ns ? (options->timeout_ns + NS_PER_S - 1) / NS_PER_S
                                           : (uint64_t)(WATCH_LEAST_S * (1 + kube_random_unit()));
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64, seconds);
    kube_append_query(query, "watch", "true");
    kube_append_query(query, "allowWatchBookmarks", "true");
    kube_append_query(query, "timeoutSeconds", text);
    kube_append_query(query, "labelSelector", options->label_selector);
    kube_append_query(query, "fieldSelector", options->field_selector);
    kube_append_query(query, "resourceVersion", options->resource_version);
    if (options->initial_events) {
        kube_append_query(query, "sendInitialEvents", "true");
        kube_append_query(query, "resourceVersionMatch", "NotOlderThan");
    }
    buffer_terminate(query);
}

/* Says in the result what this side did not like about the stream. */
static int explain(const struct kube_call *call, const struct watch *watch, int ret,
                   struct kube_result *result)
{
    if (watch->ended)
        return kube_result_fail(result, ret, call->what, "ended by its caller: %s", strerror(-ret));
    if (*watch->problem)
        return kube_result_fail(result, ret, call->what, "%s", watch->problem);
    if (ret == -EMSGSIZE)
        return kube_result_fail(result, ret, call->what, "an event has more than %zu bytes",
                                watch->split.value.max);
    if (watch->split.failed < 0)
        return kube_result_fail(result, ret, call->what,
                                watch->split.depth > 0 ? "the stream ended within an event"
                                                       : "the stream is not one of JSON objects");
    return ret;
}

int kube_watch(struct kube_client *client, const struct kube_resource *resource,
               const char *namespace, const struct kube_watch_options *options,
               int (*event)(void *context, const char *type, json_t *object), void *context,
               const bool *stop, struct kube_result *result)
{
    static const struct kube_watch_options none = {.timeout_ns = 0};
    cleanup_free char *what = kube_describe("WATCH", resource, namespace, NULL, NULL);
    cleanup_free char *path = kube_path(resource, namespace, NULL, NULL);
    cleanup_buffer struct buffer query = BUFFER_INIT(QUERY_MAX);
    struct watch watch = {.event = event, .context = context};

    kube_result_free(result);
    int ret = namespace ? kube_check_names(what, resource, namespace, NULL, result) : 0;
    if (ret < 0)
        return ret;
    if (!options)
        options = &none;
    struct json_split_options cut = {.strip_managed_fields = options->strip_managed_fields,
                                     .value_bytes =
                                         options->event_bytes ? options->event_bytes : EVENT_BYTES,
                                     .value = take_event,
                                     .context = &watch};
    watch_query(&query, options);
    struct kube_call call = {.client = client,
                             .method = "GET",
                             .what = what,
                             .path = path,
                             .query = query.data,
                             .repeatable = true,
                             .stream = true,
                             .idle_ns = options->idle_ns ? options->idle_ns : IDLE_NS,
                             .stop = stop,
                             .sink = take_stream,
                             .sink_context = &watch};
    json_split_init(&watch.split, &cut);
    ret = kube_call_run(&call, result);
    if (ret == 0)
        ret = json_split_end(&watch.split);
    if (ret < 0)
        ret = explain(&call, &watch, ret, result);
    json_split_free(&watch.split);
    return ret;
}
