/*
 * A whole application in virtual time: services with replicas, what a request does in each (digits
 * of pi, a sleep, groups of calls), and each replica's half of a data path (pod.h). An open loop of
 * requests comes to one service, and each is followed to its answer.
 *
 *     struct mesh_result result;
 *     struct mesh_service_result services[COUNT];
 *     mesh_simulate(&mesh, &load, &result, services);
 *
 * A request crosses its replica's data path once in, its answer once out; a call once out, its
 * answer once in. A simulated call takes a latency drawn from a distribution; a forwarded one is a
 * request to the callee, which costs what it costs there. What the network takes by itself is left
 * out. Rules are the agent's: who is refused, when a call has an egress worker, what a timeout
 * ends.
 *
 * Pure: the result depends on the arguments alone (same seed, same result). The arguments are read
 * only. Any thread.
 */
#ifndef DPUMESH_MODEL_MESH_H
#define DPUMESH_MODEL_MESH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/distribution.h"
#include "model/profile.h"
#include "model/work.h"

enum { MESH_CALLS_MAX = 128 }; /* of a group */

struct mesh_call {
    unsigned callee;                    /* index of a service; counts when the call is forwarded */
    bool forward;                       /* else simulated */
    double probability;                 /* that it is made at all */
    const struct distribution *latency; /* when simulated; NULL: the calling service's */
};

/* Groups run in parallel, the calls of one in sequence. */
struct mesh_group {
    unsigned take; /* how many calls are made, a random sample when fewer; 1 to call_count */
    unsigned call_count;
    const struct mesh_call *calls;
};

struct mesh_service {
    unsigned replicas;             /* at least 1 */
    const struct profile *profile; /* of its data path; NULL: direct, which costs nothing */
    unsigned threads;              /* that compute, a replica; at least 1 */
    unsigned jobs;                 /* computations side by side a request; 0: none */
    unsigned trials;               /* one after another, each */
    unsigned digits_min, digits_max;
    double sleep_ns;         /* after computing */
    double answer_bytes;     /* mean of an exponential; 0: one byte */
    double answer_max_bytes; /* longer ones are cut */
    unsigned group_count;
    const struct mesh_group *groups;
    struct distribution latency; /* of a simulated call */
    unsigned egress_workers;     /* simulated calls at once a replica; 0: no cap */
    unsigned egress_queue;       /* with a cap: so many may wait, then requests are refused */
    double timeout_ns;           /* of a call; 0: none */
    unsigned requests_max;       /* in a replica; more are refused */
    unsigned policies;           /* L7, that a request passes; what they cost, not what they do */
    unsigned call_policies;      /* likewise a call */
};

struct mesh {
    size_t count;
    const struct mesh_service *services;
    struct work_cost cost;
    double less_path_ns; /* part of each path's delay that is there without a proxy; left out */
};

struct mesh_load {
    unsigned entry;        /* index of the service that is asked */
    double rate_per_s;     /* above 0 */
    bool poisson;          /* arrivals; else paced: evenly apart */
    unsigned connections;  /* at least 1; each stays with one replica */
    double request_bytes;  /* of a request, which travels on with each call; at least 1 */
    double duration_s;     /* virtual time that is measured, after a tenth of it to warm up */
    uint64_t requests_max; /* measure no more; 0: no limit */
    uint64_t seed;
};

/* Means over what was measured, all replicas of a service together. */
struct mesh_service_result {
    double requests_per_s; /* that came to it, the refused ones too */
    double refused_per_s;
    double datapath_cores, work_cores; /* of the host */
    double dpu_cores, dma_busy;
};

struct mesh_result {
    double achieved_per_s; /* answers that are no failures */
    double mean_us, p50_us, p90_us, p99_us, p999_us;
    double refused_fraction; /* of the requests to the entry: answered 503 at once */
    double failed_fraction;  /* answered 500 or 504 */
    uint64_t requests, events;
    double simulated_s; /* that was measured */
};

/* Runs the application in virtual time. ret_services: one for each service. */
void mesh_simulate(const struct mesh *mesh, const struct mesh_load *load,
                   struct mesh_result *ret_result, struct mesh_service_result *ret_services);

/*
 * How many times a request to the entry crosses a data path, in the mean; infinity when forwarded
 * calls go round so often that there is no mean, and a request would never end.
 */
double mesh_crossings(const struct mesh *mesh, unsigned entry);

/*
 * Looks for forwarded calls that go round, from the entry on. The number of services in the first
 * ring that is found, whose indices are put into ret_ring (room for mesh->count); 0: none.
 */
size_t mesh_find_ring(const struct mesh *mesh, unsigned entry, unsigned *ret_ring);

#endif
