/* The graph of forwarded calls: rings in it, and how often a request crosses a path. */
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "model/mesh.h"

/* The forwarded call of that number, of all calls of a service in order; NULL: there are fewer. */
static const struct mesh_call *forwarded(const struct mesh_service *service, size_t *number)
{
    size_t seen = 0;

    for (unsigned g = 0; g < service->group_count; g++) {
        const struct mesh_group *group = &service->groups[g];
        if (*number >= seen + group->call_count) {
            seen += group->call_count;
            continue;
        }
        for (; *number < seen + group->call_count; ++*number)
            if (group->calls[*number - seen].forward &&
                group->calls[*number - seen].probability > 0)
                return &group->calls[*number - seen];
        seen += group->call_count;
    }
    return NULL;
}

/* Depth first, with a path of its own: a chain may be as long as there are services. */
struct walk {
    unsigned *path;
    size_t *next; /* of the call to look at, of each service on the path */
    size_t depth;
    char *state; /* of each service */
};
enum { NEW, ON_PATH, DONE };

/* A request that crosses more often than this has no end worth waiting for. */
enum { ROUNDS_MAX = 10000, ENDLESS = 1000000000 };

static void enter(struct walk *walk, unsigned service)
{
    walk->state[service] = ON_PATH;
    walk->path[walk->depth] = service;
    walk->next[walk->depth++] = 0;
}

/* The services on the path from this one on: a ring. */
static size_t take_ring(const struct walk *walk, unsigned from, unsigned *ring)
{
    size_t length = 0;

    for (size_t i = 0; i < walk->depth; i++)
        if (length > 0 || walk->path[i] == from)
            ring[length++] = walk->path[i];
    return length;
}

/* Walks all that requests to the entry come to. order: a service when all its callees were seen, so
 * that without rings they stand before it. The same results as mesh_find_ring(). */
static size_t walk_all(const struct mesh *mesh, unsigned entry, unsigned *order, size_t *ordered,
                       unsigned *ring)
{
    cleanup_free unsigned *path = xcalloc(mesh->count, sizeof *path);
    cleanup_free size_t *next = xcalloc(mesh->count, sizeof *next);
    cleanup_free char *state = xcalloc(mesh->count, 1);
    struct walk walk = {path, next, 0, state};
    size_t length = 0;

    enter(&walk, entry);
    while (walk.depth > 0) {
        unsigned at = path[walk.depth - 1];
        const struct mesh_call *call = forwarded(&mesh->services[at], &next[walk.depth - 1]);
        if (!call) {
            state[at] = DONE;
            order[(*ordered)++] = at;
            walk.depth--;
            continue;
        }
        next[walk.depth - 1]++;
        if (state[call->callee] == ON_PATH && length == 0)
            length = take_ring(&walk, call->callee, ring);
        else if (state[call->callee] == NEW)
            enter(&walk, call->callee);
    }
    return length;
}

size_t mesh_find_ring(const struct mesh *mesh, unsigned entry, unsigned *ret_ring)
{
    cleanup_free unsigned *order = xcalloc(mesh->count, sizeof *order);
    size_t ordered = 0;

    return walk_all(mesh, entry, order, &ordered, ret_ring);
}

/* Crossings that a request to the service makes, with what its callees' are taken to make. */
static double crossings_of(const struct mesh_service *service, const double *crossings)
{
    double sum = 2;

    for (unsigned g = 0; g < service->group_count; g++) {
        const struct mesh_group *group = &service->groups[g];
        double taken = (double)group->take / group->call_count;
        for (unsigned c = 0; c < group->call_count; c++) {
            const struct mesh_call *call = &group->calls[c];
            sum += taken * call->probability * (2 + (call->forward ? crossings[call->callee] : 0));
        }
    }
    return sum;
}

double mesh_crossings(const struct mesh *mesh, unsigned entry)
{
    cleanup_free unsigned *order = xcalloc(mesh->count, sizeof *order);
    cleanup_free unsigned *ring = xcalloc(mesh->count, sizeof *ring);
    cleanup_free double *crossings = xcalloc(mesh->count, sizeof *crossings);
    size_t ordered = 0;
    bool rings = walk_all(mesh, entry, order, &ordered, ring) > 0;

    /* Once is enough where nothing goes round. Else the sums grow towards their limit, if any. */
    for (unsigned round = 0; round < (rings ? ROUNDS_MAX : 1U); round++) {
        double grown = 0;
        for (size_t i = 0; i < ordered; i++) {
            double now = crossings_of(&mesh->services[order[i]], crossings);
            grown = fmax(grown, (now - crossings[order[i]]) / now);
            crossings[order[i]] = now;
        }
        if (!rings || grown < 1e-12)
            return crossings[entry];
        if (crossings[entry] > ENDLESS)
            break;
    }
    return INFINITY;
}
