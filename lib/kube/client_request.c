#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "kube/client_private.h"

/* What the calls below have in common. Names that are NULL stand for the collection. */
struct request {
    const char *method;
    const char *namespace, *name, *subresource;
    const char *query;
    const char *content_type;
    const json_t *body;
    enum kube_answer answer;
    bool repeatable;
};

static int send_request(struct kube_client *client, const struct kube_resource *resource,
                        const struct request *request, struct kube_result *result)
{
    cleanup_free char *what = kube_describe(request->method, resource, request->namespace,
                                            request->name, request->subresource);
    cleanup_free char *path =
        kube_path(resource, request->namespace, request->name, request->subresource);
    cleanup_free char *body = request->body ? json_dumps(request->body, JSON_COMPACT) : NULL;

    kube_result_free(result);
    int ret = kube_check_names(what, resource, request->namespace, request->name, result);
    if (ret < 0)
        return ret;
    if (request->body && !body)
        return kube_result_fail(result, -EINVAL, what, "the body can't be written as JSON");
    struct kube_call call = {.client = client,
                             .method = request->method,
                             .what = what,
                             .path = path,
                             .query = request->query,
                             .content_type = request->content_type,
                             .body = body,
                             .body_length = body ? strlen(body) : 0,
                             .answer = request->answer,
                             .repeatable = request->repeatable};
    return kube_call_run(&call, result);
}

/* Callers give "" by mistake as easily as NULL; either would name the whole collection. */
static const char *some_name(const char *name)
{
    return name ? name : "";
}

int kube_get(struct kube_client *client, const struct kube_resource *resource,
             const char *namespace, const char *name, struct kube_result *result)
{
    struct request request = {
        .method = "GET", .namespace = namespace, .name = some_name(name), .repeatable = true};
    return send_request(client, resource, &request, result);
}

int kube_create(struct kube_client *client, const struct kube_resource *resource,
                const char *namespace, const json_t *body, struct kube_result *result)
{
    return kube_create_with(client, resource, namespace, body, NULL, result);
}

int kube_update(struct kube_client *client, const struct kube_resource *resource,
                const char *namespace, const char *name, const json_t *body,
                struct kube_result *result)
{
    struct request request = {
        .method = "PUT", .namespace = namespace, .name = some_name(name), .body = body};
    return send_request(client, resource, &request, result);
}

/* The query of a write; out.data is never NULL afterwards. */
static void write_query(struct buffer *out, const struct kube_write_options *options, bool apply)
{
    if (options) {
        kube_append_query(out, "fieldManager", options->manager);
        kube_append_query(out, "force", apply && options->force ? "true" : NULL);
        kube_append_query(out, "dryRun", options->dry_run ? "All" : NULL);
    }
    buffer_terminate(out);
}

int kube_create_with(struct kube_client *client, const struct kube_resource *resource,
                     const char *namespace, const json_t *body,
                     const struct kube_write_options *options, struct kube_result *result)
{
    cleanup_buffer struct buffer query = BUFFER_INIT(KUBE_NAME_MAX * 4);

    write_query(&query, options, false);
    struct request request = {.method = "POST",
                              .namespace = namespace,
                              .query = query.data,
                              .body = body,
                              .answer = options ? options->answer : KUBE_ANSWER_WHOLE};
    return send_request(client, resource, &request, result);
}

int kube_patch(struct kube_client *client, const struct kube_resource *resource,
               const char *namespace, const char *name, enum kube_patch_type type,
               const json_t *patch, const struct kube_write_options *options,
               struct kube_result *result)
{
    static const char *const content_types[] = {[KUBE_PATCH_MERGE] = "application/merge-patch+json",
                                                [KUBE_PATCH_JSON] = "application/json-patch+json",
                                                [KUBE_PATCH_STRATEGIC] =
                                                    "application/strategic-merge-patch+json"};
    cleanup_buffer struct buffer query = BUFFER_INIT(KUBE_NAME_MAX * 4);

    write_query(&query, options, false);
    struct request request = {.method = "PATCH",
                              .namespace = namespace,
                              .name = some_name(name),
                              .subresource = options ? options->subresource : NULL,
                              .query = query.data,
                              .content_type = content_types[type],
                              .body = patch,
                              .answer = options ? options->answer : KUBE_ANSWER_WHOLE};
    return send_request(client, resource, &request, result);
}

int kube_apply(struct kube_client *client, const struct kube_resource *resource, const json_t *body,
               const struct kube_write_options *options, struct kube_result *result)
{
    const json_t *metadata = json_object_get(body, "metadata");
    cleanup_buffer struct buffer query = BUFFER_INIT(KUBE_NAME_MAX * 4);

    write_query(&query, options, true);
    struct request request = {
        .method = "PATCH",
        .namespace = json_string_value(json_object_get(metadata, "namespace")),
        .name = some_name(json_string_value(json_object_get(metadata, "name"))),
        .subresource = options ? options->subresource : NULL,
        .query = query.data,
        .content_type = "application/apply-patch+yaml",
        .body = body,
        .answer = options ? options->answer : KUBE_ANSWER_WHOLE,
        .repeatable = true};
    if (!options || !options->manager || !*options->manager) {
        cleanup_free char *what =
            kube_describe("PATCH", resource, request.namespace, request.name, request.subresource);
        kube_result_free(result);
        return kube_result_fail(result, -EINVAL, what, "an apply needs a field manager");
    }
    return send_request(client, resource, &request, result);
}

int kube_delete(struct kube_client *client, const struct kube_resource *resource,
                const char *namespace, const char *name, const char *uid,
                struct kube_result *result)
{
    json_auto_t *body = json_pack("{s:s, s:s, s:s}", "kind", "DeleteOptions", "apiVersion", "v1",
                                  "propagationPolicy", "Background");

    if (uid)
        json_object_set_new(body, "preconditions", json_pack("{s:s}", "uid", uid));
    struct request request = {.method = "DELETE",
                              .namespace = namespace,
                              .name = some_name(name),
                              .body = body,
                              .repeatable = uid != NULL};
    return send_request(client, resource, &request, result);
}

int kube_request(struct kube_client *client, const char *method, const char *path,
                 const char *query, const char *content_type, const json_t *body,
                 struct kube_result *result)
{
    cleanup_free char *what = xasprintf("%s %s", method, path);
    cleanup_free char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;

    kube_result_free(result);
    if (*path != '/')
        return kube_result_fail(result, -EINVAL, what, "a path begins with /");
    if (body && !text)
        return kube_result_fail(result, -EINVAL, what, "the body can't be written as JSON");
    struct kube_call call = {.client = client,
                             .method = method,
                             .what = what,
                             .path = path,
                             .query = query,
                             .content_type = content_type,
                             .body = text,
                             .body_length = text ? strlen(text) : 0,
                             .repeatable = strcmp(method, "GET") == 0};
    return kube_call_run(&call, result);
}

int kube_read(struct kube_client *client, const char *path, const struct kube_read_options *options,
              int (*sink)(void *context, const char *data, size_t size), void *context,
              struct kube_result *result)
{
    static const struct kube_read_options none = {.query = NULL};
    cleanup_free char *what = xasprintf("GET %s", path);

    kube_result_free(result);
    if (*path != '/')
        return kube_result_fail(result, -EINVAL, what, "a path begins with /");
    if (!options)
        options = &none;
    struct kube_call call = {.client = client,
                             .method = "GET",
                             .what = what,
                             .path = path,
                             .query = options->query,
                             .accept = "*/*",
                             .repeatable = true,
                             .stream = options->stream,
                             .idle_ns = options->stream ? options->idle_ns : 0,
                             .stop = options->stop,
                             .sink = sink,
                             .sink_context = context};
    return kube_call_run(&call, result);
}
