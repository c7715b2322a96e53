/* The fake server's lists and watches. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "tests/kube/fake_private.h"

enum { POLL_MS = 5 };

static bool matches(const struct entry *entry, const struct kube_resource *resource,
                    const char *namespace)
{
    return strcmp(entry->plural, resource->plural) == 0 &&
           (!namespace || strcmp(entry->namespace, namespace) == 0);
}

static json_t *object_of(const struct entry *entry)
{
    char version[TEXT], uid[TEXT * 2];
    snprintf(version, sizeof(version), "%u", entry->version);
    snprintf(uid, sizeof(uid), "uid-%s", entry->name);
    return json_pack("{s:{s:s, s:s, s:s, s:s}, s:s}", "metadata", "namespace", entry->namespace,
                     "name", entry->name, "uid", uid, "resourceVersion", version, "spec",
                     entry->spec);
}

static int fail(struct kube_result *result, const struct fake_fault *fault)
{
    result->status = fault->status;
    result->retry_after_ns = fault->retry_after_ns;
    if (fault->error < 0)
        result->message = xasprintf("the fake server was told to fail with %s (status %d)",
                                    strerror(-fault->error), fault->status);
    return fault->error;
}

void kube_result_free(struct kube_result *result)
{
    free(result->message);
    json_decref(result->object);
    *result = (struct kube_result)KUBE_RESULT_INIT;
}

void kube_client_wake(struct kube_client *client)
{
    kube_bell_lock(&client->bell);
    kube_bell_ring(&client->bell);
    kube_bell_unlock(&client->bell);
}

int kube_list(struct kube_client *client, const struct kube_resource *resource,
              const char *namespace, const struct kube_list_options *options,
              int (*item)(void *context, json_t *object), void *context, const bool *stop,
              char **ret_resource_version, struct kube_result *result)
{
    (void)options;
    kube_result_free(result);
    kube_bell_lock(&client->bell);
    struct fake_fault fault = fake_begin_call(client, FAKE_LIST);
    __attribute__((cleanup(entries_free))) struct entries objects = entries_copy(&client->objects);
    unsigned version = client->version;
    while (fault.mute && !__atomic_load_n(stop, __ATOMIC_ACQUIRE))
        kube_bell_wait(&client->bell, UINT64_MAX);
    kube_bell_unlock(&client->bell);
    if (fault.mute)
        return -ECANCELED;
    unsigned sent = 0;
    for (size_t i = 0; i < objects.count; i++) {
        if (!matches(&objects.entries[i], resource, namespace))
            continue;
        if (fault.error && sent++ == fault.after)
            return fail(result, &fault);
        json_auto_t *object = object_of(&objects.entries[i]);
        int r = item(context, object);
        if (r < 0)
            return r;
    }
    if (fault.error)
        return fail(result, &fault);
    result->status = 200;
    *ret_resource_version = fault.no_version ? NULL : xasprintf("%u", version);
    return 0;
}

struct stream {
    struct kube_client *server;
    const struct kube_resource *resource;
    const char *namespace;
    const struct kube_watch_options *options;
    int (*event)(void *context, const char *type, json_t *object);
    void *context;
    const bool *stop;
    struct fake_fault fault;
    bool faulty;
    unsigned sent, version, epoch, bookmarks;
    size_t place; /* in the history */
    uint64_t heard_ns, began_ns;
};

static int send_event(struct stream *stream, const char *type, json_t *object)
{
    stream->sent++;
    stream->heard_ns = clock_monotonic_ns();
    return stream->event(stream->context, type, object);
}

static int send_bookmark(struct stream *stream, bool end)
{
    char version[TEXT];
    if (stream->fault.no_bookmarks)
        return 0;
    snprintf(version, sizeof(version), "%u", stream->version);
    json_auto_t *object = json_pack("{s:{s:s}}", "metadata", "resourceVersion", version);
    if (end)
        json_object_set_new(json_object_get(object, "metadata"), "annotations",
                            json_pack("{s:s}", "k8s.io/initial-events-end", "true"));
    return send_event(stream, "BOOKMARK", object);
}

/* What the fault does when its time has come: 1 for nothing yet. */
static int fault_due(struct stream *stream, struct kube_result *result)
{
    const struct fake_fault *fault = &stream->fault;
    if (!stream->faulty || stream->sent < fault->after || fault->mute)
        return 1;
    if (fault->error_code) {
        json_auto_t *status = json_pack("{s:s, s:i, s:s}", "kind", "Status", "code",
                                        fault->error_code, "message", "an ordered error");
        return send_event(stream, "ERROR", status);
    }
    return fault->error || fault->ends ? fail(result, fault) : 1;
}

static bool muted(const struct stream *stream)
{
    return stream->faulty && stream->fault.mute && stream->sent >= stream->fault.after;
}

/* The streaming list; 1 when it is through. */
static int send_initial(struct stream *stream, struct kube_result *result)
{
    struct kube_client *server = stream->server;
    kube_bell_lock(&server->bell);
    __attribute__((cleanup(entries_free))) struct entries objects = entries_copy(&server->objects);
    stream->version = server->version;
    stream->place = server->events.count;
    kube_bell_unlock(&server->bell);
    for (size_t i = 0; i < objects.count && !muted(stream); i++) {
        int r = fault_due(stream, result);
        if (r <= 0)
            return r;
        if (!matches(&objects.entries[i], stream->resource, stream->namespace))
            continue;
        json_auto_t *object = object_of(&objects.entries[i]);
        r = send_event(stream, "ADDED", object);
        if (r < 0)
            return r;
    }
    int r = fault_due(stream, result);
    if (r <= 0 || muted(stream))
        return r;
    r = send_bookmark(stream, true);
    return r < 0 ? r : 1;
}

/* Where to go on in the history; 1 when that can be. Under the lock. */
static int seek(struct stream *stream, struct kube_result *result)
{
    const struct kube_client *server = stream->server;
    stream->version = (unsigned)strtoul(stream->options->resource_version, NULL, 10);
    if (stream->version < server->compacted)
        return fail(result, &(struct fake_fault){.error = -ESTALE, .status = 410});
    if (stream->version > server->version)
        return fail(result, &(struct fake_fault){.error = -EREMOTEIO, .status = 504});
    stream->place = 0;
    while (stream->place < server->events.count &&
           server->events.entries[stream->place].version <= stream->version)
        stream->place++;
    return 1;
}

/* What comes next, waiting for it: 1 with an event in ret, 2 for a bookmark, else how it ends. */
static int next_event(struct stream *stream, struct entry *ret, struct kube_result *result)
{
    struct kube_client *server = stream->server;
    uint64_t idle_ns = stream->options->idle_ns, timeout_ns = stream->options->timeout_ns;
    for (;;) {
        uint64_t now = clock_monotonic_ns();
        if (__atomic_load_n(stream->stop, __ATOMIC_ACQUIRE))
            return -ECANCELED;
        if (stream->epoch != server->epoch) {
            stream->epoch = server->epoch;
            stream->fault = server->cut;
            stream->fault.after = 0;
            stream->faulty = true;
            return 3;
        }
        if (timeout_ns && now - stream->began_ns >= timeout_ns)
            return 0;
        if (idle_ns && now - stream->heard_ns >= idle_ns)
            return fail(result, &(struct fake_fault){.error = -ETIMEDOUT, .status = 200});
        while (!muted(stream) && stream->place < server->events.count) {
            *ret = server->events.entries[stream->place++];
            stream->version = ret->version;
            if (matches(ret, stream->resource, stream->namespace))
                return 1;
        }
        if (!muted(stream) && stream->bookmarks != server->bookmarks) {
            stream->bookmarks = server->bookmarks;
            return 2;
        }
        kube_bell_wait(&server->bell, now + POLL_MS * NS_PER_MS);
    }
}

static int run_stream(struct stream *stream, struct kube_result *result)
{
    struct kube_client *server = stream->server;
    int r = 1;
    if (stream->options->initial_events) {
        r = send_initial(stream, result);
    } else {
        kube_bell_lock(&server->bell);
        r = seek(stream, result);
        kube_bell_unlock(&server->bell);
    }
    if (r == 1)
        result->status = 200;
    while (r >= 1) {
        struct entry entry;
        r = fault_due(stream, result);
        if (r < 1)
            break;
        kube_bell_lock(&server->bell);
        r = next_event(stream, &entry, result);
        kube_bell_unlock(&server->bell);
        if (r == 1) {
            json_auto_t *object = object_of(&entry);
            int sent = send_event(stream, entry.type, object);
            r = sent < 0 ? sent : 1;
        } else if (r == 2) {
            int sent = send_bookmark(stream, false);
            r = sent < 0 ? sent : 1;
        }
    }
    return r;
}

int kube_watch(struct kube_client *client, const struct kube_resource *resource,
               const char *namespace, const struct kube_watch_options *options,
               int (*event)(void *context, const char *type, json_t *object), void *context,
               const bool *stop, struct kube_result *result)
{
    kube_result_free(result);
    struct stream stream = {.server = client,
                            .resource = resource,
                            .namespace = namespace,
                            .options = options,
                            .event = event,
                            .context = context,
                            .stop = stop,
                            .heard_ns = clock_monotonic_ns()};
    stream.began_ns = stream.heard_ns;
    kube_bell_lock(&client->bell);
    stream.fault = fake_begin_call(client, options->initial_events ? FAKE_STREAM : FAKE_WATCH);
    stream.faulty =
        stream.fault.error || stream.fault.error_code || stream.fault.ends || stream.fault.mute;
    stream.epoch = client->epoch;
    stream.bookmarks = client->bookmarks;
    client->watching++;
    kube_bell_unlock(&client->bell);
    int r = run_stream(&stream, result);
    kube_bell_lock(&client->bell);
    client->watching--;
    kube_bell_unlock(&client->bell);
    return r;
}
