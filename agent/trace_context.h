/*
 * Where a request belongs among the spans of a trace, as it comes and goes in headers: W3C Trace
 * Context (traceparent, version 00 and what later versions keep of it) and B3 (x-b3-*, one header a
 * field). Pure functions on text, any thread.
 *
 *     struct trace_headers headers = {0};
 *     trace_headers_of_message(message, &headers);
 *     trace_context_read(&headers, &context);
 *     ... a span of its own: context.parent_id = context.span_id; context.span_id = ...
 *     out = trace_context_write(&context, out);
 *
 * A valid traceparent goes before B3; what is not valid counts as absent, as both specifications
 * ask for.
 */
#ifndef DPUMESH_AGENT_TRACE_CONTEXT_H
#define DPUMESH_AGENT_TRACE_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/message.h"

enum trace_header {
    TRACE_B3_TRACEID,
    TRACE_B3_SPANID,
    TRACE_B3_PARENT,
    TRACE_B3_SAMPLED,
    TRACE_B3_FLAGS,
    TRACE_TRACEPARENT,
    TRACE_HEADERS
};

/* The texts of these headers in a request; NULL: absent. */
struct trace_headers {
    const char *text[TRACE_HEADERS];
    uint16_t length[TRACE_HEADERS];
};

/* What whoever called has decided about sampling. */
enum trace_decision { TRACE_DECIDE, TRACE_SAMPLED, TRACE_NOT_SAMPLED };

struct trace_context {
    uint64_t trace_id[2]; /* the upper half first; both 0: there is none */
    uint64_t span_id;
    uint64_t parent_id; /* of that span, 0: none */
    uint8_t decision;   /* enum trace_decision */
};

/* Bytes that trace_context_write() needs at most. */
enum { TRACE_HEADERS_BYTES = 320 };

/* Which of the headers that travel (message.h) is one of these; -1: none. */
int trace_header_of(int travel_number);

/* Whether a header's name is B3's single header, "b3". */
bool trace_b3_single(const char *name, size_t length);

/*
 * Puts what draft->b3 says in place of the draft's x-b3-* headers, which it stands for: so it
 * travels as they do. What is no such header counts as absent.
 */
void trace_b3_expand(struct request_draft *draft);

/* Finds them in a message, or in a draft, where one with escapes counts as absent. */
void trace_headers_of_message(const struct request_message *message, struct trace_headers *ret);
void trace_headers_of_draft(const struct request_draft *draft, struct trace_headers *ret);

/* Whether they have a valid traceparent. */
bool trace_headers_are_w3c(const struct trace_headers *headers);

/* What the headers say. Without a valid trace, *ret is zero but for a decision of B3's. */
void trace_context_read(const struct trace_headers *headers, struct trace_context *ret);

/* Writes the context as HTTP header lines of both kinds, each with its \r\n; returns their end. The
 * decision is one. */
char *trace_context_write(const struct trace_context *context, char *out);

/* Writes the low `digits` (at most 16) hexadecimal digits of value; returns their end. */
char *trace_hex(uint64_t value, unsigned digits, char *out);

#endif
