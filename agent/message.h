/*
 * A request as it lies in registered memory, written by the bridge or the HTTP front and read by
 * the application and by egress: a fixed head, then path, query string, headers that travel on, and
 * body, each with its length, no terminators, no pointers.
 *
 * A draft is a request as it stands in the bytes that were received: views into them.
 * draft_length() says what it needs at most, draft_write() lays it out.
 */
#ifndef DPUMESH_AGENT_MESSAGE_H
#define DPUMESH_AGENT_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/json.h"

enum request_method { METHOD_GET, METHOD_POST, METHOD_HEAD, METHOD_OTHER };

/* The headers that travel on with every external call and come back (contract section 2). */
enum { TRAVEL_HEADERS = 13 };

/* W3C's tracestate, the number of a header in a message behind those: it goes on with every call
 * and does not come back. */
enum {
    TRACESTATE_HEADER = TRAVEL_HEADERS,
    TRACESTATE_LINES_MAX = 32, /* more, or */
    TRACESTATE_BYTES_MAX = 512 /* longer together: it is dropped, as the specification allows */
};

extern const char *const travel_header_names[TRAVEL_HEADERS + 1];

/* The number of a header that travels, in any case, or -1. */
int travel_header(const char *name, size_t length);

/* Whether a header's name is tracestate. */
bool tracestate_header(const char *name, size_t length);

/* How many calls between services led to a request: each adds one, so that a loop in the graph ends
 * (docs/wire.md). It goes no further than the next service and does not come back. */
#define HOPS_HEADER "x-dpumesh-hops"
bool hops_header(const char *name, size_t length);

/* The number in such a header; what is none, or is over 255, reads 255. */
uint8_t hops_read(const char *value, size_t length);

struct request_message {
    uint32_t length;       /* the whole message, this head included; what is left is the body's */
    uint32_t source;       /* who sent it, number of a metrics label */
    uint32_t trace;        /* its record (trace.h), 0: none */
    uint16_t path_length;  /* first after the head */
    uint16_t query_length; /* then */
    uint16_t
        header_bytes;   /* then, each: number, 16-bit length (both ends are this machine), text */
    uint8_t method : 3; /* enum request_method */
    uint8_t header_count : 5;
    uint8_t hops; /* calls between services that led to this request */
};

/* A hundred thousand of them are in flight, most of them short. */
_Static_assert(sizeof(struct request_message) == 20, "a message's head is five words");

/* Caps of what a draft may hold; a longer path, query or header is refused with 400. */
enum { PATH_MAX_BYTES = 8192, QUERY_MAX_BYTES = 32768, HEADER_MAX_BYTES = 4096 };

struct request_draft {
    uint8_t method; /* enum request_method */
    uint8_t hops;   /* hops_read() of the header HOPS_HEADER, 0 without it */
    struct json_text path, query, body;
    uint16_t header_mask; /* bit n: headers[n] is set */
    struct json_text headers[TRAVEL_HEADERS];
    uint8_t tracestate_count; /* lines, in their order; above TRACESTATE_LINES_MAX: too many */
    struct json_text tracestate[TRACESTATE_LINES_MAX];
    struct json_text b3; /* B3's single header (trace_b3_expand()); empty: none */
    /* All headers as they were sent, for policies: lines of HTTP, or the bridge's JSON object. */
    const char *head;
    uint32_t head_length;
    bool head_json;
};

static inline const char *message_path(const struct request_message *m)
{
    return (const char *)(m + 1);
}
static inline const char *message_query(const struct request_message *m)
{
    return message_path(m) + m->path_length;
}
static inline const char *message_headers(const struct request_message *m)
{
    return message_query(m) + m->query_length;
}
static inline const char *message_body(const struct request_message *m)
{
    return message_headers(m) + m->header_bytes;
}

static inline uint32_t message_body_length(const struct request_message *m)
{
    return m->length - (uint32_t)(message_body(m) - (const char *)m);
}

/* One header of a message: its number, text and length; returns the next. */
static inline const char *message_header(const char *at, int *ret_number, const char **ret_text,
                                         uint16_t *ret_length)
{
    *ret_number = (unsigned char)at[0];
    __builtin_memcpy(ret_length, at + 1, sizeof *ret_length);
    *ret_text = at + 3;
    return at + 3 + *ret_length;
}

/* A further line of tracestate. */
static inline void draft_add_tracestate(struct request_draft *draft, const struct json_text *line)
{
    if (draft->tracestate_count < TRACESTATE_LINES_MAX)
        draft->tracestate[draft->tracestate_count] = *line;
    if (draft->tracestate_count <= TRACESTATE_LINES_MAX)
        draft->tracestate_count++;
}

/* Why a draft can't become a message (a static sentence), or NULL. */
const char *draft_check(const struct request_draft *draft);

/* Bytes that draft_write() needs at most. */
size_t draft_length(const struct request_draft *draft);

/* Lays the draft out at `message`; the real length stands in message->length. */
void draft_write(const struct request_draft *draft, uint32_t source,
                 struct request_message *message);

#endif
