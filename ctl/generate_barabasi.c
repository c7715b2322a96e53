/* Barabasi-Albert graphs, by igraph. In a library of its own, which links it. */
#include <errno.h>
#include <igraph.h>

#include "ctl/generate.h"

int graph_barabasi_igraph(const struct generate *generate, struct service_graph *graph,
                          struct error **err)
{
    igraph_rng_t rng;
    igraph_t made;
    igraph_integer_t newer, older;

    igraph_set_error_handler(igraph_error_handler_ignore);
    /* Named, so that the sequence does not hang on which generator is the library's default. */
    igraph_error_t failed = igraph_rng_init(&rng, &igraph_rngtype_mt19937);
    if (failed == IGRAPH_SUCCESS) {
        igraph_rng_seed(&rng, (igraph_uint_t)generate->seed);
        igraph_rng_t *usual = igraph_rng_default();
        igraph_rng_set_default(&rng);
        failed = igraph_barabasi_game(&made, generate->vertices, generate->power,
                                      generate->edges_per_vertex, NULL, false,
                                      generate->zero_appeal, true, IGRAPH_BARABASI_PSUMTREE, NULL);
        igraph_rng_set_default(usual);
        igraph_rng_destroy(&rng);
    }
    if (failed != IGRAPH_SUCCESS)
        return error_make(err, EINVAL, "igraph can't make such a graph: %s",
                          igraph_strerror(failed));
    for (igraph_integer_t i = 0; i < igraph_ecount(&made); i++) {
        /* igraph's edges go from the newer to the older; who was there first calls. */
        igraph_edge(&made, i, &newer, &older);
        graph_add(graph, (unsigned)older, (unsigned)newer);
    }
    igraph_destroy(&made);
    return 0;
}
