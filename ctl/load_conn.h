/*
 * One client connection of a load test: connecting, sending what is pipelined in as few calls as
 * possible, reading answers and giving each its request. All of it is non-blocking and belongs to
 * the thread of its worker.
 *
 * A connection is registered once with epoll, edge-triggered, for its whole life; load_conn_event()
 * therefore reads until there is nothing left.
 */
#ifndef DPUMESH_CTL_LOAD_CONN_H
#define DPUMESH_CTL_LOAD_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "ctl/load_answer.h"
#include "ctl/load_stats.h"

struct load_worker;

enum load_conn_state {
    LOAD_CONN_CLOSED,     /* may be opened */
    LOAD_CONN_WAITING,    /* closed after a failure, until retry_ns */
    LOAD_CONN_CONNECTING, /* since since_ns */
    LOAD_CONN_OPEN
};

/* Of one request in flight, oldest first in a ring of plan->depth. */
struct load_stamp {
    uint64_t intended_ns; /* when it was due: latency counts from here */
    uint64_t sent_ns;     /* when it was given to the connection: the timeout counts from here */
};

struct load_conn {
    int fd;
    uint32_t client; /* 0 to concurrency - 1 */
    uint8_t state;   /* enum load_conn_state */
    uint8_t backoff; /* failures since the last answer */
    bool reported;   /* its first answer was shown */
    bool answered;   /* an answer came on this connection */
    bool queued;     /* is in the worker's queue of connections that can take a request */
    unsigned oldest, in_flight; /* ring of stamps */
    unsigned unsent;            /* requests not wholly sent; the first of them from sent_offset */
    size_t sent_offset;
    uint64_t since_ns; /* CONNECTING: its start; OPEN: the last answer, or the start */
    uint64_t retry_ns;
    struct load_stamp *stamps;
    struct load_reader reader;
};

/* Whether it can be given another request now. */
bool load_conn_can_take(const struct load_worker *worker, const struct load_conn *conn);

/* Counts one request as started, due at intended_ns, and queues it for load_conn_flush(). */
void load_conn_start(struct load_worker *worker, struct load_conn *conn, uint64_t intended_ns);

/* Opens a closed connection; requests that were started go out as soon as it is made. */
void load_conn_open(struct load_worker *worker, struct load_conn *conn);

/* Sends what was started, as far as the socket takes it. */
void load_conn_flush(struct load_worker *worker, struct load_conn *conn);

/* What epoll said about it (EPOLLIN, ...). */
void load_conn_event(struct load_worker *worker, struct load_conn *conn, uint32_t events);

/* Ends it: the oldest request failed in this way, the others in flight as `others`. */
void load_conn_fail(struct load_worker *worker, struct load_conn *conn, enum load_failure failure,
                    enum load_failure others, int number);

/* Closes the socket; nothing may be in flight. */
void load_conn_close(struct load_worker *worker, struct load_conn *conn);

#endif
