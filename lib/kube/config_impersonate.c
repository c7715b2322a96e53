/*
 * Whom a user acts as: as, as-uid, as-groups and as-user-extra, which become headers of every
 * request
 * (https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation;
 * k8s.io/client-go/transport, impersonatingRoundTripper).
 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "kube/config_private.h"
#include "kube/secret.h"

/* Of all headers; an API server takes more, but a proxy before it may not. */
enum { HEADERS_MAX = 1000, HEADERS_BYTES_MAX = 32 << 10 };

/* Header lines as they are found. */
struct found {
    const struct kube_entry *user;
    struct problems *problems;
    size_t problems_before;
    char **lines; /* NULL at the end */
    size_t count, bytes;
};

/* Whether a header carries it as it is: a server drops blanks at the ends, and a line end would
 * begin another header. */
static bool is_value(const json_t *text)
{
    const unsigned char *at = (const unsigned char *)json_string_value(text);
    size_t length = json_string_length(text);
    if (!at || length == 0 || at[0] == ' ' || at[length - 1] == ' ')
        return false;
    for (; length > 0; at++, length--)
        if (*at < ' ' || *at == 0x7f)
            return false;
    return true;
}

/* Adds "name: value" for the value of a field. */
static void add(struct found *found, const char *field, const char *name, const json_t *value)
{
    if (found->problems->count > found->problems_before)
        return;
    if (!is_value(value)) {
        kube_entry_problem(found->user, field, found->problems,
                           "must be text that a header can carry: not empty, no blanks at its "
                           "ends, no control characters");
        return;
    }
    size_t length = strlen(name) + json_string_length(value);
    if (found->count == HEADERS_MAX || length > HEADERS_BYTES_MAX - found->bytes) {
        kube_entry_problem(found->user, field, found->problems,
                           "is more than the %d values and %d KiB that whom we act as may have",
                           HEADERS_MAX, HEADERS_BYTES_MAX >> 10);
        return;
    }
    found->bytes += length;
    found->lines = xreallocarray(found->lines, found->count + 2, sizeof(*found->lines));
    found->lines[found->count++] = xasprintf("%s: %s", name, json_string_value(value));
    found->lines[found->count] = NULL;
}

/* The same for each item of a list. */
static void add_list(struct found *found, const char *field, const char *name, const json_t *list)
{
    const json_t *item;
    size_t i;
    if (list && !json_is_null(list) && !json_is_array(list))
        kube_entry_problem(found->user, field, found->problems, "must be a list of texts");
    json_array_foreach(list, i, item) add(found, field, name, item);
}

/* A key of as-user-extra as part of a header's name: what can't stand there, and '%', as %XX. */
static char *extra_name(const char *key)
{
    static const char legal[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$&'*+-.^_`|~";
    struct buffer name = BUFFER_INIT(HEADERS_BYTES_MAX);
    buffer_puts(&name, "Impersonate-Extra-");
    for (; *key; key++) {
        if (strchr(legal, *key))
            buffer_append(&name, key, 1);
        else
            buffer_printf(&name, "%%%02X", (unsigned char)*key);
    }
    buffer_terminate(&name);
    return name.data;
}

static void add_extra(struct found *found)
{
    static const char field[] = "as-user-extra";
    const json_t *extra = json_object_get(found->user->value, field);
    const char *key;
    const json_t *list;

    if (extra && !json_is_null(extra) && !json_is_object(extra))
        kube_entry_problem(found->user, field, found->problems,
                           "must be an object of lists of texts");
    /* jansson has no iteration over what is const; nothing is changed. */
    json_object_foreach((json_t *)(uintptr_t)extra, key, list)
    {
        if (!*key || strlen(key) > HEADERS_BYTES_MAX / 4) {
            kube_entry_problem(found->user, field, found->problems,
                               "has a key that is empty or longer than any server takes");
            return;
        }
        cleanup_free char *name = extra_name(key);
        add_list(found, field, name, list);
    }
}

/* Whether a field says something: kubectl writes empty ones at times. */
static bool is_said(const json_t *value)
{
    if (json_is_string(value))
        return json_string_length(value) > 0;
    if (json_is_array(value))
        return json_array_size(value) > 0;
    if (json_is_object(value))
        return json_object_size(value) > 0;
    return value && !json_is_null(value);
}

char **kube_access_impersonation(const struct kube_entry *user, struct problems *problems)
{
    static const char *const details[] = {"as-uid", "as-groups", "as-user-extra"};
    struct found found = {.user = user, .problems = problems, .problems_before = problems->count};
    const json_t *as = json_object_get(user->value, "as");
    const json_t *uid = json_object_get(user->value, "as-uid");

    for (size_t i = 0; !is_said(as) && i < sizeof(details) / sizeof(details[0]); i++)
        if (is_said(json_object_get(user->value, details[i])))
            kube_entry_problem(user, details[i], problems,
                               "stands without as, and only a user can be acted as; add as");
    if (is_said(as))
        add(&found, "as", "Impersonate-User", as);
    if (is_said(uid))
        add(&found, "as-uid", "Impersonate-Uid", uid);
    add_list(&found, "as-groups", "Impersonate-Group", json_object_get(user->value, "as-groups"));
    add_extra(&found);
    if (problems->count == found.problems_before)
        return found.lines;
    kube_texts_free(found.lines);
    return NULL;
}
