/* Private to mesh.h's files: what a run holds, and what mesh.c and mesh_request.c ask each other.
 */
#ifndef DPUMESH_MODEL_MESH_PRIVATE_H
#define DPUMESH_MODEL_MESH_PRIVATE_H

#include "model/bucket.h"
#include "model/calendar.h"
#include "model/latency.h"
#include "model/mesh.h"
#include "model/pod.h"
#include "model/slots.h"

/* Kinds of the calendar's events, and what their index is of. */
enum mesh_event {
    MESH_POD,             /* replica: something happens in its data path; stamp: the replica's */
    MESH_CROSSED,         /* message, stamp: its direction: it went through a path that is direct */
    MESH_WORKED,          /* visit: it computed and slept */
    MESH_WAITED,          /* visit: it was delayed on purpose */
    MESH_ANSWERED,        /* call: the simulated callee is done */
    MESH_TIMEOUT,         /* call, if it is still the one of this stamp and waits */
    MESH_ATTEMPT_TIMEOUT, /* call, if its attempt is still the one of this stamp */
    MESH_RETRY,           /* call: it has waited for its next attempt */
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
    uint32_t stamp;    /* of the event that counts */
    double next_ns;    /* when that is */
    double written_ns; /* when the last message that left went onto its socket */
    size_t slots; /* messages in one direction of the path at most, before requests are refused */
    struct mesh_crew threads;
    /* Simulated calls that have an egress worker, and those that wait for one: a list. */
    unsigned egress_active, egress_waiting;
    uint32_t first_waiting, last_waiting;
    unsigned inside;              /* requests that its application has not answered */
    struct bucket service_bucket; /* of its policy's rates */
    struct bucket *sources;       /* NULL: no such limit */
    struct mesh_callee *callees;  /* by the number of a destination */
};

/* What a replica knows of a destination. */
struct mesh_callee {
    struct breaker breaker;
    struct retry_budget budget;
    struct slow_periods slow;
    uint64_t stream, number; /* of simulated calls; of the next one */
};

/* How a visit ends. */
enum mesh_end { MESH_GOOD, MESH_REFUSED, MESH_ABORTED, MESH_FAILED };

/* What a policy says of a request. */
struct mesh_verdict {
    enum mesh_end end; /* MESH_GOOD: it passes; else, after the delay, it is answered */
    unsigned status;
    double delay_ns;
};

/* A request at a replica. */
struct mesh_visit {
    uint32_t replica;
    uint32_t call;    /* whose request it is; SLOT_NONE: the client's */
    uint32_t attempt; /* of that call */
    double begun_ns, answer_bytes;
    unsigned strands_left;
    uint16_t status; /* that it is answered with unless it is good */
    uint8_t end;     /* enum mesh_end */
    bool measured;
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
    bool excused;     /* it failed, but its callee is well */
    bool counted;     /* the breaker is told how it ended */
    uint8_t causes;   /* why the last attempt failed: enum retry_cause */
    uint8_t retries;  /* made already */
    uint32_t pass;    /* the breaker's */
    uint32_t attempt; /* counts attempts, of former calls in this record too */
    uint64_t number;  /* of a simulated one among those to its destination */
};

struct mesh_count {
    uint64_t requests, ended, refused, rate_limited, concurrency_limited, aborted, failed;
    uint64_t calls, retries, breaker_refused;
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
    struct random_stream arrivals, work, sizes, paths, latencies, faults;
    struct latency latency;
    uint64_t measured, measured_left, answered, refused, aborted, failed, events;
};

static inline struct mesh_visit *mesh_visit_at(struct mesh_run *run, uint32_t index)
{
    return slots_at(&run->visits, index);
}
static inline struct mesh_strand *mesh_strand_at(struct mesh_run *run, uint32_t index)
{
    return slots_at(&run->strands, index);
}
static inline struct mesh_outgoing *mesh_call_at(struct mesh_run *run, uint32_t index)
{
    return slots_at(&run->calls, index);
}
static inline const struct mesh_service *mesh_service_of(const struct mesh_run *run,
                                                         uint32_t replica)
{
    return &run->mesh->services[run->replicas[replica].service];
}
static inline struct mesh_count *mesh_count_of(struct mesh_run *run, uint32_t replica)
{
    return &run->counts[run->replicas[replica].service];
}

/* Of a message, also of an answer that nobody wrote: status and headers. */
#define MESH_BYTES_MIN 64.0

/* A message's number: twice a visit's, twice a call's and one, or nobody's: only what it costs
 * counts. */
#define MESH_NOBODY UINT32_MAX
static inline uint32_t mesh_message_of_visit(uint32_t visit)
{
    return 2 * visit;
}
static inline uint32_t mesh_message_of_call(uint32_t call)
{
    return 2 * call + 1;
}
static inline bool mesh_message_is_call(uint32_t message)
{
    return message % 2 != 0;
}
/* Of the visit, or of the call. */
static inline uint32_t mesh_message_index(uint32_t message)
{
    return message / 2;
}

/* ---- mesh_policy.c ---- */

void mesh_policy_init(struct mesh_run *run, uint32_t index);
void mesh_policy_release(struct mesh_replica *replica);

/* What the policies of a replica, by its index, say of a request now; counts it. call: as in struct
 * mesh_visit. */
struct mesh_verdict mesh_policy_judge(struct mesh_run *run, uint32_t index, uint32_t call);

/* What so many policies take of a replica's proxy. */
double mesh_policies_ns(const struct mesh_run *run, uint32_t replica, unsigned policies);

/* The proxy has read a request that goes no further, and answers it. */
void mesh_spend_refusal(struct mesh_run *run, uint32_t replica);

/* The proxy has read a failed answer, and sends the call once more. */
void mesh_spend_retry(struct mesh_run *run, uint32_t replica);

/* ---- mesh_call.c ---- */

/* Begins the calls of a visit's group. */
void mesh_strand_begin(struct mesh_run *run, uint32_t visit, unsigned group);

/* The attempt of a call was answered with that status (200: good) by the service it went to. */
void mesh_call_replied(struct mesh_run *run, uint32_t index, uint32_t attempt, unsigned status,
                       double bytes);

/* A call has left its replica; its result has come in, or nobody waits for it any more. */
void mesh_call_left(struct mesh_run *run, uint32_t index);
void mesh_call_over(struct mesh_run *run, uint32_t index);

/* Its events. */
void mesh_answered(struct mesh_run *run, uint32_t index);
void mesh_timed_out(struct mesh_run *run, uint32_t index, uint32_t stamp);
void mesh_attempt_timed_out(struct mesh_run *run, uint32_t index, uint32_t attempt);
void mesh_try_again(struct mesh_run *run, uint32_t index);

/* ---- mesh_request.c ---- */

/* A request to a replica, at now_ns; call and its attempt as in struct mesh_visit. */
void mesh_visit_begin(struct mesh_run *run, uint32_t replica_index, uint32_t call, uint32_t attempt,
                      bool measured);

/* One of a visit's groups has made its calls. */
void mesh_strand_done(struct mesh_run *run, uint32_t visit);

/* The message, a visit's or a call's, has crossed its replica's path. */
void mesh_crossed(struct mesh_run *run, uint32_t message, enum pod_direction direction);

/* A visit's events. */
void mesh_worked(struct mesh_run *run, uint32_t index);
void mesh_waited(struct mesh_run *run, uint32_t index);

/* ---- mesh.c ---- */

/* Sends the message across its replica's path, from now_ns on; the proxy spends more_ns on it
 * besides. */
void mesh_cross(struct mesh_run *run, uint32_t replica, enum pod_direction direction,
                uint32_t message, double bytes, double more_ns);

/* Whether there is room for one more on a replica's path. */
bool mesh_path_has_room(const struct mesh_run *run, const struct mesh_replica *replica,
                        enum pod_direction direction);

#endif
