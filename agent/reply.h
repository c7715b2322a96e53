/*
 * An answer on its way out, the same for both protocols, and the sentences that belong to a status.
 * Encoders append to a buffer whose room they reserve first, so an answer is whole or absent.
 */
#ifndef DPUMESH_AGENT_REPLY_H
#define DPUMESH_AGENT_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

struct request_message;

/* Why a request was not served, for the metric dpumesh_rejected_requests_total{reason}, and for the
 * sentence in the answer. */
enum reject_reason {
    REJECT_NONE,
    REJECT_MALFORMED,                   /* 400 */
    REJECT_NOT_FOUND,                   /* 404 */
    REJECT_METHOD,                      /* 405 */
    REJECT_FRAME_TIMEOUT,               /* 408 */
    REJECT_FRAME_TOO_LARGE,             /* 413 */
    REJECT_RATE_LIMITED,                /* 429 */
    REJECT_EXTERNAL_ERROR,              /* 500 */
    REJECT_INTERNAL_ERROR,              /* 500 */
    REJECT_INGRESS_QUEUE_FULL,          /* 503 */
    REJECT_DATAPATH_FULL,               /* 503 */
    REJECT_EGRESS_QUEUE_FULL,           /* 503 */
    REJECT_MEMORY_FULL,                 /* 503 */
    REJECT_TOO_MANY_REQUESTS_IN_FLIGHT, /* 503 */
    REJECT_TOO_MANY_CONNECTIONS,        /* 503 */
    REJECT_DRAINING,                    /* 503 */
    REJECT_EXTERNAL_TIMEOUT,            /* 504 */
    REJECT_CONCURRENCY_LIMITED,         /* 503, or as datapath.policy says */
    REJECT_FAULT,                       /* as datapath.policy says */
    REJECT_HOP_LIMIT,                   /* 508 */
    REJECT_REASONS,
};

/* The reason's name as a label value, its status, and the default body (JSON); static. */
const char *reject_name(enum reject_reason reason);
unsigned reject_status(enum reject_reason reason);
const char *reject_body(enum reject_reason reason);

/* "OK", "Not Found", ...; empty of one that nobody sends by himself (RFC 9112, 4); static. */
const char *status_phrase(unsigned status);

/* HOST_BUSY: the host does not keep the model's time now (crossing.h); whoever measures is told. */
enum { REPLY_KEEP_ALIVE = 1, REPLY_HEAD = 2, REPLY_HTTP10 = 4, REPLY_HOST_BUSY = 128 };

struct reply {
    uint64_t req_id; /* bridge only */
    unsigned status;
    unsigned flags; /* REPLY_*; HTTP only but for HOST_BUSY */
    const char *content_type;
    uint32_t retry_after_s; /* of a 429 or 503; 0: 1 */
    const char *allow;      /* HTTP header Allow, NULL none */
    const char *body;
    size_t body_length;
    bool plain; /* bridge: body holds nothing that a JSON string must escape */
    const struct request_message *request; /* whose travelling headers come back, NULL none */
};

enum wire_mode {
    WIRE_UNKNOWN,  /* no byte yet */
    WIRE_ONE_SHOT, /* objects as the original's clients send them; answered, then closed */
    WIRE_LINES,    /* the first byte was a newline: a frame a line */
    WIRE_PREFIXED, /* the first byte was 0: frames with a 32-bit length in network byte order */
};

/*
 * Appends the answer as a frame of this mode: the JSON object {"req_id", "status", "headers",
 * "body"}, with a newline after it in lines, a length before it when prefixed. 0 or -ENOBUFS.
 */
int reply_encode_bridge(const struct reply *reply, enum wire_mode mode, struct buffer *out);

/* Appends the answer as HTTP/1.1. date: an IMF-fixdate for the Date header. 0 or -ENOBUFS. */
int reply_encode_http(const struct reply *reply, const char *date, struct buffer *out);

#endif
