#include "kube/controller.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/memory.h"
#include "tests/kube/fake_client.h"

enum { KEYS = 512, WAIT_S = 20 };

static const struct kube_resource widgets = {"x.io", "v1", "widgets", "Widget", true};
static const struct kube_resource gadgets = {"x.io", "v1", "gadgets", "Gadget", true};
static const struct kube_resource nodes = {"", "v1", "nodes", "Node", false};

/* What the controller under test does, and what became of it. Widgets are called n0, n1, ...; a
 * gadget's spec is the name of its widget. */
struct bench {
    struct kube_client *server;
    struct kube_controller *controller;
    struct kube_controller_options options;
    struct kube_controller_source sources[2];
    pthread_mutex_t lock; /* of all below */
    unsigned calls, by_key[KEYS], order[KEYS * 4], failures, seen_gadgets;
    char failed_what[64], failed_key[64], message[128];
    enum kube_outcome_kind next[8]; /* of the first calls */
    uint64_t after_ns;
    long slow_ms;
    bool running, other_namespace;
};

static void sleep_ms(long ms)
{
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * (long)NS_PER_MS};
    nanosleep(&pause, NULL);
}

static bool owner_key(void *context, const struct kube_object *object, struct buffer *ret_key)
{
    (void)context;
    /* The default transform keeps the object's JSON. */
    json_auto_t *json = json_loads(object->data, 0, NULL);
    const char *owner = json_string_value(json_object_get(json, "spec"));
    if (!owner || owner[0] != 'n')
        return false;
    return buffer_printf(ret_key, "%s/%s", object->namespace, owner) == 0;
}

static int count_object(void *context, const struct kube_object *object)
{
    (void)object;
    ++*(unsigned *)context;
    return 0;
}

static struct kube_outcome reconcile(void *context, struct kube_controller *controller,
                                     const char *namespace, const char *name)
{
    struct bench *bench = context;
    unsigned gadget_count = 0, key = (unsigned)strtoul(name + 1, NULL, 10) % KEYS;
    kube_store_each(kube_controller_store(controller, 1), -1, NULL, count_object, &gadget_count);
    pthread_mutex_lock(&bench->lock);
    struct kube_outcome outcome = {.kind = KUBE_DONE};
    if (bench->calls < sizeof(bench->next) / sizeof(bench->next[0]))
        outcome.kind = bench->next[bench->calls];
    outcome.after_ns = bench->after_ns;
    if (outcome.kind == KUBE_RETRY)
        outcome.message = xasprintf("%s is not ready", name);
    bench->by_key[key]++;
    bench->order[bench->calls++ % (KEYS * 4)] = key;
    bench->seen_gadgets = gadget_count;
    bench->other_namespace = bench->other_namespace || strcmp(namespace, "a") != 0;
    bench->running = true;
    long slow_ms = bench->slow_ms;
    pthread_mutex_unlock(&bench->lock);
    if (slow_ms)
        sleep_ms(slow_ms);
    pthread_mutex_lock(&bench->lock);
    bench->running = false;
    pthread_mutex_unlock(&bench->lock);
    return outcome;
}

static void failed(void *context, const char *what, const char *key, const char *message)
{
    struct bench *bench = context;
    pthread_mutex_lock(&bench->lock);
    bench->failures++;
    snprintf(bench->failed_what, sizeof(bench->failed_what), "%s", what);
    snprintf(bench->failed_key, sizeof(bench->failed_key), "%s", key ? key : "-");
    snprintf(bench->message, sizeof(bench->message), "%s", message);
    pthread_mutex_unlock(&bench->lock);
}

static void init(struct bench *bench)
{
    *bench = (struct bench){.server = fake_new()};
    pthread_mutex_init(&bench->lock, NULL);
    bench->sources[0].resource = &widgets;
    bench->sources[1].resource = &gadgets;
    bench->sources[1].key = owner_key;
    bench->options = (struct kube_controller_options){.name = "widget",
                                                      .sources = bench->sources,
                                                      .source_count = 2,
                                                      .reconcile = reconcile,
                                                      .failed = failed,
                                                      .context = bench,
                                                      .workers = 2,
                                                      .backoff_first_ns = NS_PER_MS,
                                                      .backoff_most_ns = 10 * NS_PER_MS};
}

static void put(struct bench *bench, const struct kube_resource *resource, unsigned number,
                const char *spec)
{
    char name[16];
    snprintf(name, sizeof(name), "n%u", number);
    fake_put(bench->server, resource->plural, "a", name, spec);
}

static void make(struct bench *bench)
{
    cr_assert_eq(kube_controller_new(bench->server, &bench->options, &bench->controller, NULL), 0);
}

static void start(struct bench *bench)
{
    make(bench);
    cr_assert_eq(kube_controller_work(bench->controller, NULL), 0);
}

static unsigned read_count(struct bench *bench, const unsigned *count)
{
    pthread_mutex_lock(&bench->lock);
    unsigned value = *count;
    pthread_mutex_unlock(&bench->lock);
    return value;
}

static void expect_count(struct bench *bench, const unsigned *count, unsigned least)
{
    uint64_t deadline_ns = clock_monotonic_ns() + WAIT_S * NS_PER_S;
    while (read_count(bench, count) < least) {
        cr_assert_lt(clock_monotonic_ns(), deadline_ns, "%u instead of %u",
                     read_count(bench, count), least);
        sleep_ms(1);
    }
}

static void expect_synced(struct bench *bench)
{
    uint64_t deadline_ns = clock_monotonic_ns() + WAIT_S * NS_PER_S;
    while (!kube_controller_synced(bench->controller)) {
        cr_assert_lt(clock_monotonic_ns(), deadline_ns);
        sleep_ms(1);
    }
}

static void end(struct bench *bench)
{
    kube_controller_free(bench->controller);
    fake_free(bench->server);
    pthread_mutex_destroy(&bench->lock);
}

Test(controller, reconciles_what_changes)
{
    struct bench bench;
    init(&bench);
    for (unsigned i = 0; i < 5; i++)
        put(&bench, &widgets, i, "w");
    put(&bench, &gadgets, 7, "n7");
    put(&bench, &gadgets, 8, "n8");
    put(&bench, &gadgets, 9, "x");
    start(&bench);
    /* Widgets by themselves, gadgets by their owners, also when that is not there. */
    expect_count(&bench, &bench.calls, 7);
    for (unsigned i = 0; i < 5; i++)
        expect_count(&bench, &bench.by_key[i], 1);
    expect_count(&bench, &bench.by_key[7], 1);
    sleep_ms(30);
    cr_assert_eq(read_count(&bench, &bench.by_key[9]), 0, "nobody's business");
    cr_assert_eq(read_count(&bench, &bench.calls), 7, "each key once");

    /* Changed, and deleted. */
    put(&bench, &widgets, 3, "w2");
    expect_count(&bench, &bench.by_key[3], 2);
    fake_delete(bench.server, "widgets", "a", "n4");
    expect_count(&bench, &bench.by_key[4], 2);

    /* A gadget that goes to another owner is the business of both. */
    put(&bench, &gadgets, 7, "n1");
    expect_count(&bench, &bench.by_key[7], 2);
    expect_count(&bench, &bench.by_key[1], 2);
    cr_assert_not(bench.other_namespace);
    cr_assert_eq(kube_queue_depth(kube_controller_queue(bench.controller)), 0);
    cr_assert_eq(read_count(&bench, &bench.failures), 0);
    end(&bench);
    kube_controller_free(NULL);
}

Test(controller, follows_outcomes)
{
    struct bench bench;
    init(&bench);
    bench.next[0] = bench.next[1] = bench.next[2] = KUBE_RETRY;
    bench.next[3] = KUBE_AFTER;
    bench.after_ns = 50 * NS_PER_MS;
    put(&bench, &widgets, 5, "w");
    uint64_t began_ns = clock_monotonic_ns();
    start(&bench);
    expect_count(&bench, &bench.calls, 4);
    cr_assert_geq(clock_monotonic_ns() - began_ns, (1 + 2 + 4) * NS_PER_MS, "its backoff");
    cr_assert_eq(read_count(&bench, &bench.failures), 3);
    cr_assert_str_eq(bench.failed_what, "widget");
    cr_assert_str_eq(bench.failed_key, "a/n5");
    cr_assert_str_eq(bench.message, "n5 is not ready");
    expect_count(&bench, &bench.calls, 5);
    cr_assert_geq(clock_monotonic_ns() - began_ns, 57 * NS_PER_MS, "after the time it asked for");
    cr_assert_eq(kube_queue_failures(kube_controller_queue(bench.controller), "a/n5"), 0);
    end(&bench);
}

Test(controller, waits_for_all_stores)
{
    struct bench bench;
    init(&bench);
    /* The widgets come at once, the gadgets only after their list works. */
    bench.options.paged_only = true;
    for (unsigned i = 0; i < 5; i++)
        put(&bench, &widgets, i, "w");
    for (unsigned i = 0; i < 20; i++)
        put(&bench, &gadgets, i, "n1");
    fake_order(bench.server, FAKE_LIST, (struct fake_fault){.error = -EIO, .after = 3});
    start(&bench);
    cr_assert_not(kube_controller_synced(bench.controller));
    sleep_ms(100);
    cr_assert_eq(read_count(&bench, &bench.calls), 0);
    expect_count(&bench, &bench.calls, 5);
    cr_assert(kube_controller_synced(bench.controller));
    cr_assert_eq(read_count(&bench, &bench.seen_gadgets), 20);
    cr_assert_eq(read_count(&bench, &bench.failures), 1);
    cr_assert_str_eq(bench.failed_key, "-");
    end(&bench);
}

/* A standby replica: warm caches, no work, and everything at once when it begins to lead. */
Test(controller, stands_by)
{
    struct bench bench;
    init(&bench);
    for (unsigned i = 0; i < 50; i++)
        put(&bench, &widgets, i, "w");
    make(&bench);
    cr_assert_eq(kube_controller_silence_ns(bench.controller), 0);
    cr_assert_eq(kube_controller_watch(bench.controller, NULL), 0);
    cr_assert_eq(kube_controller_watch(bench.controller, NULL), 0, "again is nothing");
    expect_synced(&bench);
    put(&bench, &widgets, 1, "w2");
    fake_delete(bench.server, "widgets", "a", "n2");
    put(&bench, &gadgets, 1, "n60");
    while (kube_store_count(kube_controller_store(bench.controller, 0)) != 49 ||
           kube_store_count(kube_controller_store(bench.controller, 1)) != 1)
        sleep_ms(1);
    cr_assert_eq(kube_queue_depth(kube_controller_queue(bench.controller)), 0);
    cr_assert_eq(read_count(&bench, &bench.calls), 0);
    cr_assert_lt(kube_controller_silence_ns(bench.controller), 10 * NS_PER_S);

    uint64_t began_ns = clock_monotonic_ns();
    cr_assert_eq(kube_controller_work(bench.controller, NULL), 0);
    cr_assert_eq(kube_controller_work(bench.controller, NULL), 0, "again is nothing");
    expect_count(&bench, &bench.calls, 50);
    cr_assert_lt(clock_monotonic_ns() - began_ns, 10 * NS_PER_S);
    cr_assert_eq(read_count(&bench, &bench.by_key[2]), 0);
    cr_assert_eq(read_count(&bench, &bench.by_key[60]), 1, "what belongs to nobody any more, too");

    /* It loses its lease, and gets it again. */
    kube_controller_rest(bench.controller);
    kube_controller_rest(bench.controller);
    put(&bench, &widgets, 1, "w3");
    sleep_ms(50);
    cr_assert_eq(kube_queue_depth(kube_controller_queue(bench.controller)), 0);
    cr_assert_eq(read_count(&bench, &bench.calls), 50);
    cr_assert_eq(kube_controller_work(bench.controller, NULL), 0);
    expect_count(&bench, &bench.calls, 100);
    put(&bench, &widgets, 1, "w4");
    expect_count(&bench, &bench.by_key[1], 3);
    cr_assert_eq(fake_calls(bench.server, FAKE_STREAM), 2, "the caches stayed");
    end(&bench);
}

static bool spec_differs(void *context, const struct kube_object *before,
                         const struct kube_object *after)
{
    (void)context;
    json_auto_t *old = json_loads(before->data, 0, NULL), *new = json_loads(after->data, 0, NULL);
    return !json_equal(json_object_get(old, "spec"), json_object_get(new, "spec"));
}

Test(controller, lets_a_source_veto)
{
    struct bench bench;
    init(&bench);
    bench.sources[0].matters = spec_differs;
    put(&bench, &widgets, 1, "w");
    put(&bench, &widgets, 2, "w");
    start(&bench);
    expect_count(&bench, &bench.calls, 2);
    put(&bench, &widgets, 1, "w");
    put(&bench, &widgets, 2, "w2");
    expect_count(&bench, &bench.by_key[2], 2);
    sleep_ms(20);
    cr_assert_eq(read_count(&bench, &bench.by_key[1]), 1);
    fake_delete(bench.server, "widgets", "a", "n1");
    expect_count(&bench, &bench.by_key[1], 2);
    end(&bench);
}

/* A gadget that concerns all widgets, found in their store. */
static void keys_of_all(void *context, struct kube_controller *controller,
                        const struct kube_object *object, kube_key_add *add, void *adding)
{
    char key[64];
    (void)context;
    for (unsigned i = 0; i < 4; i++) {
        char name[16];
        snprintf(name, sizeof(name), "n%u", i);
        cleanup_kube_object const struct kube_object *widget =
            kube_store_get(kube_controller_store(controller, 0), object->namespace, name);
        snprintf(key, sizeof(key), "%s/%s", object->namespace, name);
        if (widget)
            add(adding, key);
    }
}

Test(controller, one_change_concerns_many)
{
    struct bench bench;
    init(&bench);
    bench.sources[1].key = NULL;
    bench.sources[1].keys = keys_of_all;
    for (unsigned i = 0; i < 3; i++)
        put(&bench, &widgets, i, "w");
    put(&bench, &widgets, 9, "w");
    start(&bench);
    expect_count(&bench, &bench.calls, 4);
    sleep_ms(20);
    unsigned before = read_count(&bench, &bench.calls);
    put(&bench, &gadgets, 1, "x");
    for (unsigned i = 0; i < 3; i++)
        expect_count(&bench, &bench.by_key[i], 2);
    fake_delete(bench.server, "gadgets", "a", "n1");
    for (unsigned i = 0; i < 3; i++)
        expect_count(&bench, &bench.by_key[i], 3);
    sleep_ms(20);
    cr_assert_eq(read_count(&bench, &bench.calls), before + 6);
    cr_assert_eq(read_count(&bench, &bench.by_key[9]), 1, "not among them");
    cr_assert_eq(read_count(&bench, &bench.by_key[3]), 0, "not there");
    end(&bench);
}

Test(controller, watches_some_namespaces)
{
    static const char *const namespaces[] = {"a", "c", NULL};
    static const char *const there[] = {"a", "b", "c"};
    struct bench bench;
    init(&bench);
    bench.options.namespaces = namespaces;
    bench.sources[1].resource = &nodes;
    for (unsigned i = 0; i < 3; i++) {
        char name[16];
        snprintf(name, sizeof(name), "n%u", i);
        fake_put(bench.server, "widgets", there[i], name, "w");
    }
    fake_put(bench.server, "nodes", "", "node", "n5");
    start(&bench);
    expect_count(&bench, &bench.calls, 3);
    cr_assert_eq(fake_calls(bench.server, FAKE_STREAM), 3,
                 "cluster-scoped ones have one reflector");
    cr_assert_eq(kube_store_count(kube_controller_store(bench.controller, 0)), 2);
    /* One namespace's list leaves the other's objects alone. */
    fake_compact(bench.server);
    fake_cut(bench.server, (struct fake_fault){.error_code = 410});
    while (fake_calls(bench.server, FAKE_STREAM) < 6 || fake_watching(bench.server) < 3)
        sleep_ms(1);
    sleep_ms(50);
    cr_assert_eq(kube_store_count(kube_controller_store(bench.controller, 0)), 2);
    cr_assert_eq(read_count(&bench, &bench.by_key[1]), 0);
    cr_assert_eq(read_count(&bench, &bench.by_key[2]), 1);
    end(&bench);
}

/* Five hundred keys of the first list do not hold up one that changes now. */
Test(controller, serves_live_changes_first)
{
    struct bench bench;
    init(&bench);
    bench.options.workers = 1;
    bench.slow_ms = 2;
    for (unsigned i = 0; i < 500; i++)
        put(&bench, &widgets, i, "w");
    start(&bench);
    expect_count(&bench, &bench.calls, 10);
    unsigned before = read_count(&bench, &bench.calls);
    put(&bench, &widgets, 510, "w");
    expect_count(&bench, &bench.by_key[510], 1);
    unsigned waited = read_count(&bench, &bench.calls) - before;
    cr_assert_lt(waited, 100, "%u others came first", waited);
    expect_count(&bench, &bench.calls, 501);
    end(&bench);
}

/* What follows from others' changes, such as our own writes, waits for what is asked for now,
 * though not for ever. */
Test(controller, serves_secondary_changes_later)
{
    struct bench bench;
    init(&bench);
    bench.options.workers = 1;
    bench.slow_ms = 2;
    bench.sources[1].secondary = true;
    start(&bench);
    expect_synced(&bench);
    for (unsigned i = 0; i < 100; i++) {
        char owner[16];
        snprintf(owner, sizeof(owner), "n%u", i);
        put(&bench, &gadgets, i, owner);
    }
    for (unsigned i = 200; i < 300; i++)
        put(&bench, &widgets, i, "w");
    expect_count(&bench, &bench.by_key[299], 1);
    unsigned all = read_count(&bench, &bench.calls);
    cr_assert_geq(all, 107, "others come meanwhile, one in ten");
    cr_assert_leq(all, 180, "%u came first", all - 100);
    expect_count(&bench, &bench.calls, 200);
    end(&bench);
}

Test(controller, comes_back_over_time)
{
    struct bench bench;
    init(&bench);
    const uint64_t period_ns = 1024 * NS_PER_MS;
    bench.options.resync_ns = period_ns;
    for (unsigned i = 0; i < 200; i++)
        put(&bench, &widgets, i, "w");
    start(&bench);
    expect_count(&bench, &bench.calls, 200);
    /* Spread: after a part of the period there are some, but not all of them. */
    unsigned most = 0, before = 200;
    uint64_t began_ns = clock_monotonic_ns();
    while (clock_monotonic_ns() - began_ns < 2 * period_ns) {
        sleep_ms(20);
        unsigned now = read_count(&bench, &bench.calls);
        most = now - before > most ? now - before : most;
        before = now;
    }
    for (unsigned i = 0; i < 200; i++)
        expect_count(&bench, &bench.by_key[i], 3);
    cr_assert_lt(most, 150, "%u of them at one time", most);
    uint64_t periods = (clock_monotonic_ns() - began_ns) / period_ns;
    cr_assert_lt(read_count(&bench, &bench.calls), 200 * (4 + periods));
    end(&bench);
}

Test(controller, finishes_what_it_is_at)
{
    struct bench bench;
    init(&bench);
    bench.slow_ms = 1000;
    for (unsigned i = 0; i < 20; i++)
        put(&bench, &widgets, i, "w");
    start(&bench);
    expect_count(&bench, &bench.calls, 2);
    kube_controller_stop(bench.controller);
    cr_assert_not(bench.running);
    cr_assert_leq(bench.calls, 4, "what waits is left");
    cr_assert_eq(kube_store_count(kube_controller_store(bench.controller, 0)), 20);
    cr_assert_eq(kube_controller_silence_ns(bench.controller), 0);
    kube_controller_stop(bench.controller);
    end(&bench);

    /* Before it could begin. */
    init(&bench);
    fake_always(bench.server, FAKE_STREAM, (struct fake_fault){.error = -ECONNREFUSED});
    fake_always(bench.server, FAKE_LIST, (struct fake_fault){.error = -ECONNREFUSED});
    start(&bench);
    uint64_t began_ns = clock_monotonic_ns();
    end(&bench);
    cr_assert_lt(clock_monotonic_ns() - began_ns, 5 * NS_PER_S);
    init(&bench);
    make(&bench);
    end(&bench);
}

static void expect_refused(struct bench *bench, const char *sentence)
{
    cleanup_error struct error *err = NULL;
    struct kube_controller *controller = NULL;
    cr_assert_eq(kube_controller_new(bench->server, &bench->options, &controller, &err), -EINVAL);
    cr_assert_str_eq(error_message(err), sentence);
    cr_assert_null(controller);
}

Test(controller, refuses_wrong_options)
{
    static const char *const none[] = {NULL}, *const twice[] = {"a", "b", "a", NULL};
    struct bench bench;
    init(&bench);
    bench.options.namespaces = none;
    expect_refused(&bench, "controller widget: watches no namespace; give some, or all");
    bench.options.namespaces = twice;
    expect_refused(&bench, "controller widget: namespace a is named twice");
    bench.options.source_count = 0;
    expect_refused(&bench, "controller widget: has 0 sources; give 1 to 16");
    bench.options.source_count = 17;
    expect_refused(&bench, "controller widget: has 17 sources; give 1 to 16");
    bench.options.reconcile = NULL;
    expect_refused(&bench, "controller widget: needs a reconcile function");
    bench.options.name = NULL;
    expect_refused(&bench, "a controller needs a name");
    end(&bench);
}

static double exposed(struct metrics *metrics, const char *series)
{
    cleanup_buffer struct buffer text = BUFFER_INIT(1 << 20);
    char prefix[128];
    cr_assert_eq(metrics_expose(metrics, METRICS_PROMETHEUS_TEXT, &text), 0);
    snprintf(prefix, sizeof(prefix), "\n%s ", series);
    const char *line = strstr(buffer_terminate(&text), prefix);
    cr_assert_not_null(line, "%s is not exposed", series);
    return strtod(line + strlen(prefix), NULL);
}

Test(controller, counts)
{
    struct metrics *metrics = metrics_new();
    struct bench bench;
    init(&bench);
    bench.options.metrics = metrics;
    bench.next[0] = KUBE_RETRY;
    bench.next[1] = KUBE_AFTER;
    put(&bench, &widgets, 1, "w");
    start(&bench);
    expect_count(&bench, &bench.calls, 3);
    kube_controller_rest(bench.controller);
#define RECONCILES "controller_runtime_reconcile_total{controller=\"widget\",result="
    cr_assert_eq(exposed(metrics, RECONCILES "\"error\"}"), 1);
    cr_assert_eq(exposed(metrics, RECONCILES "\"requeue_after\"}"), 1);
    cr_assert_eq(exposed(metrics, RECONCILES "\"success\"}"), 1);
#undef RECONCILES
    cr_assert_eq(
        exposed(metrics, "controller_runtime_reconcile_errors_total{controller=\"widget\"}"), 1);
    cr_assert_eq(
        exposed(metrics, "controller_runtime_reconcile_time_seconds_count{controller=\"widget\"}"),
        3);
    cr_assert_eq(exposed(metrics, "controller_runtime_active_workers{controller=\"widget\"}"), 0);
    cr_assert_eq(
        exposed(metrics, "controller_runtime_max_concurrent_reconciles{controller=\"widget\"}"), 2);
    cr_assert_eq(exposed(metrics, "workqueue_depth{name=\"widget\"}"), 0);
    cr_assert_eq(exposed(metrics, "workqueue_retries_total{name=\"widget\"}"), 1);
    cr_assert_eq(exposed(metrics, "reflector_items{resource=\"widgets\"}"), 1);
    end(&bench);
    metrics_free(metrics);
}
