/*
 * How many calls in a row may lead to a service. muBench knows no limit, and an agent takes a
 * request that came farther than spec.egress.forward.hops for one that goes round for ever. So an
 * import writes a larger number where the work model's calls lead farther than the default, and an
 * export leaves it out again.
 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "spec/dpuservice.h"
#include "spec/workmodel_private.h"

/* Where the edges of each service begin, sorted by caller as they are; services + 1 of them. */
static size_t *edges_begin(const struct workmodel_edge *edges, size_t count, size_t services)
{
    size_t *first = xcalloc(services + 1, sizeof(*first));

    for (size_t i = 0; i < count; i++)
        first[edges[i].caller + 1]++;
    for (size_t i = 0; i < services; i++)
        first[i + 1] += first[i];
    return first;
}

/* The longest way of calls that ends at each service, in topological order (Kahn). Where calls come
 * back, and behind, as many as lead there before one does: to each of those services once. Owned by
 * the caller. */
static unsigned *depths_of(const struct workmodel_edge *edges, size_t count, size_t services)
{
    cleanup_free size_t *first = edges_begin(edges, count, services);
    cleanup_free size_t *callers = xcalloc(services + 1, sizeof(*callers));
    cleanup_free size_t *queue = xcalloc(services + 1, sizeof(*queue));
    unsigned *depths = xcalloc(services + 1, sizeof(*depths));
    size_t queued = 0;
    unsigned entered = 0;

    for (size_t i = 0; i < count; i++)
        callers[edges[i].callee]++;
    for (size_t i = 0; i < services; i++)
        if (callers[i] == 0)
            queue[queued++] = i;
    for (size_t i = 0; i < queued; i++) {
        size_t caller = queue[i];
        for (size_t j = first[caller]; j < first[caller + 1]; j++) {
            size_t callee = edges[j].callee;
            if (depths[callee] <= depths[caller])
                depths[callee] = depths[caller] + 1;
            if (--callers[callee] == 0)
                queue[queued++] = callee;
        }
    }
    for (size_t i = 0; i < services; i++)
        if (callers[i] > 0 && depths[i] > entered)
            entered = depths[i];
    for (size_t i = 0; i < services; i++)
        if (callers[i] > 0)
            depths[i] = entered + (unsigned)(services - queued) - 1;
    return depths;
}

/* spec.egress.forward.hops */
static const struct field *hops_field(void)
{
    const struct record *egress = workmodel_named(workmodel_spec_record(), "egress")->record;
    return workmodel_named(workmodel_named(egress, "forward")->record, "hops");
}

unsigned workmodel_hops(unsigned depth)
{
    const struct field *field = hops_field();
    unsigned usual = (unsigned)strtoul(field->fallback, NULL, 10);

    return depth <= usual ? usual : depth < (unsigned)field->max ? depth : (unsigned)field->max;
}

void workmodel_add_hops(const struct workmodel_calls *calls, const struct place *model,
                        struct workmodel_documents *made)
{
    size_t count;
    cleanup_free struct workmodel_edge *edges = workmodel_edges(calls, made, &count);
    cleanup_free unsigned *depths = depths_of(edges, count, made->count);

    for (size_t i = 0; i < made->count; i++) {
        struct workmodel_document *document = &made->items[i];
        unsigned hops = workmodel_hops(depths[i]);
        if (hops == workmodel_hops(0))
            continue;
        json_object_set_new(json_object_get(json_object_get(document->object, "spec"), "egress"),
                            "forward", json_pack("{s:i}", "hops", (int)hops));
        if (depths[i] <= hops)
            continue;
        struct place at =
            PLACE_KEY(model, json_string_value(json_object_get(
                                 json_object_get(document->object, "metadata"), "name")));
        cleanup_free char *origin = place_origin(&at);
        cleanup_free char *note =
            xasprintf("%s: up to %u calls in a row lead to it; a request that came by more than %u "
                      "is answered 508",
                      origin, depths[i], hops);
        json_array_append_new(document->notes, json_string_nocheck(note));
    }
}

enum { EDGES_ROOM = 64 /* at first */ };

struct edge_list {
    json_t *index; /* name to place */
    size_t caller; /* whose calls are added */
    size_t count, room;
    struct workmodel_edge *items;
};

static void add_edge(void *context, const struct external_call *call)
{
    struct edge_list *list = context;
    const json_t *callee = json_object_get(list->index, call->service);

    if (!callee || call->probability <= 0)
        return;
    if (list->count == list->room) {
        list->room *= 2;
        list->items = xreallocarray(list->items, list->room, sizeof(*list->items));
    }
    list->items[list->count++] = (struct workmodel_edge){
        .caller = list->caller, .callee = (size_t)json_integer_value(callee)};
}

unsigned *workmodel_depths(const struct application *application)
{
    json_auto_t *index = json_object();
    struct edge_list list = {
        .index = index, .room = EDGES_ROOM, .items = xcalloc(EDGES_ROOM, sizeof(*list.items))};

    for (size_t i = 0; i < application->count; i++)
        json_object_set_new(index, application->services[i]->name, json_integer((json_int_t)i));
    for (size_t i = 0; i < application->count; i++) {
        list.caller = i;
        workload_each_call(&application->services[i]->workload, add_edge, &list);
    }
    unsigned *depths = depths_of(list.items, list.count, application->count);
    free(list.items);
    return depths;
}
