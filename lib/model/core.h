/*
 * A host core as a station of batches: it sleeps, a doorbell or an interrupt wakes it, it serves
 * all that waits in one round, and sleeps again if nothing came meanwhile. Each round costs the
 * wake-up (interrupt, scheduler, system calls, doorbell) and then each message its share. The
 * wake-up is why the measured cost of a message falls with load: at a low rate each message pays
 * for one, at a high rate a round carries many.
 *
 * Two rounds begin at least the hold-off apart, as interrupts are moderated; a core that polls
 * pauses so long after each round that leaves nothing instead. How long is drawn, for a fixed one
 * would make the cost jump wherever it holds one more message: a moderation from an exponential
 * distribution, a pause evenly from nothing to twice its mean, for a loop's pauses have an end. Now
 * and then others take the core (kernel threads, other interrupts): stalls, of which the core's
 * owner sees only that it can't have the whole of it. host_share is what is left.
 *
 *     core_offer(&core, now_ns, service_ns, bytes);             a message arrives
 *     while (core_due_ns(&core) <= now_ns) {                    due by a timer, or the next arrival
 *         struct core_round round = core_round(&core);          its messages are done at done_ns
 *
 * Offers and rounds come in the order of time; a message offered at the very time a round begins is
 * in it. O(1) an event. Plain memory, one thread.
 */
#ifndef DPUMESH_MODEL_CORE_H
#define DPUMESH_MODEL_CORE_H

#include <stdbool.h>

#include "model/account.h"
#include "model/random.h"

struct core_settings {
    double wake_ns;     /* CPU of a round, whatever it carries */
    double wake_before; /* part of the wake-up before the messages are served, 0 to 1; the rest is
                           going back to sleep, which nobody waits for */
    double holdoff_ns;  /* mean time from one round's begin to the next; 0: none */
    bool polls;         /* from its end */
    double eager_bytes; /* so many waiting end the hold-off, on the average over rounds where it is
                           no whole number of messages; 0: only time does */
    double eager_messages; /* so many do, too; 0: only bytes and time */
    double share;          /* of the core that we get, above 0, at most 1 */
    double pace;     /* CPU time we get in the time that we have the core, above 0, at most 1; the
                        rest of it is spent waiting for others; 0: all, too */
    double stall_ns; /* how long others keep it at a time; 0: evenly, as if it were slower */
    unsigned batch_max; /* messages a round at most; 0: all that wait */
};

struct core {
    struct core_settings settings;
    struct random_stream stream, eager_stream; /* hold-offs and stalls; eager_part */
    struct account account;                    /* operations are rounds: wake-ups */
    double waiting;                            /* messages */
    double service_ns;                         /* CPU they need, together */
    double waiting_bytes;
    double eager_part;     /* of a message that may be missing from eager_bytes, drawn for a round:
                              a fixed limit would make the cost jump where it takes one more */
    double first_ns;       /* when the oldest of them arrived, or an earlier round left them */
    double counted_ns;     /* account.wait_ns is right up to here */
    double free_ns;        /* when the last round ends */
    double earliest_ns;    /* the hold-off's end */
    double stall_begin_ns; /* the next stall, or the one that lasts */
    double stall_gap_ns;   /* mean, from a stall's end to the next */
};

struct core_round {
    double begin_ns, end_ns;
    double serve_ns; /* when it begins to serve its messages, after the wake-up */
    double done_ns;  /* when they are served */
    unsigned messages;
};

/* Makes a sleeping core. The seed is for hold-off and stalls. */
void core_init(struct core *core, const struct core_settings *settings, uint64_t seed);

/* Draws a hold-off with this mean, in ns: of a core that polls, or of moderated interrupts. */
double core_holdoff_ns(struct random_stream *stream, double mean_ns, bool polls);

/* A message arrives, which will need that much CPU and touch that many bytes. */
void core_offer(struct core *core, double now_ns, double service_ns, double bytes);

/* When the next round begins; infinity when nothing waits. */
double core_due_ns(struct core *core);

/*
 * Begins the round that is due, with all messages that were offered (at most batch_max, the oldest
 * first, at their mean cost), and says when it ends.
 */
struct core_round core_round(struct core *core);

/*
 * When the i-th message of a round, from 0, is served and can be seen by whoever comes next: one
 * after the other at their mean cost (one_by_one: a DPU polls the ring that they are put into), or
 * all at the end (a proxy writes when its turn is over).
 */
double core_served_ns(const struct core_round *round, unsigned i, bool one_by_one);

#endif
