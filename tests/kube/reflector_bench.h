/*
 * A reflector on the fake server, with a mirror that follows change(), for tests. One thread.
 */
#ifndef DPUMESH_TESTS_KUBE_REFLECTOR_BENCH_H
#define DPUMESH_TESTS_KUBE_REFLECTOR_BENCH_H

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "kube/reflector.h"
#include "tests/kube/fake_client.h"

enum { BENCH_NAMES = 64, BENCH_WAIT_S = 20, BENCH_MESSAGE_MAX = 256 };

static const struct kube_resource bench_widgets = {"x.io", "v1", "widgets", "Widget", true};

struct bench {
    struct kube_client *server;
    struct kube_store *store;
    struct kube_reflector *reflector;
    struct kube_reflector_options options;
    pthread_mutex_t lock;         /* of what follows, which the reflector's thread writes */
    unsigned mirror[BENCH_NAMES]; /* versions of objects n0, n1, ... in namespace "a"; 0: none */
    unsigned adds, updates, deletes, failures, wrong, syncs;
    char message[BENCH_MESSAGE_MAX];
};

static unsigned bench_place(const struct kube_object *object)
{
    return (unsigned)strtoul(object->name + 1, NULL, 10) % BENCH_NAMES;
}

static void bench_change(void *context, const struct kube_object *before,
                         const struct kube_object *after)
{
    struct bench *bench = context;
    unsigned *mirror = &bench->mirror[bench_place(before ? before : after)];
    pthread_mutex_lock(&bench->lock);
    unsigned known = before ? (unsigned)strtoul(before->resource_version, NULL, 10) : 0;
    bench->wrong += *mirror != known;
    *mirror = after ? (unsigned)strtoul(after->resource_version, NULL, 10) : 0;
    bench->adds += !before;
    bench->updates += before && after;
    bench->deletes += !after;
    pthread_mutex_unlock(&bench->lock);
}

static void bench_failed(void *context, const struct kube_resource *resource, const char *message)
{
    struct bench *bench = context;
    pthread_mutex_lock(&bench->lock);
    bench->failures++;
    bench->wrong += resource != &bench_widgets;
    snprintf(bench->message, sizeof(bench->message), "%s", message);
    pthread_mutex_unlock(&bench->lock);
}

static void bench_synced(void *context)
{
    struct bench *bench = context;
    pthread_mutex_lock(&bench->lock);
    bench->syncs++;
    pthread_mutex_unlock(&bench->lock);
}

/* Reads one of the counts above. */
static unsigned bench_read(struct bench *bench, const unsigned *count)
{
    pthread_mutex_lock(&bench->lock);
    unsigned value = *count;
    pthread_mutex_unlock(&bench->lock);
    return value;
}

/* A server without objects, and a store; the options may be changed before the start. */
static void bench_init(struct bench *bench)
{
    const struct kube_store_options store = {0};
    *bench = (struct bench){.server = fake_new(), .store = kube_store_new(&store)};
    pthread_mutex_init(&bench->lock, NULL);
    bench->options = (struct kube_reflector_options){.resource = &bench_widgets,
                                                     .store = bench->store,
                                                     .change = bench_change,
                                                     .failed = bench_failed,
                                                     .synced = bench_synced,
                                                     .context = bench,
                                                     .idle_ns = 30 * NS_PER_S,
                                                     .backoff_first_ns = NS_PER_MS,
                                                     .backoff_most_ns = 8 * NS_PER_MS};
}

static void bench_start(struct bench *bench)
{
    cr_assert_eq(kube_reflector_start(bench->server, &bench->options, &bench->reflector, NULL), 0);
}

static void bench_put(struct bench *bench, unsigned place)
{
    char name[16];
    snprintf(name, sizeof(name), "n%u", place);
    fake_put(bench->server, "widgets", "a", name, "x");
}

static void bench_delete(struct bench *bench, unsigned place)
{
    char name[16];
    snprintf(name, sizeof(name), "n%u", place);
    fake_delete(bench->server, "widgets", "a", name);
}

static void bench_sleep_ms(long ms)
{
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * (long)NS_PER_MS};
    nanosleep(&pause, NULL);
}

/* What a comparison with the server has met. */
struct bench_comparison {
    struct bench *bench;
    unsigned count;
    bool differs;
};

static void bench_compare(void *context, const char *namespace, const char *name, unsigned version,
                          const char *spec)
{
    struct bench_comparison *comparison = context;
    struct bench *bench = comparison->bench;
    cleanup_kube_object const struct kube_object *object =
        kube_store_get(bench->store, namespace, name);
    char text[16];
    snprintf(text, sizeof(text), "%u", version);
    comparison->count++;
    if (!object || strcmp(object->resource_version, text) != 0 || !strstr(object->data, spec) ||
        bench->mirror[bench_place(object)] != version)
        comparison->differs = true;
}

/* Whether store and mirror hold what the server holds. */
static bool bench_equal(struct bench *bench)
{
    struct bench_comparison comparison = {.bench = bench};
    pthread_mutex_lock(&bench->lock);
    fake_each(bench->server, "widgets", bench_compare, &comparison);
    unsigned mirrored = 0;
    for (unsigned i = 0; i < BENCH_NAMES; i++)
        mirrored += bench->mirror[i] != 0;
    bool equal = !comparison.differs && mirrored == comparison.count &&
                 kube_store_count(bench->store) == comparison.count;
    pthread_mutex_unlock(&bench->lock);
    return equal;
}

static void bench_expect_equal(struct bench *bench)
{
    uint64_t deadline_ns = clock_monotonic_ns() + BENCH_WAIT_S * NS_PER_S;
    while (!bench_equal(bench)) {
        cr_assert_lt(clock_monotonic_ns(), deadline_ns,
                     "the store never became what the server has");
        bench_sleep_ms(1);
    }
    cr_assert_eq(bench->wrong, 0, "change() told another past than the store's");
}

/* Waits until so many calls of the kind were made. */
static void bench_expect_calls(struct bench *bench, enum fake_call call, unsigned count)
{
    uint64_t deadline_ns = clock_monotonic_ns() + BENCH_WAIT_S * NS_PER_S;
    while (fake_calls(bench->server, call) < count) {
        cr_assert_lt(clock_monotonic_ns(), deadline_ns, "%u calls instead of %u",
                     fake_calls(bench->server, call), count);
        bench_sleep_ms(1);
    }
}

static void bench_end(struct bench *bench)
{
    kube_reflector_stop(bench->reflector);
    kube_store_free(bench->store);
    fake_free(bench->server);
    pthread_mutex_destroy(&bench->lock);
}

#endif
