/* What the tests of trim have in common: objects, changed and put through a store. */
#ifndef DPUMESH_TESTS_OPERATOR_TRIM_GIVEN_H
#define DPUMESH_TESTS_OPERATOR_TRIM_GIVEN_H

#include <criterion/criterion.h>
#include <string.h>

#include "operator/trim.h"

/* As a real API server (1.34) made them; see their names. */
static inline json_t *load(const char *name)
{
    char path[512];
    json_error_t error;
    snprintf(path, sizeof(path), "%s/%s.json", OBJECTS_DIRECTORY, name);
    json_t *object = json_load_file(path, 0, &error);
    cr_assert_not_null(object, "%s: %s", path, error.text);
    return object;
}

/* Changes what stands at a path of keys and indexes; value NULL takes it away. Owns value. */
static inline void change(json_t *object, const char *path, json_t *value)
{
    char keys[256], *save = NULL;
    snprintf(keys, sizeof(keys), "%s", path);
    char *key = strtok_r(keys, " ", &save), *next;
    while ((next = strtok_r(NULL, " ", &save))) {
        json_t *inner = json_is_array(object) ? json_array_get(object, (size_t)(*key - '0'))
                                              : json_object_get(object, key);
        cr_assert_not_null(inner, "%s: no %s", path, key);
        object = inner;
        key = next;
    }
    if (value)
        json_object_set_new(object, key, value);
    else
        json_object_del(object, key);
}

/* Puts the object through a store of the source; a reference. */
static inline const struct kube_object *keep(enum operator_source source, const json_t *object)
{
    struct kube_store_options options;
    trim_store_options(source, &options);
    struct kube_store *store = kube_store_new(&options);
    const json_t *metadata = json_object_get(object, "metadata");
    kube_store_put(store, object, NULL, NULL);
    const struct kube_object *kept =
        kube_store_get(store, json_string_value(json_object_get(metadata, "namespace")),
                       json_string_value(json_object_get(metadata, "name")));
    kube_store_free(store);
    cr_assert_not_null(kept);
    return kept;
}

static inline const struct kube_object *keep_child(enum child_kind kind, const json_t *object)
{
    return keep(SOURCE_CHILDREN + (unsigned)kind, object);
}

static inline void expect_key(bool (*key)(void *, const struct kube_object *, struct buffer *),
                              const struct kube_object *object, const char *expected)
{
    cleanup_buffer struct buffer text = BUFFER_INIT(600);
    bool some = key(NULL, object, &text);
    cr_expect_eq(some, expected != NULL);
    if (expected)
        cr_expect_str_eq(buffer_terminate(&text), expected);
}

#endif
