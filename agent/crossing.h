/*
 * The modelled data path of this pod, as the I/O thread sees it. A message that has come from the
 * wire, or from the application, crosses before it goes on:
 *
 *     request  exchange_submit()  -- in -->  ingress submission queue
 *     answer   ingress CQ         -- out ->  its connection
 *     call     egress SQ          -- out ->  the other service
 *     result   the other service  -- in -->  egress completion queue
 *
 * Mode direct: nothing crosses. Mode dpu: the model (model/pod.h) says when it is through Arm, DMA,
 * coalescer and hold-off; the host's own work is burnt by the application (hostwork.h). Mode
 * sidecar: proxies (proxy.h) burn it on threads of their own.
 *
 * What is asked (the model's delay) and what is delivered (the clock's) are both recorded; where
 * they part, the host is too busy to keep the model's time, and the agent says so.
 *
 * A new configuration takes effect for the next message. What is in an old model ends there.
 *
 * Belongs to the I/O thread, which answers scrapes too.
 */
#ifndef DPUMESH_AGENT_CROSSING_H
#define DPUMESH_AGENT_CROSSING_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/proxy.h"
#include "agent/tag_fifo.h"
#include "model/pod.h"
#include "spec/datapath.h"

struct io;

enum crossing_kind {
    CROSSING_REQUEST,
    CROSSING_ANSWER,
    CROSSING_CALL,
    CROSSING_RESULT,
    CROSSING_REFUSED, /* nothing crosses: a proxy's work on a request that a policy refused */
    CROSSING_RETRY    /* likewise: its work on a call that it sends once more */
};

/* A message's number in the model: its kind, and the index of its exchange or call; of a refused
 * one and of a retry, its bytes. */
enum { CROSSING_INDEX_BITS = 28, CROSSING_INDEX_MASK = (1 << CROSSING_INDEX_BITS) - 1 };

/* Models that a reload left behind and that are not empty yet; more reloads than this while
 * messages are still inside hand these over at once. */
enum { CROSSING_OLD_MAX = 4 };

/* In `admitted`, with an index: the request pays for the host's wake-up. */
#define CROSSING_FIRST (UINT32_C(1) << 31)

/* Bytes of a message that has none of its own: status and headers. */
enum { CROSSING_BYTES_MIN = 64 };

/* Of models that ended, so that no counter falls. */
struct crossing_totals {
    double arm_ns, dma_ns, dma_bytes[POD_DIRECTIONS];
    uint64_t interrupts[POD_DIRECTIONS], deliveries[POD_DIRECTIONS], delivered[POD_DIRECTIONS];
};

struct crossing_model {
    struct pod pod;
    enum datapath_mode mode;
};

struct crossing {
    enum datapath_mode mode;
    struct profile profile;
    double real_path_ns; /* what a real network adds without any model: the direct profile's path */
    uint32_t slots;      /* messages in one direction at most */
    bool delays;         /* the current model is more than nothing */
    struct crossing_model model, old[CROSSING_OLD_MAX];
    unsigned old_count;
    struct proxy *proxies[POD_DIRECTIONS];
    struct tag_fifo queued[POD_DIRECTIONS]; /* wait for room in the proxy's ring, or to be alone */
    bool alone[POD_DIRECTIONS]; /* the thread woke for one thing: what it brings may be served at
                                   once, proxy_serve_alone() */
    struct tag_fifo admitted;   /* requests that wait for room in the ingress SQ; CROSSING_FIRST */
    struct crossing_totals ended;
    double dma_copies[POD_DIRECTIONS];
    double wake_ns;     /* what it takes to wake by a timer, at the least */
    uint64_t taking_ns; /* CPU of crossing_woke_to_take() */
    /* Whether the model's time is kept: looked at once a second. */
    uint64_t window_ends_ns, logged_ns;
    uint32_t window_crossed, window_late;
    uint64_t window_rounds, window_late_rounds; /* of the proxies, when it began */
    uint64_t told_late_rounds;                  /* of them, counted in the metric */
    unsigned window_seconds;
    uint64_t busy_ns, busy_until_ns; /* when it last was; how long that is said */
};

/* What all models did since the agent began. */
void crossing_totals(const struct crossing *crossing, struct crossing_totals *ret_totals);

/* Takes the configuration in force; at start, and after each reload. */
void crossing_configure(struct io *io);

/* Ends the proxies and frees the models. */
void crossing_destroy(struct io *io);

/* Whether messages cross at all. */
bool crossing_needed(const struct io *io);

/* Whether there is room for another message in a direction. */
bool crossing_has_room(const struct io *io, enum pod_direction direction);

/* Whether so little room is left that nothing more should be read. */
bool crossing_nearly_full(const struct io *io);

/* A message begins to cross. */
void crossing_begin(struct io *io, enum crossing_kind kind, uint32_t index);

/* A policy refused a request of so many bytes: the proxy has read it, and answers it, and nothing
 * goes further. */
void crossing_refused(struct io *io, uint32_t bytes);

/* A call of so many bytes is tried again: the proxy has read the answer, if there was one, and
 * sends the call once more; the host and DMA have nothing to do with it. */
void crossing_retry(struct io *io, uint32_t bytes);

/* Lets cross what is due; true when anything moved. */
bool crossing_work(struct io *io);

/* When to look again; UINT64_MAX: nothing is inside. */
uint64_t crossing_next_ns(struct io *io);

/* When to wake for that: earlier, by what waking takes. In between the loop turns without sleeping.
 */
uint64_t crossing_wake_ns(struct io *io);

/* The thread woke so much later than crossing_wake_ns() asked for. */
void crossing_woke(struct io *io, uint64_t late_ns);

/* The thread slept, and woke for one event. */
void crossing_woke_alone(struct io *io);

/* Whether messages are handed to proxies' threads, so that the next one is to be called. */
bool crossing_hands_over(const struct io *io);

/* The thread slept and woke only to take a message back, which took it so much CPU. */
void crossing_woke_to_take(struct io *io, uint64_t cpu_ns);

/* What crosses from now on in this turn is given to the proxies. */
void crossing_end_turn(struct io *io);

/* Whether there is something to do at once. */
bool crossing_has_work(struct io *io);

/* The host was too busy in the last seconds to keep the model's time. */
bool crossing_busy(const struct io *io);

/* Messages inside in one direction. */
uint32_t crossing_depth(const struct crossing *crossing, enum pod_direction direction);

#endif
