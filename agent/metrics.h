/*
 * Every metric of the agent, declared in one table. Names and labels are in docs/metrics.md.
 * The series without labels are ready for the hot path; muBench's families are bundled by who
 * asked and how, because their labels say so.
 */
#ifndef DPUMESH_AGENT_METRICS_H
#define DPUMESH_AGENT_METRICS_H

#include "agent/cpu.h"
#include "agent/forward.h"
#include "agent/policy.h"
#include "agent/reply.h"
#include "agent/trace.h"
#include "obs/metric.h"
#include "spec/agent_config.h"

struct agent;

enum agent_queue { QUEUE_INGRESS_SQ, QUEUE_INGRESS_CQ, QUEUE_EGRESS_SQ, QUEUE_EGRESS_CQ, QUEUES };
enum agent_side { SIDE_APPLICATION, SIDE_IO, SIDE_PROXY, SIDES };

/* Of dpumesh_host_cpu_modelled_seconds_total: messages that come in and go out, and wake-ups. */
enum modelled_station { MODELLED_IN, MODELLED_OUT, MODELLED_WAKE, MODELLED_STATIONS };

/* What workers do besides digits of pi, and how it ends. */
enum work_kind { WORK_MEMORY, WORK_DISK, WORK_PLUGIN, WORK_KINDS };
enum work_result { WORK_DONE, WORK_FAILED, WORK_LATE, WORK_RESULTS };

/* Faults that simulated calls meet (model/outside.h): lost is a loss that no retransmission mended.
 */
enum egress_fault {
    EGRESS_FAULT_ERROR,
    EGRESS_FAULT_PARTIAL,
    EGRESS_FAULT_TIMEOUT,
    EGRESS_FAULT_SLOW,
    EGRESS_FAULT_LOSS,
    EGRESS_FAULT_LOST,
    EGRESS_FAULTS
};

/* muBench's four measures, each a summary and a histogram (contract section 3). */
struct mub_series {
    struct metric *size, *internal, *external, *request;
};

/* What the callback of a series of CPU time needs. */
struct cpu_series {
    struct cpu_account *account;
    enum cpu_stage stage;
};

struct agent_metrics {
    struct trace_metrics trace;
    struct metric *requests[2]; /* by protocol: bridge, http */
    struct metric *in_flight;   /* exchanges that are no pages */
    struct metric *rejected[REJECT_REASONS];
    struct metric *connections_total[2], *connections_closed[2];
    struct metric *accept_pauses;
    struct metric *queue_submitted[QUEUES], *queue_full[QUEUES];
    struct metric *doorbells[SIDES], *wakes[SIDES];
    struct metric *wire_bytes[2]; /* received, sent */
    struct metric *ingress_bytes; /* written into registered memory */
    struct metric *calls, *calls_failed, *calls_unknown;
    struct metric *latency_asked, *latency_delivered;
    struct metric_family *simulated; /* calls by destination and result */
    struct metric *egress_faults[EGRESS_FAULTS];
    struct forward_metrics forward;
    struct policy_metrics policy;
    struct metric *jobs, *digits;                  /* of pi: computations, and digits in them */
    struct metric *work[WORK_KINDS][WORK_RESULTS]; /* late: plugins alone */
    struct metric *modelled[MODELLED_STATIONS];    /* seconds of the host's CPU */
    struct metric *delay_asked[2], *delay_delivered[2]; /* by enum pod_direction */
    struct metric *crossing_full[2];                    /* likewise: no room for a message */
    struct metric *late;
    struct metric *reloads_good, *reloads_bad;
    struct cpu_series cpu[CPU_STAGES];
    struct metric_family *mub[4];
};

/* Declares all families and the series that are known at start. */
void agent_metrics_declare(struct agent *agent);

/* metrics_datapath.c: those of the data path that messages write. */
void agent_metrics_declare_datapath(struct agent *agent);

struct io;

/* metrics_datapath.c: those that are read from the models; when the I/O thread has its state, and
 * withdrawn before it goes. */
void agent_metrics_attach_datapath(struct agent *agent, struct io *io);
void agent_metrics_detach_datapath(struct agent *agent);

/* The muBench series for these labels; any thread, not for the hot path. */
void agent_metrics_mub(struct agent *agent, const struct agent_config *config, const char *method,
                       const char *from, struct mub_series *ret_series);

#endif
