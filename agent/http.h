/*
 * The HTTP/1.1 request reader (RFC 9112) of the front on port 8080: a pure function on the bytes
 * that have arrived. It is strict where leniency has led to request smuggling: both Content-Length
 * and Transfer-Encoding, differing lengths, folded headers, spaces before the colon, and chunks
 * with lines that do not end in \r\n are refused.
 *
 * The agent reads HTTP itself because 8080 is a hot path into the same queues as the bridge, and
 * because merely loading libmicrohttpd and GnuTLS costs more memory than an idle agent may use
 * (docs/dependencies.md).
 */
#ifndef DPUMESH_AGENT_HTTP_H
#define DPUMESH_AGENT_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/message.h"

enum { HTTP_HEAD_MAX = 65536 }; /* request line and headers, bytes; longer is 431 */

enum http_state {
    HTTP_MORE,    /* not complete */
    HTTP_REQUEST, /* a request */
    HTTP_BAD /* refused: status and sentence; the connection can't go on. Says the same again */
};

/* Place in the request that is arriving; all zero before its first byte. */
struct http_progress {
    size_t searched;     /* bytes that hold no end of the head */
    bool head_known;     /* the fields below are valid */
    bool wants_continue; /* Expect: 100-continue, and the body has not come: the front answers 100,
                            and clears this */
    bool chunked;
    size_t head_length; /* bytes of request line, headers and blank line */
    size_t body_length; /* Content-Length, or what was decoded so far */
    size_t chunk_at;    /* chunked: next byte to decode */
};

struct http_request {
    struct request_draft draft; /* views into the input */
    struct json_text target;    /* path as sent, for messages */
    struct json_text accept;    /* Accept header, empty without one */
    bool keep_alive;
    bool http10;
    bool filler;  /* the body is filler (muBench's request-type: iot), and was left out */
    size_t taken; /* bytes of the input that are done with */
};

struct http_error {
    unsigned status;
    const char *sentence; /* static */
};

/*
 * Looks for one request at the start of input, which it may change (chunks are joined in place).
 * body_max: cap on the body in bytes. HTTP_REQUEST sets *request, HTTP_BAD sets *error; progress
 * must be zeroed by the caller after HTTP_REQUEST.
 */
enum http_state http_next(char *input, size_t length, size_t body_max,
                          struct http_progress *progress, struct http_request *request,
                          struct http_error *error);

#endif
