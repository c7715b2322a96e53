/*
 * dpumesh generate: a graph of services, then what they do. The parts that other files share: the
 * options, and the graph on its way from its shape to documents. One thread.
 */
#ifndef DPUMESH_CTL_GENERATE_H
#define DPUMESH_CTL_GENERATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/option.h"
#include "ctl/generate_parameters.h"
#include "doc/problem.h"

enum generate_shape { SHAPE_BARABASI, SHAPE_TREE, SHAPE_CHAIN, SHAPE_FAN, SHAPE_DAG };

struct generate {
    unsigned shape; /* enum generate_shape */
    unsigned vertices, edges_per_vertex, arity, depth, width;
    double power, zero_appeal;
    uint64_t seed;
    unsigned groups, seq_len; /* seq_len 0: all of a group */
    const char *probability;  /* "0.5" or "random" */
    struct option_list databases, functions, database_functions;
    unsigned replicas, node_port; /* node_port 0: none */
    const char *namespace, *image, *egress;
    const char *output, *picture, *mubench;
    struct generate_parameters parameters; /* of muBench's files */
};

/* Streams of one seed: what one option draws does not change what another does. */
enum generate_purpose {
    PURPOSE_SHAPE = 1,
    PURPOSE_PROBABILITY,
    PURPOSE_DATABASE,
    PURPOSE_WORK,
    PURPOSE_DATABASE_WORK
};

/* Service 0 is where requests come in; an edge goes from a caller to a callee of a higher number,
 * so there is no cycle. */
struct service_graph {
    unsigned vertices;
    size_t edge_count;
    struct service_edge {
        unsigned caller, callee;
    } *edges; /* sorted by caller, then callee */
};

/* Makes the graph of the shape. 0 and *ret_graph (graph_free() it), or -EINVAL and a sentence. */
int graph_make(const struct generate *generate, struct service_graph *ret_graph,
               struct error **err);

/* Appends an edge. */
void graph_add(struct service_graph *graph, unsigned caller, unsigned callee);

/* Frees the edges; the graph is empty again. */
void graph_free(struct service_graph *graph);
#define cleanup_graph CLEANUP(graph_free)

/*
 * A Barabasi-Albert graph as muBench makes it: each service but the first is called by
 * edges_per_vertex of those before it, which are chosen with a probability in proportion to d^power
 * + zero_appeal, d being how many they call already. By igraph; NULL in a program without it.
 * Adds the edges, in no order. 0 or a negative errno and a sentence.
 */
extern int (*graph_barabasi)(const struct generate *generate, struct service_graph *graph,
                             struct error **err);

/* graph_barabasi's function, in the library that links igraph. */
int graph_barabasi_igraph(const struct generate *generate, struct service_graph *graph,
                          struct error **err);

/*
 * The graph as muBench's servicegraph.json: calls in groups, databases, probabilities. 0 and
 * *ret_services (an object, owned by the caller), or -EINVAL and a sentence.
 */
int generate_calls(const struct generate *generate, const struct service_graph *graph,
                   json_t **ret_services, struct error **err);

/*
 * Gives each of the services its work, by the ratios of the options or of muBench's file, and what
 * else these set: muBench's workmodel.json. 0 and *ret_model (owned by the caller), or -EINVAL and
 * problems. Overrides of services that there are not are added to the parameters' notes.
 */
int generate_work(const struct generate *generate, json_t *services, json_t **ret_model,
                  struct problems *problems);

/* Whether the service is one of the databases: of --database, or by muBench's databases_prefix. */
bool generate_is_database(const struct generate *generate, const char *name);

/*
 * Reads "NAME=WEIGHT", a weight of at least 0. 0, *ret_name (owned by the caller) and *ret_weight,
 * or -EINVAL and a sentence.
 */
int generate_weight(const char *text, char **ret_name, double *ret_weight, struct error **err);

/*
 * Draws the calls with graphviz: path ends in .svg or .png, or in .dot for graphviz's own language,
 * which takes no program. 0, or a negative errno and a sentence.
 */
int generate_draw(const struct generate *generate, json_t *model, const char *path,
                  struct error **err);

/* Whether generate_draw() knows what path ends in. */
bool generate_draws(const char *path);

#endif
