/* The tables of spec.resources, podTemplate and disruptionBudget. */
#include <string.h>

#include "spec/children.h"
#include "spec/dpuservice_private.h"
#include "spec/quantity.h"

enum {
    MAP_ENTRIES_MAX = 64,
    QUANTITIES_MAX = 8, /* CEL reckons with the longest text for each */
    SCHEDULING_ITEMS_MAX = 64,
    SECRETS_MAX = 16,
};

/* resources */

static void check_resources(const void *record, json_t *object, const struct place *place,
                            struct problems *problems)
{
    const struct dpuservice *service = record;
    struct place requests = PLACE_KEY(place, "requests");
    const char *key;
    json_t *value;

    (void)object;
    json_object_foreach(service->resource_requests, key, value)
    {
        const char *limit = json_string_value(json_object_get(service->resource_limits, key));
        struct place at = PLACE_KEY(&requests, key);
        double wanted, allowed;
        if (!limit || quantity_parse(json_string_value(value), &wanted, NULL) < 0 ||
            quantity_parse(limit, &allowed, NULL) < 0)
            continue;
        if (wanted > allowed)
            place_problem(&at, problems, "%s is above its limit %s; lower it or raise the limit",
                          json_string_value(value), limit);
    }
}

static const struct field resources_fields[] = {
    {.name = "requests",
     .type = FIELD_QUANTITY_MAP,
     FIELD_AT(struct dpuservice, resource_requests),
     .entries_max = QUANTITIES_MAX,
     .pattern = &pattern_label_name,
     .unset = "none",
     .help = "What the scheduler sets aside for a replica: `cpu`, `memory`, ..."},
    {.name = "limits",
     .type = FIELD_QUANTITY_MAP,
     FIELD_AT(struct dpuservice, resource_limits),
     .entries_max = QUANTITIES_MAX,
     .pattern = &pattern_label_name,
     .unset = "none",
     .help = "What a replica may use at most."},
};

static const struct record_check resources_checks[] = {
    {.run = check_resources,
     .reads = {NULL}, /* a quantity that can't be read is not among those that were kept */
     .rule = "!has(self.requests) || !has(self.limits) || self.requests.all(k, !(k in self.limits) "
             "|| !isQuantity(string(self.requests[k])) || !isQuantity(string(self.limits[k])) || "
             "quantity(string(self.requests[k])).compareTo(quantity(string(self.limits[k]))) <= 0)",
     .at = ".requests",
     .sentence = "a request is above its limit; lower it or raise the limit"},
};
const struct record resources_record = {FIELDS(resources_fields), CHECKS(resources_checks),
                                        .size = sizeof(struct dpuservice)};

/* podTemplate */

const char *const reserved_labels[] = {
    "app.kubernetes.io/name",    "app.kubernetes.io/instance",   "app.kubernetes.io/component",
    "app.kubernetes.io/part-of", "app.kubernetes.io/managed-by", NULL,
};

#define RESERVED_SENTENCE "the operator sets it; remove it, or choose another name"

static void check_reserved(const void *record, json_t *object, const struct place *place,
                           struct problems *problems)
{
    const struct dpuservice *service = record;
    struct place labels = PLACE_KEY(place, "labels"), annotations = PLACE_KEY(place, "annotations");

    (void)object;
    for (size_t i = 0; reserved_labels[i]; i++) {
        struct place at = PLACE_KEY(&labels, reserved_labels[i]);
        if (json_object_get(service->pod.labels, reserved_labels[i]))
            place_problem(&at, problems, RESERVED_SENTENCE);
    }
    struct place at = PLACE_KEY(&annotations, CHILD_CONFIG_ANNOTATION);
    if (json_object_get(service->pod.annotations, CHILD_CONFIG_ANNOTATION))
        place_problem(&at, problems, RESERVED_SENTENCE);
}

static const struct field pull_secret_fields[] = {
    {.name = "name",
     .type = FIELD_STRING,
     FIELD_AT(struct pull_secret, name),
     .flags = FIELD_REQUIRED,
     .min = 1,
     .max = 253,
     .pattern = &pattern_object_name,
     .help = "The Secret's name."},
};
static const struct record pull_secret_record = {FIELDS(pull_secret_fields),
                                                 .size = sizeof(struct pull_secret)};

#define POD_MAP_FIELD(name_, member_, value_pattern_, help_)                                       \
    {                                                                                              \
        .name = (name_), .type = FIELD_STRING_MAP, FIELD_AT(struct dpuservice, pod.member_),       \
        .flags = FIELD_OPTIONAL, .entries_max = MAP_ENTRIES_MAX, .pattern = &pattern_label_name,   \
        .value_pattern = (value_pattern_), .unset = "none", .help = (help_)                        \
    }
#define POD_NAME_FIELD(name_, member_, unset_, help_)                                              \
    {                                                                                              \
        .name = (name_), .type = FIELD_STRING, FIELD_AT(struct dpuservice, pod.member_),           \
        .flags = FIELD_OPTIONAL, .min = 1, .max = 253, .pattern = &pattern_object_name,            \
        .unset = (unset_), .help = (help_)                                                         \
    }

static const struct field pod_template_fields[] = {
    POD_MAP_FIELD("labels", labels, &pattern_label_value,
                  "Further labels of the pods. Those under `app.kubernetes.io/` that the operator "
                  "sets can't be given."),
    POD_MAP_FIELD("annotations", annotations, NULL, "Further annotations of the pods."),
    POD_MAP_FIELD("nodeSelector", node_selector, &pattern_label_value,
                  "Labels that a node must have to run a pod."),
    {.name = "affinity",
     .type = FIELD_OBJECT,
     FIELD_AT(struct dpuservice, pod.affinity),
     .flags = FIELD_OPTIONAL,
     .unset = "none",
     .help = "Which nodes, and which other pods' nodes, are preferred or required."},
    {.name = "tolerations",
     .type = FIELD_OBJECTS,
     FIELD_AT(struct dpuservice, pod.tolerations),
     .flags = FIELD_OPTIONAL,
     .max = SCHEDULING_ITEMS_MAX,
     .unset = "none",
     .help = "Taints of nodes that the pods bear."},
    {.name = "topologySpreadConstraints",
     .type = FIELD_OBJECTS,
     FIELD_AT(struct dpuservice, pod.topology_spread),
     .flags = FIELD_OPTIONAL,
     .max = SCHEDULING_ITEMS_MAX,
     .unset = "the scheduler's own",
     .help =
         "How replicas spread over zones and nodes. A constraint without `labelSelector` counts "
         "this service's pods."},
    POD_NAME_FIELD("priorityClassName", priority_class, "the cluster's default",
                   "Who goes first when room is short."),
    POD_NAME_FIELD("schedulerName", scheduler, "the default scheduler", "Who places the pods."),
    POD_NAME_FIELD("serviceAccountName", service_account, "the namespace's default",
                   "The account that the pods run under. The agents need none."),
    {.name = "imagePullSecrets",
     .type = FIELD_RECORDS,
     FIELD_AT(struct dpuservice, pod.pull_secrets),
     .other = offsetof(struct dpuservice, pod.pull_secret_count),
     .max = SECRETS_MAX,
     .record = &pull_secret_record,
     .unset = "none",
     .help = "Secrets with which the image is pulled."},
    POD_NAME_FIELD("runtimeClassName", runtime_class, "the node's default",
                   "The container runtime that runs the pods."),
};

static const struct record_check pod_template_checks[] = {
    {.run = check_reserved,
     .reads = {NULL},
     .rule = "!has(self.labels) || ['name', 'instance', 'component', 'part-of', "
             "'managed-by'].all(n, !('app.kubernetes.io/' + n in self.labels))",
     .at = ".labels",
     .sentence = "the operator sets app.kubernetes.io/name, instance, component, part-of and "
                 "managed-by; remove them, or choose other names"},
    {.rule = "!has(self.annotations) || !('" CHILD_CONFIG_ANNOTATION "' in self.annotations)",
     .at = ".annotations",
     .sentence = CHILD_CONFIG_ANNOTATION ": " RESERVED_SENTENCE},
};
const struct record pod_template_record = {FIELDS(pod_template_fields), CHECKS(pod_template_checks),
                                           .size = sizeof(struct dpuservice)};

/* disruptionBudget */

#define BUDGET_FIELD(name_, member_, choice_, help_)                                               \
    {                                                                                              \
        .name = (name_), .type = FIELD_AMOUNT, FIELD_AT(struct dpuservice, disruption.member_),    \
        .max = 1000, .choice = (choice_), .help = (help_)                                          \
    }

static const struct field disruption_budget_fields[] = {
    BUDGET_FIELD("minAvailable", min_available, DISRUPTION_MIN_AVAILABLE,
                 "Replicas that must stay when a node is drained."),
    BUDGET_FIELD("maxUnavailable", max_unavailable, DISRUPTION_MAX_UNAVAILABLE,
                 "Replicas that may go at once when a node is drained."),
};
const struct record disruption_budget_record = {
    FIELDS(disruption_budget_fields), .size = sizeof(struct dpuservice), .choice = true,
    .chosen = offsetof(struct dpuservice, disruption.kind)};
