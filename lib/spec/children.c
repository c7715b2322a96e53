#include "spec/children.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "spec/agent_config.h"
#include "spec/children_private.h"

enum { REAL_DIGITS = 15 /* decimal digits that a double holds without noise */ };

#define PART_OF_LABEL "app.kubernetes.io/part-of"

static const struct child_identity identities[CHILD_KINDS] = {
    [CHILD_CONFIG_MAP] = {"v1", "", "v1", "configmaps", "ConfigMap", "-dpu"},
    [CHILD_SERVICE] = {"v1", "", "v1", "services", "Service", ""},
    [CHILD_DEPLOYMENT] = {"apps/v1", "apps", "v1", "deployments", "Deployment", "-dpu"},
    [CHILD_AUTOSCALER] = {"autoscaling/v2", "autoscaling", "v2", "horizontalpodautoscalers",
                          "HorizontalPodAutoscaler", "-dpu"},
    [CHILD_DISRUPTION_BUDGET] = {"policy/v1", "policy", "v1", "poddisruptionbudgets",
                                 "PodDisruptionBudget", "-dpu"},
};

struct child_identity spec_child_identity(enum child_kind kind)
{
    return identities[kind];
}

char *spec_json_text(const json_t *object)
{
    return json_dumps(object, JSON_INDENT(2) | JSON_REAL_PRECISION(REAL_DIGITS));
}

json_t *spec_agent_config(const struct dpuservice *service)
{
    char zone[] = "default", bridge[] = "0.0.0.0:5005", http[] = "0.0.0.0:8080";
    char scratch[] = CHILD_SCRATCH_PATH;
    char *bridges[] = {bridge}, *https[] = {http};
    _Static_assert(CHILD_BRIDGE_PORT == 5005 && CHILD_HTTP_PORT == 8080, "as in the addresses");
    const struct datapath_choice *datapath = &service->datapath;
    json_auto_t *profile = datapath->own       ? json_incref(datapath->own)
                           : datapath->profile ? json_string(datapath->profile)
                                               : NULL;
    /* Borrows from service for as long as it takes to print it. */
    struct agent_config config = {
        .service = service->name,
        .zone = zone,
        .listen = {.bridge_count = 1, .bridge = bridges, .http_count = 1, .http = https},
        .limits = service->limits,
        .queues = service->queues,
        .workload = service->workload,
        .scratch = child_disk_bytes(service) ? scratch : NULL,
        .egress = service->egress,
        .datapath = {.mode = service->datapath.mode, .source = profile, .policy = service->policy},
        .tracing = service->tracing,
        .callees = service->callees,
        .log = service->log,
    };

    child_tls_files(&config);
    config.workload.threads = service->workers * service->workload.threads;
    return record_emit(&agent_config_record, &config);
}

json_t *child_selector_labels(const struct dpuservice *service)
{
    return json_pack("{s:s, s:s}", "app.kubernetes.io/name", "dpumesh-agent",
                     "app.kubernetes.io/instance", service->name);
}

json_t *child_recommended_labels(const struct dpuservice *service)
{
    const char *part_of = json_string_value(json_object_get(service->labels, PART_OF_LABEL));
    json_t *labels = child_selector_labels(service);

    json_object_set_new(labels, "app.kubernetes.io/component", json_string("microservice"));
    json_object_set_new(labels, PART_OF_LABEL, json_string(part_of ? part_of : "mubench-dpu"));
    json_object_set_new(labels, "app.kubernetes.io/managed-by", json_string("dpumesh"));
    return labels;
}

void child_owns(struct buffer *owns, const char *name, const char *key)
{
    buffer_printf(owns, "%s%s%s", owns->length ? " " : "", name, key ? key : "");
}

static int compare_words(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted, so that the order in which a document names its labels does not matter. */
static void set_owns(json_t *child, struct buffer *owns)
{
    cleanup_buffer struct buffer sorted = BUFFER_INIT(CHILD_OWNS_MAX);
    cleanup_free char **words = xcalloc(owns->length / 2 + 1, sizeof(*words));
    char *save = NULL;
    size_t count = 0;

    for (char *word = strtok_r(buffer_terminate(owns), " ", &save); word;
         word = strtok_r(NULL, " ", &save))
        words[count++] = word;
    qsort(words, count, sizeof(*words), compare_words);
    for (size_t i = 0; i < count; i++)
        child_owns(&sorted, words[i], NULL);
    json_object_set_new(json_object_get(child, "metadata"), "annotations",
                        json_pack("{s:s}", CHILD_OWNS_ANNOTATION, buffer_terminate(&sorted)));
}

/* An object with its identity and labels. */
static json_t *new_child(const struct dpuservice *service, enum child_kind kind)
{
    const struct child_identity *identity = &identities[kind];
    cleanup_free char *name = xasprintf("%s%s", service->name, identity->suffix);
    json_t *metadata = json_pack("{s:s}", "name", name);

    if (service->namespace)
        json_object_set_new(metadata, "namespace", json_string(service->namespace));
    json_object_set_new(metadata, "labels", child_recommended_labels(service));
    return json_pack("{s:s, s:s, s:o}", "apiVersion", identity->api_version, "kind", identity->kind,
                     "metadata", metadata);
}

static json_t *make_config_map(const struct dpuservice *service, const char *config)
{
    json_t *child = new_child(service, CHILD_CONFIG_MAP);
    json_object_set_new(child, "data", json_pack("{s:s}", CHILD_CONFIG_KEY, config));
    return child;
}

static json_t *service_port(const char *name, unsigned port, unsigned node_port,
                            const char *app_protocol, struct buffer *owns)
{
    json_t *entry = json_pack("{s:s, s:s, s:I, s:s}", "name", name, "protocol", "TCP", "port",
                              (json_int_t)port, "targetPort", name);
    if (app_protocol)
        json_object_set_new(entry, "appProtocol", json_string(app_protocol));
    if (node_port) {
        json_object_set_new(entry, "nodePort", json_integer(node_port));
        child_owns(owns, "nodePort:", name);
    }
    return entry;
}

static json_t *make_service(const struct dpuservice *service)
{
    static const char *const types[] = {"ClusterIP", "NodePort", "LoadBalancer"};
    cleanup_buffer struct buffer owns = BUFFER_INIT(CHILD_OWNS_MAX);
    json_t *child = new_child(service, CHILD_SERVICE);
    json_t *bridge = service_port("bridge", service->service.bridge_port,
                                  service->service.bridge_node_port, NULL, &owns);
    json_t *http = service_port("http", service->service.http_port, service->service.http_node_port,
                                "http", &owns);

    set_owns(child, &owns);
    json_object_set_new(child, "spec",
                        json_pack("{s:s, s:o, s:[o, o]}", "type", types[service->service.type],
                                  "selector", child_selector_labels(service), "ports", bridge,
                                  http));
    return child;
}

/* Replicas within the autoscaler's bounds, also before it looks, and without it in local mode. */
static json_int_t wanted_replicas(const struct dpuservice *service)
{
    const struct autoscaling_settings *scaling = &service->autoscaling;

    if (!scaling->given || service->replicas == 0)
        return service->replicas;
    if (service->replicas < scaling->min_replicas)
        return scaling->min_replicas;
    return service->replicas > scaling->max_replicas ? scaling->max_replicas : service->replicas;
}

static json_t *make_deployment(const struct dpuservice *service, const char *config)
{
    cleanup_buffer struct buffer owns = BUFFER_INIT(CHILD_OWNS_MAX);
    json_t *child = new_child(service, CHILD_DEPLOYMENT);
    json_t *template = child_pod_template(service, config, &owns);

    set_owns(child, &owns);
    /* One new replica at a time, and none goes before it is ready: an update loses no request. */
    json_object_set_new(child, "spec",
                        json_pack("{s:I, s:i, s:{s:o}, s:{s:s, s:{s:i, s:i}}, s:o}", "replicas",
                                  wanted_replicas(service), "revisionHistoryLimit", 3, "selector",
                                  "matchLabels", child_selector_labels(service), "strategy", "type",
                                  "RollingUpdate", "rollingUpdate", "maxSurge", 1, "maxUnavailable",
                                  0, "template", template));
    return child;
}

/* It scales the DpuService, whose replicas the Deployment follows: one decision, one owner. */
static json_t *make_autoscaler(const struct dpuservice *service)
{
    cleanup_buffer struct buffer owns = BUFFER_INIT(CHILD_OWNS_MAX);
    json_t *child = new_child(service, CHILD_AUTOSCALER);
    json_t *spec = child_autoscaler_spec(service, &owns);

    if (owns.length)
        set_owns(child, &owns);
    json_object_set_new(child, "spec", spec);
    return child;
}

static json_t *make_disruption_budget(const struct dpuservice *service)
{
    const struct disruption_settings *asked = &service->disruption;
    bool stay = asked->kind == DISRUPTION_MIN_AVAILABLE;
    json_t *child = new_child(service, CHILD_DISRUPTION_BUDGET);

    json_object_set_new(child, "spec",
                        json_pack("{s:O, s:{s:o}}", stay ? "minAvailable" : "maxUnavailable",
                                  stay ? asked->min_available : asked->max_unavailable, "selector",
                                  "matchLabels", child_selector_labels(service)));
    return child;
}

void spec_children(const struct dpuservice *service, struct children *ret_children)
{
    json_auto_t *agent_config = spec_agent_config(service);
    cleanup_free char *config = spec_json_text(agent_config);

    ret_children->objects[CHILD_CONFIG_MAP] = make_config_map(service, config);
    /* What others' specs say is no reason for other pods: agents reload it. */
    if (json_object_del(agent_config, "callees") == 0) {
        free(config);
        config = spec_json_text(agent_config);
    }
    ret_children->objects[CHILD_SERVICE] = make_service(service);
    ret_children->objects[CHILD_DEPLOYMENT] = make_deployment(service, config);
    if (service->autoscaling.given && service->autoscaling.engine == AUTOSCALING_HPA)
        ret_children->objects[CHILD_AUTOSCALER] = make_autoscaler(service);
    if (service->disruption.kind != DISRUPTION_NONE)
        ret_children->objects[CHILD_DISRUPTION_BUDGET] = make_disruption_budget(service);
}

void children_free(struct children *children)
{
    for (size_t i = 0; i < CHILD_KINDS; i++)
        json_decref(children->objects[i]);
    *children = (struct children)CHILDREN_INIT;
}
