/*
 * The exporter: a thread that takes finished records from the I/O thread's ring, makes OTLP of them
 * and POSTs it. Nobody waits for it: when it is slow or the collector is, the ring fills up, and
 * the I/O thread drops and counts.
 *
 * An attempt that brings 429, 502, 503, 504 or no answer at all is made again, after a wait that
 * doubles and is drawn with jitter, or as long as Retry-After says; after EXPORT_ATTEMPTS of them,
 * or on any other status, the spans are dropped and counted.
 */
#ifndef DPUMESH_AGENT_TRACE_EXPORT_H
#define DPUMESH_AGENT_TRACE_EXPORT_H

#include "agent/agent.h"
#include "agent/trace.h"

enum { EXPORT_ATTEMPTS = 5, EXPORT_RETRY_AFTER_MAX_S = 30 };

struct trace_exporter;

/* Starts the thread; it sleeps until it is configured. 0 and an exporter owned by the caller, or
 * -errno and a sentence. */
int trace_exporter_start(struct trace *trace, struct agent *agent,
                         struct trace_exporter **ret_exporter, struct error **err);

/* Gives it a configuration with tracing; takes a reference. The I/O thread. */
void trace_exporter_configure(struct trace_exporter *exporter, struct config_ref *config);

/* Sends what is in the ring, as far as that can be done by deadline_ns, ends the thread and frees
 * it. NULL is fine. */
void trace_exporter_stop(struct trace_exporter *exporter, uint64_t deadline_ns);

#endif
