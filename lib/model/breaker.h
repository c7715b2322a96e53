/*
 * A circuit breaker: closed, it lets calls through and counts failures in a row; open, it lets none
 * through until its time is over; half open, it lets a few probes through, and closes when all went
 * well or opens again when one failed.
 *
 *     uint32_t pass = breaker_admit(&breaker, &settings, now_ns);
 *     if (pass != BREAKER_REFUSED)
 *         ... call ...; breaker_tell(&breaker, &settings, pass, failed, now_ns);
 *
 * A call that began before the breaker last changed its mind tells nothing about now and is not
 * counted: that is what the pass is for. Zeroed memory is a closed breaker. One thread, time is an
 * argument.
 */
#ifndef DPUMESH_MODEL_BREAKER_H
#define DPUMESH_MODEL_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

/* egress.circuitBreaker, and that of a destination. */
struct breaker_settings {
    unsigned failures; /* in a row, then it opens; 0: there is none */
    uint64_t open_ns;  /* before probes are let through */
    unsigned probes;   /* that must go well before it closes */
};

enum breaker_state { BREAKER_CLOSED, BREAKER_HALF_OPEN, BREAKER_OPEN };

struct breaker {
    uint8_t state;     /* enum breaker_state */
    uint32_t epoch;    /* changes of state */
    unsigned failures; /* closed: in a row */
    unsigned begun;    /* half open: probes */
    unsigned good;     /* ... that went well */
    uint64_t until_ns; /* open */
};

/* Instead of a pass: the call is not made. */
#define BREAKER_REFUSED UINT32_MAX

/* Asks for a call. settings->failures is above 0. */
uint32_t breaker_admit(struct breaker *breaker, const struct breaker_settings *settings,
                       uint64_t now_ns);

/* Tells how a call ended. */
void breaker_tell(struct breaker *breaker, const struct breaker_settings *settings, uint32_t pass,
                  bool failed, uint64_t now_ns);

#endif
