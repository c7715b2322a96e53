/*
 * A DpuService (dpumesh.io/v1alpha1) as its owner wrote it, checked, with all defaults filled in.
 * The field table in dpuservice.c is the one source of names, types, bounds, defaults and help;
 * docs/dpuservice.md is printed from it. The operator reads live objects with the same function, so
 * status and the server's metadata pass and are ignored.
 *
 * A DpuService is immutable after it was read and owns everything it points to.
 */
#ifndef DPUMESH_SPEC_DPUSERVICE_H
#define DPUMESH_SPEC_DPUSERVICE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "doc/document.h"
#include "doc/problem.h"
#include "spec/datapath.h"
#include "spec/settings.h"

#define DPUSERVICE_API_VERSION "dpumesh.io/v1alpha1"
#define DPUSERVICE_KIND        "DpuService"

enum service_type { SERVICE_CLUSTER_IP, SERVICE_NODE_PORT, SERVICE_LOAD_BALANCER };

/* spec.podTemplate; what is NULL was not given. */
struct pod_template {
    json_t *labels, *annotations, *node_selector;     /* objects of strings; never NULL */
    json_t *affinity, *tolerations, *topology_spread; /* as in a pod */
    char *priority_class, *scheduler, *service_account, *runtime_class;
    size_t pull_secret_count;
    struct pull_secret {
        char *name;
    } *pull_secrets;
};

enum autoscaling_engine { AUTOSCALING_BUILTIN, AUTOSCALING_HPA };

/* spec.autoscaling.metrics[i].signal: what is measured of each replica. */
enum autoscaling_signal {
    AUTOSCALING_REQUESTS_PER_SECOND,
    AUTOSCALING_IN_FLIGHT,
    AUTOSCALING_QUEUE_OCCUPANCY,
    AUTOSCALING_CPU,
    AUTOSCALING_DPU_UTILIZATION,
    AUTOSCALING_SIGNALS
};

/* Which of the two is given. */
enum autoscaling_target { AUTOSCALING_VALUE = 1, AUTOSCALING_UTILIZATION };

struct autoscaling_metric {
    enum autoscaling_signal signal;
    enum autoscaling_target target;
    json_t *average_value;        /* a quantity as text; NULL: utilization is given */
    unsigned average_utilization; /* percent */
};

enum autoscaling_select { AUTOSCALING_MAX, AUTOSCALING_MIN, AUTOSCALING_DISABLED };

/* behavior.scaleUp and behavior.scaleDown, as in a HorizontalPodAutoscaler. */
struct autoscaling_rules {
    unsigned window_s;
    enum autoscaling_select select;
    bool tolerance_given;
    double tolerance;
    size_t step_count; /* 0: HPA's own */
    struct autoscaling_step {
        enum { AUTOSCALING_PODS, AUTOSCALING_PERCENT } type;
        unsigned value, period_s;
    } *steps;
};

/* spec.autoscaling */
struct autoscaling_settings {
    bool given;
    enum autoscaling_engine engine;
    unsigned min_replicas, max_replicas;
    unsigned target_cpu_percent; /* of the request; counts when there are no metrics */
    size_t metric_count;
    struct autoscaling_metric *metrics;
    bool behavior_given;
    struct autoscaling_rules up, down;
    struct {
        unsigned stable_window_s; /* 0: no panic mode */
        unsigned window_percent, threshold_percent;
    } panic; /* builtin alone */
};

/* spec.disruptionBudget: which of the two is given. */
enum disruption_kind { DISRUPTION_NONE, DISRUPTION_MIN_AVAILABLE, DISRUPTION_MAX_UNAVAILABLE };

struct disruption_settings {
    enum disruption_kind kind;
    json_t *min_available, *max_unavailable; /* a whole number, or a text such as "50%" */
};

struct dpuservice {
    /* metadata */
    char *name;          /* DNS label of at most 59 characters: the children add "-dpu" */
    char *namespace;     /* NULL: not given */
    json_t *labels;      /* object of strings; never NULL */
    json_t *annotations; /* object of strings; never NULL */

    /* spec */
    unsigned replicas;
    char *image;
    char *image_pull_policy;   /* Always, IfNotPresent, Never */
    json_t *resource_requests; /* objects of quantities as strings; never NULL */
    json_t *resource_limits;
    struct pod_template pod;
    struct autoscaling_settings autoscaling;
    struct disruption_settings disruption;

    struct {
        enum service_type type;
        unsigned bridge_port, http_port;           /* of the Service */
        unsigned bridge_node_port, http_node_port; /* 0: the cluster chooses, or none */
    } service;

    char *request_method; /* muBench's: rest */
    unsigned workers;     /* muBench's processes; workers * workload.threads compute at once */
    struct workload_settings workload;
    struct datapath_choice datapath;
    struct policy_settings policy;
    struct queue_settings queues;
    struct limit_settings limits;
    struct egress_settings egress;
    struct tracing_settings tracing;
    struct log_settings log;

    /* not in the document: URLs by name, see callees_resolve(); NULL: nobody asked */
    json_t *callees;

    /* where it was written, for messages */
    char *file;
    unsigned line;
    json_t *lines;
};

/*
 * Reads and checks one document. 0 and *ret_service (owned by the caller), or -EINVAL and every
 * problem found in problems.
 */
int dpuservice_parse(const struct document *document, struct dpuservice **ret_service,
                     struct problems *problems);

/*
 * The same for rules that span documents: what could be read, also when problems were found. Then
 * members of fields that were wrong are zero; name and calls[].service may be NULL. Owned by the
 * caller.
 */
struct dpuservice *dpuservice_read(const struct document *document, struct problems *problems);

/* The whole DpuService as JSON with every default filled in; owned by the caller. */
json_t *dpuservice_emit(const struct dpuservice *service);

/* Where it was written, for places of further problems with it. Borrows from it. */
struct source dpuservice_source(const struct dpuservice *service);

/* Frees it; NULL is fine. */
void dpuservice_free(struct dpuservice *service);

static inline void dpuservice_cleanup_fn(struct dpuservice **service)
{
    dpuservice_free(*service);
}
#define cleanup_dpuservice CLEANUP(dpuservice_cleanup_fn)

/* The table of a whole DpuService document, for the reference page and the CRD. */
extern const struct record dpuservice_record;

#endif
