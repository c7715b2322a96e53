/* The events' thread against an API server in memory; series and texts alone are in
 * ../test_event_series.c. */
#include "kube/event.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "api.h"
#include "base/clock.h"

static struct api api;
static struct kube_client client;
static struct metrics *metrics;
static struct kube_event_options options;
static struct kube_events *events;
static _Atomic bool may_write;
static char complaint[256];

static const struct kube_reference cart = {"v1", "Pod", "shop", "cart-0", "u-1", "7"};
static const struct kube_reference node = {"v1", "Node", NULL, "n1", "u-2", NULL};

static bool allowed(void *context)
{
    cr_assert_eq(context, &options);
    return atomic_load(&may_write);
}

static void failed(void *context, const char *message)
{
    (void)context;
    snprintf(complaint, sizeof(complaint), "%s", message);
}

static void setup(void)
{
    api_init(&api);
    client.api = &api;
    metrics = metrics_new();
    atomic_store(&may_write, true);
    options = (struct kube_event_options){.controller = "example.com/c",
                                          .instance = "c-1",
                                          .retry_ns = NS_PER_MS,
                                          .allowed = allowed,
                                          .failed = failed,
                                          .context = &options,
                                          .metrics = metrics};
}

static void start(void)
{
    cleanup_error struct error *err = NULL;
    cr_assert_eq(kube_events_start(&client, &options, &events, &err), 0, "%s", error_message(err));
}

static void teardown(void)
{
    kube_events_stop(events);
    metrics_free(metrics);
    api_free(&api);
}

TestSuite(event, .init = setup, .fini = teardown);

/* The Events there are, as an array in the order of their keys. */
static json_t *all(void)
{
    json_t *list = json_array(), *object;
    const char *key;
    pthread_mutex_lock(&api.lock);
    json_object_foreach(api.objects, key, object)
        json_array_append_new(list, json_deep_copy(object));
    pthread_mutex_unlock(&api.lock);
    return list;
}

static double metric(const char *line)
{
    cleanup_buffer struct buffer text = BUFFER_INIT(65536);
    cr_assert_eq(metrics_expose(metrics, METRICS_PROMETHEUS_TEXT, &text), 0);
    const char *at = buffer_terminate(&text);
    while (at && strncmp(at, line, strlen(line)) != 0) {
        at = strchr(at, '\n');
        at = at ? at + 1 : NULL;
    }
    cr_assert(at, "no %s in %s", line, text.data);
    return strtod(at + strlen(line), NULL);
}

static json_int_t count_of(const json_t *event)
{
    return json_integer_value(json_object_get(json_object_get(event, "series"), "count"));
}

static void tell(const struct kube_reference *about, const char *note)
{
    kube_event(events, about, "Warning", "Broken", "Reconciling", "%s", note);
}

Test(event, is_created_and_counted)
{
    start();
    tell(&cart, "It broke");
    cr_assert(kube_events_flush(events, 5 * NS_PER_S));
    json_auto_t *list = all();
    cr_assert_eq(json_array_size(list), 1);
    json_t *event = json_array_get(list, 0);
    const json_t *metadata = json_object_get(event, "metadata");
    const char *name = json_string_value(json_object_get(metadata, "name"));
    cr_assert_eq(strncmp(name, "cart-0.", 7), 0, "%s", name);
    cr_assert_str_eq(json_string_value(json_object_get(metadata, "namespace")), "shop");
    cr_assert_str_eq(json_string_value(json_object_get(event, "note")), "It broke");
    cr_assert_str_eq(json_string_value(json_object_get(event, "reportingInstance")), "c-1");
    cr_assert_null(json_object_get(event, "series"));
    tell(&cart, "It broke");
    cr_assert(kube_events_flush(events, 5 * NS_PER_S));
    json_auto_t *twice = all();
    cr_assert_eq(json_array_size(twice), 1);
    cr_assert_eq(count_of(json_array_get(twice, 0)), 2);
    for (int i = 0; i < 10; i++)
        tell(&cart, "It broke");
    sleep_ms(50);
    json_auto_t *quiet = all();
    cr_assert_eq(count_of(json_array_get(quiet, 0)), 2, "not before six minutes");
    /* But who flushes, or stops, sends it. */
    kube_events_stop(events);
    events = NULL;
    json_auto_t *last = all();
    cr_assert_eq(count_of(json_array_get(last, 0)), 12);
    cr_assert_eq(api.served[API_CREATE], 1);
    cr_assert_eq(api.served[API_PATCH], 2);
    cr_assert_eq(metric("events_sent_total "), 3);
    tell(&cart, "nobody listens");
}

Test(event, about_what_has_no_namespace)
{
    start();
    tell(&node, "It broke");
    tell(&cart, "It broke");
    tell(&cart, "Something else");
    cr_assert(kube_events_flush(events, 5 * NS_PER_S));
    json_auto_t *list = all();
    cr_assert_eq(json_array_size(list), 3, "names differ");
    int in_default = 0;
    size_t index;
    json_t *event;
    json_array_foreach(list, index, event)
    {
        const json_t *metadata = json_object_get(event, "metadata");
        in_default +=
            strcmp(json_string_value(json_object_get(metadata, "namespace")), "default") == 0;
    }
    cr_assert_eq(in_default, 1);
}

Test(event, one_that_somebody_deleted_is_made_again)
{
    start();
    tell(&cart, "a");
    cr_assert(kube_events_flush(events, 5 * NS_PER_S));
    atomic_store(&client.gone, true);
    tell(&cart, "a");
    cr_assert(kube_events_flush(events, 5 * NS_PER_S));
    json_auto_t *list = all();
    cr_assert_eq(json_array_size(list), 1);
    cr_assert_eq(count_of(json_array_get(list, 0)), 2, "with the count it had");
    /* A count alone can't make it: the next occurrence does, from one. */
    tell(&cart, "a");
    atomic_store(&client.gone, true);
    cr_assert(kube_events_flush(events, 5 * NS_PER_S));
    json_auto_t *none = all();
    cr_assert_eq(json_array_size(none), 0);
    tell(&cart, "a");
    cr_assert(kube_events_flush(events, 5 * NS_PER_S));
    json_auto_t *again = all();
    cr_assert_eq(json_array_size(again), 1);
    cr_assert_eq(count_of(json_array_get(again, 0)), 0);
}

Test(event, is_tried_again_where_that_helps)
{
    start();
    atomic_store(&client.refuse_times, 3);
    atomic_store(&client.refuse, 503);
    tell(&cart, "after three failures");
    cr_assert(kube_events_flush(events, 5 * NS_PER_S));
    cr_assert_eq(client.calls, 4);
    cr_assert_eq(metric("events_sent_total "), 1);
    /* An answer that is lost: it is there when we come again. */
    atomic_store(&client.lose_answers, 1);
    tell(&cart, "unanswered");
    cr_assert(kube_events_flush(events, 5 * NS_PER_S));
    cr_assert_eq(metric("events_sent_total "), 2);
    json_auto_t *two = all();
    cr_assert_eq(json_array_size(two), 2);
    /* Four times, and no more. */
    atomic_store(&client.calls, 0);
    atomic_store(&client.unreachable, true);
    tell(&cart, "in an outage");
    cr_assert(kube_events_flush(events, 5 * NS_PER_S));
    cr_assert_eq(client.calls, 4);
    cr_assert_eq(metric("events_dropped_total{reason=\"failed\"} "), 1);
    cr_assert_str_eq(complaint, "the server said 0");
    atomic_store(&client.unreachable, false);
    /* Refused for good. */
    atomic_store(&client.calls, 0);
    atomic_store(&client.refuse, 403);
    tell(&cart, "forbidden");
    cr_assert(kube_events_flush(events, 5 * NS_PER_S));
    cr_assert_eq(client.calls, 1);
    cr_assert_eq(metric("events_dropped_total{reason=\"failed\"} "), 2);
    cr_assert_str_eq(complaint, "the server said 403");
    atomic_store(&client.refuse, 0);
    tell(&cart, "forbidden");
    cr_assert(kube_events_flush(events, 5 * NS_PER_S));
    json_auto_t *three = all();
    cr_assert_eq(json_array_size(three), 3, "it is new, for nobody has it");
}

Test(event, only_who_may_writes)
{
    start();
    atomic_store(&may_write, false);
    tell(&cart, "a");
    cr_assert(kube_events_flush(events, 5 * NS_PER_S));
    cr_assert_eq(client.calls, 0);
    cr_assert_eq(metric("events_dropped_total{reason=\"not_allowed\"} "), 1);
    atomic_store(&may_write, true);
    tell(&cart, "a");
    cr_assert(kube_events_flush(events, 5 * NS_PER_S));
    cr_assert_eq(api.served[API_CREATE], 1);
}

static _Atomic bool others_first;

static bool busy(void *context)
{
    cr_assert_eq(context, &options);
    return atomic_load(&others_first);
}

Test(event, waits_for_what_is_more_urgent)
{
    char note[16];
    options.busy = busy;
    options.queue_max = 10;
    atomic_store(&others_first, true);
    start();
    tell(&cart, "a");
    sleep_ms(250);
    cr_assert_eq(client.calls, 0);
    atomic_store(&others_first, false);
    uint64_t end = clock_monotonic_ns() + 5 * NS_PER_S;
    while (metric("events_sent_total ") < 1 && clock_monotonic_ns() < end)
        sleep_ms(5);
    cr_assert_eq(metric("events_sent_total "), 1, "by itself, once there is time");
    /* Not until others would be dropped, and not for who flushes or stops. */
    atomic_store(&others_first, true);
    for (int i = 0; i < 7; i++) {
        snprintf(note, sizeof(note), "%d", i);
        tell(&cart, note);
    }
    while (metric("events_sent_total ") < 4 && clock_monotonic_ns() < end)
        sleep_ms(5);
    sleep_ms(150);
    cr_assert_eq(metric("events_sent_total "), 4, "one waited for long; then three too many");
    cr_assert(kube_events_flush(events, 5 * NS_PER_S));
    cr_assert_eq(metric("events_sent_total "), 8);
    tell(&cart, "last");
    kube_events_stop(events);
    events = NULL;
    cr_assert_eq(metric("events_sent_total "), 9);
}

Test(event, floods_are_dropped)
{
    char note[16];
    options.queue_max = 40;
    start();
    atomic_store(&client.delay_ns, 100 * NS_PER_MS);
    tell(&cart, "first");
    while (!client.in_calls)
        sleep_ms(1);
    for (int i = 0; i < 60; i++) {
        snprintf(note, sizeof(note), "%d", i);
        tell(&cart, note);
    }
    atomic_store(&client.delay_ns, 0);
    cr_assert(kube_events_flush(events, 5 * NS_PER_S));
    cr_assert_eq(metric("events_dropped_total{reason=\"queue_full\"} "), 20);
    cr_assert_eq(metric("events_dropped_total{reason=\"spam\"} "), 16);
    cr_assert_eq(metric("events_sent_total "), 25);
}

Test(event, stops_in_a_second_of_an_outage)
{
    char note[16];
    options.retry_ns = 300 * NS_PER_MS;
    start();
    atomic_store(&client.unreachable, true);
    for (int i = 0; i < 20; i++) {
        snprintf(note, sizeof(note), "%d", i);
        tell(&cart, note);
    }
    cr_assert_not(kube_events_flush(events, 50 * NS_PER_MS));
    uint64_t before = clock_monotonic_ns();
    kube_events_stop(events);
    events = NULL;
    cr_assert_lt(clock_monotonic_ns() - before, 1200 * NS_PER_MS);
    cr_assert_eq(metric("events_dropped_total{reason=\"stopped\"} ") +
                     metric("events_dropped_total{reason=\"failed\"} "),
                 20);
}

/* Voluntary context switches of the one thread of this process that is not the caller. */
static unsigned long switches(void)
{
    unsigned long count = 0;
    DIR *tasks = opendir("/proc/self/task");
    const struct dirent *task;
    cr_assert_not_null(tasks);
    while ((task = readdir(tasks))) {
        char path[512], line[256];
        if (task->d_name[0] == '.' || strtol(task->d_name, NULL, 10) == syscall(SYS_gettid))
            continue;
        snprintf(path, sizeof(path), "/proc/self/task/%s/status", task->d_name);
        cleanup_file FILE *file = fopen(path, "r");
        while (file && fgets(line, sizeof(line), file))
            if (strncmp(line, "voluntary_ctxt_switches:", 24) == 0)
                count += strtoul(line + 24, NULL, 10);
    }
    closedir(tasks);
    return count;
}

Test(event, sleeps_while_nothing_happens)
{
    start();
    tell(&cart, "a");
    cr_assert(kube_events_flush(events, 5 * NS_PER_S));
    sleep_ms(50);
    unsigned long before = switches();
    sleep_ms(300);
    cr_assert_eq(switches(), before);
}

Test(event, needs_names)
{
    struct kube_event_options nameless = {.controller = "c", .instance = ""};
    cr_assert_lt(kube_events_start(&client, &nameless, &events, NULL), 0);
    cr_assert_null(events);
}
