/* A store with two writers, a namespace each, and readers: a reader sees a version or the next one,
 * whole, never an older one than it saw before, and each walk has every object that is never
 * deleted. ThreadSanitizer watches. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kube/store.h"
#include "tests/kube/dice.h"

enum { WRITERS = 2, READERS = 3, NAMES = 40, STABLE = 20, ROUNDS = 8000, ALARM_S = 100 };

static struct kube_store *store;
static atomic_bool over;
static atomic_uint walks;

static void check(bool truth, const char *what)
{
    if (truth)
        return;
    fprintf(stderr, "race_store: %s\n", what);
    exit(1);
}

static int keep_spec(void *context, const json_t *object, struct buffer *out)
{
    (void)context;
    return buffer_puts(out, json_string_value(json_object_get(object, "spec")));
}

static void index_keys(void *context, const json_t *object, const char *keys[KUBE_INDEXES_MAX])
{
    (void)context;
    keys[0] = json_string_value(json_object_get(object, "group"));
}

static void put(const char *namespace, unsigned name, unsigned version)
{
    char name_text[16], version_text[16], group[16];
    snprintf(name_text, sizeof(name_text), "%u", name);
    snprintf(version_text, sizeof(version_text), "%u", version);
    /* The ones that stay are always in the same group. */
    snprintf(group, sizeof(group), "%s", name < STABLE ? "stable" : version % 2 ? "odd" : "even");
    json_auto_t *object =
        json_pack("{s:{s:s, s:s, s:s}, s:s, s:s}", "metadata", "namespace", namespace, "name",
                  name_text, "resourceVersion", version_text, "spec", version_text, "group", group);
    kube_store_put(store, object, NULL, NULL);
}

static void take_out(const char *namespace, unsigned name)
{
    char text[16];
    snprintf(text, sizeof(text), "%u", name);
    json_auto_t *object =
        json_pack("{s:{s:s, s:s}}", "metadata", "namespace", namespace, "name", text);
    kube_store_delete(store, object, NULL, NULL);
}

static void *write_objects(void *context)
{
    const char *namespace = context;
    struct dice dice = {.state = (unsigned char)namespace[0]};
    for (unsigned version = NAMES; version < ROUNDS; version++) {
        unsigned name = dice_below(&dice, NAMES);
        if (dice_once_in(&dice, 400)) {
            uint32_t mark = kube_store_replace_begin(store);
            for (unsigned i = 0; i < STABLE; i++)
                put(namespace, i, version);
            kube_store_replace_end(store, mark, namespace, NULL, NULL);
        } else if (name >= STABLE && dice_once_in(&dice, 3)) {
            take_out(namespace, name);
        } else {
            put(namespace, name, version);
        }
    }
    return NULL;
}

struct walk {
    unsigned stable;
};

static int visit(void *context, const struct kube_object *object)
{
    struct walk *walk = context;
    check(strcmp(object->data, object->resource_version) == 0, "a torn object");
    walk->stable += strtoul(object->name, NULL, 10) < STABLE;
    return 0;
}

static void *read_objects(void *context)
{
    struct dice dice = {.state = 50 + (uintptr_t)context};
    unsigned long seen = 0;
    char text[16];
    while (!atomic_load(&over)) {
        snprintf(text, sizeof(text), "%u", dice_below(&dice, NAMES));
        cleanup_kube_object const struct kube_object *any = kube_store_get(store, "a", text);
        check(!any || strcmp(any->data, any->resource_version) == 0, "a torn object");
        cleanup_kube_object const struct kube_object *first = kube_store_get(store, "b", "0");
        check(first, "an object that is never deleted is missing");
        unsigned long version = strtoul(first->resource_version, NULL, 10);
        check(version >= seen, "time goes backwards");
        seen = version;
        struct walk all = {0}, stable = {0};
        kube_store_each(store, -1, NULL, visit, &all);
        kube_store_each(store, 0, "stable", visit, &stable);
        check(all.stable == WRITERS * STABLE && stable.stable == WRITERS * STABLE,
              "a walk misses objects, or meets some twice");
        check(kube_store_count(store) >= WRITERS * STABLE, "too few");
        kube_store_bytes(store);
        atomic_fetch_add(&walks, 1);
    }
    return NULL;
}

int main(void)
{
    static char a[] = "a", b[] = "b";
    char *const namespaces[WRITERS] = {a, b};
    pthread_t writers[WRITERS], readers[READERS];
    const struct kube_store_options options = {.transform = keep_spec, .index = index_keys};
    alarm(ALARM_S);
    store = kube_store_new(&options);
    for (unsigned i = 0; i < STABLE; i++) {
        put(a, i, i);
        put(b, i, i);
    }
    for (uintptr_t i = 0; i < READERS; i++)
        check(pthread_create(&readers[i], NULL, read_objects, (void *)i) == 0, "no thread");
    for (unsigned i = 0; i < WRITERS; i++)
        check(pthread_create(&writers[i], NULL, write_objects, namespaces[i]) == 0, "no thread");
    for (unsigned i = 0; i < WRITERS; i++)
        pthread_join(writers[i], NULL);
    atomic_store(&over, true);
    for (unsigned i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    kube_store_free(store);
    printf("%u walks while %u changes were made\n", atomic_load(&walks), 2U * ROUNDS);
    return 0;
}
