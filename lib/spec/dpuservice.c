#include "spec/dpuservice.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "spec/dpuservice_private.h"

/* metadata; what the API server adds is known and ignored. */

#define IGNORED(name_)                                                                             \
    {                                                                                              \
        .name = (name_), .type = FIELD_IGNORED                                                     \
    }

static const struct field metadata_fields[] = {
    {.name = "name",
     .type = FIELD_STRING,
     FIELD_AT(struct dpuservice, name),
     .flags = FIELD_REQUIRED,
     .min = 1,
     .max = SERVICE_NAME_MAX,
     .pattern = &pattern_service_name,
     .help = "The service's name, by which others call it."},
    {.name = "namespace",
     .type = FIELD_STRING,
     FIELD_AT(struct dpuservice, namespace),
     .flags = FIELD_OPTIONAL,
     .min = 1,
     .max = 63,
     .pattern = &pattern_namespace,
     .unset = "the current one",
     .help = "The namespace of the service and of all that is made for it."},
    {.name = "labels",
     .type = FIELD_STRING_MAP,
     FIELD_AT(struct dpuservice, labels),
     .pattern = &pattern_label_name,
     .value_pattern = &pattern_label_value,
     .unset = "none",
     .help = "Labels; `app.kubernetes.io/part-of` is handed on to the children."},
    {.name = "annotations",
     .type = FIELD_STRING_MAP,
     FIELD_AT(struct dpuservice, annotations),
     .pattern = &pattern_label_name,
     .unset = "none",
     .help = "Annotations."},
    IGNORED("uid"),
    IGNORED("resourceVersion"),
    IGNORED("generation"),
    IGNORED("generateName"),
    IGNORED("creationTimestamp"),
    IGNORED("deletionTimestamp"),
    IGNORED("deletionGracePeriodSeconds"),
    IGNORED("finalizers"),
    IGNORED("ownerReferences"),
    IGNORED("managedFields"),
    IGNORED("selfLink"),
};
static const struct record metadata_record = {FIELDS(metadata_fields),
                                              .size = sizeof(struct dpuservice)};

/* spec.service */

static const char *const service_types[] = {"ClusterIP", "NodePort", "LoadBalancer", NULL};

#define PORT_FIELD(name_, member_, default_, help_)                                                \
    {                                                                                              \
        .name = (name_), .type = FIELD_UNSIGNED, FIELD_AT(struct dpuservice, service.member_),     \
        .min = 1, .max = 65535, .fallback = (default_), .help = (help_)                            \
    }
#define NODE_PORT_FIELD(name_, member_, help_)                                                     \
    {                                                                                              \
        .name = (name_), .type = FIELD_UNSIGNED, FIELD_AT(struct dpuservice, service.member_),     \
        .flags = FIELD_OPTIONAL, .min = 30000, .max = 32767, .unset = "the cluster chooses",       \
        .help = (help_)                                                                            \
    }

static const struct field port_fields[] = {
    PORT_FIELD("bridge", bridge_port, "5005", "Port of the TCP bridge."),
    PORT_FIELD("http", http_port, "8080", "Port of HTTP: the path, /metrics, health."),
};
static const struct field node_port_fields[] = {
    NODE_PORT_FIELD("bridge", bridge_node_port, "Port of the bridge on every node."),
    NODE_PORT_FIELD("http", http_node_port, "Port of HTTP on every node."),
};

static void check_ports(const void *record, json_t *object, const struct place *place,
                        struct problems *problems)
{
    const struct dpuservice *service = record;
    struct place http = PLACE_KEY(place, "http");

    (void)object;
    if (service->service.bridge_port == service->service.http_port)
        place_problem(&http, problems, "%u is also the bridge's port; give each its own",
                      service->service.http_port);
}

static void check_own_node_ports(const void *record, json_t *object, const struct place *place,
                                 struct problems *problems)
{
    const struct dpuservice *service = record;
    struct place http = PLACE_KEY(place, "http");

    (void)object;
    if (service->service.http_node_port &&
        service->service.bridge_node_port == service->service.http_node_port)
        place_problem(&http, problems, "%u is also the bridge's node port; give each its own",
                      service->service.http_node_port);
}

static const struct record_check port_checks[] = {
    {.run = check_ports,
     .reads = {"bridge", "http"},
     .rule = "self.bridge != self.http",
     .at = ".http",
     .sentence = "it is also the bridge's port; give each its own",
     .says = "\"%d is also the bridge's port; give each its own\".format([self.http])"},
};
static const struct record_check node_port_checks[] = {
    {.run = check_own_node_ports,
     .reads = {"bridge", "http"},
     .rule = "!has(self.bridge) || !has(self.http) || self.bridge != self.http",
     .at = ".http",
     .sentence = "it is also the bridge's node port; give each its own",
     .says = "\"%d is also the bridge's node port; give each its own\".format([self.http])"},
};
static const struct record ports_record = {FIELDS(port_fields), CHECKS(port_checks),
                                           .size = sizeof(struct dpuservice)};
static const struct record node_ports_record = {FIELDS(node_port_fields), CHECKS(node_port_checks),
                                                .size = sizeof(struct dpuservice)};

static const struct field service_fields[] = {
    {.name = "type",
     .type = FIELD_ENUM,
     FIELD_AT(struct dpuservice, service.type),
     .flags = FIELD_SELECTS,
     .names = service_types,
     .fallback = "ClusterIP",
     .help = "How the service is reached, as in a Kubernetes Service."},
    {.name = "ports", .type = FIELD_RECORD, .record = &ports_record, .help = "Its ports."},
    {.name = "nodePorts",
     .type = FIELD_RECORD,
     .flags = FIELD_OPTIONAL,
     .only_with = FIELD_BIT(SERVICE_NODE_PORT) | FIELD_BIT(SERVICE_LOAD_BALANCER),
     .record = &node_ports_record,
     .unset = "the cluster chooses",
     .help = "Its ports on every node."},
};
static const struct record service_record = {FIELDS(service_fields),
                                             .size = sizeof(struct dpuservice)};

/* spec.workload */

enum { COMPUTING_MAX = 1024 /* workload.threads of the agent */ };

static const char *const request_methods[] = {"rest", NULL};
static const char *const request_methods_later[] = {"grpc", NULL};

static void check_computing(const void *record, json_t *object, const struct place *place,
                            struct problems *problems)
{
    const struct dpuservice *service = record;
    struct place threads = PLACE_KEY(place, "threads");
    unsigned computing = service->workers * service->workload.threads;

    (void)object;
    if (computing > COMPUTING_MAX)
        place_problem(&threads, problems, "%u workers times %u threads are %u; at most %d",
                      service->workers, service->workload.threads, computing, COMPUTING_MAX);
}

static const struct field workload_fields[] = {
    WORKLOAD_PATH_FIELD(struct dpuservice, workload),
    {.name = "requestMethod",
     .type = FIELD_WORD,
     FIELD_AT(struct dpuservice, request_method),
     .names = request_methods,
     .later = request_methods_later,
     .fallback = "rest",
     .help = "How the service is called."},
    {.name = "workers",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct dpuservice, workers),
     .fallback = "1",
     .min = 1,
     .max = 256,
     .help = "muBench's worker processes; workers times threads requests compute at once."},
    {.name = "threads",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct dpuservice, workload.threads),
     .fallback = "4",
     .min = 1,
     .max = COMPUTING_MAX,
     .help = "Threads that compute, for each worker."},
    WORKLOAD_CALL_FIELDS(struct dpuservice, workload),
};
static const struct record_check workload_checks[] = {
    {.run = check_computing,
     .reads = {"workers", "threads"},
     .rule = "self.workers * self.threads <= 1024",
     .at = ".threads",
     .sentence = "workers times threads are more than 1024; lower one",
     .says =
         "'%d workers times %d threads are %d; at most 1024'.format([self.workers, self.threads, "
         "self.workers * self.threads])"},
};
static const struct record workload_record = {FIELDS(workload_fields), CHECKS(workload_checks),
                                              .size = sizeof(struct dpuservice)};

/* spec */

static const char *const pull_policies[] = {"Always", "IfNotPresent", "Never", NULL};

static void check_datapath(const void *record, json_t *object, const struct place *place,
                           struct problems *problems)
{
    (void)object;
    datapath_check_choice(&((const struct dpuservice *)record)->datapath, place, problems);
}

static void finish_datapath(void *record, json_t *object)
{
    (void)object;
    datapath_finish_choice(&((struct dpuservice *)record)->datapath);
}

static const struct field datapath_fields[] = {
    DATAPATH_CHOICE_FIELDS(struct dpuservice, datapath),
    DATAPATH_POLICY_FIELD(struct dpuservice, policy),
    {.name = "queues",
     .type = FIELD_RECORD,
     FIELD_AT(struct dpuservice, queues),
     .record = &queues_record,
     .help = "The queues between the DPU side and the application."},
};
static const struct record_check datapath_checks[] = {
    {.run = check_datapath,
     .reads = {"mode", "profile"},
     .rule = datapath_rule,
     .at = ".profile",
     .sentence = "it is a profile of another kind than the mode; name one of its kind, or change "
                 "the mode",
     .says = datapath_rule_says},
};
static const struct record datapath_record = {FIELDS(datapath_fields), CHECKS(datapath_checks),
                                              .size = sizeof(struct dpuservice),
                                              .finish = finish_datapath};

static const struct field spec_fields[] = {
    {.name = "replicas",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct dpuservice, replicas),
     .fallback = "1",
     .max = 1000,
     .help = "How many agents run."},
    {.name = "image",
     .type = FIELD_STRING,
     FIELD_AT(struct dpuservice, image),
     .fallback = "mubench-dpu-agent:latest",
     .min = 1,
     .max = 500,
     .pattern = &pattern_image,
     .help = "The agent's container image."},
    {.name = "imagePullPolicy",
     .type = FIELD_WORD,
     FIELD_AT(struct dpuservice, image_pull_policy),
     .names = pull_policies,
     .fallback = "IfNotPresent",
     .help = "When the image is pulled, as in a pod."},
    {.name = "resources",
     .type = FIELD_RECORD,
     .record = &resources_record,
     .help = "Processor and memory of a replica, as in a pod."},
    {.name = "podTemplate",
     .type = FIELD_RECORD,
     .record = &pod_template_record,
     .help =
         "What else a replica's pod is given, and where it may run. Kubernetes' own words; local "
         "mode has no use for them."},
    {.name = "autoscaling",
     .type = FIELD_RECORD,
     FIELD_AT(struct dpuservice, autoscaling),
     .flags = FIELD_OPTIONAL,
     .given = offsetof(struct dpuservice, autoscaling.given),
     .record = &autoscaling_record,
     .unset = "none",
     .help = "Who changes the number of replicas, and within which bounds. Local mode keeps the "
             "bounds and does not scale by itself."},
    {.name = "disruptionBudget",
     .type = FIELD_RECORD,
     .flags = FIELD_OPTIONAL,
     .record = &disruption_budget_record,
     .unset = "none",
     .help =
         "How many replicas a drained node may take away at once: exactly one of the two. Local "
         "mode has no use for it."},
    {.name = "service",
     .type = FIELD_RECORD,
     .record = &service_record,
     .help = "How clients reach the replicas."},
    {.name = "workload",
     .type = FIELD_RECORD,
     .record = &workload_record,
     .help = "What a request does: muBench's vocabulary."},
    {.name = "datapath",
     .type = FIELD_RECORD,
     .record = &datapath_record,
     .help = "The way of a request through the pod."},
    {.name = "egress",
     .type = FIELD_RECORD,
     FIELD_AT(struct dpuservice, egress),
     .record = &dpuservice_egress_record,
     .help = "Calls to other services."},
    {.name = "limits",
     .type = FIELD_RECORD,
     FIELD_AT(struct dpuservice, limits),
     .record = &limits_record,
     .help = "What the network can't exceed."},
    {.name = "tracing",
     .type = FIELD_RECORD,
     FIELD_AT(struct dpuservice, tracing),
     .flags = FIELD_OPTIONAL,
     .given = offsetof(struct dpuservice, tracing.given),
     .record = &dpuservice_tracing_record,
     .unset = "nothing is recorded",
     .help = "Traces of requests, for OpenTelemetry."},
    {.name = "log",
     .type = FIELD_RECORD,
     FIELD_AT(struct dpuservice, log),
     .record = &log_record,
     .help = "What the agents write to standard error."},
};
static const struct record_check spec_checks[] = {
    {.run = check_autoscaled_dpu,
     .reads = {"autoscaling", "datapath"},
     .rule = AUTOSCALED_DPU_RULE,
     .at = ".autoscaling",
     .sentence = AUTOSCALED_DPU_SENTENCE},
    {.run = check_autoscaled_cpu,
     .reads = {"autoscaling", "resources"},
     .rule = AUTOSCALED_CPU_RULE,
     .at = ".resources",
     .sentence = "requests.cpu is missing; autoscaling measures use against it: give a value such "
                 "as 100m"},
};
static const struct record spec_record = {FIELDS(spec_fields), CHECKS(spec_checks),
                                          .size = sizeof(struct dpuservice)};

/* A service can't call itself: its own queue would wait for itself. Reads names deep inside spec:
 * those that were wrong are NULL. */
static void check_groups(const struct dpuservice *service, const struct external_group *groups,
                         size_t count, const struct place *workload, struct problems *problems)
{
    struct place list = PLACE_KEY(workload, "externalServices");

    for (size_t i = 0; i < count; i++) {
        const struct external_group *group = &groups[i];
        struct place at = PLACE_INDEX(&list, i), services = PLACE_KEY(&at, "services");
        for (size_t j = 0; j < group->call_count; j++) {
            struct place call = PLACE_INDEX(&services, j);
            const char *callee = group->calls[j].service;
            if (callee && strcmp(callee, service->name) == 0)
                place_problem(&call, problems,
                              "a service can't call itself; name another service, or remove it");
        }
    }
}

static void check_callees(const void *record, json_t *object, const struct place *place,
                          struct problems *problems)
{
    const struct dpuservice *service = record;
    const struct workload_settings *workload = &service->workload;
    struct place spec = PLACE_KEY(place, "spec"), at = PLACE_KEY(&spec, "workload");
    struct place behaviors = PLACE_KEY(&at, "alternativeBehaviors");

    (void)object;
    if (!service->name)
        return;
    check_groups(service, workload->groups, workload->group_count, &at, problems);
    for (size_t i = 0; i < workload->behavior_count; i++) {
        const struct alternative_behavior *behavior = &workload->behaviors[i];
        struct place own = PLACE_KEY(&behaviors, behavior->id);
        check_groups(service, behavior->groups, behavior->group_count, &own, problems);
    }
}

static const char *const api_versions[] = {DPUSERVICE_API_VERSION, NULL};
static const char *const kinds[] = {DPUSERVICE_KIND, NULL};

static const struct field document_fields[] = {
    {.name = "apiVersion",
     .type = FIELD_CONSTANT,
     .flags = FIELD_REQUIRED,
     .names = api_versions,
     .help = "The form of this document."},
    {.name = "kind",
     .type = FIELD_CONSTANT,
     .flags = FIELD_REQUIRED,
     .names = kinds,
     .help = "What it describes."},
    {.name = "metadata",
     .type = FIELD_RECORD,
     .record = &metadata_record,
     .help = "Kubernetes' object metadata."},
    {.name = "spec",
     .type = FIELD_RECORD,
     .record = &spec_record,
     .help = "What is wanted; absent: all defaults."},
    IGNORED("status"),
};

static const struct record_check document_checks[] = {
    {.run = check_callees,
     .reads = {NULL},
     .rule = "!has(self.spec.workload.externalServices) || "
             "self.spec.workload.externalServices.all(g, !(self.metadata.name in g.services.map(s, "
             "s.split('__')[0])))",
     .at = ".spec.workload.externalServices",
     .sentence = "a service can't call itself; name another service, or remove it"},
    {.run = NULL,
     .rule = "!has(self.spec.workload.alternativeBehaviors) || "
             "self.spec.workload.alternativeBehaviors.all(b, "
             "!has(self.spec.workload.alternativeBehaviors[b].externalServices) || "
             "self.spec.workload.alternativeBehaviors[b].externalServices.all(g, "
             "!(self.metadata.name in g.services.map(s, s.split('__')[0]))))",
     .at = ".spec.workload.alternativeBehaviors",
     .sentence = "a service can't call itself; name another service, or remove it"},
};
const struct record dpuservice_record = {FIELDS(document_fields), CHECKS(document_checks),
                                         .size = sizeof(struct dpuservice)};

struct dpuservice *dpuservice_read(const struct document *document, struct problems *problems)
{
    struct dpuservice *service = xcalloc(1, sizeof(*service));
    json_t *name = json_object_get(json_object_get(document->root, "metadata"), "name");
    struct source source = document_source(document, json_string_value(name));
    struct place root = PLACE_ROOT(&source);

    record_parse(&dpuservice_record, document->root, service, &root, problems);
    service->file = xstrdup(document->file);
    service->line = document->line;
    service->lines = json_incref(document->lines);
    return service;
}

int dpuservice_parse(const struct document *document, struct dpuservice **ret_service,
                     struct problems *problems)
{
    size_t before = problems->count;
    cleanup_dpuservice struct dpuservice *service = dpuservice_read(document, problems);

    if (problems->count > before)
        return -EINVAL;
    *ret_service = STEAL_POINTER(service);
    return 0;
}

json_t *dpuservice_emit(const struct dpuservice *service)
{
    return record_emit(&dpuservice_record, service);
}

struct source dpuservice_source(const struct dpuservice *service)
{
    return (struct source){.file = service->file,
                           .line = service->line,
                           .lines = service->lines,
                           .object = service->name};
}

void dpuservice_free(struct dpuservice *service)
{
    if (!service)
        return;
    record_free(&dpuservice_record, service);
    json_decref(service->datapath.own);
    json_decref(service->callees);
    free(service->file);
    json_decref(service->lines);
    free(service);
}
