/* The state of real calls, shared by the files that forward.h lists. All of it belongs to the I/O
 * thread. Objects are named by their index in a pool; POOL_NONE is none. */
#ifndef DPUMESH_AGENT_FORWARD_PRIVATE_H
#define DPUMESH_AGENT_FORWARD_PRIVATE_H

#include "agent/forward.h"
#include "agent/heap.h"
#include "agent/http_answer.h"
#include "agent/pool.h"
#include "agent/resolver.h"
#include "agent/targets.h"
#include "agent/tls.h"
#include "base/buffer.h"
#include "model/random.h"
#include "model/retry.h"
#include "spec/url.h"

enum {
    FORWARD_CALLS_MAX = 131072,     /* under way, all destinations together */
    FORWARD_CONNECTIONS_MAX = 65536 /* likewise */
};

/* Where a list's member stands. */
struct forward_links {
    uint32_t next, previous;
};

struct forward_list {
    uint32_t first, last;
};

#define FORWARD_LIST_INIT ((struct forward_list){POOL_NONE, POOL_NONE})

enum call_stage {
    CALL_WAITING, /* in its destination's list, for a connection or an address */
    CALL_BACKOFF, /* for the time of its next attempt */
    CALL_CARRIED, /* by a connection */
};

struct call {
    uint32_t link; /* private to the pool while it is free */
    uint32_t timer;
    uint32_t connection;
    uint8_t stage;
    uint8_t retries;         /* out of the budget */
    uint8_t addresses_tried; /* further ones, at once */
    bool fresh;              /* no kept connection any more: one was closed under it */
    struct forward_links waiting;
    struct forward_call asked;
    uint64_t begun_ns;
    uint64_t try_deadline_ns; /* of this attempt; UINT64_MAX: none, or it has not begun */
    uint32_t sent_bytes;
};

enum link_stage { LINK_CONNECTING, LINK_HANDSHAKE, LINK_BUSY, LINK_IDLE, LINK_CLOSED };

/* A connection to a callee. */
struct link {
    uint32_t next_closed; /* private to the pool while it is free */
    int fd;
    uint8_t stage; /* enum link_stage */
    uint8_t address;
    bool reused;   /* it has carried a call before */
    bool writable; /* the epoll set tells when it is */
    uint16_t target;
    uint32_t generation; /* of the destination, when it was opened */
    uint32_t call;
    uint32_t out_length, out_sent;
    char *out; /* the rest of a request that the socket did not take */
    struct tls_session *tls;
    struct http_answer answer;
    struct forward_links idle; /* of its destination, the last used one first */
    struct forward_links age;  /* of all idle ones, the first idle one first */
    uint64_t idle_ns;
};

struct address {
    union resolver_address socket; /* with its port */
    bool present;                  /* the name has it still */
    uint32_t links;                /* connections to it */
    unsigned failures;             /* in a row */
    unsigned ejections;            /* since it last served */
    uint64_t ejected_until_ns;
};

/* One callee. Made when it is first called, freed with the client. */
struct destination {
    uint16_t target;
    bool real;                   /* as the configuration has it: forward */
    bool literal;                /* its URL holds an address: nothing is looked up */
    bool looking;                /* a lookup is under way */
    bool pumping;                /* forward_pump() is at work */
    char *text;                  /* the URL */
    struct url url;              /* parts of text */
    char *host;                  /* of the URL, with its NUL */
    char *tail;                  /* what stands behind the target in a request: version and Host */
    uint32_t generation;         /* of its URL */
    uint32_t looking_generation; /* when the lookup began */
    struct address addresses[RESOLVER_ADDRESSES_MAX];
    unsigned turn; /* the address that is looked at first next time */
    uint64_t lookup_again_ns;
    struct forward_list idle, waiting;
    uint32_t links, waiting_count;
    const struct retry_settings *retries; /* of the configuration in force */
    struct retry_budget budget;
    struct metric *calls, *requests;
};

struct forward {
    struct forward_setup setup;
    const struct agent_config *config;
    struct pool calls, links;
    struct heap timers; /* of calls */
    struct destination *destinations[TARGETS_MAX];
    struct forward_list aging; /* idle links */
    uint32_t closed;           /* links to give back at the end of the turn */
    struct random_stream random;
    struct resolver *resolver; /* made when a name is first looked up */
    struct tls *tls;           /* likewise, at the first https URL */
    struct buffer out;
    uint64_t now_ns;
};

static inline struct call *call_at(const struct forward *f, uint32_t index)
{
    return pool_at(&f->calls, index);
}
static inline struct link *link_at(const struct forward *f, uint32_t index)
{
    return pool_at(&f->links, index);
}
static inline struct destination *link_destination(const struct forward *f, const struct link *l)
{
    return f->destinations[l->target];
}
static inline const struct forward_settings *settings_of(const struct forward *f)
{
    return &f->config->egress.forward;
}

/* ---- forward.c ---- */

/* An attempt failed: there is another, or the call is over. causes: enum retry_cause, as far as
 * they fit; RETRY_CONNECT: the callee can't have got it. */
void call_failed(struct forward *f, uint32_t index, enum forward_outcome outcome, unsigned causes);

/* An attempt was answered. */
void call_answered(struct forward *f, uint32_t index, enum forward_outcome outcome, unsigned status,
                   uint64_t received_bytes);

/* The kept connection was closed before a byte of the answer came: once more, on a new one. */
void call_again(struct forward *f, uint32_t index);

/* A call is over. */
void call_end(struct forward *f, uint32_t index, enum forward_outcome outcome, unsigned status,
              uint64_t received_bytes);

/* When call_due() looks at a call: then, or at its deadline. */
void call_timer(struct forward *f, uint32_t index, uint64_t when_ns);

/* Puts a call where it can go on: on a connection, or into the destination's list. */
void call_place(struct forward *f, uint32_t index);

/* ---- forward_destination.c ---- */

/* The destination of a target, made if it is new. */
struct destination *destination_of(struct forward *f, uint16_t target);

/* Applies the configuration in force. */
void destination_configure(struct forward *f, struct destination *d);

/* Looks the name up when that is due; the addresses that are known serve on meanwhile. */
void destination_look_up(struct forward *f, struct destination *d);

/* An address to connect to, -1: none is known. Looks the name up when that is due. */
int destination_address(struct forward *f, struct destination *d);

/* Whether a connection may carry another call, now that calls to its address failed, its name moved
 * on, or files of TLS were renewed. */
bool destination_keeps(const struct forward *f, const struct destination *d, const struct link *l);

/* How many addresses the name has. */
unsigned destination_present(const struct destination *d);

/* A call at this address failed, or was answered. */
void destination_failed(struct forward *f, struct destination *d, unsigned address);
void destination_served(struct destination *d, unsigned address);

/* A call waits at the end of the list; it leaves it. */
void destination_wait(struct forward *f, struct destination *d, uint32_t index);
void destination_leave(struct forward *f, struct destination *d, uint32_t index);

/* Lets those that wait go on, as far as there is room. */
void destination_pump(struct forward *f, struct destination *d);

void destination_free(struct destination *d);

/* ---- forward_connection.c ---- */

/* Carries a call over a kept connection. False: there is none. */
bool link_reuse(struct forward *f, struct destination *d, uint32_t call);

/* Carries a call over a new connection to an address. The call may be over when this returns. */
void link_open(struct forward *f, struct destination *d, unsigned address, uint32_t call);

/* Closes it; its call, if any, is the caller's to end. */
void link_close(struct forward *f, uint32_t index);

/* Closes the idle ones of a destination that may not be used any more, or all of them. */
void link_close_idle(struct forward *f, struct destination *d, bool all);

/* Whether the files of TLS that it was made with are still in force. */
bool link_current(const struct forward *f, const struct link *l);

/* Closes those that were idle for too long; when the next one is. */
void link_expire(struct forward *f);
uint64_t link_next_ns(const struct forward *f);

void link_event(struct forward *f, uint32_t index, uint32_t events);

/* Gives back what was closed. */
void link_free_closed(struct forward *f);

/* The call that it carries is over: it waits for another. */
void link_keep(struct forward *f, uint32_t index);

/* The attempt that it carries failed: closes it, and tries again or ends the call. causes: as of
 * call_failed(). */
void link_fail(struct forward *f, uint32_t index, enum forward_outcome outcome, unsigned causes);

/* What an errno of a socket stands for. */
enum forward_outcome link_outcome(int error);

/* Whether the epoll set tells when it is writable. */
void link_watch(struct forward *f, uint32_t index, bool writable);

/* ---- forward_transfer.c ---- */

/* The connection stands: sends the request of its call, as far as the socket takes it. */
void link_send(struct forward *f, uint32_t index);

/* Sends what is left of the request. False: the attempt failed. */
bool link_flush(struct forward *f, uint32_t index);

/* Reads the answer, as far as it has come. */
void link_read(struct forward *f, uint32_t index);

/* An idle connection has events: the callee closed it, or speaks unasked. */
void link_check_idle(struct forward *f, uint32_t index);

/* ---- forward_request.c ---- */

/* Writes a call's request into f->out. 0 or -ENOBUFS. */
int request_encode(struct forward *f, const struct destination *d, const struct forward_call *call);

#endif
