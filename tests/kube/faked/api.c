#include "api.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/memory.h"

void api_init(struct api *api)
{
    *api = (struct api){.objects = json_object()};
    pthread_mutex_init(&api->lock, NULL);
}

void api_free(struct api *api)
{
    json_decref(api->objects);
    pthread_mutex_destroy(&api->lock);
}

void sleep_ms(unsigned ms)
{
    struct timespec pause = {ms / 1000, (long)(ms % 1000) * 1000000};
    nanosleep(&pause, NULL);
}

bool eventually(bool (*condition)(void *context), void *context, double seconds)
{
    uint64_t end = clock_monotonic_ns() + (uint64_t)(seconds * 1e9);
    while (!condition(context)) {
        if (clock_monotonic_ns() > end)
            return false;
        sleep_ms(2);
    }
    return true;
}

/* With the lock held. */
static void store(struct api *api, const char *key, json_t *object)
{
    char version[16];
    json_t *metadata = json_object_get(object, "metadata");
    snprintf(version, sizeof(version), "%u", ++api->version);
    json_object_set_new(metadata, "resourceVersion", json_string(version));
    json_object_set_new(api->objects, key, object);
}

void api_delete(struct api *api, const char *key)
{
    pthread_mutex_lock(&api->lock);
    json_object_del(api->objects, key);
    pthread_mutex_unlock(&api->lock);
}

void api_put(struct api *api, const char *key, json_t *object)
{
    pthread_mutex_lock(&api->lock);
    store(api, key, object);
    pthread_mutex_unlock(&api->lock);
}

json_t *api_read(struct api *api, const char *key)
{
    pthread_mutex_lock(&api->lock);
    json_t *copy = json_deep_copy(json_object_get(api->objects, key));
    pthread_mutex_unlock(&api->lock);
    return copy;
}

void kube_result_free(struct kube_result *result)
{
    free(result->message);
    json_decref(result->object);
    *result = (struct kube_result)KUBE_RESULT_INIT;
}

static int fail(struct kube_result *result, int status, int number)
{
    result->status = status;
    result->message = xasprintf("the server said %d", status);
    return -number;
}

/* What the call does, with the lock held; *ret_object is borrowed. */
static int act(struct kube_client *client, enum api_verb verb, const char *key, const json_t *body,
               struct kube_result *result)
{
    struct api *api = client->api;
    json_t *found = json_object_get(api->objects, key);
    const json_t *metadata = json_object_get(body, "metadata");
    api->served[verb]++;
    if (verb == API_CREATE && found)
        return fail(result, 409, EEXIST);
    if (verb == API_PATCH && atomic_exchange(&client->gone, false)) {
        json_object_del(api->objects, key);
        found = NULL;
    }
    if (verb != API_CREATE && !found)
        return fail(result, 404, ENOENT);
    if (verb == API_UPDATE &&
        !json_equal(json_object_get(metadata, "resourceVersion"),
                    json_object_get(json_object_get(found, "metadata"), "resourceVersion")))
        return fail(result, 409, ESTALE);
    if (verb == API_CREATE || verb == API_UPDATE)
        store(api, key, json_deep_copy(body));
    if (verb == API_PATCH) { /* a merge of what is new at the top */
        json_auto_t *patch = json_deep_copy(body);
        json_object_update(found, patch);
    }
    result->status = verb == API_CREATE ? 201 : 200;
    result->object = json_deep_copy(json_object_get(api->objects, key));
    return 0;
}

static int refused(struct kube_client *client, struct kube_result *result)
{
    int status = atomic_load(&client->refuse);
    if (!status)
        return 0;
    if (atomic_load(&client->refuse_times) && atomic_fetch_sub(&client->refuse_times, 1) == 1)
        atomic_store(&client->refuse, 0);
    return fail(result, status, status >= 500 ? EREMOTEIO : status == 429 ? EBUSY : EACCES);
}

static int call(struct kube_client *client, enum api_verb verb,
                const struct kube_resource *resource, const char *namespace, const char *name,
                const json_t *body, struct kube_result *result)
{
    cleanup_free char *key = xasprintf("%s/%s/%s", resource->plural, namespace, name);
    int r;
    kube_result_free(result);
    atomic_fetch_add(&client->calls, 1);
    atomic_fetch_add(&client->in_calls, 1);
    sleep_ms((unsigned)(atomic_load(&client->delay_ns) / NS_PER_MS));
    if (atomic_load(&client->unreachable)) {
        r = fail(result, 0, ECONNREFUSED);
    } else if ((r = refused(client, result)) == 0) {
        pthread_mutex_lock(&client->api->lock);
        r = act(client, verb, key, body, result);
        pthread_mutex_unlock(&client->api->lock);
        if (verb != API_GET && atomic_load(&client->lose_answers) > 0) {
            atomic_fetch_sub(&client->lose_answers, 1);
            kube_result_free(result);
            r = fail(result, 0, ETIMEDOUT);
        }
    }
    atomic_fetch_sub(&client->in_calls, 1);
    return r;
}

int kube_get(struct kube_client *client, const struct kube_resource *resource,
             const char *namespace, const char *name, struct kube_result *result)
{
    return call(client, API_GET, resource, namespace, name, NULL, result);
}

int kube_create(struct kube_client *client, const struct kube_resource *resource,
                const char *namespace, const json_t *body, struct kube_result *result)
{
    return kube_create_with(client, resource, namespace, body, NULL, result);
}

int kube_create_with(struct kube_client *client, const struct kube_resource *resource,
                     const char *namespace, const json_t *body,
                     const struct kube_write_options *options, struct kube_result *result)
{
    (void)options;
    const json_t *metadata = json_object_get(body, "metadata");
    const char *name = json_string_value(json_object_get(metadata, "name"));
    return call(client, API_CREATE, resource, namespace, name, body, result);
}

int kube_update(struct kube_client *client, const struct kube_resource *resource,
                const char *namespace, const char *name, const json_t *body,
                struct kube_result *result)
{
    return call(client, API_UPDATE, resource, namespace, name, body, result);
}

int kube_patch(struct kube_client *client, const struct kube_resource *resource,
               const char *namespace, const char *name, enum kube_patch_type type,
               const json_t *patch, const struct kube_write_options *options,
               struct kube_result *result)
{
    if (type != KUBE_PATCH_MERGE || options->subresource)
        return fail(result, 415, EINVAL);
    return call(client, API_PATCH, resource, namespace, name, patch, result);
}
