#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "kube/client_private.h"

/* Texts of a request come from objects' names; the API server takes no longer URL either. */
enum { PATH_MAX_BYTES = 64 << 10 };

static bool is_plain(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void kube_append_encoded(struct buffer *out, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (is_plain(c))
            buffer_append(out, text, 1);
        else
            buffer_printf(out, "%%%02X", c);
    }
}

void kube_append_query(struct buffer *out, const char *name, const char *value)
{
    if (!value)
        return;
    if (out->length > 0)
        buffer_puts(out, "&");
    buffer_puts(out, name);
    buffer_puts(out, "=");
    kube_append_encoded(out, value);
}

char *kube_path(const struct kube_resource *resource, const char *namespace, const char *name,
                const char *subresource)
{
    struct buffer out = BUFFER_INIT(PATH_MAX_BYTES);

    if (*resource->group)
        buffer_printf(&out, "/apis/%s/%s", resource->group, resource->version);
    else
        buffer_printf(&out, "/api/%s", resource->version);
    if (namespace && resource->namespaced) {
        buffer_puts(&out, "/namespaces/");
        kube_append_encoded(&out, namespace);
    }
    buffer_printf(&out, "/%s", resource->plural);
    if (name) {
        buffer_puts(&out, "/");
        kube_append_encoded(&out, name);
    }
    if (subresource)
        buffer_printf(&out, "/%s", subresource);
    buffer_terminate(&out);
    return out.data;
}

char *kube_describe(const char *verb, const struct kube_resource *resource, const char *namespace,
                    const char *name, const char *subresource)
{
    bool of_namespace = resource->namespaced && namespace;

    return xasprintf("%s %s%s%s %s%s%s%s%s%s%s", verb, resource->group, *resource->group ? "/" : "",
                     resource->version, resource->plural, subresource ? "/" : "",
                     subresource ? subresource : "", of_namespace || name ? " " : "",
                     of_namespace ? namespace : "", of_namespace && name ? "/" : "",
                     name ? name : "");
}

/* What the API server takes as one segment of a path (IsValidPathSegmentName of
 * k8s.io/apimachinery/pkg/api/validation/path). "" would name the whole collection. */
static bool is_segment(const char *text)
{
    return *text && strcmp(text, ".") != 0 && strcmp(text, "..") != 0 && !strpbrk(text, "/%") &&
           strlen(text) <= KUBE_NAME_MAX;
}

int kube_check_names(const char *what, const struct kube_resource *resource, const char *namespace,
                     const char *name, struct kube_result *result)
{
    if (resource->namespaced && !namespace)
        return kube_result_fail(result, -EINVAL, what, "%s have a namespace, and none is given",
                                resource->plural);
    if (resource->namespaced && !is_segment(namespace))
        return kube_result_fail(result, -EINVAL, what, "\"%.64s\" can't be a namespace", namespace);
    if (name && !is_segment(name))
        return kube_result_fail(result, -EINVAL, what, "\"%.64s\" can't be a name", name);
    return 0;
}
