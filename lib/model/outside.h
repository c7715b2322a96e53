/*
 * What a simulated callee does with a call: answers, fails, breaks off, stays silent, is slow,
 * loses packets. Pure: call `number` of a stream meets the same things whatever the clock, the
 * order of other callees' calls or any thread does, and whether a callee is in a slow period
 * depends on settings, stream and time alone.
 *
 *     uint64_t stream = outside_stream(seed, "s1", 2);
 *     struct slow_periods slow = {0};
 *     bool now_slow = slow_periods_at(&slow, &faults, stream, since_start_ns);
 *     struct outside_call call = outside_call(&latency, &faults, stream, number, now_slow);
 *
 * Each kind of fault has a draw of its own, so that one more of them leaves the others' calls and
 * the latencies what they were. Plain memory, any thread; struct slow_periods belongs to one.
 */
#ifndef DPUMESH_MODEL_OUTSIDE_H
#define DPUMESH_MODEL_OUTSIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/distribution.h"

/* A status other than 200 that a part of the calls is answered with. */
struct outside_error {
    unsigned status;
    double fraction; /* 0 to 1 */
};

/* Zeroed: no faults. Fractions of errors, `partial` and `silent` are at most 1 together. */
struct outside_faults {
    size_t error_count;
    struct outside_error *errors; /* borrowed */
    double partial;               /* fraction of calls whose answer breaks off */
    double silent;                /* fraction of calls that are never answered */
    struct {
        uint64_t every_ns;  /* mean length of a good period; above 0 if length_ns is */
        uint64_t length_ns; /* mean length of a slow one; 0: there are none */
        double factor;      /* of a latency in a slow period */
        uint64_t extra_ns;  /* added to it then */
    } slow;
    struct {
        double probability; /* that a transmission is lost */
        uint64_t rto_ns;    /* first retransmission timeout */
        unsigned most;      /* retransmissions, then the connection is given up; at most 20 */
    } loss;
};

/* A retransmission timeout grows no further: RFC 6298, section 2 (2.5), the least upper bound. */
#define OUTSIDE_RTO_MAX_NS (UINT64_C(60) * 1000000000)

enum { OUTSIDE_RETRANSMISSIONS_MAX = 20 };

enum outside_result {
    OUTSIDE_ANSWERED, /* 200 */
    OUTSIDE_ERROR,    /* another status: errors[error] */
    OUTSIDE_PARTIAL,  /* the answer broke off */
    OUTSIDE_SILENT,   /* no answer, whatever the time */
    OUTSIDE_LOST,     /* all transmissions were lost */
    OUTSIDE_RESULTS
};

struct outside_call {
    enum outside_result result;
    size_t error;      /* OUTSIDE_ERROR: which */
    unsigned lost;     /* transmissions that were lost */
    uint64_t delay_ns; /* until the result, at most DISTRIBUTION_DRAW_MAX_NS; retransmission
                          included; of OUTSIDE_SILENT: no end */
    uint64_t loss_ns;  /* part of it: what retransmission took */
};

/* The stream of a callee: seed, and its name of so many bytes. */
uint64_t outside_stream(uint64_t seed, const char *name, size_t length);

/* The stream of calls' further attempts after so many retries; after none, the stream itself. So
 * what the k-th attempt of a call meets is a function of stream, call and k. */
uint64_t outside_attempt_stream(uint64_t stream, unsigned retries);

/* Uniform in [0, 1): of the wait before a call's next attempt, after so many retries. */
double outside_wait_unit(uint64_t stream, uint64_t number, unsigned retries);

/* What call `number` of a stream meets. faults NULL: none. */
struct outside_call outside_call(const struct distribution *latency,
                                 const struct outside_faults *faults, uint64_t stream,
                                 uint64_t number, bool slow);

/* What `lost` lost transmissions take: the timeout after each, which doubles up to
 * OUTSIDE_RTO_MAX_NS (RFC 6298, section 5 (5.5)). */
uint64_t outside_retransmission_ns(uint64_t rto_ns, unsigned lost);

/* The mean of that over all calls, in ns; also those that are given up. */
double outside_retransmission_mean_ns(const struct outside_faults *faults);

/*
 * Where the last question about a callee's slow periods was answered; zeroed at first. Good and
 * slow periods have exponential lengths (a Markov chain of two states in continuous time). Time is
 * cut into stretches of 256 mean cycles; each begins in the long-run mix of both states, drawn from
 * stream and stretch. So any time can be asked for, and a question costs some thousand draws at
 * most.
 */
struct slow_periods {
    uint64_t stretch, count; /* periods that began in it */
    uint64_t ends_ns;        /* of the period, in the stretch */
    uint64_t from_ns;        /* its begin */
    bool known, slow;
};

/* Whether a callee is slow so long after its beginning. Cheapest when time does not go back. */
bool slow_periods_at(struct slow_periods *periods, const struct outside_faults *faults,
                     uint64_t stream, uint64_t at_ns);

/* The share of time that a callee is slow, in the long run. */
double slow_periods_share(const struct outside_faults *faults);

#endif
