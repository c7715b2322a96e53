/* The pods of a Deployment. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "spec/children_private.h"
#include "spec/quantity.h"

enum {
    AGENT_USER = 65532,    /* "nonroot" of common base images; any number but 0 would do */
    GRACE_BEYOND_DRAIN = 5 /* s: to close sockets and leave after the drain */
};

#define CONFIG_PATH    "/etc/dpumesh"
#define SCRATCH_VOLUME "scratch"

static json_t *probe(const char *path, int period_s, int failures)
{
    return json_pack("{s:{s:s, s:s}, s:i, s:i, s:i}", "httpGet", "path", path, "port", "http",
                     "periodSeconds", period_s, "timeoutSeconds", 1, "failureThreshold", failures);
}

static json_t *container_port(const char *name, int port)
{
    return json_pack("{s:s, s:i, s:s}", "name", name, "containerPort", port, "protocol", "TCP");
}

/* Pod Security "restricted", the container's half. */
static json_t *container_security(void)
{
    return json_pack("{s:b, s:b, s:{s:[s]}}", "allowPrivilegeEscalation", 0,
                     "readOnlyRootFilesystem", 1, "capabilities", "drop", "ALL");
}

/* Adds a map of quantities in the form in which the API server keeps them. */
static void set_quantities(json_t *resources, const char *name, json_t *quantities,
                           const char *owned_name, struct buffer *owns)
{
    json_t *canonical = json_object(), *value;
    char text[QUANTITY_TEXT_MAX];
    const char *key;

    json_object_foreach(quantities, key, value)
    {
        bool known = quantity_canonical(json_string_value(value), text, NULL) == 0;
        json_object_set_new(canonical, key, known ? json_string(text) : json_deep_copy(value));
        child_owns(owns, owned_name, key);
    }
    if (json_object_size(canonical))
        json_object_set(resources, name, canonical);
    json_decref(canonical);
}

uint64_t child_disk_bytes(const struct dpuservice *service)
{
    return workload_disk_bytes(&service->workload) * service->workers;
}

/* The root file system can't be written to, so that diskStress has a volume of its own. Its limit
 * leaves room for what a file system needs besides the bytes. */
static void add_scratch(const struct dpuservice *service, json_t *container, json_t *volumes,
                        struct buffer *owns)
{
    const uint64_t mebibyte = 1 << 20;
    uint64_t bytes = child_disk_bytes(service);
    cleanup_free char *limit =
        xasprintf("%" PRIu64 "Mi", (bytes + bytes / 16 + mebibyte - 1) / mebibyte + 1);
    char canonical[QUANTITY_TEXT_MAX];

    if (bytes == 0)
        return;
    if (quantity_canonical(limit, canonical, NULL) < 0)
        abort(); /* digits and a unit are a quantity */
    json_array_append_new(
        json_object_get(container, "volumeMounts"),
        json_pack("{s:s, s:s}", "name", SCRATCH_VOLUME, "mountPath", CHILD_SCRATCH_PATH));
    json_array_append_new(volumes, json_pack("{s:s, s:{s:s}}", "name", SCRATCH_VOLUME, "emptyDir",
                                             "sizeLimit", canonical));
    child_owns(owns, SCRATCH_VOLUME, NULL);
}

static json_t *make_container(const struct dpuservice *service, struct buffer *owns)
{
    json_t *container = json_pack("{s:s, s:s, s:s, s:[s, s]}", "name", "agent", "image",
                                  service->image, "imagePullPolicy", service->image_pull_policy,
                                  "args", "--config", CONFIG_PATH "/" CHILD_CONFIG_KEY);
    json_t *resources = json_object();

    json_object_set_new(container, "ports",
                        json_pack("[o, o]", container_port("bridge", CHILD_BRIDGE_PORT),
                                  container_port("http", CHILD_HTTP_PORT)));
    /* No startup probe: starting takes milliseconds, and the kubelet asks a container without one
     * whether it is ready as soon as it runs, and one with it a second later. */
    json_object_set_new(container, "readinessProbe", probe("/readyz", 2, 2));
    json_object_set_new(container, "livenessProbe", probe("/healthz", 10, 3));
    set_quantities(resources, "requests", service->resource_requests, "request:", owns);
    set_quantities(resources, "limits", service->resource_limits, "limit:", owns);
    json_object_set_new(container, "resources", resources);
    json_object_set_new(container, "securityContext", container_security());
    json_object_set_new(
        container, "volumeMounts",
        json_pack("[{s:s, s:s, s:b}]", "name", "config", "mountPath", CONFIG_PATH, "readOnly", 1));
    return container;
}

/* A copy without what the API server would drop: null means absent there. */
static json_t *without_nulls(const json_t *value)
{
    json_t *copy, *entry;
    const char *key;
    size_t index;

    if (json_is_object(value)) {
        copy = json_object();
        /* jansson's macro wants to write; it does not. */
        for (void *at = json_object_iter((json_t *)(uintptr_t)value); at;
             at = json_object_iter_next((json_t *)(uintptr_t)value, at)) {
            key = json_object_iter_key(at);
            entry = json_object_iter_value(at);
            if (!json_is_null(entry))
                json_object_set_new(copy, key, without_nulls(entry));
        }
        return copy;
    }
    if (!json_is_array(value))
        return json_deep_copy(value);
    copy = json_array();
    json_array_foreach(value, index, entry) json_array_append_new(copy, without_nulls(entry));
    return copy;
}

/* Adds what was given as it stands in a pod. */
static void set_given(json_t *pod, const char *name, const json_t *value, struct buffer *owns)
{
    if (!value || (json_is_object(value) && json_object_size(value) == 0) ||
        (json_is_array(value) && json_array_size(value) == 0))
        return;
    json_object_set_new(pod, name, without_nulls(value));
    child_owns(owns, name, NULL);
}

static void set_text(json_t *pod, const char *name, const char *text, struct buffer *owns)
{
    if (!text)
        return;
    json_object_set_new(pod, name, json_string(text));
    child_owns(owns, name, NULL);
}

/* A constraint that does not say whom it counts counts the pods of its service: without, nobody. */
static void set_topology_spread(const struct dpuservice *service, json_t *pod, struct buffer *owns)
{
    json_t *constraint;
    size_t index;

    set_given(pod, "topologySpreadConstraints", service->pod.topology_spread, owns);
    json_array_foreach(json_object_get(pod, "topologySpreadConstraints"), index, constraint)
    {
        if (!json_object_get(constraint, "labelSelector"))
            json_object_set_new(constraint, "labelSelector",
                                json_pack("{s:o}", "matchLabels", child_selector_labels(service)));
    }
}

static void set_scheduling(const struct dpuservice *service, json_t *pod, struct buffer *owns)
{
    const struct pod_template *asked = &service->pod;

    set_given(pod, "nodeSelector", asked->node_selector, owns);
    set_given(pod, "affinity", asked->affinity, owns);
    set_given(pod, "tolerations", asked->tolerations, owns);
    set_topology_spread(service, pod, owns);
    set_text(pod, "priorityClassName", asked->priority_class, owns);
    set_text(pod, "schedulerName", asked->scheduler, owns);
    set_text(pod, "serviceAccountName", asked->service_account, owns);
    set_text(pod, "runtimeClassName", asked->runtime_class, owns);
    if (asked->pull_secret_count == 0)
        return;
    json_t *secrets = json_array();
    for (size_t i = 0; i < asked->pull_secret_count; i++)
        json_array_append_new(secrets, json_pack("{s:s}", "name", asked->pull_secrets[i].name));
    json_object_set_new(pod, "imagePullSecrets", secrets);
    child_owns(owns, "imagePullSecrets", NULL);
}

static json_int_t grace_seconds(const struct dpuservice *service)
{
    uint64_t end_ns = service->limits.shutdown_delay_ns + service->limits.drain_timeout_ns;
    return (json_int_t)((end_ns + NS_PER_S - 1) / NS_PER_S) + GRACE_BEYOND_DRAIN;
}

static json_t *make_pod_spec(const struct dpuservice *service, struct buffer *owns)
{
    cleanup_free char *config_map = xasprintf("%s-dpu", service->name);
    json_t *container = make_container(service, owns);
    json_t *volumes =
        json_pack("[{s:s, s:{s:s}}]", "name", "config", "configMap", "name", config_map);
    json_t *pod = json_pack("{s:[o], s:o}", "containers", container, "volumes", volumes);

    add_scratch(service, container, volumes, owns);
    child_add_tls(service, container, volumes, owns);
    json_object_set_new(pod, "terminationGracePeriodSeconds", json_integer(grace_seconds(service)));
    json_object_set_new(pod, "automountServiceAccountToken", json_false());
    /* Variables for every service of the namespace: of no use here, and many. */
    json_object_set_new(pod, "enableServiceLinks", json_false());
    json_object_set_new(pod, "securityContext",
                        json_pack("{s:b, s:i, s:i, s:{s:s}}", "runAsNonRoot", 1, "runAsUser",
                                  AGENT_USER, "runAsGroup", AGENT_USER, "seccompProfile", "type",
                                  "RuntimeDefault"));
    set_scheduling(service, pod, owns);
    return pod;
}

/* Adds further labels or annotations to those that stand there. */
static void add_texts(json_t *texts, json_t *further, const char *owned_name, struct buffer *owns)
{
    const char *key;
    json_t *value;

    json_object_foreach(further, key, value)
    {
        json_object_set(texts, key, value);
        child_owns(owns, owned_name, key);
    }
}

json_t *child_pod_template(const struct dpuservice *service, const char *config,
                           struct buffer *owns)
{
    cleanup_free char *hash = xasprintf("%016" PRIx64, fnv1a(FNV_START, config, strlen(config)));
    json_t *labels = child_recommended_labels(service);
    json_t *annotations = json_pack("{s:s}", CHILD_CONFIG_ANNOTATION, hash);

    add_texts(labels, service->pod.labels, "label:", owns);
    add_texts(annotations, service->pod.annotations, "annotation:", owns);
    return json_pack("{s:{s:o, s:o}, s:o}", "metadata", "labels", labels, "annotations",
                     annotations, "spec", make_pod_spec(service, owns));
}
