/* A controller under random changes, random faults of the server, failing reconciles, and a lease
 * that comes and goes: never two workers on a key, and at the end every key was reconciled with the
 * last state of all that concerns it. ThreadSanitizer watches; an alarm ends a lost wake-up. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "kube/controller.h"
#include "tests/kube/dice.h"
#include "tests/kube/fake_client.h"

enum { KEYS = 40, SOURCES = 2, ROUNDS = 12, CHANGES = 250, ALARM_S = 110 };

static const struct kube_resource widgets = {"x.io", "v1", "widgets", "Widget", true};
static const struct kube_resource gadgets = {"x.io", "v1", "gadgets", "Gadget", true};

/* What the last reconcile of a key saw of the widget and of its gadget: versions, 0 for none. */
struct seen {
    atomic_uint versions[SOURCES];
    atomic_bool busy;
};

static struct seen seen[KEYS];
static atomic_uint reconciles, failures;
static atomic_bool calm;

static void check(bool truth, const char *what)
{
    if (truth)
        return;
    fprintf(stderr, "race_controller: %s\n", what);
    exit(1);
}

static bool gadget_key(void *context, const struct kube_object *object, struct buffer *ret_key)
{
    (void)context;
    return buffer_printf(ret_key, "%s/%s", object->namespace, object->name) == 0;
}

static struct kube_outcome reconcile(void *context, struct kube_controller *controller,
                                     const char *namespace, const char *name)
{
    (void)context;
    struct seen *mine = &seen[strtoul(name + 1, NULL, 10)];
    check(!atomic_exchange(&mine->busy, true), "two workers on one key");
    for (size_t i = 0; i < SOURCES; i++) {
        cleanup_kube_object const struct kube_object *object =
            kube_store_get(kube_controller_store(controller, i), namespace, name);
        atomic_store(&mine->versions[i],
                     object ? (unsigned)strtoul(object->resource_version, NULL, 10) : 0);
    }
    unsigned call = atomic_fetch_add(&reconciles, 1);
    atomic_store(&mine->busy, false);
    if (atomic_load(&calm) || call % 7)
        return (struct kube_outcome){.kind = KUBE_DONE};
    if (call % 2)
        return (struct kube_outcome){.kind = KUBE_AFTER, .after_ns = NS_PER_MS};
    return (struct kube_outcome){.kind = KUBE_RETRY, .message = xstrdup("no luck")};
}

static void failed(void *context, const char *what, const char *key, const char *message)
{
    (void)context, (void)key;
    check(what[0] && message[0], "a failure without a sentence");
    atomic_fetch_add(&failures, 1);
}

static void *ask(void *context)
{
    struct kube_controller *controller = context;
    while (!atomic_load(&calm)) {
        check(kube_controller_silence_ns(controller) < ALARM_S * NS_PER_S, "silence for ever");
        kube_controller_synced(controller);
        kube_queue_depth(kube_controller_queue(controller));
        kube_store_bytes(kube_controller_store(controller, 1));
        usleep(1000);
    }
    return NULL;
}

static void change(struct kube_client *server, struct dice *dice)
{
    char name[16];
    const char *plural = dice_below(dice, 2) ? "widgets" : "gadgets";
    snprintf(name, sizeof(name), "n%u", dice_below(dice, KEYS));
    if (dice_once_in(dice, 4))
        fake_delete(server, plural, "a", name);
    else
        fake_put(server, plural, "a", name, "x");
    if (dice_once_in(dice, 30))
        fake_compact(server);
    if (dice_once_in(dice, 3))
        usleep(500);
}

/* The server's versions. */
struct truth {
    unsigned versions[KEYS];
};

static void note(void *context, const char *namespace, const char *name, unsigned version,
                 const char *spec)
{
    (void)namespace, (void)spec;
    ((struct truth *)context)->versions[strtoul(name + 1, NULL, 10)] = version;
}

static bool all_seen(struct kube_client *server)
{
    struct truth truths[SOURCES] = {0};
    fake_each(server, "widgets", note, &truths[0]);
    fake_each(server, "gadgets", note, &truths[1]);
    for (size_t i = 0; i < SOURCES; i++)
        for (unsigned key = 0; key < KEYS; key++)
            if (atomic_load(&seen[key].versions[i]) != truths[i].versions[key])
                return false;
    return true;
}

static void run(struct kube_client *server, struct kube_controller *controller)
{
    struct dice dice = {.state = 5};
    pthread_t asker;
    check(pthread_create(&asker, NULL, ask, controller) == 0, "no thread");
    check(kube_controller_watch(controller, NULL) == 0, "it does not watch");
    for (unsigned round = 0; round < ROUNDS; round++) {
        fake_random(server, round, 2);
        if (round % 3 != 2)
            check(kube_controller_work(controller, NULL) == 0, "it does not work");
        else
            kube_controller_rest(controller);
        for (unsigned i = 0; i < CHANGES; i++)
            change(server, &dice);
    }
    fake_random(server, 0, 0);
    /* Keys of objects that came and went while it rested are nobody's, unless they come again. */
    char name[16];
    check(kube_controller_work(controller, NULL) == 0, "it does not work");
    for (unsigned i = 0; i < KEYS; i++) {
        snprintf(name, sizeof(name), "n%u", i);
        fake_put(server, "widgets", "a", name, "x");
    }
    for (unsigned i = 0; i < CHANGES; i++)
        change(server, &dice);
    atomic_store(&calm, true);
    while (!all_seen(server))
        usleep(1000);
    pthread_join(asker, NULL);
}

/* resync_ns 0: only the changes themselves bring keys back, so that none of them may be lost. */
static void race(uint64_t resync_ns)
{
    const struct kube_controller_source sources[SOURCES] = {
        {.resource = &widgets}, {.resource = &gadgets, .key = gadget_key}};
    struct metrics *metrics = metrics_new();
    const struct kube_controller_options options = {.name = "race",
                                                    .sources = sources,
                                                    .source_count = SOURCES,
                                                    .reconcile = reconcile,
                                                    .failed = failed,
                                                    .workers = 3,
                                                    .resync_ns = resync_ns,
                                                    .watch_ns = 40 * NS_PER_MS,
                                                    .idle_ns = 20 * NS_PER_MS,
                                                    .backoff_first_ns = NS_PER_MS,
                                                    .backoff_most_ns = 4 * NS_PER_MS,
                                                    .watch_backoff_first_ns = NS_PER_MS,
                                                    .watch_backoff_most_ns = 4 * NS_PER_MS,
                                                    .metrics = metrics};
    struct kube_controller *controller = NULL;
    struct kube_client *server = fake_new();
    atomic_store(&calm, false);
    for (unsigned i = 0; i < KEYS; i++)
        atomic_store(&seen[i].versions[0], 0), atomic_store(&seen[i].versions[1], 0);
    check(kube_controller_new(server, &options, &controller, NULL) == 0, "no controller");
    run(server, controller);
    printf("%u reconciles, %u failures, %u watches\n", atomic_load(&reconciles),
           atomic_load(&failures), fake_calls(server, FAKE_WATCH));
    kube_controller_free(controller);
    fake_free(server);
    metrics_free(metrics);
}

int main(void)
{
    alarm(ALARM_S);
    race(0);
    race(100 * NS_PER_MS);
    return 0;
}
