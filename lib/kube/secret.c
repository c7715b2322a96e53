#include "kube/secret.h"

#include <stdint.h>
#include <string.h>

#include "base/memory.h"
#include "kube/config.h"

void kube_secret_free(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

void kube_texts_free(char **texts)
{
    for (size_t i = 0; texts && texts[i]; i++)
        kube_secret_free(texts[i]);
    free(texts);
}

void kube_credential_wipe(struct buffer *secret)
{
    if (secret->data)
        explicit_bzero(secret->data, secret->capacity);
    buffer_free(secret);
}

char *kube_secret_take(struct buffer *buffer)
{
    char *text = xstrndup(buffer_terminate(buffer), buffer->length);
    kube_credential_wipe(buffer);
    return text;
}

void kube_secret_wipe_json(json_t *value)
{
    const char *key;
    json_t *item;
    size_t i;

    /* A string is ours to overwrite: this is the last that anybody does with the tree. */
    if (json_is_string(value))
        explicit_bzero((char *)(uintptr_t)json_string_value(value), json_string_length(value));
    json_array_foreach(value, i, item)
    {
        kube_secret_wipe_json(item);
    }
    json_object_foreach(value, key, item)
    {
        kube_secret_wipe_json(item);
    }
}

void kube_secret_free_documents(struct documents *documents)
{
    for (size_t i = 0; i < documents->count; i++)
        kube_secret_wipe_json(documents->items[i].root);
    documents_free(documents);
}
