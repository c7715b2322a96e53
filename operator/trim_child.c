#include <string.h>

#include "base/memory.h"
#include "operator/trim.h"
#include "operator/trim_private.h"

enum {
    CHILD_TEXTS = 6,     /* service, owner_text, scaler, template_hash, message, reason */
    TRIM_NAME_MAX = 253, /* bytes of an object's name, or a manager's */
};

/* What is kept of a child, before its texts. */
struct child_record {
    uint64_t fingerprint, owner;
    int64_t generation, observed_generation;
    uint32_t wanted, replicas, updated, ready, available;
    uint32_t node_ports[2];
    uint8_t applied, deleting, late, replica_failure, active;
};

/* The controller among the owners, or NULL. */
static const json_t *controller_of(const json_t *object)
{
    const json_t *owners = json_object_get(json_object_get(object, "metadata"), "ownerReferences");
    size_t i;
    const json_t *owner;
    json_array_foreach(owners, i,
                       owner) if (json_is_true(json_object_get(owner, "controller"))) return owner;
    return NULL;
}

static bool is_dpuservice(const json_t *owner)
{
    return strcmp(trim_text(owner, "kind"), DPUSERVICE_KIND) == 0 &&
           strncmp(trim_text(owner, "apiVersion"), "dpumesh.io/", 11) == 0;
}

/* As far as the object shows it: reflectors cut managed fields out of what they read, but for
 * Deployments; a GET has them. */
static bool applied_by_us(const json_t *object)
{
    size_t i;
    const json_t *entry;
    json_array_foreach(json_object_get(json_object_get(object, "metadata"), "managedFields"), i,
                       entry) if (strcmp(trim_text(entry, "manager"), OPERATOR_MANAGER) == 0 &&
                                  strcmp(trim_text(entry, "operation"), "Apply") == 0) return true;
    return false;
}

/*
 * Who set spec.replicas through the scale subresource. People's kubectl does not count: what a
 * person changes behind our back is drift; a controller's decision is the controller's.
 */
static const char *scaler_of(const json_t *object)
{
    const json_t *entries = json_object_get(json_object_get(object, "metadata"), "managedFields");
    size_t i;
    const json_t *entry;
    json_array_foreach(entries, i, entry)
    {
        const json_t *spec = json_object_get(json_object_get(entry, "fieldsV1"), "f:spec");
        const char *manager = trim_text(entry, "manager");
        if (strcmp(trim_text(entry, "subresource"), "scale") == 0 &&
            json_object_get(spec, "f:replicas") && strncmp(manager, "kubectl", 7) != 0)
            return manager;
    }
    return "";
}

/*
 * The pod-template-hash of the current version: the deployment controller names the ReplicaSet,
 * which ends in it, in quotes in the message of the condition Progressing, whatever that says of
 * it (k8s.io/kubernetes/pkg/controller/deployment/progress.go and sync.go). "" when it does not.
 */
static const char *current_hash(const json_t *object, size_t *ret_length)
{
    const json_t *progressing = trim_condition(json_object_get(object, "status"), "Progressing");
    const char *begin = strchr(trim_text(progressing, "message"), '"');
    const char *end = begin ? strchr(begin + 1, '"') : NULL;
    const char *hash = end;
    while (hash && hash > begin + 1 && hash[-1] != '-')
        hash--;
    *ret_length = end ? (size_t)(end - hash) : 0;
    return end ? hash : "";
}

/* The DpuService whose child of this kind has the object's name; its length, 0 when none has. */
static size_t service_length(enum child_kind kind, const char *name)
{
    struct child_identity identity = spec_child_identity(kind);
    size_t length = strlen(name), suffix = strlen(identity.suffix);
    return length > suffix && strcmp(name + length - suffix, identity.suffix) == 0 ? length - suffix
                                                                                   : 0;
}

/* Fills in what a Deployment's status tells; the message that counts, "" without one. */
static const char *read_deployment(const json_t *object, struct child_record *record)
{
    const json_t *status = json_object_get(object, "status");
    const json_t *progressing = trim_condition(status, "Progressing");
    const json_t *failure = trim_condition(status, "ReplicaFailure");
    record->generation =
        json_integer_value(json_object_get(json_object_get(object, "metadata"), "generation"));
    record->observed_generation = json_integer_value(json_object_get(status, "observedGeneration"));
    record->wanted = trim_number(json_object_get(object, "spec"), "replicas");
    record->replicas = trim_number(status, "replicas");
    record->updated = trim_number(status, "updatedReplicas");
    record->ready = trim_number(status, "readyReplicas");
    record->available = trim_number(status, "availableReplicas");
    record->late = strcmp(trim_text(progressing, "status"), "False") == 0;
    record->replica_failure = strcmp(trim_text(failure, "status"), "True") == 0;
    return record->replica_failure ? trim_text(failure, "message")
           : record->late          ? trim_text(progressing, "message")
                                   : "";
}

/* What a HorizontalPodAutoscaler says of itself: whether it can scale, or else whether it has
 * figures. Its message, "" without one. */
static const char *read_autoscaler(const json_t *object, struct child_record *record,
                                   const char **ret_reason)
{
    const json_t *status = json_object_get(object, "status");
    const json_t *able = trim_condition(status, "AbleToScale");
    const json_t *active = trim_condition(status, "ScalingActive");
    const json_t *says = strcmp(trim_text(able, "status"), "False") == 0 ? able : active;
    record->active = strcmp(trim_text(says, "status"), "True") == 0;
    *ret_reason = trim_text(says, "reason");
    return trim_text(says, "message");
}

static void read_service(const json_t *object, struct child_record *record)
{
    size_t i;
    const json_t *port;
    json_array_foreach(json_object_get(json_object_get(object, "spec"), "ports"), i, port)
    {
        const char *name = trim_text(port, "name");
        if (strcmp(name, "bridge") == 0)
            record->node_ports[0] = trim_number(port, "nodePort");
        else if (strcmp(name, "http") == 0)
            record->node_ports[1] = trim_number(port, "nodePort");
    }
}

static void read_record(enum child_kind kind, const json_t *object, const json_t *owner,
                        struct child_record *record)
{
    memset(record, 0, sizeof *record);
    record->fingerprint = spec_child_fingerprint(kind, object);
    record->owner = owner && is_dpuservice(owner) ? trim_uid(trim_text(owner, "uid")) : 0;
    record->applied = applied_by_us(object);
    record->deleting =
        json_object_get(json_object_get(object, "metadata"), "deletionTimestamp") != NULL;
}

int trim_child(void *context, const json_t *object, struct buffer *out)
{
    enum child_kind kind = *(const enum child_kind *)context;
    const char *name = trim_text(json_object_get(object, "metadata"), "name");
    const json_t *owner = controller_of(object);
    struct child_record record;
    const char *message = "", *scaler = "", *hash = "", *reason = "";
    size_t hash_length = 0;
    read_record(kind, object, owner, &record);
    if (kind == CHILD_DEPLOYMENT) {
        message = read_deployment(object, &record);
        scaler = scaler_of(object);
        hash = current_hash(object, &hash_length);
    } else if (kind == CHILD_SERVICE) {
        read_service(object, &record);
    } else if (kind == CHILD_AUTOSCALER) {
        message = read_autoscaler(object, &record, &reason);
    }
    cleanup_free char *owner_text =
        owner ? xasprintf("%s %s", trim_text(owner, "kind"), trim_text(owner, "name"))
              : xstrdup("");
    int full = buffer_append(out, &record, sizeof record);
    if (full == 0)
        full = trim_put_text(out, name, service_length(kind, name));
    if (full == 0)
        full = trim_put_text(out, owner_text, TRIM_MESSAGE_MAX);
    if (full == 0)
        full = trim_put_text(out, scaler, TRIM_NAME_MAX);
    if (full == 0)
        full = trim_put_text(out, hash, hash_length < TRIM_LABEL_MAX ? hash_length : 0);
    if (full == 0)
        full = trim_put_text(out, message, TRIM_MESSAGE_MAX);
    return full == 0 ? trim_put_text(out, reason, TRIM_LABEL_MAX - 1) : full;
}

void child_view_read(const struct kube_object *object, struct child_view *ret_view)
{
    struct child_record record;
    *ret_view = (struct child_view){.service = "",
                                    .owner_text = "",
                                    .scaler = "",
                                    .template_hash = "",
                                    .message = "",
                                    .reason = ""};
    if (object->data_length < sizeof record + CHILD_TEXTS)
        return;
    memcpy(&record, object->data, sizeof record);
    *ret_view = (struct child_view){
        .fingerprint = record.fingerprint,
        .owner = record.owner,
        .applied = record.applied,
        .deleting = record.deleting,
        .node_ports = {record.node_ports[0], record.node_ports[1]},
        .generation = record.generation,
        .observed_generation = record.observed_generation,
        .wanted = record.wanted,
        .replicas = record.replicas,
        .updated = record.updated,
        .ready = record.ready,
        .available = record.available,
        .late = record.late,
        .replica_failure = record.replica_failure,
        .active = record.active,
    };
    ret_view->service = object->data + sizeof record;
    ret_view->owner_text = trim_next_text(ret_view->service);
    ret_view->scaler = trim_next_text(ret_view->owner_text);
    ret_view->template_hash = trim_next_text(ret_view->scaler);
    ret_view->message = trim_next_text(ret_view->template_hash);
    ret_view->reason = trim_next_text(ret_view->message);
}

void child_view_of(enum child_kind kind, const json_t *object, struct buffer *scratch,
                   struct child_view *ret_view)
{
    buffer_clear(scratch);
    trim_child(&kind, object, scratch);
    struct kube_object kept = {.data = scratch->data, .data_length = scratch->length};
    child_view_read(&kept, ret_view);
}

bool trim_key_child(void *context, const struct kube_object *object, struct buffer *ret_key)
{
    struct child_view view;
    (void)context;
    child_view_read(object, &view);
    return *view.service && buffer_printf(ret_key, "%s/%s", object->namespace, view.service) == 0;
}
