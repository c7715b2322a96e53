/*
 * POSTs spans to a collector over HTTP/1.1, on a kept connection, and waits for the answer: what
 * the exporter's thread does while others go on. Made of what real calls are made of (resolver.h,
 * tls.h, http_answer.h); docs/dependencies.md tells why this is not libcurl.
 *
 *     struct trace_post *post = trace_post_new(&stop);
 *     trace_post_set(post, settings);
 *     if (trace_post_send(post, body, length, deadline_ns, &result, &err) < 0) ...
 *
 * Each wait ends at the deadline, and at the stop's deadline once there is one. One thread, but for
 * trace_stop_set().
 */
#ifndef DPUMESH_AGENT_TRACE_POST_H
#define DPUMESH_AGENT_TRACE_POST_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "spec/agent_config.h"

/* Tells a thread that it should end soon. */
struct trace_stop {
    int fd;               /* an eventfd, readable from then on */
    uint64_t deadline_ns; /* atomic; 0: it need not end */
};

/* 0 or -errno and a sentence; it is closed by the caller. */
int trace_stop_init(struct trace_stop *stop, struct error **err);

/* Any thread: it should have ended by then. */
void trace_stop_set(struct trace_stop *stop, uint64_t deadline_ns);

/* When it should end, UINT64_MAX: it need not. */
uint64_t trace_stop_deadline_ns(const struct trace_stop *stop);

struct trace_post;

struct trace_post_result {
    unsigned status;        /* of HTTP */
    unsigned retry_after_s; /* as the collector asks for; 0: it does not */
    uint64_t rejected;      /* spans of a partial success that it did not take */
};

/* stop: borrowed. Owned by the caller. */
struct trace_post *trace_post_new(const struct trace_stop *stop);
void trace_post_free(struct trace_post *post);

/* Where to; copies what it needs. A connection to elsewhere is closed. */
void trace_post_set(struct trace_post *post, const struct tracing_settings *settings);

/* Sends a body. 0 and the answer's result, or -errno and a sentence: there was no whole answer
 * (-ETIMEDOUT: not in time). */
int trace_post_send(struct trace_post *post, const char *body, size_t length, uint64_t deadline_ns,
                    struct trace_post_result *ret_result, struct error **err);

/* What an answer says besides its status: its head and body as they came, ended by a NUL. */
void trace_post_read(const char *answer, struct trace_post_result *result);

#endif
