#include <limits.h>
#include <malloc.h>
#include <string.h>

#include "base/memory.h"
#include "kube/store_private.h"

const struct kube_object *kube_object_ref(const struct kube_object *object)
{
    /* The count is the one part of an object that changes; readers see the rest as const. */
    if (object)
        __atomic_fetch_add(&((struct kube_object *)(uintptr_t)object)->references, 1,
                           __ATOMIC_RELAXED);
    return object;
}

void kube_object_unref(const struct kube_object *object)
{
    if (!object)
        return;
    struct kube_object *counted = (struct kube_object *)(uintptr_t)object;
    /* Whoever frees it comes after all that others did with it. */
    if (__atomic_sub_fetch(&counted->references, 1, __ATOMIC_ACQ_REL) == 0)
        free(counted);
}

size_t object_bytes(struct kube_object *object)
{
    return malloc_usable_size(object) + sizeof(size_t);
}

/* Copies length bytes and a NUL to *end, which moves on; returns the copy. */
static char *place(char **end, const char *text, size_t length)
{
    char *copy = *end;
    if (length)
        memcpy(copy, text, length);
    copy[length] = '\0';
    *end += length + 1;
    return copy;
}

/* The identity's text that equals key, so that an index by uid or name costs no copy. */
static const char *shared_text(const struct kube_object *object, const char *key)
{
    const char *const texts[] = {object->namespace, object->name, object->uid};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (strcmp(texts[i], key) == 0)
            return texts[i];
    return NULL;
}

struct kube_object *object_make(const struct kube_object *parts,
                                const char *const keys[KUBE_INDEXES_MAX],
                                uint32_t ret_keys[KUBE_INDEXES_MAX])
{
    const char *const texts[] = {parts->namespace, parts->name, parts->uid,
                                 parts->resource_version};
    const char **members[4];
    size_t lengths[4], key_lengths[KUBE_INDEXES_MAX];
    size_t size = sizeof(struct kube_object) + parts->data_length + 1;
    for (size_t i = 0; i < 4; i++)
        size += (lengths[i] = strlen(texts[i])) + 1;
    for (size_t i = 0; i < KUBE_INDEXES_MAX; i++) {
        key_lengths[i] = 0;
        if (keys[i] && !shared_text(parts, keys[i]))
            size += (key_lengths[i] = strlen(keys[i]) + 1);
    }
    struct kube_object *object = xmalloc(size);
    *object = (struct kube_object){.data_length = parts->data_length, .references = 1};
    members[0] = &object->namespace;
    members[1] = &object->name;
    members[2] = &object->uid;
    members[3] = &object->resource_version;
    char *end = (char *)(object + 1);
    for (size_t i = 0; i < 4; i++)
        *members[i] = place(&end, texts[i], lengths[i]);
    for (size_t i = 0; i < KUBE_INDEXES_MAX; i++) {
        const char *text = NULL;
        if (keys[i])
            text = key_lengths[i] ? place(&end, keys[i], key_lengths[i] - 1)
                                  : shared_text(object, keys[i]);
        ret_keys[i] = text ? (uint32_t)(text - (const char *)object) : 0;
    }
    object->data = place(&end, parts->data, parts->data_length);
    return object;
}
