/*
 * Barabasi-Albert graphs, by igraph. Loaded when they are asked for: linked, it would bring BLAS,
 * LAPACK, XML and seventeen more libraries to each start of each verb (docs/dependencies.md).
 */
#include <dlfcn.h>
#include <errno.h>
#include <igraph.h>
#include <string.h>

#include "ctl/generate.h"

/* The library whose header this was compiled with. */
#if IGRAPH_VERSION_MAJOR != 0 || IGRAPH_VERSION_MINOR != 10
#error "this is written for igraph 0.10; look up the name of its shared object, and the calls below"
#endif
#define LIBRARY "libigraph.so.3"

/* What of it is called, by the types of its header. */
struct igraph {
    __typeof__(&igraph_set_error_handler) set_error_handler;
    __typeof__(&igraph_error_handler_ignore) ignore;
    __typeof__(&igraph_strerror) strerror;
    __typeof__(&igraph_rng_init) rng_init;
    __typeof__(&igraph_rng_seed) rng_seed;
    __typeof__(&igraph_rng_default) rng_default;
    __typeof__(&igraph_rng_set_default) rng_set_default;
    __typeof__(&igraph_rng_destroy) rng_destroy;
    __typeof__(&igraph_rngtype_mt19937) mt19937;
    __typeof__(&igraph_barabasi_game) barabasi_game;
    __typeof__(&igraph_ecount) ecount;
    __typeof__(&igraph_edge) edge;
    __typeof__(&igraph_destroy) destroy;
};

static const struct symbol {
    const char *name;
    size_t offset; /* in struct igraph */
} symbols[] = {
    {"igraph_set_error_handler", offsetof(struct igraph, set_error_handler)},
    {"igraph_error_handler_ignore", offsetof(struct igraph, ignore)},
    {"igraph_strerror", offsetof(struct igraph, strerror)},
    {"igraph_rng_init", offsetof(struct igraph, rng_init)},
    {"igraph_rng_seed", offsetof(struct igraph, rng_seed)},
    {"igraph_rng_default", offsetof(struct igraph, rng_default)},
    {"igraph_rng_set_default", offsetof(struct igraph, rng_set_default)},
    {"igraph_rng_destroy", offsetof(struct igraph, rng_destroy)},
    {"igraph_rngtype_mt19937", offsetof(struct igraph, mt19937)},
    {"igraph_barabasi_game", offsetof(struct igraph, barabasi_game)},
    {"igraph_ecount", offsetof(struct igraph, ecount)},
    {"igraph_edge", offsetof(struct igraph, edge)},
    {"igraph_destroy", offsetof(struct igraph, destroy)},
};

/* Stays loaded, as its threads' libraries do not like to be let go of. */
static int load(struct igraph *ret_igraph, struct error **err)
{
    void *library = dlopen(LIBRARY, RTLD_LAZY | RTLD_LOCAL);

    if (!library)
        return error_make(err, ENOENT,
                          "%s, which makes Barabasi-Albert graphs, is not there; install it, or "
                          "give another --shape",
                          LIBRARY);
    for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
        void *symbol = dlsym(library, symbols[i].name);
        if (!symbol)
            return error_make(err, ENOENT, "%s has no %s; is it igraph 0.10?", LIBRARY,
                              symbols[i].name);
        memcpy((char *)ret_igraph + symbols[i].offset, &symbol, sizeof(symbol));
    }
    ret_igraph->set_error_handler(ret_igraph->ignore);
    return 0;
}

/* The generator is named, so that the sequence does not hang on which is the library's default. */
static igraph_error_t play(const struct igraph *igraph, const struct generate *generate,
                           igraph_t *ret_made)
{
    igraph_rng_t rng;

    /* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): load() filled in all of it */
    igraph_error_t failed = igraph->rng_init(&rng, igraph->mt19937);
    if (failed != IGRAPH_SUCCESS)
        return failed;
    igraph->rng_seed(&rng, (igraph_uint_t)generate->seed);
    igraph_rng_t *usual = igraph->rng_default();
    igraph->rng_set_default(&rng);
    failed = igraph->barabasi_game(ret_made, generate->vertices, generate->power,
                                   generate->edges_per_vertex, NULL, false, generate->zero_appeal,
                                   true, IGRAPH_BARABASI_PSUMTREE, NULL);
    igraph->rng_set_default(usual);
    igraph->rng_destroy(&rng);
    return failed;
}

int graph_barabasi_igraph(const struct generate *generate, struct service_graph *graph,
                          struct error **err)
{
    struct igraph igraph;
    igraph_t made;
    igraph_integer_t newer, older;

    int ret = load(&igraph, err);
    if (ret < 0)
        return ret;
    igraph_error_t failed = play(&igraph, generate, &made);
    if (failed != IGRAPH_SUCCESS)
        return error_make(err, EINVAL, "igraph can't make such a graph: %s",
                          igraph.strerror(failed));
    for (igraph_integer_t i = 0; i < igraph.ecount(&made); i++) {
        /* igraph's edges go from the newer to the older; who was there first calls. */
        igraph.edge(&made, i, &newer, &older);
        graph_add(graph, (unsigned)older, (unsigned)newer);
    }
    igraph.destroy(&made);
    return 0;
}
