#include "agent/metrics.h"

#include <string.h>

#include "agent/agent.h"

static struct metric *series(struct metrics *m, const char *name, const char *help,
                             enum metric_kind kind, const char *label, const char *value)
{
    struct metric_spec spec = {.name = name, .help = help, .kind = kind, .labels = {label}};
    return metric_series(metrics_family(m, &spec), (const char *[]){value});
}

static struct metric *counter(struct metrics *m, const char *name, const char *help)
{
    return series(m, name, help, METRIC_COUNTER, NULL, NULL);
}

static void gauge(struct agent *agent, const char *name, const char *help, const char *label,
                  const char *value, double (*function)(void *), void *context)
{
    metric_callback(series(agent->registry, name, help, METRIC_GAUGE, label, value), function,
                    context);
}

/* ---- gauges, read in the scraping thread ---- */

static double depth(void *context)
{
    return ring_depth(context);
}

static double capacity(void *context)
{
    return ring_capacity((const struct ring *)context);
}

static double in_flight(void *context)
{
    const struct agent *agent = context;
    return __atomic_load_n(&agent->egress_in_flight, __ATOMIC_RELAXED);
}

static double arena_used(void *context)
{
    const struct arena *arena = context;
    return (double)__atomic_load_n(&arena->used_bytes, __ATOMIC_RELAXED);
}

static double arena_size(void *context)
{
    return (double)((const struct arena *)context)->size;
}

static double cpu_of_stage(void *context)
{
    const struct cpu_series *series = context;
    return cpu_seconds(series->account, series->stage);
}

static double ready(void *context)
{
    return agent_phase(context) == PHASE_SERVING;
}

static void declare_queues(struct agent *agent)
{
    static const char *const names[QUEUES] = {"ingress_submission", "ingress_completion",
                                              "egress_submission", "egress_completion"};
    struct ring *const rings[QUEUES] = {&agent->ingress_sq, &agent->ingress_cq, &agent->egress_sq,
                                        &agent->egress_cq};
    struct agent_metrics *m = &agent->metrics;
    for (unsigned i = 0; i < QUEUES; i++) {
        gauge(agent, "dpumesh_queue_depth", "Descriptors in the queue.", "queue", names[i], depth,
              rings[i]);
        gauge(agent, "dpumesh_queue_capacity", "Descriptors that the queue can hold.", "queue",
              names[i], capacity, rings[i]);
        m->queue_submitted[i] =
            series(agent->registry, "dpumesh_queue_submitted_total",
                   "Descriptors put into the queue.", METRIC_COUNTER, "queue", names[i]);
        m->queue_full[i] = series(agent->registry, "dpumesh_queue_full_total",
                                  "Times that the queue had no room for a descriptor: the request "
                                  "was refused (submission) or waited (completion).",
                                  METRIC_COUNTER, "queue", names[i]);
    }
}

static void declare_memory(struct agent *agent)
{
    static const char *const names[2] = {"forward", "reverse"};
    struct arena *const arenas[2] = {&agent->forward, &agent->reverse};
    for (unsigned i = 0; i < 2; i++) {
        gauge(agent, "dpumesh_arena_used_bytes", "Registered memory in use.", "direction", names[i],
              arena_used, arenas[i]);
        gauge(agent, "dpumesh_arena_size_bytes", "Registered memory.", "direction", names[i],
              arena_size, arenas[i]);
    }
}

static void declare_wire(struct agent *agent)
{
    static const char *const protocols[2] = {"bridge", "http"};
    struct metrics *r = agent->registry;
    struct agent_metrics *m = &agent->metrics;
    for (unsigned i = 0; i < 2; i++) {
        m->requests[i] =
            series(r, "dpumesh_requests_total", "Requests received, whatever became of them.",
                   METRIC_COUNTER, "protocol", protocols[i]);
        m->connections_total[i] = series(r, "dpumesh_connections_total", "Connections accepted.",
                                         METRIC_COUNTER, "protocol", protocols[i]);
        m->connections_closed[i] =
            series(r, "dpumesh_connections_closed_total", "Connections that ended.", METRIC_COUNTER,
                   "protocol", protocols[i]);
    }
    for (unsigned i = REJECT_NONE + 1; i < REJECT_REASONS; i++)
        m->rejected[i] = series(r, "dpumesh_rejected_requests_total",
                                "Requests answered with another status than 200, by reason.",
                                METRIC_COUNTER, "reason", reject_name((enum reject_reason)i));
    m->in_flight = series(r, "dpumesh_requests_in_flight",
                          "Requests received and not answered yet.", METRIC_GAUGE, NULL, NULL);
    m->wire_bytes[0] = counter(r, "dpumesh_received_bytes_total", "Bytes read from clients.");
    m->wire_bytes[1] = counter(r, "dpumesh_sent_bytes_total", "Bytes written to clients.");
    m->ingress_bytes = counter(r, "dpumesh_ingress_message_bytes_total",
                               "Bytes of requests laid into registered memory.");
    m->accept_pauses =
        counter(r, "dpumesh_accept_pauses_total",
                "Times that accepting stopped for want of descriptors or connections.");
}

static void declare_simulated(struct metrics *r, struct agent_metrics *m)
{
    static const char *const kinds[EGRESS_FAULTS] = {"error", "partial", "timeout",
                                                     "slow",  "loss",    "lost"};
    struct metric_spec calls = {
        .name = "dpumesh_egress_simulated_calls_total",
        .help = "Attempts of simulated calls begun, by callee and what each ends with; "
                "past 256 of these pairs, other.",
        .kind = METRIC_COUNTER,
        .labels = {"destination", "result"},
        .series_max = 256};
    m->simulated = metrics_family(r, &calls);
    for (unsigned i = 0; i < EGRESS_FAULTS; i++)
        m->egress_faults[i] = series(r, "dpumesh_egress_faults_total",
                                     "Faults that simulated calls met; a call can meet several.",
                                     METRIC_COUNTER, "kind", kinds[i]);
}

static void declare_work(struct agent *agent)
{
    static const double seconds[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                     0.05,   0.1,     0.25,   0.5,   1,      2.5,   5,    10};
    static const char *const sides[SIDES] = {"application", "io", "proxy"};
    struct metrics *r = agent->registry;
    struct agent_metrics *m = &agent->metrics;
    for (unsigned i = 0; i < SIDES; i++) {
        m->doorbells[i] =
            series(r, "dpumesh_doorbells_total",
                   "Doorbells rung because the thread slept, by the other end of its queues.",
                   METRIC_COUNTER, "side", sides[i]);
        m->wakes[i] =
            series(r, "dpumesh_wakes_total",
                   "Times that a doorbell woke the thread, also one of a worker thread or "
                   "of a new configuration.",
                   METRIC_COUNTER, "side", sides[i]);
    }
    struct metric_spec asked = {.name = "dpumesh_egress_latency_asked_seconds",
                                .help = "Latency drawn for simulated calls.",
                                .kind = METRIC_HISTOGRAM,
                                .buckets = seconds,
                                .bucket_count = sizeof seconds / sizeof *seconds};
    struct metric_spec delivered = asked;
    delivered.name = "dpumesh_egress_latency_delivered_seconds";
    delivered.help = "Latency that simulated calls really had, on the monotonic clock.";
    m->latency_asked = metric_series(metrics_family(r, &asked), NULL);
    m->latency_delivered = metric_series(metrics_family(r, &delivered), NULL);
    m->calls = counter(r, "dpumesh_egress_calls_total", "Calls to other services begun.");
    m->calls_failed = counter(r, "dpumesh_egress_calls_failed_total",
                              "Calls that failed, timed out or named an unknown service.");
    m->calls_unknown =
        counter(r, "dpumesh_egress_unknown_service_total", "Calls that named an unknown service.");
    declare_simulated(r, m);
    forward_metrics_declare(r, &m->forward);
    policy_metrics_declare(r, &m->policy);
    trace_metrics_declare(r, &m->trace);
    gauge(agent, "dpumesh_egress_in_flight", "Calls that the outside world is working on.", NULL,
          NULL, in_flight, agent);
}

static double plugins_late(void *context)
{
    return __atomic_load_n(&((struct agent *)context)->plugins_late, __ATOMIC_RELAXED);
}

static void declare_workers(struct agent *agent)
{
    static const char *const kinds[WORK_KINDS] = {"memory", "disk", "plugin"};
    static const char *const results[WORK_RESULTS] = {"done", "failed", "late"};
    struct agent_metrics *m = &agent->metrics;
    struct metric_spec spec = {.name = "dpumesh_worker_jobs_total",
                               .help = "Stress of memory and disk and calls of plugins, by result.",
                               .kind = METRIC_COUNTER,
                               .labels = {"kind", "result"}};
    struct metric_family *family = metrics_family(agent->registry, &spec);
    m->jobs = counter(agent->registry, "dpumesh_cpu_jobs_total",
                      "Computations of digits of pi that were done.");
    m->digits = counter(agent->registry, "dpumesh_pi_digits_total",
                        "Digits of pi that were computed, in all computations.");
    for (unsigned i = 0; i < WORK_KINDS; i++)
        for (unsigned j = 0; j < (i == WORK_PLUGIN ? WORK_RESULTS : WORK_LATE); j++)
            m->work[i][j] = metric_series(family, (const char *[]){kinds[i], results[j]});
    gauge(agent, "dpumesh_plugin_calls_late",
          "Calls of plugins that still run although their time is over; each holds a worker.", NULL,
          NULL, plugins_late, agent);
}

static void declare_cpu_of(struct agent *agent, struct metric *metric, enum cpu_stage stage)
{
    struct cpu_series *series = &agent->metrics.cpu[stage];
    *series = (struct cpu_series){&agent->cpu, stage};
    metric_callback(metric, cpu_of_stage, series);
}

/* Host, DPU and simulation apart. */
static void declare_cpu(struct agent *agent)
{
    static const char *const stages[CPU_STAGES] = {[CPU_APPLICATION] = "application",
                                                   [CPU_DATAPATH] = "datapath",
                                                   [CPU_WORKERS] = "workers",
                                                   [CPU_OTHER] = "other",
                                                   [CPU_IO_HOST] = "io"};
    for (enum cpu_stage i = CPU_APPLICATION; i <= CPU_IO_HOST; i++)
        declare_cpu_of(agent,
                       series(agent->registry, "dpumesh_host_cpu_seconds_total",
                              "CPU time of the threads that play the host, user and system.",
                              METRIC_COUNTER, "stage", stages[i]),
                       i);
    declare_cpu_of(
        agent,
        series(agent->registry, "dpumesh_dpu_busy_seconds_total",
               "Time that a unit of the DPU was busy: arm and dma as modelled; of io, the "
               "CPU time of the thread that plays a DPU, in mode dpu.",
               METRIC_COUNTER, "unit", "io"),
        CPU_IO);
    declare_cpu_of(agent,
                   series(agent->registry, "dpumesh_handover_cpu_seconds_total",
                          "CPU time of handing messages to the threads of a sidecar's proxies and "
                          "back, which a real proxy does not spend; no part of the host's.",
                          METRIC_COUNTER, NULL, NULL),
                   CPU_HANDOVER);
}

/* muBench's families with its labels and buckets (contract section 3). */
static void declare_mub(struct agent *agent)
{
    static const double buckets[] = {0.5, 1, 10, 100, 1000, 10000};
    static const struct {
        const char *name, *histogram, *help;
        bool who; /* has the labels from and kubernetes_service */
    } families[4] = {
        {"mub_response_size", "mub_response_size_bucket", "Response size, in characters.", true},
        {"mub_internal_processing_latency_milliseconds",
         "mub_internal_processing_latency_milliseconds_bucket",
         "Latency of the internal service, in milliseconds.", false},
        {"mub_external_processing_latency_milliseconds",
         "mub_external_processing_latency_milliseconds_bucket",
         "Latency of the external services, in milliseconds.", false},
        {"mub_request_processing_latency_milliseconds",
         "mub_request_processing_latency_milliseconds_bucket",
         "Latency of the whole request, in milliseconds.", true},
    };
    for (unsigned i = 0; i < 4; i++) {
        struct metric_spec spec = {.name = families[i].histogram,
                                   .help = families[i].help,
                                   .kind = METRIC_HISTOGRAM,
                                   .labels = {"zone", "app_name", "method", "endpoint"},
                                   .buckets = buckets,
                                   .bucket_count = sizeof buckets / sizeof *buckets,
                                   .series_max = 4096,
                                   .summary = families[i].name};
        if (families[i].who) {
            spec.labels[4] = "from";
            spec.labels[5] = "kubernetes_service";
        }
        agent->metrics.mub[i] = metrics_family(agent->registry, &spec);
    }
}

void agent_metrics_declare(struct agent *agent)
{
    struct metrics *r = agent->registry;
    struct agent_metrics *m = &agent->metrics;
    declare_mub(agent);
    declare_wire(agent);
    declare_queues(agent);
    declare_memory(agent);
    declare_work(agent);
    declare_workers(agent);
    declare_cpu(agent);
    agent_metrics_declare_datapath(agent);
    m->reloads_good =
        series(r, "dpumesh_config_reloads_total", "Configuration files read again, by result.",
               METRIC_COUNTER, "result", "accepted");
    m->reloads_bad =
        series(r, "dpumesh_config_reloads_total", "", METRIC_COUNTER, "result", "refused");
    gauge(agent, "dpumesh_ready", "1 while the agent serves, 0 while it starts, leaves or drains.",
          NULL, NULL, ready, agent);
    metrics_declare_process(r, "agent");
}

void agent_metrics_mub(struct agent *agent, const struct agent_config *config, const char *method,
                       const char *from, struct mub_series *ret)
{
    struct metric_family *const *f = agent->metrics.mub;
    const char *labels[] = {config->zone, config->service, method, config->workload.path,
                            from,         config->service};
    *ret = (struct mub_series){
        .size = metric_series(f[0], labels),
        .internal = metric_series(f[1], labels),
        .external = metric_series(f[2], labels),
        .request = metric_series(f[3], labels),
    };
}
