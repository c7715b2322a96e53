#include "operator/trim.h"

#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "operator/profile.h"
#include "operator/trim_private.h"
#include "spec/callees.h"

/* 64-bit FNV-1a. */
uint64_t trim_uid(const char *uid)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *uid; uid++)
        hash = (hash ^ (unsigned char)*uid) * UINT64_C(0x100000001b3);
    return hash;
}

const char *trim_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

unsigned trim_number(const json_t *object, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(object, key));
    return value < 0 ? 0 : value > UINT32_MAX ? UINT32_MAX : (unsigned)value;
}

static const char *label_of(const json_t *object, const char *label)
{
    return trim_text(json_object_get(json_object_get(object, "metadata"), "labels"), label);
}

int trim_put_text(struct buffer *out, const char *text, size_t most)
{
    size_t length = strnlen(text, most);
    /* Not in the middle of a character. */
    while (text[length] && length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
        length--;
    int full = buffer_append(out, text, length);
    return full < 0 ? full : buffer_append(out, "", 1);
}

const json_t *trim_condition(const json_t *status, const char *type)
{
    size_t i;
    const json_t *condition;
    json_array_foreach(json_object_get(status, "conditions"), i,
                       condition) if (strcmp(trim_text(condition, "type"), type) ==
                                      0) return condition;
    return NULL;
}

const char *trim_next_text(const char *text)
{
    return text + strlen(text) + 1;
}

/* ---- DpuServices ---- */

static void copy_member(json_t *to, const json_t *from, const char *key)
{
    json_t *value = json_object_get(from, key);
    if (value)
        json_object_set(to, key, value);
}

/* Where it answers; of a spec without defaults too, as documents without a schema have it. */
static char *address_of(const json_t *object)
{
    const json_t *spec = json_object_get(object, "spec");
    const json_t *ports = json_object_get(json_object_get(spec, "service"), "ports");
    unsigned port = trim_number(ports, "http");
    const char *path = trim_text(json_object_get(spec, "workload"), "path");
    return service_address(port ? port : CHILD_HTTP_PORT, *path ? path : WORKLOAD_PATH_DEFAULT);
}

/* JSON without what nobody reads: managed fields, annotations, foreign labels. Three texts: where
 * it answers, so that callers need not parse it; the object; and status, so that a change of status
 * alone is told from others without parsing. */
static int trim_dpuservice(void *context, const json_t *object, struct buffer *out)
{
    static const char *const kept[] = {"name", "namespace", "uid", "generation",
                                       "deletionTimestamp"};
    const json_t *metadata = json_object_get(object, "metadata");
    const json_t *labels = json_object_get(metadata, "labels");
    json_auto_t *trimmed = json_object();
    json_t *short_metadata = json_object(), *short_labels = json_object();
    (void)context;
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        copy_member(short_metadata, metadata, kept[i]);
    copy_member(short_labels, labels, "app.kubernetes.io/part-of");
    if (json_object_size(short_labels))
        json_object_set(short_metadata, "labels", short_labels);
    json_decref(short_labels);
    copy_member(trimmed, object, "apiVersion");
    copy_member(trimmed, object, "kind");
    json_object_set_new(trimmed, "metadata", short_metadata);
    copy_member(trimmed, object, "spec");
    cleanup_free char *address = address_of(object);
    cleanup_free char *text = json_dumps(trimmed, JSON_COMPACT);
    cleanup_free char *status = json_dumps(json_object_get(object, "status"), JSON_COMPACT);
    int full = buffer_append(out, address, strlen(address) + 1);
    if (full == 0)
        full = buffer_append(out, text, strlen(text) + 1);
    return full < 0 || !status ? full : buffer_puts(out, status);
}

/* Of a kept DpuService; "" when it was too large to be kept. */
static const char *text_of(const struct kube_object *object)
{
    return object->data_length ? trim_next_text(object->data) : "";
}

int trim_dpuservice_read(const struct kube_object *object, json_t **ret_object, json_t **ret_status)
{
    const char *text = text_of(object), *status = trim_next_text(text);
    json_t *read = json_loads(text, 0, NULL);
    if (!read)
        return -EINVAL;
    *ret_object = read;
    *ret_status = status < object->data + object->data_length ? json_loads(status, 0, NULL) : NULL;
    return 0;
}

const char *trim_dpuservice_address(const struct kube_object *object)
{
    return object->data;
}

uint64_t trim_dpuservice_digest(const struct kube_object *object)
{
    return trim_uid(text_of(object));
}

bool trim_dpuservice_differs(const struct kube_object *before, const struct kube_object *after)
{
    return strcmp(text_of(before), text_of(after)) != 0;
}

bool trim_key_self(void *context, const struct kube_object *object, struct buffer *ret_key)
{
    (void)context;
    return buffer_printf(ret_key, "%s/%s", object->namespace, object->name) == 0;
}

/* Those that the operator scales itself are looked at every few seconds, and may be few of many; so
 * may those be that a profile concerns. */
static void index_dpuservice(void *context, const json_t *object,
                             const char *keys[KUBE_INDEXES_MAX])
{
    const json_t *scaling = json_object_get(json_object_get(object, "spec"), "autoscaling");
    (void)context;
    if (json_is_object(scaling) && strcmp(trim_text(scaling, "engine"), "hpa") != 0)
        keys[0] = TRIM_AUTOSCALED;
    const char *profile = json_string_value(
        json_object_get(json_object_get(json_object_get(object, "spec"), "datapath"), "profile"));
    if (profile && !datapath_is_shipped(profile))
        keys[TRIM_PROFILE_INDEX] = profile;
}

/* ---- pods ---- */

/* Why the container waits or ended badly: *ret_message is set beside it. "" when nothing is wrong.
 */
static const char *container_cause(const json_t *container, const char **ret_message)
{
    const json_t *state = json_object_get(container, "state");
    const json_t *waiting = json_object_get(state, "waiting");
    const json_t *ended = json_object_get(state, "terminated");
    const char *reason = trim_text(waiting, "reason");
    if (waiting && *reason && strcmp(reason, "ContainerCreating") != 0 &&
        strcmp(reason, "PodInitializing") != 0) {
        const json_t *last = json_object_get(json_object_get(container, "lastState"), "terminated");
        *ret_message = *trim_text(last, "message") ? trim_text(last, "message")
                                                   : trim_text(waiting, "message");
        return reason;
    }
    if (ended && json_integer_value(json_object_get(ended, "exitCode")) != 0) {
        *ret_message = trim_text(ended, "message");
        return *trim_text(ended, "reason") ? trim_text(ended, "reason") : "Error";
    }
    return "";
}

static const char *pod_cause(const json_t *status, const char **ret_message)
{
    static const char *const lists[] = {"initContainerStatuses", "containerStatuses"};
    const json_t *scheduled = trim_condition(status, "PodScheduled");
    *ret_message = "";
    for (size_t i = 0; i < 2; i++) {
        size_t j;
        const json_t *container;
        json_array_foreach(json_object_get(status, lists[i]), j, container)
        {
            const char *cause = container_cause(container, ret_message);
            if (*cause)
                return cause;
        }
    }
    if (strcmp(trim_text(scheduled, "reason"), "Unschedulable") == 0) {
        *ret_message = trim_text(scheduled, "message");
        return "Unschedulable";
    }
    if (strcmp(trim_text(status, "phase"), "Failed") == 0) {
        *ret_message = trim_text(status, "message");
        return *trim_text(status, "reason") ? trim_text(status, "reason") : "Failed";
    }
    return "";
}

enum {
    POD_FLAGS = 4,       /* ready, deleting, ended, running */
    POD_TEXTS = 5,       /* service, cause, message, template_hash, address */
    POD_ADDRESS_MAX = 63 /* bytes: IPv6 with a zone has fewer */
};

static int trim_pod(void *context, const json_t *object, struct buffer *out)
{
    const json_t *status = json_object_get(object, "status");
    const json_t *ready = trim_condition(status, "Ready");
    const char *message, *cause = pod_cause(status, &message);
    const char flags[POD_FLAGS] = {
        strcmp(trim_text(ready, "status"), "True") == 0,
        json_object_get(json_object_get(object, "metadata"), "deletionTimestamp") != NULL,
        strcmp(trim_text(status, "phase"), "Failed") == 0,
        strcmp(trim_text(status, "phase"), "Running") == 0};
    (void)context;
    int full = buffer_append(out, flags, sizeof flags);
    if (full == 0)
        full = trim_put_text(out, label_of(object, "app.kubernetes.io/instance"), 63);
    if (full == 0)
        full = trim_put_text(out, cause, 63);
    if (full == 0)
        full = trim_put_text(out, message, TRIM_MESSAGE_MAX);
    if (full == 0)
        full = trim_put_text(out, label_of(object, "pod-template-hash"), TRIM_LABEL_MAX - 1);
    return full == 0 ? trim_put_text(out, trim_text(status, "podIP"), POD_ADDRESS_MAX) : full;
}

void pod_view_read(const struct kube_object *object, struct pod_view *ret_view)
{
    *ret_view = (struct pod_view){
        .service = "", .cause = "", .message = "", .template_hash = "", .address = ""};
    if (object->data_length < POD_FLAGS + POD_TEXTS)
        return;
    ret_view->ready = object->data[0];
    ret_view->deleting = object->data[1];
    ret_view->ended = object->data[2];
    ret_view->running = object->data[3];
    ret_view->service = object->data + POD_FLAGS;
    ret_view->cause = trim_next_text(ret_view->service);
    ret_view->message = trim_next_text(ret_view->cause);
    ret_view->template_hash = trim_next_text(ret_view->message);
    ret_view->address = trim_next_text(ret_view->template_hash);
}

bool trim_key_pod(void *context, const struct kube_object *object, struct buffer *ret_key)
{
    struct pod_view view;
    (void)context;
    pod_view_read(object, &view);
    return *view.service && buffer_printf(ret_key, "%s/%s", object->namespace, view.service) == 0;
}

static void index_pod(void *context, const json_t *object, const char *keys[KUBE_INDEXES_MAX])
{
    (void)context;
    keys[0] = label_of(object, "app.kubernetes.io/instance");
}

/* ---- all ---- */

bool trim_matters(void *context, const struct kube_object *before, const struct kube_object *after)
{
    (void)context;
    return before->data_length != after->data_length ||
           memcmp(before->data, after->data, after->data_length) != 0;
}

/* etcd takes no more than 1.5 MiB a request, so that every DpuService fits. */
enum { DPUSERVICE_BYTES_MAX = 2 << 20 };

void trim_store_options(enum operator_source source, struct kube_store_options *ret_options)
{
    static enum child_kind kinds[CHILD_KINDS];
    *ret_options = (struct kube_store_options){.transform = trim_dpuservice,
                                               .index = index_dpuservice,
                                               .data_bytes = DPUSERVICE_BYTES_MAX};
    if (source == SOURCE_PODS) {
        ret_options->transform = trim_pod;
        ret_options->index = index_pod;
    } else if (source == SOURCE_PROFILES) {
        ret_options->transform = trim_profile;
        ret_options->index = NULL;
        ret_options->data_bytes = OPERATOR_PROFILE_BYTES_MAX + 2;
    } else if (source != SOURCE_DPUSERVICES) {
        unsigned kind = (unsigned)source - SOURCE_CHILDREN;
        kinds[kind] = (enum child_kind)kind;
        ret_options->transform = trim_child;
        ret_options->index = NULL;
        ret_options->context = &kinds[kind];
    }
}
