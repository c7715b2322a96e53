/*
 * Asks a starting replica whether it is ready: GET /readyz on its own admin listener. The listener
 * stands before the replica runs, so the first question waits in its backlog and is answered when
 * the agent first accepts: no polling. An answer other than 200, or none, asks again after 20 ms,
 * doubling to 500 ms. After a 200 nothing more is asked.
 *
 * A probe belongs to its replica and the loop's thread.
 */
#ifndef DPUMESH_CTL_LOCAL_PROBE_H
#define DPUMESH_CTL_LOCAL_PROBE_H

#include <netinet/in.h>

#include "ctl/local/loop.h"

struct probe {
    struct loop *loop;
    struct sockaddr_in address;
    struct loop_source source;
    struct loop_timer timer;
    int fd; /* -1: not connected */
    bool sent;
    uint64_t delay_ns; /* before the next question */
    size_t length;     /* of answer */
    char answer[64];   /* its first bytes: the status line is all we need */
    loop_timer_fn *ready;
    void *context;
};

/* Asks until the answer is 200, then calls ready once; probe_stop() ends it before. */
void probe_start(struct probe *probe, struct loop *loop, const struct sockaddr_in *address,
                 loop_timer_fn *ready, void *context);

/* Stops asking; nothing happens when nothing is asked. */
void probe_stop(struct probe *probe);

/* The status of the first bytes of an HTTP/1.x answer; 0 when it is not whole yet, -1 when it is no
 * such answer. */
int probe_parse_status(const char *text, size_t length);

#endif
