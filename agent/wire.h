/*
 * The bridge's frames (docs/wire.md): where one ends, and what it asks for. Pure functions on
 * bytes.
 */
#ifndef DPUMESH_AGENT_WIRE_H
#define DPUMESH_AGENT_WIRE_H

#include <stddef.h>

#include "agent/message.h"
#include "agent/reply.h"

/* The mode that a connection's first byte chooses. */
enum wire_mode wire_mode_of(char first_byte);

/* What is known of the frame that is arriving; all zero before its first byte. */
struct wire_progress {
    struct json_scan scan; /* one-shot: place inside the object */
    size_t seen;           /* bytes of the frame that were looked at already */
};

enum wire_state {
    WIRE_MORE,      /* not complete */
    WIRE_FRAME,     /* a frame: its bytes, and how much of the input it took */
    WIRE_BLANK,     /* nothing but white space: takes all of it, no frame */
    WIRE_TOO_LARGE, /* longer than the cap; what follows can be told apart in lines only */
    WIRE_NOT_OBJECT /* one-shot: the first byte is not that of an object */
};

struct wire_span {
    size_t offset, length; /* the frame's JSON text in the input */
    size_t taken;          /* bytes of the input that are done with */
};

/*
 * Looks for one frame at the start of the input. mode: not WIRE_UNKNOWN. max: cap on the frame's
 * bytes. ended: the peer will send nothing more, so the rest of a line is a frame. *span is set for
 * WIRE_FRAME and WIRE_BLANK; progress must be zeroed by the caller after either.
 */
enum wire_state wire_next(enum wire_mode mode, const char *input, size_t length, size_t max,
                          bool ended, struct wire_progress *progress, struct wire_span *span);

/* Longest sentence of wire_parse() with its NUL. */
enum { WIRE_SENTENCE_MAX = 256 };

/*
 * Reads one frame's JSON into a draft of views into it. 0, or -EINVAL and a sentence (printable
 * ASCII; a backslash may stand in it, so it is escaped on its way into an answer).
 */
int wire_parse(const char *frame, size_t length, struct request_draft *ret_draft,
               char sentence[WIRE_SENTENCE_MAX]);

#endif
