#include "kube/store.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/kube/dice.h"

enum { NAMESPACES = 3, NAMES = 24, UNIVERSE = NAMESPACES * NAMES, KEYS = 5, ROUNDS = 6000 };

static json_t *object_new(const char *namespace, const char *name, const char *uid,
                          const char *version)
{
    json_t *metadata =
        json_pack("{s:s, s:s, s:s}", "name", name, "uid", uid, "resourceVersion", version);
    if (namespace)
        json_object_set_new(metadata, "namespace", json_string(namespace));
    return json_pack("{s:o}", "metadata", metadata);
}

/* What the last change() said. */
struct seen {
    unsigned calls;
    char before[64], after[64]; /* versions, "" for none */
};

static void see(void *context, const struct kube_object *before, const struct kube_object *after)
{
    struct seen *seen = context;
    seen->calls++;
    snprintf(seen->before, sizeof(seen->before), "%s", before ? before->resource_version : "");
    snprintf(seen->after, sizeof(seen->after), "%s", after ? after->resource_version : "");
}

static void put(struct kube_store *store, struct seen *seen, const char *namespace,
                const char *name, const char *version)
{
    json_auto_t *object = object_new(namespace, name, "u", version);
    kube_store_put(store, object, see, seen);
}

Test(store, keeps_what_it_is_given)
{
    const struct kube_store_options options = {0};
    struct kube_store *store = kube_store_new(&options);
    struct seen seen = {0};
    cr_assert_null(kube_store_get(store, "a", "x"));
    put(store, &seen, "a", "x", "1");
    cr_assert_eq(seen.calls, 1);
    cr_assert_str_eq(seen.before, "");
    cr_assert_str_eq(seen.after, "1");
    cleanup_kube_object const struct kube_object *x = kube_store_get(store, "a", "x");
    cr_assert_str_eq(x->namespace, "a");
    cr_assert_str_eq(x->name, "x");
    cr_assert_str_eq(x->uid, "u");
    cr_assert_str_eq(x->resource_version, "1");
    cr_assert_eq(strlen(x->data), x->data_length);
    cr_assert_not_null(strstr(x->data, "\"resourceVersion\":\"1\""));

    /* The same version again is no change; another is; and the reader's object stays. */
    put(store, &seen, "a", "x", "1");
    cr_assert_eq(seen.calls, 1);
    put(store, &seen, "a", "x", "2");
    cr_assert_eq(seen.calls, 2);
    cr_assert_str_eq(seen.before, "1");
    cr_assert_str_eq(seen.after, "2");
    cr_assert_str_eq(x->resource_version, "1");

    /* Without a namespace it is another object, and so is one whose names only join alike. */
    put(store, &seen, NULL, "x", "3");
    put(store, &seen, "a/", "x", "3");
    cr_assert_eq(kube_store_count(store), 3);

    json_auto_t *gone = object_new("a", "x", "u", "9");
    kube_store_delete(store, gone, see, &seen);
    cr_assert_eq(seen.calls, 5);
    cr_assert_str_eq(seen.before, "2", "what was kept, not what the server says it was");
    cr_assert_str_eq(seen.after, "");
    kube_store_delete(store, gone, see, &seen);
    cr_assert_eq(seen.calls, 5, "what is not there can't go");
    cr_assert_null(kube_store_get(store, "a", "x"));
    kube_store_free(store);
    cr_assert_str_eq(x->name, "x", "a reference outlives the store");
}

Test(store, takes_odd_objects)
{
    const struct kube_store_options options = {0};
    struct kube_store *store = kube_store_new(&options);
    struct seen seen = {0};
    static const char *const odd[] = {"{}",
                                      "[]",
                                      "{\"metadata\":{}}",
                                      "{\"metadata\":7}",
                                      "{\"metadata\":{\"name\":7}}",
                                      "{\"metadata\":{\"name\":\"\"}}"};
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        json_auto_t *object = json_loads(odd[i], 0, NULL);
        kube_store_put(store, object, see, &seen);
        kube_store_delete(store, object, see, &seen);
    }
    cr_assert_eq(seen.calls, 0);
    /* No uid and no version: kept, and always a change. */
    json_auto_t *bare =
        json_loads("{\"metadata\":{\"name\":\"n\",\"managedFields\":[1]}}", 0, NULL);
    kube_store_put(store, bare, see, &seen);
    kube_store_put(store, bare, see, &seen);
    cr_assert_eq(seen.calls, 2);
    cleanup_kube_object const struct kube_object *object = kube_store_get(store, "", "n");
    cr_assert_str_eq(object->uid, "");
    cr_assert_str_eq(object->data, "{\"metadata\":{\"name\":\"n\"}}");
    /* The same name and version with another uid is another object. */
    json_auto_t *one = object_new("a", "x", "u1", "5"), *two = object_new("a", "x", "u2", "5");
    kube_store_put(store, one, see, &seen);
    kube_store_put(store, two, see, &seen);
    cr_assert_eq(seen.calls, 4);
    kube_store_free(store);
    kube_store_free(NULL);
    kube_object_unref(NULL);
    cr_assert_null(kube_object_ref(NULL));
}

static int transform_fixed(void *context, const json_t *object, struct buffer *out)
{
    (void)object;
    int *result = context;
    int r = buffer_puts(out, "0123456789");
    return r < 0 ? r : *result;
}

Test(store, transform_says_what_is_kept)
{
    int result = 0;
    const struct kube_store_options options = {
        .transform = transform_fixed, .context = &result, .data_bytes = 10};
    const struct kube_store_options small = {
        .transform = transform_fixed, .context = &result, .data_bytes = 9};
    struct kube_store *store = kube_store_new(&options);
    struct seen seen = {0};
    put(store, &seen, "a", "x", "1");
    cleanup_kube_object const struct kube_object *kept = kube_store_get(store, "a", "x");
    cr_assert_str_eq(kept->data, "0123456789");
    cr_assert_eq(kept->data_length, 10);
    /* One that is not to be kept goes, once. */
    result = -EINVAL;
    put(store, &seen, "a", "x", "2");
    put(store, &seen, "a", "x", "3");
    cr_assert_eq(seen.calls, 2);
    cr_assert_str_eq(seen.before, "1");
    cr_assert_str_eq(seen.after, "");
    cr_assert_eq(kube_store_count(store), 0);
    kube_store_free(store);

    /* Too large: who it is, without data. */
    store = kube_store_new(&small);
    put(store, &seen, "a", "x", "1");
    cleanup_kube_object const struct kube_object *bare = kube_store_get(store, "a", "x");
    cr_assert_eq(bare->data_length, 0);
    cr_assert_str_eq(bare->data, "");
    kube_store_free(store);
}

Test(store, replacement_deletes_what_did_not_come)
{
    const struct kube_store_options options = {0};
    struct kube_store *store = kube_store_new(&options);
    struct seen seen = {0};
    put(store, &seen, "a", "x", "1");
    put(store, &seen, "a", "y", "2");
    put(store, &seen, "b", "z", "3");
    uint32_t mark = kube_store_replace_begin(store);
    put(store, &seen, "a", "x", "1");
    cr_assert_eq(seen.calls, 3, "it came, but nothing changed");
    put(store, &seen, "a", "new", "4");
    cr_assert_eq(kube_store_count(store), 4, "the old content stays until the end");

    /* A list of one namespace says nothing of another; one that is never ended, nothing at all. */
    kube_store_replace_begin(store);
    kube_store_replace_end(store, mark, "a", see, &seen);
    cr_assert_eq(seen.calls, 5);
    cr_assert_str_eq(seen.before, "2");
    cr_assert_str_eq(seen.after, "");
    cr_assert_eq(kube_store_count(store), 3);
    cleanup_kube_object const struct kube_object *z = kube_store_get(store, "b", "z");
    cr_assert_not_null(z);
    kube_store_replace_end(store, kube_store_replace_begin(store), NULL, NULL, NULL);
    cr_assert_eq(kube_store_count(store), 0);
    kube_store_free(store);
}

/* The same as a list of facts, one for each possible object. */
struct fact {
    bool here;
    char version[24], data[24];
    int keys[2]; /* -1: not in that index */
};

struct world {
    struct dice dice;
    struct kube_store *store;
    struct fact facts[UNIVERSE];    /* what should be in the store */
    struct fact replayed[UNIVERSE]; /* what change() told */
    unsigned version;
};

static unsigned place_of(const struct kube_object *object)
{
    return (unsigned)(object->namespace[1] - '0') * NAMES +
           (unsigned)strtoul(object->name + 1, NULL, 10);
}

static void replay(void *context, const struct kube_object *before, const struct kube_object *after)
{
    struct world *world = context;
    struct fact *fact = &world->replayed[place_of(before ? before : after)];
    cr_assert_eq(fact->here, before != NULL);
    if (before)
        cr_assert_str_eq(before->resource_version, fact->version);
    fact->here = after != NULL;
    if (!after)
        return;
    snprintf(fact->version, sizeof(fact->version), "%s", after->resource_version);
    snprintf(fact->data, sizeof(fact->data), "%s", after->data);
}

static int keep_spec(void *context, const json_t *object, struct buffer *out)
{
    (void)context;
    const char *data = json_string_value(json_object_get(object, "spec"));
    return data ? buffer_puts(out, data) : -ENODATA;
}

static void index_keys(void *context, const json_t *object, const char *keys[KUBE_INDEXES_MAX])
{
    (void)context;
    keys[0] = json_string_value(json_object_get(object, "owner"));
    keys[2] = json_string_value(json_object_get(object, "label"));
}

static void key_text(int key, char text[24])
{
    /* One of them is also a name and one a namespace, whose text an object shares. */
    if (key == 0)
        snprintf(text, 24, "n1");
    else if (key == 1)
        snprintf(text, 24, "N2");
    else
        snprintf(text, 24, "key-%d", key);
}

static json_t *draw_object(struct world *world, unsigned place, bool kept)
{
    struct fact *fact = &world->facts[place];
    char namespace[24], name[24], text[24];
    snprintf(namespace, sizeof(namespace), "N%u", place / NAMES);
    snprintf(name, sizeof(name), "n%u", place % NAMES);
    snprintf(fact->version, sizeof(fact->version), "%u", ++world->version);
    snprintf(fact->data, sizeof(fact->data), "%0*u", (int)dice_below(&world->dice, 20),
             world->version);
    json_t *object = object_new(namespace, name, "", fact->version);
    fact->here = kept;
    if (kept)
        json_object_set_new(object, "spec", json_string(fact->data));
    static const char *const fields[] = {"owner", "label"};
    for (size_t i = 0; i < 2; i++) {
        fact->keys[i] = (int)dice_below(&world->dice, KEYS + 1) - 1;
        if (fact->keys[i] >= 0) {
            key_text(fact->keys[i], text);
            json_object_set_new(object, fields[i], json_string(text));
        }
    }
    return object;
}

static void step(struct world *world)
{
    unsigned place = dice_below(&world->dice, UNIVERSE);
    unsigned what = dice_below(&world->dice, 10);
    struct fact before = world->facts[place];
    json_auto_t *object = draw_object(world, place, what != 9);
    if (what >= 4) {
        kube_store_put(world->store, object, replay, world);
        /* And the same version again, which is nothing. */
        if (what == 8)
            kube_store_put(world->store, object, replay, world);
        return;
    }
    world->facts[place] = before;
    world->facts[place].here = false;
    kube_store_delete(world->store, object, replay, world);
}

/* A list in which some objects come as they are, some new, some not at all; changes come in
 * between. */
static void replace(struct world *world)
{
    bool came[UNIVERSE] = {false};
    char namespace[24];
    unsigned only = dice_below(&world->dice, NAMESPACES * 2);
    uint32_t mark = kube_store_replace_begin(world->store);
    for (unsigned place = 0; place < UNIVERSE; place++) {
        if (only < NAMESPACES && place / NAMES != only)
            continue;
        if (dice_once_in(&world->dice, 2))
            continue;
        json_auto_t *object = draw_object(world, place, true);
        kube_store_put(world->store, object, replay, world);
        came[place] = true;
    }
    if (dice_once_in(&world->dice, 4))
        return; /* it failed */
    snprintf(namespace, sizeof(namespace), "N%u", only);
    kube_store_replace_end(world->store, mark, only < NAMESPACES ? namespace : NULL, replay, world);
    for (unsigned place = 0; place < UNIVERSE; place++)
        if (!came[place] && (only >= NAMESPACES || place / NAMES == only))
            world->facts[place].here = false;
}

struct count {
    const struct world *world;
    int index, key;
    unsigned count;
    bool met[UNIVERSE];
};

static int count_visit(void *context, const struct kube_object *object)
{
    struct count *count = context;
    unsigned place = place_of(object);
    const struct fact *fact = &count->world->facts[place];
    cr_assert(fact->here);
    cr_assert(!count->met[place], "twice in one walk");
    count->met[place] = true;
    count->count++;
    cr_assert_str_eq(object->resource_version, fact->version);
    cr_assert_str_eq(object->data, fact->data);
    if (count->index >= 0)
        cr_assert_eq(fact->keys[count->index], count->key);
    return 0;
}

static unsigned expected(const struct world *world, int index, int key)
{
    unsigned count = 0;
    for (unsigned i = 0; i < UNIVERSE; i++)
        count += world->facts[i].here && (index < 0 || world->facts[i].keys[index] == key);
    return count;
}

static void compare(struct world *world)
{
    char text[24];
    struct count all = {.world = world, .index = -1};
    kube_store_each(world->store, -1, NULL, count_visit, &all);
    cr_assert_eq(all.count, expected(world, -1, 0));
    cr_assert_eq(kube_store_count(world->store), all.count);
    for (int index = 0; index < 2; index++) {
        for (int key = 0; key < KEYS; key++) {
            struct count some = {.world = world, .index = index, .key = key};
            key_text(key, text);
            kube_store_each(world->store, index * 2, text, count_visit, &some);
            cr_assert_eq(some.count, expected(world, index, key), "index %d, key %d", index, key);
        }
    }
    for (unsigned i = 0; i < UNIVERSE; i++) {
        const struct fact *told = &world->replayed[i], *fact = &world->facts[i];
        cr_assert_eq(told->here, fact->here);
        cr_assert(!fact->here || strcmp(told->version, fact->version) == 0);
    }
}

Test(store, equals_a_naive_model)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct world world = {.dice = {.state = seed}};
        const struct kube_store_options options = {.transform = keep_spec, .index = index_keys};
        world.store = kube_store_new(&options);
        for (unsigned i = 0; i < ROUNDS; i++) {
            if (dice_once_in(&world.dice, 200))
                replace(&world);
            else
                step(&world);
            if (i % 7 == 0)
                compare(&world);
        }
        compare(&world);
        kube_store_replace_end(world.store, kube_store_replace_begin(world.store), NULL, replay,
                               &world);
        memset(world.facts, 0, sizeof(world.facts));
        compare(&world);
        kube_store_free(world.store);
    }
}

static int stop_at_three(void *context, const struct kube_object *object)
{
    (void)object;
    return ++*(int *)context == 3 ? 42 : 0;
}

static int delete_itself(void *context, const struct kube_object *object)
{
    json_auto_t *same = object_new(object->namespace, object->name, "", "");
    kube_store_delete(context, same, NULL, NULL);
    return 0;
}

Test(store, walks_a_snapshot)
{
    const struct kube_store_options options = {0};
    struct kube_store *store = kube_store_new(&options);
    struct seen seen = {0};
    char name[24];
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        put(store, &seen, "a", name, "1");
    }
    int visits = 0;
    cr_assert_eq(kube_store_each(store, -1, NULL, stop_at_three, &visits), 42);
    cr_assert_eq(visits, 3);
    cr_assert_eq(kube_store_each(store, -1, NULL, delete_itself, store), 0);
    cr_assert_eq(kube_store_count(store), 0);
    visits = 0;
    cr_assert_eq(kube_store_each(store, 0, "nothing", stop_at_three, &visits), 0);
    cr_assert_eq(kube_store_each(store, KUBE_INDEXES_MAX, "nothing", stop_at_three, &visits), 0);
    cr_assert_eq(visits, 0);
    kube_store_free(store);
}
