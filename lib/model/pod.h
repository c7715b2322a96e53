/*
 * One pod's half of a data path: what path.h makes of a client and a server, cut at the wire. The
 * agent runs it in real time, `dpumesh predict -f` in virtual time. A message crosses it
 *
 *     in:   half the path's delay, DMA, Arm, coalescer, host core         wire -> application
 *     out:  host core, Arm, DMA, coalescer, half the path's delay         application -> wire
 *
 * so that one in and one out pass the stations that one message passes in path.h. In costs what the
 * server's core costs there, out what the client's does. A sidecar has no Arm, DMA or coalescer.
 * Messages of one direction do not overtake each other, as in path.h.
 *
 *     pod_begin(&pod, POD_IN, id, now_ns, bytes);     a message; what the id means is the caller's
 *     pod_advance(&pod, now_ns);                      at pod_next_ns(), or later
 *     while (pod_pop(&pod, &message))                 has crossed, at message.done_ns
 *
 * Whoever advances late gets the same answers late: all times are the model's own. Time never goes
 * back. An event costs O(1), at a station of several servers O(log servers). One thread.
 */
#ifndef DPUMESH_MODEL_POD_H
#define DPUMESH_MODEL_POD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/coalescer.h"
#include "model/core.h"
#include "model/cost.h"
#include "model/profile.h"
#include "model/station.h"

enum pod_direction { POD_IN, POD_OUT, POD_DIRECTIONS };

struct pod_options {
    uint64_t seed;       /* of hold-offs and stalls */
    double less_path_ns; /* part of the path's delay that is there without the model */
    double connections;  /* over how many the load comes, at least 1: each may gather a copy */
    bool host_elsewhere; /* the host's work is really done, by others: its rounds take no time
                            here but for hold-offs */
};

struct pod_message {
    uint32_t id;
    uint8_t direction; /* enum pod_direction */
    bool first;        /* of a round of the host's core: it pays for the wake-up */
    float bytes;
    float policy_ns; /* that policies take of the proxy: of Arm, without it of the host's core */
    double begun_ns;
    double done_ns; /* while under way: when its station is done with it */
};

/* Messages in the order in which they came. */
struct pod_fifo {
    struct pod_message *items; /* circular, a power of two */
    size_t capacity, first, count;
};

struct pod_lane {
    struct station arm, dma;
    struct coalescer coalescer;
    struct core core; /* the host's rounds */
    struct cost host; /* CPU of a message */
    double held_bytes;
    double order_ns;             /* the last one left the stations */
    struct pod_fifo at_host;     /* wait for a round */
    struct pod_fifo in_round;    /* are in one, until done_ns */
    struct pod_fifo in_stations; /* until done_ns */
    struct pod_fifo held;        /* by the coalescer */
    struct pod_fifo leaving;     /* out: the path's second half, until done_ns */
};

struct pod {
    struct cost arm, dma;
    bool has_arm, has_dma, host_elsewhere;
    double coalesce_bytes; /* 0: nothing is held */
    double connections;    /* may be changed at any time */
    double half_path_ns;
    size_t under_way; /* begun and neither held nor past the last station, both directions */
    size_t inside;    /* begun and not done */
    struct pod_lane lane[POD_DIRECTIONS];
    struct pod_fifo done;
};

/* Makes an idle one. It owns memory: pod_release(). */
void pod_init(struct pod *pod, const struct profile *profile, const struct pod_options *options);

/* Frees its memory, and forgets the messages in it. */
void pod_release(struct pod *pod);

/* A message begins to cross. bytes: at least 1. */
void pod_begin(struct pod *pod, enum pod_direction direction, uint32_t id, double now_ns,
               double bytes);

/* The same for a message that passes policies, which take so much of the proxy. */
void pod_begin_policed(struct pod *pod, enum pod_direction direction, uint32_t id, double now_ns,
                       double bytes, double policy_ns);

/* Arm works for so long on what does not cross: a request that is refused. Without Arm: nothing. */
void pod_spend_arm(struct pod *pod, enum pod_direction direction, double now_ns, double arm_ns);

/* When something happens next; infinity when nothing is inside. */
double pod_next_ns(struct pod *pod);

/* Lets happen what is due by now_ns. */
void pod_advance(struct pod *pod, double now_ns);

/* Takes a message that has crossed, in the order of done_ns as far as pod_advance() went; false
 * when there is none. */
bool pod_pop(struct pod *pod, struct pod_message *ret_message);

/* How many are in one direction, done ones not counted. */
size_t pod_depth(const struct pod *pod, enum pod_direction direction);

/* CPU of the host for one message of that many bytes, without the round's wake-up, ns. */
double pod_host_ns(const struct pod *pod, enum pod_direction direction, double bytes);

#endif
