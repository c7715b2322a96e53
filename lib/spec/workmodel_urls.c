/*
 * Where callees answer in a cluster, as far as their names do not tell: an agent that is told
 * nothing else calls http://NAME:8080 with its own path, in its own namespace. A work model knows
 * each service's path and namespace, so that an import writes the URLs of those that differ into
 * the callers, and an export leaves them out again.
 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "spec/settings_private.h"
#include "spec/workmodel_private.h"

enum { HTTP_PORT = 8080 /* of every DpuService that an import makes */ };

static bool same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

char *workmodel_url(const struct workmodel_end *caller, const struct workmodel_end *callee)
{
    bool beside = same(caller->namespace, callee->namespace) || !callee->namespace;

    if (beside && same(caller->path, callee->path))
        return NULL;
    return xasprintf("http://%s%s%s%s:%d%s", callee->name, beside ? "" : ".",
                     beside ? "" : callee->namespace, beside ? "" : ".svc", HTTP_PORT,
                     callee->path);
}

/* What calls need to know of a document. */
static struct workmodel_end end_of(const struct workmodel_document *made)
{
    const json_t *metadata = json_object_get(made->object, "metadata");
    const json_t *workload = json_object_get(json_object_get(made->object, "spec"), "workload");
    const char *path = json_string_value(json_object_get(workload, "path"));

    return (struct workmodel_end){
        .name = json_string_value(json_object_get(metadata, "name")),
        .namespace = json_string_value(json_object_get(metadata, "namespace")),
        .path = path ? path : workmodel_named(workmodel_workload_record(), "path")->fallback};
}

/* In the order of the model, so that it does not matter where in a service a call stands. */
static int compare(const void *a, const void *b)
{
    const struct workmodel_edge *x = a, *y = b;

    if (x->caller != y->caller)
        return x->caller < y->caller ? -1 : 1;
    return (x->callee > y->callee) - (x->callee < y->callee);
}

struct workmodel_edge *workmodel_edges(const struct workmodel_calls *calls,
                                       const struct workmodel_documents *made, size_t *ret_count)
{
    struct workmodel_edge *edges = xcalloc(calls->count + 1, sizeof(*edges));
    json_auto_t *index = json_object();
    size_t count = 0, kept = 0;

    for (size_t i = 0; i < made->count; i++)
        json_object_set_new(index, end_of(&made->items[i]).name, json_integer((json_int_t)i));
    for (size_t i = 0; i < calls->count; i++) {
        const struct workmodel_call *call = &calls->items[i];
        const json_t *number = json_object_getn(index, call->callee, call->length);
        if (number && !call->never)
            edges[count++] =
                (struct workmodel_edge){call->caller, (size_t)json_integer_value(number), call};
    }
    qsort(edges, count, sizeof(*edges), compare);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || compare(&edges[kept - 1], &edges[i]) != 0)
            edges[kept++] = edges[i];
    *ret_count = kept;
    return edges;
}

static void add_destination(struct workmodel_document *caller, const struct workmodel_call *call,
                            const char *name, const char *url)
{
    json_t *egress = json_object_get(json_object_get(caller->object, "spec"), "egress");
    json_t *destinations = json_object_get(egress, "destinations");

    if (!destinations) {
        destinations = json_array();
        json_object_set_new(egress, "destinations", destinations);
    }
    if (json_array_size(destinations) < DESTINATIONS_MAX) {
        json_array_append_new(destinations, json_pack("{s:s, s:s}", "name", name, "url", url));
        return;
    }
    cleanup_free char *note =
        xasprintf("%s: answers at %s, where a pod will not find it: a DpuService may have %d "
                  "destinations; give both services one path and namespace",
                  call->origin, url, DESTINATIONS_MAX);
    json_array_append_new(caller->notes, json_string_nocheck(note));
}

void workmodel_add_urls(const struct workmodel_calls *calls, struct workmodel_documents *made)
{
    size_t count;
    cleanup_free struct workmodel_edge *edges = workmodel_edges(calls, made, &count);

    for (size_t i = 0; i < count; i++) {
        struct workmodel_document *caller = &made->items[edges[i].caller];
        struct workmodel_end from = end_of(caller), to = end_of(&made->items[edges[i].callee]);
        cleanup_free char *url = workmodel_url(&from, &to);
        if (url)
            add_destination(caller, edges[i].call, to.name, url);
    }
}
