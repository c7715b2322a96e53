/*
 * The I/O thread's state, shared by the files that are its parts:
 *
 *   io.c          the loop, deadlines, drain            listener.c   accepting
 *   connection.c  opening, reading, closing             exchange.c   from request to answer
 *   connection_write.c  answers on their way out        deadline.c   who waits, and until when
 *   front_bridge.c, front_http.c  the two protocols     egress.c     the simulated outside world
 *   crossing.c    the modelled data path in between         policy.c     limits and faults before
 * it
 *   trace_io.c    what is noted for traces
 *
 * Everything here belongs to the I/O thread. A connection that is closed keeps its place until the
 * end of the loop's turn, so that events of the same turn still find it.
 */
#ifndef DPUMESH_AGENT_IO_PRIVATE_H
#define DPUMESH_AGENT_IO_PRIVATE_H

#include <netinet/in.h>
#include <pthread.h>

#include "agent/agent.h"
#include "agent/crossing.h"
#include "agent/forward.h"
#include "agent/http.h"
#include "agent/io.h"
#include "agent/policy.h"
#include "agent/pool.h"
#include "agent/reply.h"
#include "agent/trace.h"
#include "agent/wheel.h"
#include "agent/wire.h"
#include "model/breaker.h"

enum {
    LISTENERS_MAX = 64,
    SPARE_CONNECTIONS = 64, /* over limits.connections, only to be told 503 */
    SPARE_EXCHANGES = 4096, /* over twice limits.requests: answers that wait to be written */
    SCRATCH = 64 * 1024,    /* bytes read at once */
    OUT_HIGH = 64 * 1024,   /* bytes encoded before the socket is asked to take them */
    PAGE_TYPES_MAX = 16,
};

/* One request between its last byte and its answer's. */
struct exchange {
    uint32_t connection;  /* POOL_NONE: the client is gone */
    uint32_t next;        /* of the same connection, in the order of the requests */
    uint32_t message;     /* forward arena, ARENA_NONE when it never was submitted */
    uint32_t body;        /* the answer's body, ARENA_NONE: the reason's own sentence */
    uint32_t body_length; /* without one: the reason, and Retry-After (exchange.c) */
    uint16_t status;
    uint8_t type;  /* the answer's Content-Type, index of io->types */
    uint8_t flags; /* EXCHANGE_* */
    uint64_t req_id;
};

enum {
    EXCHANGE_KEEP_ALIVE = REPLY_KEEP_ALIVE,
    EXCHANGE_HEAD = REPLY_HEAD,
    EXCHANGE_HTTP10 = REPLY_HTTP10,
    EXCHANGE_READY = 8,  /* the answer stands */
    EXCHANGE_OWN = 16,   /* body lies in the forward arena, not the reverse one */
    EXCHANGE_PLAIN = 32, /* body needs no escapes in JSON */
    EXCHANGE_PAGE = 64,  /* about the agent itself: no request of the service */
};

enum { TYPE_PLAIN, TYPE_JSON };

/* What an epoll event is about: a connection's index, or one of these. */
#define IO_EVENT_LISTENER (UINT64_C(1) << 32) /* with the listener's index */
#define IO_EVENT_BELL     (UINT64_C(2) << 32)

enum connection_stage { STAGE_OPEN, STAGE_LINGER, STAGE_CLOSED };

/* Which deadline a connection has besides the idle one. */
enum deadline_list {
    DEADLINE_FRAME,
    DEADLINE_WRITE,
    DEADLINE_LINGER,
    DEADLINE_LISTS,
    DEADLINE_NONE
};

struct links {
    uint32_t next, previous;
};

struct connection {
    int fd;
    uint8_t kind;  /* enum listener_kind */
    uint8_t mode;  /* enum wire_mode */
    uint8_t stage; /* enum connection_stage */
    uint8_t deadline_list;
    bool ended;      /* the peer sends nothing more */
    bool closing;    /* no further request is read; closed when all is answered */
    bool skipping;   /* lines: the rest of a line that was too long */
    bool stalled;    /* input waits: too many requests are unanswered, or no exchange was free */
    bool starved;    /* ... no exchange was free */
    bool answered;   /* at least one answer was encoded */
    bool dirty;      /* in io->dirty */
    bool refused;    /* over the cap: every request is told 503 */
    bool readable;   /* the socket may hold bytes that were not read */
    bool hung_up;    /* ... and behind them the end */
    uint32_t source; /* label value of from */
    uint32_t first, last; /* exchanges */
    uint32_t pending;     /* how many */
    uint32_t next_dirty;
    uint32_t in_length, in_capacity;
    uint32_t out_length, out_sent;
    uint32_t out_deadline_sent; /* out_sent when the deadline for writing was last moved */
    char *in;                   /* what was read and is no whole request yet */
    char *out;                  /* what was encoded and not taken by the socket */
    uint64_t opened_ns;
    uint64_t active_ns;     /* last request or answer; idle is counted from here */
    uint64_t idle_check_ns; /* when idle is looked at again */
    uint64_t deadline_ns;   /* of deadline_list */
    struct links starving;  /* io->starving */
    struct links idle;      /* io->idle: all open connections, roughly by active_ns */
    struct links timed;     /* io->deadlines[deadline_list] */
    union {
        struct wire_progress wire;
        struct http_progress http;
    } progress;
};

struct connection_list {
    uint32_t first, last;
};

/* A call that the outside world is working on. Until that begins, node.deadline_ns holds where its
 * body lies: offset and length, in the upper and the lower half. */
struct egress_call {
    struct wheel_node node; /* node.user: the tag; a real call is not in the wheel */
    union {
        uint32_t message; /* in the forward arena; until a simulated call begins */
        uint32_t due_us;  /* how long that is to take */
    };
    uint32_t stamp_us; /* when it was submitted */
    union {
        uint32_t bytes; /* of its message until it begins, of its answer when it is over */
        uint32_t pass;  /* in between: its callee's breaker's, if `counted` */
    };
    uint16_t target; /* the callee's number */
    uint16_t status : 10;
    uint16_t first : 1;   /* its result pays for the host's wake-up */
    uint16_t counted : 1; /* the callee's breaker is to be told how it ended */
    uint16_t excused : 1; /* ... and its status is no failure of the callee */
};

/* A hundred thousand of them are in flight: two in a cache line. */
_Static_assert(sizeof(struct egress_call) == 32, "a call is half a cache line");

/* Of a simulated call that may be tried again. */
struct egress_attempt {
    uint64_t number; /* of the call among those to its destination */
    uint32_t bytes;  /* of its message */
    uint8_t retries; /* made already */
    bool may;        /* it began with its record here */
    bool resting;    /* it waits for its next attempt */
    uint8_t causes;  /* how the last one failed: enum retry_cause */
};

struct egress {
    struct pool calls;
    struct wheel wheel;
    uint64_t seed;                /* of simulated calls */
    uint64_t seeded_ns;           /* since when */
    struct simulated **simulated; /* destinations of simulated calls, by target; NULL: none yet */
    struct egress_attempt *attempts; /* by call; NULL: no simulated call was ever tried again */
    struct forward *forward;         /* real calls; NULL until a configuration asks for them */
    struct callee **callees; /* by target, TARGETS_MAX; NULL until a configuration needs them */
    unsigned policies;       /* that a call passes: 1 with breakers, else 0 */
    bool own_timeouts;       /* some destination has one */
    uint32_t active;         /* being worked on: crossing on their way out, in the wheel, or real */
    uint32_t done_first, done_last; /* finished, wait for room in the egress CQ */
};

struct io {
    struct agent *agent;
    struct config_ref *config;
    pthread_t thread;
    int epoll, ended_fd;
    struct listener listeners[LISTENERS_MAX];
    size_t listener_count;
    struct pool connections, exchanges;
    struct connection_list idle, deadlines[DEADLINE_LISTS];
    uint32_t dirty, closed; /* linked by next_dirty: to be flushed; to be given back */
    uint32_t again; /* likewise: to be read on in the next turn, so that others come first */
    struct connection_list starving; /* wait for an exchange, first come first served */
    uint32_t inside;                 /* requests that the application has not answered yet */
    struct egress egress;
    struct crossing crossing;         /* of the modelled data path */
    struct policy policy;             /* before it */
    struct trace *trace;              /* records of requests; NULL until a configuration asks */
    struct arena_chain spent;         /* reverse arena blocks to give back to the application */
    struct buffer out;                /* encoding scratch */
    char *scratch;                    /* reading scratch, SCRATCH bytes */
    size_t buffered_in, buffered_out; /* bytes in connections' own buffers; capped */
    unsigned unsent;                  /* connections with bytes in their out buffer */
    uint64_t now_ns;
    uint64_t next_req_id;
    uint64_t accept_again_ns; /* when paused listeners are tried again, 0: none is */
    bool submitted;           /* to a queue of the application since its bell was rung */
    bool draining;
    bool yielded; /* the connection that waits was left to other replicas once already */
    uint64_t drain_began_ns, drain_deadline_ns, quiet_since_ns;
    unsigned given_up;
    char date[40];
    time_t date_s;
    const char *types[PAGE_TYPES_MAX];
    unsigned type_count;
    struct in6_addr *source_addresses; /* of agent->sources */
    uint32_t source_limit;
};

static inline struct connection *connection_at(const struct io *io, uint32_t index)
{
    return pool_at(&io->connections, index);
}
static inline struct exchange *exchange_at(const struct io *io, uint32_t index)
{
    return pool_at(&io->exchanges, index);
}
static inline const struct agent_config *io_config(const struct io *io)
{
    return io->config->config;
}

/* listener.c */
void listener_accept(struct io *io, struct listener *listener);
void listener_resume(struct io *io);
void listener_close_all(struct io *io, bool shared_only);

/* connection.c */
void connection_open(struct io *io, int fd, enum listener_kind kind, uint32_t source, bool refused);
void connection_event(struct io *io, uint32_t index, uint32_t events);
void connection_mark(struct io *io, uint32_t index); /* has something to write, or to read on */
/* Whether it was accepted so shortly before the drain that its first request may still be on its
 * way: that one is served, for nobody could have known better. */
bool connection_just_came(const struct io *io, const struct connection *connection);
void connection_flush_all(struct io *io);
void connection_close(struct io *io, uint32_t index);
void connection_free_closed(struct io *io);
void connection_read_again(struct io *io); /* those that had more to read */
bool connection_throttled(struct io *io);  /* the ingress queue is nearly full: nothing is read */
void connection_time_out(struct io *io, uint32_t index); /* 408: the request did not end in time */
void connection_feed_starved(struct io *io); /* lets those go on that there is room for */
void connection_read_all(struct io *io);     /* one read each */
void connection_end_all(struct io *io);      /* the thread ends: closes all, politely */
/* Whether another request may be taken from this connection now. */
bool connection_may_read(const struct io *io, const struct connection *connection);

/* connection_write.c: sends what is ready, as far as the socket takes it. False: it is lost. */
bool connection_write(struct io *io, uint32_t index);
/* Forgets what was encoded and not taken. */
void connection_free_output(struct io *io, struct connection *connection);

/* deadline.c: an open connection is watched until it is forgotten. */
void deadline_watch(struct io *io, uint32_t index);
void deadline_forget(struct io *io, uint32_t index);
/* Puts it under another deadline; staying under the same one keeps its time. */
void deadline_set(struct io *io, uint32_t index, enum deadline_list list);
void deadline_expire(struct io *io); /* acts on those that passed */
uint64_t deadline_next_ns(const struct io *io);
/* No exchange is free: the connection waits for one, behind those that wait already. */
void connection_starve(struct io *io, uint32_t index);
void connection_sated(struct io *io, uint32_t index);

/* front_bridge.c, front_http.c: take what they can from data; return the bytes taken. */
size_t front_bridge(struct io *io, uint32_t index, char *data, size_t length);
size_t front_http(struct io *io, uint32_t index, char *data, size_t length);
/* Sends the 100 that a client waits for, once nothing stands before it. */
void front_http_continue(struct io *io, struct connection *connection);

/* exchange.c: a new exchange at the end of the connection's order, or POOL_NONE. */
uint32_t exchange_new(struct io *io, uint32_t connection, unsigned flags);
/* Submits a request for an exchange, or answers it with 503. */
void exchange_submit(struct io *io, uint32_t index, const struct request_draft *draft);
/* Answers with the reason's own sentence, or with this one. */
void exchange_refuse(struct io *io, uint32_t index, enum reject_reason reason,
                     const char *sentence);
/* Answers with the reason's own sentence, this status, and when to come again (seconds). */
void exchange_refuse_later(struct io *io, uint32_t index, enum reject_reason reason,
                           unsigned status, uint32_t retry_s);
/* For policy.c: a request has waited on purpose; it goes on, or is answered with this status. */
void exchange_waited(struct io *io, uint32_t index, unsigned abort_status);
/* The same with a status that has no reason of its own (431, 501, 505): counted as malformed. */
void exchange_refuse_status(struct io *io, uint32_t index, unsigned status, const char *sentence);
/* Answers with a text of this thread's; content_type is static. */
void exchange_answer(struct io *io, uint32_t index, unsigned status, const char *content_type,
                     const char *body, size_t length);
/* Takes answers from the ingress completion queue. */
bool exchange_complete_all(struct io *io);
/* For crossing.c: puts a request that has crossed into the ingress submission queue (first: it pays
 * for the host's wake-up), false when that is full; gives an answer that has crossed to its
 * connection; the bytes of a request. */
bool exchange_admit(struct io *io, uint32_t index, bool first);
void exchange_deliver(struct io *io, uint32_t index);
uint32_t exchange_message_bytes(const struct io *io, uint32_t index);
/* Appends the answer of a ready exchange to io->out. 0 or -ENOBUFS. */
int exchange_encode(struct io *io, const struct connection *c, const struct exchange *e,
                    bool keep_alive);
/* Gives back what an exchange holds. */
void exchange_free(struct io *io, uint32_t index);

/* egress.c */
int egress_init(struct io *io, struct error **err);
bool egress_work(struct io *io);
uint64_t egress_next_ns(struct io *io);
bool egress_can_take(struct io *io); /* a call waits and could be begun */
void egress_destroy(struct io *io);
/* For crossing.c: a call is on the wire; its result has come in (first: it pays for the host's
 * wake-up); the bytes of a call. */
void egress_begin_call(struct io *io, uint32_t index);
void egress_end_call(struct io *io, uint32_t index, bool first);
uint32_t egress_call_bytes(const struct io *io, uint32_t index);
/* When something was submitted, on our clock: its stamp counts microseconds modulo 2^32. */
uint64_t egress_submitted_ns(const struct io *io, uint32_t stamp_us);
/* The outside world is done with a call; bytes of the answer. */
void egress_answered(struct io *io, uint32_t index, uint16_t status, uint32_t bytes);

/* egress_real.c: takes over the configuration in force; the one before must still be there. */
void egress_configure(struct io *io);
/* An epoll event with FORWARD_EVENT in its data. */
void egress_event(struct io *io, uint64_t data, uint32_t events);
/* egress_callee.c: breakers and timeouts of callees. Takes over the configuration in force. */
void egress_configure_callees(struct io *io);
/* How long a call may take, 0: for ever. */
uint64_t egress_timeout_ns(struct io *io, uint16_t target);
/* Whether the callee's breaker lets a call through; it is to be told how it ended. */
bool egress_passes(struct io *io, struct egress_call *call);
/* A call of so many bytes is tried again, or, granted false, is not because the budget is spent:
 * counts it, and has the modelled proxy pay. */
void egress_retried(struct io *io, uint32_t bytes, bool granted);
void egress_tell_breaker(struct io *io, const struct egress_call *call);
void egress_free_callees(struct io *io);

/* egress_simulated.c: takes the seed, then the rest, of the configuration in force. */
void egress_seed(struct io *io);
void egress_configure_simulated(struct io *io);
void egress_begin_simulated(struct io *io, uint32_t index, uint64_t begun_ns);
/* The time of a simulated call has come. True: it is over; else it goes on, with a further attempt.
 */
bool egress_simulated_due(struct io *io, uint32_t index);
void egress_free_simulated(struct io *io);
void egress_free_attempts(struct io *io);
/* Begins a call if it is a real one. */
bool egress_begin_real(struct io *io, uint32_t index);

#endif
