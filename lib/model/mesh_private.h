/* Private to mesh.h's files: what a run holds, and what mesh.c and mesh_request.c ask each other.
 */
#ifndef DPUMESH_MODEL_MESH_PRIVATE_H
#define DPUMESH_MODEL_MESH_PRIVATE_H

#include "model/calendar.h"
#include "model/latency.h"
#include "model/mesh.h"
#include "model/pod.h"
#include "model/slots.h"

/* Kinds of the calendar's events, and what their index is of. */
enum mesh_event {
    MESH_POD,      /* replica: something happens in its data path; stamp: the replica's */
    MESH_CROSSED,  /* message, stamp: its direction: it went through a path that is direct */
    MESH_WORKED,   /* visit: it computed and slept */
    MESH_ANSWERED, /* call: the simulated callee is done */
    MESH_TIMEOUT,  /* call, if it is still the one of this stamp and waits */
};

/* Threads that take one job after another, first come, first served; made as they are needed. */
struct mesh_crew {
    struct calendar busy; /* when each is free */
    unsigned size;
    double busy_ns; /* together */
};

struct mesh_replica {
    struct pod pod; /* unless the service is direct */
    unsigned service;
    uint32_t stamp; /* of the event that counts */
    double next_ns; /* when that is */
    unsigned requests;
    size_t slots; /* messages in one direction of the path at most, before requests are refused */
    struct mesh_crew threads;
    /* Simulated calls that have an egress worker, and those that wait for one: a list. */
    unsigned egress_active, egress_waiting;
    uint32_t first_waiting, last_waiting;
};

/* A request at a replica. */
struct mesh_visit {
    uint32_t replica;
    uint32_t call; /* whose request it is; SLOT_NONE: the client's */
    double begun_ns;
    unsigned strands_left;
    bool measured, failed, refused;
};

/* A group of a visit's calls. */
struct mesh_strand {
    uint32_t visit;
    unsigned group, next, count;
    uint8_t order[MESH_CALLS_MAX]; /* of the calls, the first count of them */
};

struct mesh_outgoing {
    uint32_t strand; /* SLOT_NONE: given up */
    uint32_t replica;
    uint32_t stamp;
    const struct mesh_call *call;
    double deadline_ns; /* infinity: none */
    double answer_bytes;
    uint32_t next_waiting; /* for an egress worker */
    bool waiting, failed;
};

struct mesh_count {
    uint64_t requests, refused;
};

struct mesh_run {
    const struct mesh *mesh;
    const struct mesh_load *load;
    double now_ns, begin_ns, end_ns; /* of what is measured */
    struct calendar calendar;
    struct slots visits, strands, calls;
    struct mesh_replica *replicas;
    size_t replica_count;
    unsigned *first_replica;   /* of each service */
    unsigned *next_replica;    /* of each service, for the next forwarded call */
    struct mesh_count *counts; /* of each service */
    struct random_stream arrivals, work, sizes, paths, latencies;
    struct latency latency;
    uint64_t measured, measured_left, answered, refused, failed, events;
};

/* A request to the service, at now_ns; call as in struct mesh_visit. */
void mesh_visit_begin(struct mesh_run *run, uint32_t replica, uint32_t call, bool measured);

/* The message, a visit's or a call's, has crossed its replica's path. */
void mesh_crossed(struct mesh_run *run, uint32_t message, enum pod_direction direction);

/* The events of mesh_request.c; index: of the visit, of the call. */
void mesh_worked(struct mesh_run *run, uint32_t index);
void mesh_answered(struct mesh_run *run, uint32_t index);
void mesh_timed_out(struct mesh_run *run, uint32_t index, uint32_t stamp);

/* Sends the message across its replica's path, from now_ns on; it passes so many policies. */
void mesh_cross(struct mesh_run *run, uint32_t replica, enum pod_direction direction,
                uint32_t message, double bytes, unsigned policies);

#endif
