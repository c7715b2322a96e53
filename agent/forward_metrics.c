/* What is counted of real calls, and what an outcome is called. */
#include "agent/forward.h"

static const struct {
    const char *name;
    uint16_t status;
} outcomes[FORWARD_OUTCOMES] = {
    [FORWARD_OK] = {"ok", 200},
    [FORWARD_STATUS] = {"status", 500},
    [FORWARD_TIMEOUT] = {"timeout", 504},
    [FORWARD_CONNECT_TIMEOUT] = {"connect_timeout", 504},
    [FORWARD_DNS] = {"dns", 500},
    [FORWARD_REFUSED] = {"refused", 500},
    [FORWARD_UNREACHABLE] = {"unreachable", 500},
    [FORWARD_TLS] = {"tls", 500},
    [FORWARD_RESET] = {"reset", 500},
    [FORWARD_CUT] = {"cut", 500},
    [FORWARD_MALFORMED] = {"malformed", 500},
    [FORWARD_TOO_LARGE] = {"too_large", 500},
    [FORWARD_FULL] = {"full", 503},
    [FORWARD_UNKNOWN] = {"unknown", 500},
};

const char *forward_outcome_name(enum forward_outcome outcome)
{
    return outcomes[outcome].name;
}

uint16_t forward_outcome_status(enum forward_outcome outcome)
{
    return outcomes[outcome].status;
}

static struct metric *series(struct metrics *registry, enum metric_kind kind, const char *name,
                             const char *help, const char *label, const char *value)
{
    struct metric_spec spec = {.name = name, .help = help, .kind = kind, .labels = {label}};
    return metric_series(metrics_family(registry, &spec), (const char *[]){value});
}

static struct metric_family *by_destination(struct metrics *registry, const char *name,
                                            const char *help)
{
    struct metric_spec spec = {.name = name,
                               .help = help,
                               .kind = METRIC_COUNTER,
                               .labels = {"destination"},
                               .series_max = 64};
    return metrics_family(registry, &spec);
}

static void declare_connections(struct metrics *registry, struct forward_metrics *m)
{
    m->connections_total = series(registry, METRIC_COUNTER, "dpumesh_forward_connections_total",
                                  "Connections to callees that were opened.", NULL, NULL);
    m->connections = series(registry, METRIC_GAUGE, "dpumesh_forward_open_connections",
                            "Connections to callees, idle ones included.", NULL, NULL);
    m->waiting = series(registry, METRIC_GAUGE, "dpumesh_forward_waiting",
                        "Real calls that wait for a connection or an address.", NULL, NULL);
    m->ejections =
        series(registry, METRIC_COUNTER, "dpumesh_forward_ejections_total",
               "Times that an address was left alone because calls to it failed.", NULL, NULL);
    m->sent_bytes = series(registry, METRIC_COUNTER, "dpumesh_forward_sent_bytes_total",
                           "Bytes of requests written to callees.", NULL, NULL);
    m->received_bytes = series(registry, METRIC_COUNTER, "dpumesh_forward_received_bytes_total",
                               "Bytes read from callees, heads included.", NULL, NULL);
}

void forward_metrics_declare(struct metrics *registry, struct forward_metrics *ret_metrics)
{
    struct forward_metrics *m = ret_metrics;
    static const char *const retries[FORWARD_RETRIES] = {"budgeted", "address", "stale"};
    static const char *const lookups[FORWARD_LOOKUPS] = {"found", "failed"};
    static const double seconds[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                     0.05,   0.1,     0.25,   0.5,   1,      2.5,   5,    10};
    m->calls = by_destination(registry, "dpumesh_forward_calls_total",
                              "Real calls begun, by callee; past 64 of them, other.");
    m->requests = by_destination(registry, "dpumesh_forward_requests_total",
                                 "Requests written to a callee as a whole, second attempts "
                                 "included.");
    for (unsigned i = 0; i < FORWARD_OUTCOMES; i++)
        m->ended[i] = series(registry, METRIC_COUNTER, "dpumesh_forward_calls_ended_total",
                             "Real calls that are over, by result.", "result",
                             forward_outcome_name((enum forward_outcome)i));
    for (unsigned i = 0; i < FORWARD_RETRIES; i++)
        m->retries[i] = series(registry, METRIC_COUNTER, "dpumesh_forward_retries_total",
                               "Second attempts of real calls, by cause.", "cause", retries[i]);
    for (unsigned i = 0; i < FORWARD_LOOKUPS; i++)
        m->lookups[i] = series(registry, METRIC_COUNTER, "dpumesh_forward_lookups_total",
                               "Names of callees looked up.", "result", lookups[i]);
    declare_connections(registry, m);
    struct metric_spec latency = {.name = "dpumesh_forward_latency_seconds",
                                  .help = "Time of real calls, from their begin to their end.",
                                  .kind = METRIC_HISTOGRAM,
                                  .buckets = seconds,
                                  .bucket_count = sizeof seconds / sizeof *seconds};
    m->latency = metric_series(metrics_family(registry, &latency), NULL);
}
