/* Lease objects as JSON. */
#include "kube/lease_record.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "kube/time.h"

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

int lease_record_read(const json_t *object, struct lease_record *ret_record)
{
    const json_t *spec = json_object_get(object, "spec");
    const char *version = text_of(json_object_get(object, "metadata"), "resourceVersion");
    json_int_t seconds = json_integer_value(json_object_get(spec, "leaseDurationSeconds"));
    if (!version[0])
        return -EPROTO;
    *ret_record = (struct lease_record){
        .version = version,
        .holder = text_of(spec, "holderIdentity"),
        /* int32 in the API. */
        .duration_ns = seconds > 0 && seconds <= INT32_MAX ? (uint64_t)seconds * NS_PER_S : 0};
    return 0;
}

static json_t *micro_time(uint64_t unix_ns)
{
    char text[KUBE_TIME_TEXT_MAX];
    return json_string(kube_micro_time_format(unix_ns, text));
}

/* The server takes whole seconds; rounded up, so that others never wait for less than we mean. */
static json_t *whole_seconds(uint64_t duration_ns)
{
    return json_integer((json_int_t)((duration_ns + NS_PER_S - 1) / NS_PER_S));
}

static void hold(json_t *spec, const char *identity, uint64_t duration_ns, uint64_t unix_ns)
{
    json_object_set_new(spec, "holderIdentity", json_string(identity));
    json_object_set_new(spec, "leaseDurationSeconds", whole_seconds(duration_ns));
    json_object_set_new(spec, "renewTime", micro_time(unix_ns));
}

json_t *lease_record_new(const char *namespace, const char *name, const char *identity,
                         uint64_t duration_ns, uint64_t unix_ns)
{
    json_t *spec = json_object();
    hold(spec, identity, duration_ns, unix_ns);
    json_object_set_new(spec, "acquireTime", micro_time(unix_ns));
    json_object_set_new(spec, "leaseTransitions", json_integer(0));
    return json_pack("{s:s, s:s, s:{s:s, s:s}, s:o}", "apiVersion", "coordination.k8s.io/v1",
                     "kind", "Lease", "metadata", "namespace", namespace, "name", name, "spec",
                     spec);
}

/* A copy of object without managedFields (the server keeps those of an object sent without) and
 * with a spec of its own. */
static json_t *copy(const json_t *object, json_t **ret_spec)
{
    json_t *metadata = json_deep_copy(json_object_get(object, "metadata"));
    const json_t *old_spec = json_object_get(object, "spec");
    json_t *spec = json_is_object(old_spec) ? json_deep_copy(old_spec) : json_object();
    json_object_del(metadata, "managedFields");
    *ret_spec = spec;
    return json_pack("{s:s, s:s, s:o, s:o}", "apiVersion", "coordination.k8s.io/v1", "kind",
                     "Lease", "metadata", metadata, "spec", spec);
}

json_t *lease_record_held(const json_t *object, const char *identity, uint64_t duration_ns,
                          uint64_t unix_ns)
{
    json_t *spec;
    json_t *body = copy(object, &spec);
    if (strcmp(text_of(spec, "holderIdentity"), identity) != 0) {
        json_int_t transitions = json_integer_value(json_object_get(spec, "leaseTransitions"));
        /* int32 in the API, not negative. */
        transitions = transitions >= 0 && transitions < INT32_MAX ? transitions + 1 : 0;
        json_object_set_new(spec, "leaseTransitions", json_integer(transitions));
        json_object_set_new(spec, "acquireTime", micro_time(unix_ns));
    }
    hold(spec, identity, duration_ns, unix_ns);
    return body;
}

json_t *lease_record_released(const json_t *object, uint64_t unix_ns)
{
    json_t *spec;
    json_t *body = copy(object, &spec);
    hold(spec, "", NS_PER_S, unix_ns);
    json_object_set_new(spec, "acquireTime", micro_time(unix_ns));
    return body;
}
