/* The shapes of a service graph. */
#include <errno.h>
#include <stdlib.h>

#include "base/memory.h"
#include "ctl/generate.h"
#include "model/random.h"

int (*graph_barabasi)(const struct generate *generate, struct service_graph *graph,
                      struct error **err);

void graph_add(struct service_graph *graph, unsigned caller, unsigned callee)
{
    /* Twice the room at every power of two. */
    if ((graph->edge_count & (graph->edge_count - 1)) == 0)
        graph->edges = xreallocarray(graph->edges, graph->edge_count ? 2 * graph->edge_count : 1,
                                     sizeof(*graph->edges));
    graph->edges[graph->edge_count++] = (struct service_edge){caller, callee};
}

/* Service i is called by the one that is `arity` times nearer to the root. */
static void make_tree(unsigned arity, struct service_graph *graph)
{
    for (unsigned i = 1; i < graph->vertices; i++)
        graph_add(graph, (i - 1) / arity, i);
}

/* count different ones of the width services from first on, in place of a shuffle's whole deck. */
static void add_callers(struct random_stream *stream, unsigned first, unsigned width,
                        unsigned count, unsigned callee, struct service_graph *graph)
{
    cleanup_free unsigned *deck = xcalloc(width, sizeof(*deck));

    for (unsigned i = 0; i < width; i++)
        deck[i] = first + i;
    for (unsigned i = 0; i < count && i < width; i++) {
        unsigned taken = (unsigned)random_range(stream, i, width - 1);
        unsigned caller = deck[taken];
        deck[taken] = deck[i];
        deck[i] = caller;
        graph_add(graph, caller, callee);
    }
}

/* depth layers of width services below the first; each is called by some of the layer above. */
static void make_dag(const struct generate *generate, struct service_graph *graph)
{
    struct random_stream stream;

    random_seed(&stream, generate->seed, PURPOSE_SHAPE);
    for (unsigned layer = 0; layer < generate->depth; layer++) {
        for (unsigned i = 0; i < generate->width; i++) {
            unsigned callee = 1 + layer * generate->width + i;
            if (layer == 0)
                graph_add(graph, 0, callee);
            else
                add_callers(&stream, 1 + (layer - 1) * generate->width, generate->width,
                            generate->edges_per_vertex, callee, graph);
        }
    }
}

static int compare_edges(const void *a, const void *b)
{
    const struct service_edge *one = a, *other = b;

    if (one->caller != other->caller)
        return one->caller < other->caller ? -1 : 1;
    return one->callee < other->callee ? -1 : one->callee > other->callee;
}

int graph_make(const struct generate *generate, struct service_graph *ret_graph, struct error **err)
{
    struct service_graph graph = {.vertices = generate->vertices};
    int ret = 0;

    switch ((enum generate_shape)generate->shape) {
    case SHAPE_BARABASI:
        ret = graph_barabasi ? graph_barabasi(generate, &graph, err)
                             : error_make(err, EINVAL,
                                          "this dpumesh was built without igraph, which makes "
                                          "Barabasi-Albert graphs; give another --shape");
        break;
    case SHAPE_TREE:
        make_tree(generate->arity, &graph);
        break;
    case SHAPE_CHAIN:
        make_tree(1, &graph);
        break;
    case SHAPE_FAN:
        make_tree(graph.vertices, &graph);
        break;
    case SHAPE_DAG:
        graph.vertices = 1 + generate->depth * generate->width;
        make_dag(generate, &graph);
        break;
    }
    if (ret < 0) {
        graph_free(&graph);
        return ret;
    }
    if (graph.edge_count > 0)
        qsort(graph.edges, graph.edge_count, sizeof(*graph.edges), compare_edges);
    *ret_graph = graph;
    return 0;
}

void graph_free(struct service_graph *graph)
{
    free(graph->edges);
    *graph = (struct service_graph){0};
}
