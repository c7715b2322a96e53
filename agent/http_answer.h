/*
 * The HTTP/1.1 response reader (RFC 9112) of calls to other services: fed with the bytes as they
 * come, in any pieces, it tells when the answer is whole. Bodies are counted and dropped. A head
 * that comes whole is never copied, and nothing is allocated for it.
 *
 *     struct http_answer answer = {0};
 *     switch (http_answer_feed(&answer, data, length, body_max, &taken)) ...
 *     at the end of the stream: http_answer_end(&answer)
 *     http_answer_reset(&answer);   before the next one, and at the end
 *
 * It is strict about where an answer ends: both Content-Length and Transfer-Encoding, lengths that
 * differ, folded headers, and chunks whose lines do not end in \r\n are malformed. A reader belongs
 * to one thread and owns the bytes of a head or line that is not whole yet.
 */
#ifndef DPUMESH_AGENT_HTTP_ANSWER_H
#define DPUMESH_AGENT_HTTP_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of status line and headers; and of interim answers (1xx) and trailers together. */
enum { HTTP_ANSWER_HEAD_MAX = 65536 };

enum http_answer_state {
    HTTP_ANSWER_MORE,      /* not whole */
    HTTP_ANSWER_DONE,      /* whole: status, body_bytes and keep_alive stand */
    HTTP_ANSWER_MALFORMED, /* no HTTP, or not to be relied on */
    HTTP_ANSWER_TOO_LARGE, /* its body or its head is over the cap */
};

struct http_answer {
    unsigned status;     /* 0: the head has not come */
    bool keep_alive;     /* the connection may carry another call */
    bool begun;          /* a byte of it has come */
    uint64_t body_bytes; /* so far */
    /* private */
    uint8_t stage;
    uint64_t left;   /* of the body or chunk */
    uint32_t held;   /* bytes at `hold` */
    uint32_t beside; /* bytes of interim answers and trailers so far */
    char *hold;      /* the front of a head or line */
};

/* Takes bytes; *ret_taken is how many, all of them unless the answer is done before their end. */
enum http_answer_state http_answer_feed(struct http_answer *answer, const char *data, size_t length,
                                        uint64_t body_max, size_t *ret_taken);

/* The peer sends nothing more: HTTP_ANSWER_DONE when that is how this answer ends, else
 * HTTP_ANSWER_MORE: it was cut off, or never begun. */
enum http_answer_state http_answer_end(struct http_answer *answer);

/* Makes it ready for another answer; frees what it holds. */
void http_answer_reset(struct http_answer *answer);

#endif
