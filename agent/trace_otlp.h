/*
 * Records of requests as OTLP in JSON: the body of a POST to /v1/traces
 * (https://opentelemetry.io/docs/specs/otlp/, opentelemetry-proto v1). docs/tracing.md has the
 * spans and their attributes.
 *
 *     otlp_begin(&otlp, &body, config);
 *     spans += otlp_request(&otlp, trace, request);      any number of times
 *     otlp_end(&otlp);
 *
 * One thread; the records stay as they are meanwhile.
 */
#ifndef DPUMESH_AGENT_TRACE_OTLP_H
#define DPUMESH_AGENT_TRACE_OTLP_H

#include "agent/trace.h"
#include "base/buffer.h"
#include "spec/agent_config.h"

struct otlp {
    struct buffer *out;
    uint64_t to_unix_ns; /* what must be added to the monotonic clock, as it is now */
    uint64_t span_ids;   /* counter of the ids of inner spans */
    bool any;            /* a span stands already */
};

/* Room that a request's spans need at most, and that the frame around them does. */
enum { OTLP_REQUEST_BYTES = 6 * 1024, OTLP_CALL_BYTES = 3 * 1024, OTLP_FRAME_BYTES = 4 * 1024 };

/* Begins a body: the resource is the service and replica of config. span_seed: any number that is
 * never given twice. */
void otlp_begin(struct otlp *otlp, struct buffer *out, const struct agent_config *config,
                uint64_t span_seed);

/* Appends the spans of a request; how many: trace_span_count(). 0: the buffer has no room for them,
 * and is as before. */
unsigned otlp_request(struct otlp *otlp, const struct trace *trace,
                      const struct trace_request *request);

/* Ends the body. */
void otlp_end(struct otlp *otlp);

#endif
