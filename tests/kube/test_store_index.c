#include "kube/store.h"

#include <criterion/criterion.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

enum { MANY = 40000, OVERHEAD_MAX = 100, NAME_BYTES = 32 };

static int keep_spec(void *context, const json_t *object, struct buffer *out)
{
    (void)context;
    return buffer_puts(out, json_string_value(json_object_get(object, "spec")));
}

static void index_keys(void *context, const json_t *object, const char *keys[KUBE_INDEXES_MAX])
{
    const unsigned *count = context;
    if (*count > 0)
        keys[0] = json_string_value(json_object_get(object, "owner"));
    if (*count > 1)
        keys[1] = json_string_value(json_object_get(object, "label"));
}

static json_t *object_new(int number, int version)
{
    char name[NAME_BYTES], uid[64], owner[64], text[NAME_BYTES];
    snprintf(name, sizeof(name), "s%d-dpu", number);
    snprintf(uid, sizeof(uid), "%08x-27b8-4d6c-9d3e-%012x", number, number);
    snprintf(owner, sizeof(owner), "%08x-8f01-4a5b-8c11-%012x", number, number);
    snprintf(text, sizeof(text), "%d", version);
    return json_pack("{s:{s:s, s:s, s:s, s:s}, s:s, s:s, s:s}", "metadata", "namespace",
                     "shop-production", "name", name, "uid", uid, "resourceVersion", text, "spec",
                     "{\"replicas\":3,\"image\":\"registry.example/dpumesh:1\"}", "owner", owner,
                     "label", "everybody");
}

/* Bytes of an object that are its own: its texts and data without their NULs, and its keys' texts
 * of which it needs a copy. */
struct own {
    size_t bytes;
    unsigned index_count;
};

static int add_own(void *context, const struct kube_object *object)
{
    struct own *own = context;
    own->bytes += strlen(object->namespace) + strlen(object->name) + strlen(object->uid) +
                  strlen(object->resource_version) + object->data_length;
    own->bytes += own->index_count > 0 ? 36 : 0;
    own->bytes += own->index_count > 1 ? strlen("everybody") : 0;
    return 0;
}

static size_t allocated(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

Test(store_index, costs_little)
{
    static const size_t overhead_max[] = {OVERHEAD_MAX, OVERHEAD_MAX + 20, OVERHEAD_MAX + 40};
    for (unsigned count = 0; count <= 2; count++) {
        const struct kube_store_options options = {
            .transform = keep_spec, .index = index_keys, .context = &count};
        size_t before = allocated();
        struct kube_store *store = kube_store_new(&options);
        for (int i = 0; i < MANY; i++) {
            json_auto_t *object = object_new(i, i);
            kube_store_put(store, object, NULL, NULL);
        }
        size_t after = allocated(), bytes = kube_store_bytes(store);
        struct own own = {.index_count = count};
        kube_store_each(store, -1, NULL, add_own, &own);
        fprintf(stderr, "%u indexes: %.1f bytes an object, %.1f of them beyond its own\n", count,
                (double)bytes / MANY, (double)(bytes - own.bytes) / MANY);
        cr_assert_leq((bytes - own.bytes) / MANY, overhead_max[count]);
        /* As glibc's allocator sees it; a sanitizer's does not count (and says 0). */
        if (after > before)
            cr_assert_float_eq((double)(after - before), (double)bytes, (double)bytes / 1000);
        kube_store_replace_end(store, kube_store_replace_begin(store), NULL, NULL, NULL);
        cr_assert_lt(kube_store_bytes(store), 2000, "an empty store gives everything back");
        kube_store_free(store);
    }
}

static int count_one(void *context, const struct kube_object *object)
{
    (void)object;
    ++*(size_t *)context;
    return 0;
}

static size_t members(struct kube_store *store, int index, const char *key)
{
    size_t count = 0;
    kube_store_each(store, index, key, count_one, &count);
    return count;
}

/* Tens of thousands under one key: each change must not walk them. Walking would be 40,000 times
 * 20,000 steps, minutes; the limit leaves room for a sanitizer and a busy machine. */
Test(store_index, large_key_is_quick)
{
    unsigned count = 2;
    const struct kube_store_options options = {
        .transform = keep_spec, .index = index_keys, .context = &count};
    struct kube_store *store = kube_store_new(&options);
    uint64_t began_ns = clock_monotonic_ns();
    for (int version = 1; version <= 2; version++) {
        for (int i = 0; i < MANY; i++) {
            json_auto_t *object = object_new(i, version);
            kube_store_put(store, object, NULL, NULL);
        }
    }
    cr_assert_eq(members(store, 1, "everybody"), MANY);
    cr_assert_eq(members(store, 0, "00000007-8f01-4a5b-8c11-000000000007"), 1);
    cr_assert_eq(members(store, 0, "everybody"), 0);
    /* From the middle, the front and the back. */
    for (int i = 0; i < MANY; i++) {
        json_auto_t *object = object_new((int)((size_t)i * 7919 % MANY), 0);
        kube_store_delete(store, object, NULL, NULL);
    }
    cr_assert_eq(kube_store_count(store), 0);
    cr_assert_eq(members(store, 1, "everybody"), 0);
    cr_assert_lt(clock_monotonic_ns() - began_ns, 20 * NS_PER_S);
    kube_store_free(store);
}

/* An object whose keys come and go, in a store whose other indexes appear later. */
Test(store_index, follows_changes_of_keys)
{
    unsigned count = 0;
    const struct kube_store_options options = {
        .transform = keep_spec, .index = index_keys, .context = &count};
    struct kube_store *store = kube_store_new(&options);
    static const unsigned counts[] = {0, 1, 2, 1, 2, 0, 2};
    for (size_t round = 0; round < sizeof(counts) / sizeof(counts[0]); round++) {
        count = counts[round];
        for (int i = 0; i < 1000; i++) {
            json_auto_t *object = object_new(i, (int)round + 1);
            kube_store_put(store, object, NULL, NULL);
        }
        cr_assert_eq(members(store, 1, "everybody"), count > 1 ? 1000 : 0, "round %zu", round);
        cr_assert_eq(members(store, 0, "00000007-8f01-4a5b-8c11-000000000007"), count > 0);
        cr_assert_eq(members(store, -1, NULL), 1000);
    }
    kube_store_free(store);
}
