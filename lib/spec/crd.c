#include "spec/crd.h"

#include <string.h>

#include "spec/dpuservice.h"
#include "spec/field_schema.h"

static json_t *described(const char *type, const char *description)
{
    return json_pack("{s:s, s:s}", "type", type, "description", description);
}

static json_t *whole(const char *description)
{
    json_t *schema = described("integer", description);
    json_object_set_new(schema, "format", json_string("int64"));
    json_object_set_new(schema, "minimum", json_integer(0));
    return schema;
}

static json_t *text(const char *description, int max)
{
    json_t *schema = described("string", description);
    json_object_set_new(schema, "maxLength", json_integer(max));
    return schema;
}

/* metav1.Condition, with its bounds. */
static json_t *condition_schema(void)
{
    json_t *schema = described("object", "One aspect of the service's state.");
    json_t *time = text("When status last changed.", 64), *status = text("Whether it is so.", 16);
    json_t *reason = text("Why, in one word for programs.", 1024);

    json_object_set_new(time, "format", json_string("date-time"));
    json_object_set_new(status, "enum", json_pack("[s, s, s]", "True", "False", "Unknown"));
    json_object_set_new(reason, "pattern", json_string("^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"));
    json_object_set_new(
        schema, "required",
        json_pack("[s, s, s, s, s]", "type", "status", "lastTransitionTime", "reason", "message"));
    json_object_set_new(schema, "properties",
                        json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "type",
                                  text("Ready, Reconciling, Stalled, Scaling or Autoscaling.", 316),
                                  "status", status, "observedGeneration",
                                  whole("The metadata.generation that it is about."),
                                  "lastTransitionTime", time, "reason", reason, "message",
                                  text("Why, in a sentence for people.", 32768)));
    return schema;
}

static json_t *status_schema(void)
{
    json_t *schema = described("object", "What the operator found; written by it alone.");
    json_t *conditions = described("array", "Ready, Reconciling and Stalled (kstatus); Scaling and "
                                            "Autoscaling where they apply.");

    json_object_set_new(conditions, "items", condition_schema());
    json_object_set_new(conditions, "maxItems", json_integer(16));
    json_object_set_new(conditions, "x-kubernetes-list-type", json_string("map"));
    json_object_set_new(conditions, "x-kubernetes-list-map-keys", json_pack("[s]", "type"));
    json_object_set_new(
        schema, "properties",
        json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "observedGeneration",
                  whole("The metadata.generation that the rest is about."), "replicas",
                  whole("Pods that there are."), "readyReplicas", whole("Pods that take requests."),
                  "desiredReplicas", whole("Pods that are wanted."), "ready",
                  text("readyReplicas of desiredReplicas, such as 2/3.", 32), "selector",
                  text("The label selector of the pods, as text.", 512), "endpoint",
                  text("Where clients reach the bridge, such as s0.shop.svc:5005.", 512),
                  "latencyAsked",
                  text("The delay of a simulated call as spec.egress.latency asks for it, such as "
                       "50ms or \"exponential, mean 8ms\".",
                       256),
                  "conditions", conditions));
    return schema;
}

static const struct field *field_of(const struct record *record, const char *name)
{
    size_t i = 0;
    while (strcmp(record->fields[i].name, name) != 0)
        i++;
    return &record->fields[i];
}

/* A name that our children can carry: stricter than the API server's own rule. */
static void add_name_rule(json_t *schema)
{
    const struct field *metadata = field_of(&dpuservice_record, "metadata");
    const struct field_pattern *pattern = field_of(metadata->record, "name")->pattern;
    cleanup_buffer struct buffer rule = BUFFER_INIT(RULE_BYTES_MAX);
    cleanup_buffer struct buffer sentence = BUFFER_INIT(RULE_BYTES_MAX);

    buffer_printf(&rule, "self.metadata.name.size() <= %u && self.metadata.name.matches(",
                  pattern->max);
    schema_put_text(&rule, pattern->expression);
    buffer_puts(&rule, ")");
    buffer_printf(&sentence, "the name is not %s, of at most %u characters", pattern->says,
                  pattern->max);
    schema_add_rule(schema, &(struct schema_rule){.rule = buffer_terminate(&rule),
                                                  .at = ".metadata.name",
                                                  .sentence = buffer_terminate(&sentence)});
}

static json_t *root_schema(void)
{
    const struct field *spec = field_of(&dpuservice_record, "spec");
    json_t *schema = described("object", "One microservice: how many replicas, how clients reach "
                                         "it, what a request does, and whom it calls.");
    json_t *wanted = record_schema(spec->record);
    json_t *name = json_pack("{s:s}", "type", "string");

    json_object_set_new(wanted, "description", json_string(spec->help));
    json_object_set_new(wanted, "default", json_object());
    json_object_set_new(
        schema, "properties",
        json_pack("{s:o, s:o, s:{s:s, s:{s:o}}, s:o, s:o}", "apiVersion",
                  described("string", "The form of this document: " DPUSERVICE_API_VERSION "."),
                  "kind", described("string", "What it describes: " DPUSERVICE_KIND "."),
                  "metadata", "type", "object", "properties", "name", name, "spec", wanted,
                  "status", status_schema()));
    add_name_rule(schema);
    schema_add_record_rules(schema, &dpuservice_record);
    return schema;
}

static json_t *column(const char *name, const char *type, const char *path, const char *description,
                      bool wide)
{
    json_t *entry = json_pack("{s:s, s:s, s:s, s:s}", "name", name, "type", type, "jsonPath", path,
                              "description", description);
    if (wide)
        json_object_set_new(entry, "priority", json_integer(1));
    return entry;
}

static json_t *columns(void)
{
    return json_pack(
        "[o, o, o, o, o, o, o, o]",
        column("Mode", "string", ".spec.datapath.mode", "The data path.", false),
        column("Ready", "string", ".status.ready", "Ready replicas of those wanted.", false),
        column("Desired", "integer", ".spec.replicas", "Replicas that are asked for.", false),
        column("Endpoint", "string", ".status.endpoint", "Where clients reach it.", false),
        column("Age", "date", ".metadata.creationTimestamp", "How long it has been there.", false),
        column("Latency", "string", ".status.latencyAsked", "The delay of calls that is asked for.",
               true),
        column("Autoscaler", "string", ".spec.autoscaling.engine", "Who sets the replicas.", true),
        column("Image", "string", ".spec.image", "The agent's image.", true));
}

static json_t *version(void)
{
    json_t *subresources = json_pack("{s:{}, s:{s:s, s:s, s:s}}", "status", "scale",
                                     "specReplicasPath", ".spec.replicas", "statusReplicasPath",
                                     ".status.replicas", "labelSelectorPath", ".status.selector");
    json_t *fields = json_pack("[{s:s}, {s:s}, {s:s}, {s:s}]", "jsonPath", ".spec.service.type",
                               "jsonPath", ".spec.datapath.mode", "jsonPath", ".spec.egress.mode",
                               "jsonPath", ".spec.image");

    return json_pack("{s:s, s:b, s:b, s:o, s:o, s:o, s:{s:o}}", "name", "v1alpha1", "served", 1,
                     "storage", 1, "subresources", subresources, "selectableFields", fields,
                     "additionalPrinterColumns", columns(), "schema", "openAPIV3Schema",
                     root_schema());
}

json_t *dpuservice_crd(void)
{
    json_t *names = json_pack("{s:s, s:s, s:s, s:s, s:[s], s:[s]}", "plural", "dpuservices",
                              "singular", "dpuservice", "kind", DPUSERVICE_KIND, "listKind",
                              DPUSERVICE_KIND "List", "shortNames", "dpu", "categories", "all");
    json_t *labels = json_pack("{s:s, s:s}", "app.kubernetes.io/name", "dpumesh-operator",
                               "app.kubernetes.io/part-of", "mubench-dpu");

    return json_pack("{s:s, s:s, s:{s:s, s:o}, s:{s:s, s:s, s:o, s:[o]}}", "apiVersion",
                     "apiextensions.k8s.io/v1", "kind", "CustomResourceDefinition", "metadata",
                     "name", DPUSERVICE_CRD_NAME, "labels", labels, "spec", "group", "dpumesh.io",
                     "scope", "Namespaced", "names", names, "versions", version());
}
