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
 * out. Rules are the agent's: who is refused, delayed and aborted, when a call has an egress
 * worker, what a timeout ends, what becomes of a simulated call, what is tried again, when a
 * breaker opens.
 *
 * Pure: the result depends on the arguments alone (same seed, same result). The arguments are read
 * only. Any thread.
 */
#ifndef DPUMESH_MODEL_MESH_H
#define DPUMESH_MODEL_MESH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/breaker.h"
#include "model/distribution.h"
#include "model/outside.h"
#include "model/profile.h"
#include "model/retry.h"
#include "model/work.h"

enum { MESH_CALLS_MAX = 128 }; /* of a group */

/* What a service says of one of its callees. */
struct mesh_destination {
    unsigned number;                     /* among those of the service, from 0 */
    const struct distribution *latency;  /* when simulated */
    const struct outside_faults *faults; /* likewise; NULL: none */
    double timeout_ns;                   /* of a call; 0: none */
    struct breaker_settings breaker;     /* failures 0: none */
    struct retry_settings retries;       /* most 0: none */
};

struct mesh_call {
    unsigned callee;    /* index of a service; counts when the call is forwarded */
    bool forward;       /* else simulated */
    double probability; /* that it is made at all */
    /* NULL: latency and timeout are the calling service's, and there is nothing else. */
    const struct mesh_destination *destination;
};

/* A token bucket. */
struct mesh_rate {
    double rate_per_s; /* 0: no limit */
    double burst;      /* at least 1 */
};

/* What goes wrong on purpose with a part of all requests: a delay, then an abort. */
struct mesh_fault {
    double delay_fraction, delay_ns;
    double abort_fraction;
    unsigned abort_status;
};

/* What requests to a replica pass before they cross, in this order. Zeroed: nothing. */
struct mesh_policy {
    struct mesh_rate service, source; /* the client is one source, each calling replica another */
    unsigned sources_max;             /* sources beyond share a bucket */
    unsigned concurrency;             /* requests inside; 0: no limit */
    unsigned concurrency_status;
    unsigned fault_count;
    const struct mesh_fault *faults; /* delays add up, the first abort decides */
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
    unsigned policies;           /* that a request passes, each at the profile's policyMessage */
    unsigned call_policies;      /* likewise a call */
    struct mesh_policy policy;
    unsigned destination_count; /* callees with a struct mesh_destination */
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
    double ended_per_s;    /* that were answered there, however */
    double refused_per_s;  /* at once, by a limit or for want of room: 429, 503 */
    double rate_limited_per_s, concurrency_limited_per_s; /* part of these */
    double aborted_per_s;                                 /* on purpose, by a fault of the policy */
    double failed_per_s;                                  /* because a call failed: 500, 504 */
    double calls_per_s, retries_per_s;                    /* that it made */
    double breaker_refused_per_s;      /* calls that it did not make, because a breaker was open */
    double datapath_cores, work_cores; /* of the host */
    double dpu_cores, dma_busy;
};

struct mesh_result {
    double achieved_per_s;                           /* answers that are no failures */
    double mean_us, p50_us, p90_us, p99_us, p999_us; /* of these; NAN: there is none */
    double refused_fraction; /* of the requests to the entry: answered 429 or 503 at once */
    double aborted_fraction; /* answered by a fault on purpose */
    double failed_fraction;  /* answered 500 or 504 */
    double success_fraction; /* the others */
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
