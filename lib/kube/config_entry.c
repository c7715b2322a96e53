/* Fields of a cluster, user or context. Values are never shown: they may be secrets. */
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "kube/config_private.h"

const char *kube_entry_text(const struct kube_entry *entry, const char *field,
                            struct problems *problems)
{
    const json_t *value = json_object_get(entry->value, field);
    if (!value || json_is_null(value))
        return NULL;
    if (!json_is_string(value)) {
        kube_entry_problem(entry, field, problems, "must be text; put it in quotes");
        return NULL;
    }
    return json_string_length(value) ? json_string_value(value) : NULL;
}

bool kube_entry_truth(const struct kube_entry *entry, const char *field, struct problems *problems)
{
    const json_t *value = json_object_get(entry->value, field);
    if (value && !json_is_null(value) && !json_is_boolean(value))
        kube_entry_problem(entry, field, problems, "must be true or false, without quotes");
    return json_is_true(value);
}

static bool is_known(const char *const *known, const char *name)
{
    for (; *known; known++)
        if (strcmp(*known, name) == 0)
            return true;
    return false;
}

void kube_entry_check_fields(const struct kube_entry *entry, const char *const *known, bool strict,
                             struct problems *problems)
{
    const char *key;
    const json_t *value;
    size_t count = 0;

    while (known[count])
        count++;
    /* jansson has no iteration over what is const; nothing is changed. */
    json_object_foreach((json_t *)(uintptr_t)entry->value, key, value)
    {
        if (is_known(known, key))
            continue;
        const char *meant = text_nearest(key, known, count);
        if (meant)
            kube_entry_problem(entry, key, problems, "is not known; did you mean %s?", meant);
        else if (strict)
            kube_entry_problem(entry, key, problems,
                               "is not known here; remove it, or use a token, tokenFile, "
                               "client-certificate or exec");
    }
}

char *kube_entry_path(const struct kube_entry *entry, const char *path)
{
    const char *slash = strrchr(entry->file->path, '/');
    if (*path == '/' || !slash)
        return xstrdup(path);
    return xasprintf("%.*s%s", (int)(slash + 1 - entry->file->path), entry->file->path, path);
}
