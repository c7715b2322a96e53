#include "kube/controller.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "kube/controller_private.h"

bool controller_key(const struct controller_source *source, const struct kube_object *object,
                    struct buffer *ret_key)
{
    if (source->source->key)
        return source->source->key(source->controller->options.context, object, ret_key);
    const char *slash = object->namespace[0] ? "/" : "";
    return buffer_printf(ret_key, "%s%s%s", object->namespace, slash, object->name) == 0;
}

/* Where the keys of one change go. */
struct key_adding {
    struct kube_queue *queue;
    enum kube_lane lane;
};

static void add_key(void *context, const char *key)
{
    const struct key_adding *adding = context;
    kube_queue_add(adding->queue, key, adding->lane);
}

static void queue_object(const struct controller_source *source, const struct kube_object *object,
                         enum kube_lane lane)
{
    struct kube_controller *controller = source->controller;
    if (source->source->keys) {
        struct key_adding adding = {controller->queue, lane};
        source->source->keys(controller->options.context, controller, object, add_key, &adding);
        return;
    }
    cleanup_buffer struct buffer key = BUFFER_INIT(KUBE_KEY_BYTES_MAX);
    if (controller_key(source, object, &key) && key.length)
        kube_queue_add(controller->queue, buffer_terminate(&key), lane);
}

static void store_changed(void *context, const struct kube_object *before,
                          const struct kube_object *after)
{
    const struct controller_source *source = context;
    struct kube_controller *controller = source->controller;
    /* Read after the store has the change: who begins to work sets it, and then queues all that is
     * in the stores. */
    if (!__atomic_load_n(&controller->queueing, __ATOMIC_SEQ_CST))
        return;
    if (before && after && source->source->matters &&
        !source->source->matters(controller->options.context, before, after))
        return;
    bool high = kube_controller_synced(controller) && !source->source->secondary;
    enum kube_lane lane = high ? KUBE_LANE_HIGH : KUBE_LANE_LOW;
    if (before)
        queue_object(source, before, lane);
    if (after)
        queue_object(source, after, lane);
}

static void reflector_failed(void *context, const struct kube_resource *resource,
                             const char *message)
{
    const struct controller_source *source = context;
    const struct kube_controller_options *options = &source->controller->options;
    if (options->failed)
        options->failed(options->context, resource->plural, NULL, message);
}

static void reflector_synced(void *context)
{
    struct kube_controller *controller = ((struct controller_source *)context)->controller;
    kube_bell_lock(&controller->bell);
    if (__atomic_sub_fetch(&controller->pending, 1, __ATOMIC_ACQ_REL) == 0)
        kube_bell_ring(&controller->bell);
    kube_bell_unlock(&controller->bell);
}

static size_t namespace_count(const struct kube_controller_options *options)
{
    size_t count = 0;
    while (options->namespaces && options->namespaces[count])
        count++;
    return count;
}

/* A source of a cluster-scoped resource, or of all namespaces, has one reflector. */
static size_t reflectors_of(const struct kube_controller_options *options, size_t source)
{
    return options->namespaces && options->sources[source].resource->namespaced
               ? namespace_count(options)
               : 1;
}

static unsigned reflectors_of_all(const struct kube_controller_options *options)
{
    size_t count = 0;
    for (size_t i = 0; i < options->source_count; i++)
        count += reflectors_of(options, i);
    return (unsigned)count;
}

static int check_options(const struct kube_controller_options *options, struct error **err)
{
    const char *name = options->name ? options->name : "";
    if (!name[0])
        return error_make(err, EINVAL, "a controller needs a name");
    if (!options->reconcile)
        return error_make(err, EINVAL, "controller %s: needs a reconcile function", name);
    if (options->source_count < 1 || options->source_count > KUBE_SOURCES_MAX)
        return error_make(err, EINVAL, "controller %s: has %zu sources; give 1 to %d", name,
                          options->source_count, KUBE_SOURCES_MAX);
    size_t count = namespace_count(options);
    if (options->namespaces && !count)
        return error_make(err, EINVAL, "controller %s: watches no namespace; give some, or all",
                          name);
    for (size_t i = 0; options->namespaces && i < count; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(options->namespaces[i], options->namespaces[k]) == 0)
                return error_make(err, EINVAL, "controller %s: namespace %s is named twice", name,
                                  options->namespaces[i]);
    return 0;
}

int kube_controller_new(struct kube_client *client, const struct kube_controller_options *options,
                        struct kube_controller **ret_controller, struct error **err)
{
    int r = check_options(options, err);
    if (r < 0)
        return r;
    struct kube_controller *controller = xcalloc(1, sizeof(*controller));
    controller->client = client;
    controller->options = *options;
    if (!controller->options.workers)
        controller->options.workers = CONTROLLER_WORKERS;
    for (size_t i = 0; i < options->source_count; i++) {
        controller->sources[i] =
            (struct controller_source){.controller = controller,
                                       .source = &options->sources[i],
                                       .store = kube_store_new(&options->sources[i].store)};
    }
    controller->pending = reflectors_of_all(options);
    kube_bell_init(&controller->bell);
    controller->reflectors = xcalloc(controller->pending, sizeof(*controller->reflectors));
    controller->workers = xcalloc(controller->options.workers, sizeof(*controller->workers));
    const struct kube_queue_options queue = {.name = options->name,
                                             .backoff_first_ns = options->backoff_first_ns,
                                             .backoff_most_ns = options->backoff_most_ns,
                                             .metrics = options->metrics};
    controller->queue = kube_queue_new(&queue);
    controller_metrics_declare(controller);
    *ret_controller = controller;
    return 0;
}

static int start_reflector(struct kube_controller *controller, struct controller_source *source,
                           const char *namespace, struct error **err)
{
    const struct kube_controller_options *options = &controller->options;
    const struct kube_reflector_options reflector = {
        .resource = source->source->resource,
        .name = source->source->name,
        .namespace = namespace,
        .label_selector = source->source->label_selector,
        .field_selector = source->source->field_selector,
        .managed_fields = source->source->managed_fields,
        .store = source->store,
        .change = store_changed,
        .failed = reflector_failed,
        .synced = reflector_synced,
        .context = source,
        .paged_only = options->paged_only,
        .watch_ns = options->watch_ns,
        .idle_ns = options->idle_ns,
        .backoff_first_ns = options->watch_backoff_first_ns,
        .backoff_most_ns = options->watch_backoff_most_ns,
        .metrics = options->metrics,
    };
    struct kube_reflector *started = NULL;
    int r = kube_reflector_start(controller->client, &reflector, &started, err);
    if (r < 0)
        return r;
    kube_bell_lock(&controller->bell);
    controller->reflectors[controller->reflector_count++] = started;
    kube_bell_unlock(&controller->bell);
    return 0;
}

static void stop_reflectors(struct kube_controller *controller)
{
    /* First out of the sight of others, who ask them with the lock held. */
    kube_bell_lock(&controller->bell);
    size_t count = controller->reflector_count;
    controller->reflector_count = 0;
    kube_bell_unlock(&controller->bell);
    for (size_t i = 0; i < count; i++)
        kube_reflector_ask_stop(controller->reflectors[i]);
    for (size_t i = 0; i < count; i++)
        kube_reflector_stop(controller->reflectors[i]);
}

int kube_controller_watch(struct kube_controller *controller, struct error **err)
{
    const struct kube_controller_options *options = &controller->options;
    if (controller->began_ns)
        return 0;
    kube_bell_lock(&controller->bell);
    controller->began_ns = clock_monotonic_ns();
    kube_bell_unlock(&controller->bell);
    for (size_t i = 0; i < options->source_count; i++) {
        size_t count = reflectors_of(options, i);
        bool named = options->namespaces && options->sources[i].resource->namespaced;
        for (size_t k = 0; k < count; k++) {
            int r = start_reflector(controller, &controller->sources[i],
                                    named ? options->namespaces[k] : NULL, err);
            if (r < 0) {
                stop_reflectors(controller);
                controller->began_ns = 0;
                __atomic_store_n(&controller->pending, reflectors_of_all(options),
                                 __ATOMIC_RELEASE);
                return r;
            }
        }
    }
    return 0;
}

static int queue_visited(void *context, const struct kube_object *object)
{
    queue_object(context, object, KUBE_LANE_LOW);
    return 0;
}

static int start_workers(struct kube_controller *controller, struct error **err)
{
    const struct kube_controller_options *options = &controller->options;
    int r = 0;
    while (r == 0 && controller->worker_count < options->workers) {
        r = kube_thread_start(&controller->workers[controller->worker_count], options->name,
                              controller_work, controller, err);
        controller->worker_count += r == 0;
    }
    if (r == 0 && options->resync_ns) {
        r = kube_thread_start(&controller->resync, "the resync", controller_resync, controller,
                              err);
        controller->resync_runs = r == 0;
    }
    return r;
}

int kube_controller_work(struct kube_controller *controller, struct error **err)
{
    int r = kube_controller_watch(controller, err);
    if (r < 0 || controller->working)
        return r;
    __atomic_store_n(&controller->queueing, true, __ATOMIC_SEQ_CST);
    /* What changed while we rested was not queued; what comes from here on is. */
    for (size_t i = 0; i < controller->options.source_count; i++)
        kube_store_each(controller->sources[i].store, -1, NULL, queue_visited,
                        &controller->sources[i]);
    kube_bell_lock(&controller->bell);
    controller->working = true;
    kube_bell_unlock(&controller->bell);
    r = start_workers(controller, err);
    if (r < 0)
        kube_controller_rest(controller);
    return r;
}

void kube_controller_rest(struct kube_controller *controller)
{
    if (!controller->working)
        return;
    __atomic_store_n(&controller->queueing, false, __ATOMIC_SEQ_CST);
    kube_bell_lock(&controller->bell);
    controller->working = false;
    kube_bell_ring(&controller->bell);
    kube_bell_unlock(&controller->bell);
    kube_queue_stop(controller->queue);
    while (controller->worker_count)
        pthread_join(controller->workers[--controller->worker_count], NULL);
    if (controller->resync_runs)
        pthread_join(controller->resync, NULL);
    controller->resync_runs = false;
    kube_queue_reopen(controller->queue);
}

bool kube_controller_synced(const struct kube_controller *controller)
{
    return __atomic_load_n(&controller->pending, __ATOMIC_ACQUIRE) == 0;
}

uint64_t kube_controller_silence_ns(struct kube_controller *controller)
{
    uint64_t now = clock_monotonic_ns(), silence_ns = 0;
    kube_bell_lock(&controller->bell);
    for (size_t i = 0; i < controller->reflector_count; i++) {
        uint64_t since_ns = kube_reflector_heard_ns(controller->reflectors[i]);
        if (!since_ns)
            since_ns = controller->began_ns;
        if (now > since_ns && now - since_ns > silence_ns)
            silence_ns = now - since_ns;
    }
    kube_bell_unlock(&controller->bell);
    return silence_ns;
}

struct kube_store *kube_controller_store(struct kube_controller *controller, size_t source)
{
    return controller->sources[source].store;
}

struct kube_queue *kube_controller_queue(struct kube_controller *controller)
{
    return controller->queue;
}

void kube_controller_stop(struct kube_controller *controller)
{
    kube_controller_rest(controller);
    stop_reflectors(controller);
}

void kube_controller_free(struct kube_controller *controller)
{
    if (!controller)
        return;
    kube_controller_stop(controller);
    if (controller->metrics.most)
        metric_callback(controller->metrics.most, NULL, NULL);
    kube_queue_free(controller->queue);
    for (size_t i = 0; i < controller->options.source_count; i++)
        kube_store_free(controller->sources[i].store);
    kube_bell_destroy(&controller->bell);
    free(controller->reflectors);
    free(controller->workers);
    free(controller);
}
