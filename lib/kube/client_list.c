#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "kube/client_private.h"
#include "kube/json_split.h"

enum { QUERY_MAX = 64 << 10, ITEMS_A_PAGE = 500 };

struct list {
    const struct kube_resource *resource;
    int (*item)(void *context, json_t *object);
    void *context;
    struct json_split split;
    bool delivered;         /* an item of this page was given out */
    bool ended;             /* by the caller's item() */
    char *api_version;      /* what items of the list are */
    char *resource_version; /* of the first page */
    char *more;             /* the token for the next page; NULL: this was the last */
    char problem[JSON_ERROR_TEXT_LENGTH + 64]; /* why an item could not be read; "" otherwise */
};

/* One object of the page. Within a list of a built-in kind the API server leaves these two out. */
static int take_item(void *context, const char *text, size_t length)
{
    struct list *list = context;
    json_error_t where;
    json_auto_t *object = kube_json_load(text, length, &where);

    if (!object) {
        snprintf(list->problem, sizeof(list->problem), "an item is not JSON: %s", where.text);
        return -EPROTO;
    }
    if (!json_object_get(object, "kind"))
        json_object_set_new_nocheck(object, "kind", json_string(list->resource->kind));
    if (!json_object_get(object, "apiVersion"))
        json_object_set_new_nocheck(object, "apiVersion", json_string(list->api_version));
    list->delivered = true;
    int ret = list->item(list->context, object);
    list->ended = ret < 0;
    return ret;
}

static int take_page(void *context, const char *data, size_t size)
{
    struct list *list = context;
    return json_split_feed(&list->split, data, size);
}

static bool rewind_page(void *context)
{
    struct list *list = context;

    if (list->delivered)
        return false;
    json_split_reset(&list->split);
    return true;
}

/* What the page says beside its items. */
static int read_rest(struct list *list)
{
    size_t length;
    const char *text = json_split_rest(&list->split, &length);
    json_error_t where;
    json_auto_t *rest = kube_json_load(text, length, &where);
    const json_t *metadata = json_object_get(rest, "metadata");
    const char *version = json_string_value(json_object_get(metadata, "resourceVersion"));
    const char *more = json_string_value(json_object_get(metadata, "continue"));

    if (!rest || !json_is_object(metadata)) {
        snprintf(list->problem, sizeof(list->problem), "the answer is not a list: %s",
                 rest ? "it has no metadata" : where.text);
        return -EPROTO;
    }
    if (!list->resource_version)
        list->resource_version = xstrdup(version ? version : "");
    free(list->more);
    list->more = more && *more ? xstrdup(more) : NULL;
    return 0;
}

static void page_query(struct buffer *query, const struct kube_list_options *options,
                       const char *more)
{
    char limit[16];
    const char *version = options->resource_version;

    snprintf(limit, sizeof(limit), "%u", options->limit ? options->limit : ITEMS_A_PAGE);
    buffer_clear(query);
    kube_append_query(query, "labelSelector", options->label_selector);
    kube_append_query(query, "fieldSelector", options->field_selector);
    kube_append_query(query, "limit", limit);
    kube_append_query(query, "continue", more);
    if (!more && version) {
        kube_append_query(query, "resourceVersion", version);
        /* With a limit, the default would be exactly this version. */
        if (*version && strcmp(version, "0") != 0)
            kube_append_query(query, "resourceVersionMatch", "NotOlderThan");
    }
    buffer_terminate(query);
}

/* Says in the result what this side did not like about the answer. */
static int explain(const struct kube_call *call, const struct list *list, int ret,
                   struct kube_result *result)
{
    if (list->ended)
        return kube_result_fail(result, ret, call->what, "ended by its caller: %s", strerror(-ret));
    if (*list->problem)
        return kube_result_fail(result, ret, call->what, "%s", list->problem);
    if (ret == -EMSGSIZE)
        return kube_result_fail(result, ret, call->what, "an item has more than %zu bytes",
                                call->client->answer_bytes);
    if (list->split.failed < 0)
        return kube_result_fail(result, ret, call->what, "the answer is not a list of objects");
    return ret;
}

static int get_page(const struct kube_call *call, struct list *list, struct kube_result *result)
{
    json_split_reset(&list->split);
    list->delivered = false;
    int ret = kube_call_run(call, result);
    if (ret == 0)
        ret = json_split_end(&list->split);
    if (ret == 0)
        ret = read_rest(list);
    return ret < 0 ? explain(call, list, ret, result) : 0;
}

static int get_pages(struct kube_call *call, const struct kube_list_options *options,
                     struct list *list, struct kube_result *result)
{
    cleanup_buffer struct buffer query = BUFFER_INIT(QUERY_MAX);
    int ret;

    do {
        page_query(&query, options, list->more);
        call->query = query.data;
        ret = get_page(call, list, result);
    } while (ret == 0 && list->more);
    return ret;
}

int kube_list(struct kube_client *client, const struct kube_resource *resource,
              const char *namespace, const struct kube_list_options *options,
              int (*item)(void *context, json_t *object), void *context, const bool *stop,
              char **ret_resource_version, struct kube_result *result)
{
    static const struct kube_list_options none = {.limit = 0};
    cleanup_free char *what = kube_describe("LIST", resource, namespace, NULL, NULL);
    cleanup_free char *path = kube_path(resource, namespace, NULL, NULL);
    struct list list = {.resource = resource, .item = item, .context = context};
    struct kube_call call = {.client = client,
                             .method = "GET",
                             .what = what,
                             .path = path,
                             .repeatable = true,
                             .stop = stop,
                             .sink = take_page,
                             .rewind = rewind_page,
                             .sink_context = &list};

    kube_result_free(result);
    int ret = namespace ? kube_check_names(what, resource, namespace, NULL, result) : 0;
    if (ret < 0)
        return ret;
    if (!options)
        options = &none;
    list.api_version =
        xasprintf("%s%s%s", resource->group, *resource->group ? "/" : "", resource->version);
    struct json_split_options cut = {.items = true,
                                     .strip_managed_fields = options->strip_managed_fields,
                                     .value_bytes = client->answer_bytes,
                                     .value = take_item,
                                     .context = &list};
    json_split_init(&list.split, &cut);
    ret = get_pages(&call, options, &list, result);
    if (ret == 0 && ret_resource_version)
        *ret_resource_version = STEAL_POINTER(list.resource_version);
    json_split_free(&list.split);
    free(list.api_version);
    free(list.resource_version);
    free(list.more);
    return ret;
}
