/* What is counted of traces. */
#include "agent/trace.h"

static struct metric *series(struct metrics *registry, const char *name, const char *help,
                             const char *label, const char *value)
{
    struct metric_spec spec = {
        .name = name, .help = help, .kind = METRIC_COUNTER, .labels = {label}};
    return metric_series(metrics_family(registry, &spec), (const char *[]){value});
}

static struct metric *gauge(struct metrics *registry, const char *name, const char *help)
{
    struct metric_spec spec = {.name = name, .help = help, .kind = METRIC_GAUGE};
    return metric_series(metrics_family(registry, &spec), NULL);
}

void trace_metrics_declare(struct metrics *registry, struct trace_metrics *ret)
{
    static const char *const outcomes[TRACE_OUTCOMES] = {"sampled", "error", "not_sampled"};
    static const char *const drops[TRACE_DROPS] = {"memory", "queue",   "off",
                                                   "failed", "refused", "end"};
    static const char *const results[TRACE_RESULTS] = {"ok", "retried", "failed", "refused"};
    struct metric_spec exported = {.name = "dpumesh_trace_spans_exported_total",
                                   .help = "Spans that the collector has taken.",
                                   .kind = METRIC_COUNTER};
    for (unsigned i = 0; i < TRACE_OUTCOMES; i++)
        ret->requests[i] = series(registry, "dpumesh_trace_requests_total",
                                  "Recorded requests that ended, by what became of their spans.",
                                  "outcome", outcomes[i]);
    ret->exported = metric_series(metrics_family(registry, &exported), NULL);
    for (unsigned i = 0; i < TRACE_DROPS; i++)
        ret->dropped[i] =
            series(registry, "dpumesh_trace_spans_dropped_total",
                   "Spans that were wanted and not sent, by reason.", "reason", drops[i]);
    for (unsigned i = 0; i < TRACE_RESULTS; i++)
        ret->exports[i] =
            series(registry, "dpumesh_trace_exports_total",
                   "Attempts to send spans to the collector, by result.", "result", results[i]);
    trace_metrics_attach(registry, NULL);
}

static double records(void *context)
{
    return ((const struct trace *)context)->requests.used;
}

static double waiting(void *context)
{
    return ring_depth(&((const struct trace *)context)->finished);
}

void trace_metrics_attach(struct metrics *registry, struct trace *trace)
{
    metric_callback(gauge(registry, "dpumesh_trace_records", "Records of requests in use."),
                    trace ? records : NULL, trace);
    metric_callback(gauge(registry, "dpumesh_trace_queue_depth",
                          "Finished requests whose spans wait to be sent."),
                    trace ? waiting : NULL, trace);
}
