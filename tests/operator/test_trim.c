#include <criterion/criterion.h>
#include <string.h>

#include "operator/trim.h"

/* As a real API server (1.34) made them; see their names. */
static json_t *load(const char *name)
{
    char path[512];
    json_error_t error;
    snprintf(path, sizeof(path), "%s/%s.json", OBJECTS_DIRECTORY, name);
    json_t *object = json_load_file(path, 0, &error);
    cr_assert_not_null(object, "%s: %s", path, error.text);
    return object;
}

/* Changes what stands at a path of keys and indexes; value NULL takes it away. Owns value. */
static void change(json_t *object, const char *path, json_t *value)
{
    char keys[256], *save = NULL;
    snprintf(keys, sizeof(keys), "%s", path);
    char *key = strtok_r(keys, " ", &save), *next;
    while ((next = strtok_r(NULL, " ", &save))) {
        json_t *inner = json_is_array(object) ? json_array_get(object, (size_t)(*key - '0'))
                                              : json_object_get(object, key);
        cr_assert_not_null(inner, "%s: no %s", path, key);
        object = inner;
        key = next;
    }
    if (value)
        json_object_set_new(object, key, value);
    else
        json_object_del(object, key);
}

/* Puts the object through a store of the source; a reference. */
static const struct kube_object *keep(enum operator_source source, const json_t *object)
{
    struct kube_store_options options;
    trim_store_options(source, &options);
    struct kube_store *store = kube_store_new(&options);
    const json_t *metadata = json_object_get(object, "metadata");
    kube_store_put(store, object, NULL, NULL);
    const struct kube_object *kept =
        kube_store_get(store, json_string_value(json_object_get(metadata, "namespace")),
                       json_string_value(json_object_get(metadata, "name")));
    kube_store_free(store);
    cr_assert_not_null(kept);
    return kept;
}

static const struct kube_object *keep_child(enum child_kind kind, const json_t *object)
{
    return keep(SOURCE_CHILDREN + (unsigned)kind, object);
}

static void expect_key(bool (*key)(void *, const struct kube_object *, struct buffer *),
                       const struct kube_object *object, const char *expected)
{
    cleanup_buffer struct buffer text = BUFFER_INIT(600);
    bool some = key(NULL, object, &text);
    cr_expect_eq(some, expected != NULL);
    if (expected)
        cr_expect_str_eq(buffer_terminate(&text), expected);
}

/* ---- DpuServices ---- */

Test(trim, dpuservice)
{
    json_auto_t *object = load("dpuservice");
    cleanup_kube_object const struct kube_object *kept = keep(SOURCE_DPUSERVICES, object);
    json_auto_t *read = NULL, *status = NULL;
    cr_assert_eq(trim_dpuservice_read(kept, &read, &status), 0);
    cr_expect(json_equal(json_object_get(read, "spec"), json_object_get(object, "spec")));
    cr_expect(json_equal(status, json_object_get(object, "status")));
    cr_expect_null(json_object_get(read, "status"));
    const json_t *metadata = json_object_get(read, "metadata");
    cr_expect_str_eq(json_string_value(json_object_get(metadata, "name")), "s0");
    cr_expect_eq(json_integer_value(json_object_get(metadata, "generation")), 1);
    cr_expect_not_null(json_object_get(metadata, "uid"));
    cr_expect_null(json_object_get(metadata, "managedFields"));
    cr_expect_null(json_object_get(metadata, "annotations"));
    const json_t *labels = json_object_get(metadata, "labels");
    cr_expect_eq(json_object_size(labels), 1);
    cr_expect_str_eq(json_string_value(json_object_get(labels, "app.kubernetes.io/part-of")),
                     "shop");
    expect_key(trim_key_self, kept, "default/s0");
    cr_expect_str_eq(trim_dpuservice_address(kept), ":8080/api/v1");
}

Test(trim, dpuservice_that_answers_elsewhere)
{
    json_auto_t *object = load("dpuservice");
    change(object, "spec service", json_pack("{s:{s:i}}", "ports", "http", 9090));
    change(object, "spec workload", json_pack("{s:s}", "path", "/foo"));
    cleanup_kube_object const struct kube_object *kept = keep(SOURCE_DPUSERVICES, object);
    cr_expect_str_eq(trim_dpuservice_address(kept), ":9090/foo");
}

Test(trim, dpuservice_without_spec_and_status)
{
    json_auto_t *object = load("dpuservice");
    change(object, "status", NULL);
    change(object, "spec", NULL);
    cleanup_kube_object const struct kube_object *kept = keep(SOURCE_DPUSERVICES, object);
    json_auto_t *read = NULL, *status = NULL;
    cr_assert_eq(trim_dpuservice_read(kept, &read, &status), 0);
    cr_expect_null(status);
    cr_expect_str_eq(trim_dpuservice_address(kept), ":8080/api/v1");
    struct kube_object broken = {.data = "", .data_length = 0};
    json_t *untouched = NULL;
    cr_expect_lt(trim_dpuservice_read(&broken, &untouched, &untouched), 0);
    cr_expect_null(untouched);
}

/* What is news: spec and what we read of metadata; nothing else. */
Test(trim, dpuservice_differs)
{
    static const struct {
        const char *path, *value; /* JSON */
        bool matters, differs;    /* at all; in more than status */
    } changes[] = {
        {"spec replicas", "7", true, true},
        {"metadata generation", "2", true, true},
        {"metadata deletionTimestamp", "\"2026-11-23T12:00:00Z\"", true, true},
        {"metadata labels app.kubernetes.io/part-of", "\"bank\"", true, true},
        {"status replicas", "7", true, false},
        {"metadata resourceVersion", "\"999\"", false, false},
        {"metadata labels team", "\"b\"", false, false},
        {"metadata managedFields", "[]", false, false},
    };
    json_auto_t *object = load("dpuservice");
    cleanup_kube_object const struct kube_object *before = keep(SOURCE_DPUSERVICES, object);
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        json_auto_t *changed = json_deep_copy(object);
        change(changed, changes[i].path, json_loads(changes[i].value, JSON_DECODE_ANY, NULL));
        cleanup_kube_object const struct kube_object *after = keep(SOURCE_DPUSERVICES, changed);
        cr_expect_eq(trim_matters(NULL, before, after), changes[i].matters, "%s", changes[i].path);
        cr_expect_eq(trim_dpuservice_differs(before, after), changes[i].differs, "%s",
                     changes[i].path);
        cr_expect_eq(trim_dpuservice_digest(before) != trim_dpuservice_digest(after),
                     changes[i].differs, "%s", changes[i].path);
    }
}

/* Larger than any that etcd takes, and it is still there. */
Test(trim, dpuservice_of_any_size)
{
    json_auto_t *object = load("dpuservice");
    size_t size = 1536 * 1024;
    char *filler = malloc(size + 1);
    memset(filler, 'x', size);
    filler[size] = '\0';
    change(object, "spec filler", json_string(filler));
    free(filler);
    cleanup_kube_object const struct kube_object *kept = keep(SOURCE_DPUSERVICES, object);
    json_auto_t *read = NULL, *status = NULL;
    cr_expect_eq(trim_dpuservice_read(kept, &read, &status), 0);
}

/* ---- children ---- */

Test(trim, deployment)
{
    json_auto_t *object = load("deployment");
    cleanup_kube_object const struct kube_object *kept = keep_child(CHILD_DEPLOYMENT, object);
    struct child_view view;
    child_view_read(kept, &view);
    const char *uid = json_string_value(json_object_get(
        json_array_get(json_object_get(json_object_get(object, "metadata"), "ownerReferences"), 0),
        "uid"));
    cr_expect_eq(view.fingerprint, spec_child_fingerprint(CHILD_DEPLOYMENT, object));
    cr_expect_eq(view.owner, trim_uid(uid));
    cr_expect(view.applied);
    cr_expect_not(view.deleting);
    cr_expect_str_eq(view.service, "s0");
    cr_expect_str_eq(view.owner_text, "DpuService s0");
    cr_expect_eq(view.generation, 1);
    cr_expect_eq(view.observed_generation, 1);
    cr_expect_eq(view.wanted, 2);
    cr_expect_eq(view.replicas, 2);
    cr_expect_eq(view.updated, 2);
    cr_expect_eq(view.ready, 0);
    cr_expect_eq(view.available, 0);
    cr_expect_str_empty(view.scaler);
    cr_expect_str_eq(view.template_hash, "69c5bc97c5");
    cr_expect_not(view.late);
    cr_expect_not(view.replica_failure);
    cr_expect_str_empty(view.message);
    expect_key(trim_key_child, kept, "default/s0");

    /* The same from an answer, whatever was in the buffer. */
    cleanup_buffer struct buffer scratch = BUFFER_INIT(4096);
    buffer_puts(&scratch, "something");
    struct child_view answered;
    child_view_of(CHILD_DEPLOYMENT, object, &scratch, &answered);
    cr_expect_eq(answered.fingerprint, view.fingerprint);
    cr_expect_str_eq(answered.template_hash, view.template_hash);
}

Test(trim, deployment_that_others_scale)
{
    static const struct {
        const char *manager;
        bool counts;
    } managers[] = {{"horizontal-pod-autoscaler", true},
                    {"keda-operator", true},
                    {"kubectl", false},
                    {"kubectl-scale", false}};
    json_auto_t *object = load("deployment-scaled");
    struct child_view view;
    cleanup_buffer struct buffer scratch = BUFFER_INIT(4096);
    json_t *entries = json_object_get(json_object_get(object, "metadata"), "managedFields");
    json_t *scale = NULL;
    for (size_t i = 0; i < json_array_size(entries); i++) {
        json_t *entry = json_array_get(entries, i);
        const char *subresource = json_string_value(json_object_get(entry, "subresource"));
        if (subresource && strcmp(subresource, "scale") == 0)
            scale = entry;
    }
    cr_assert_not_null(scale, "the API server says who scaled");
    for (size_t i = 0; i < sizeof(managers) / sizeof(managers[0]); i++) {
        json_object_set_new(scale, "manager", json_string(managers[i].manager));
        child_view_of(CHILD_DEPLOYMENT, object, &scratch, &view);
        cr_expect_str_eq(view.scaler, managers[i].counts ? managers[i].manager : "");
        cr_expect_eq(view.wanted, 5);
    }
    /* Whoever has the field in another way did not take it over: what differs is drift. */
    json_object_del(scale, "subresource");
    child_view_of(CHILD_DEPLOYMENT, object, &scratch, &view);
    cr_expect_str_empty(view.scaler);
}

Test(trim, deployment_beyond_quota)
{
    json_auto_t *object = load("deployment-quota");
    struct child_view view;
    cleanup_buffer struct buffer scratch = BUFFER_INIT(4096);
    child_view_of(CHILD_DEPLOYMENT, object, &scratch, &view);
    cr_expect(view.replica_failure);
    cr_expect_not_null(strstr(view.message, "exceeded quota: few, requested: pods=1"), "%s",
                       view.message);
}

/* The ReplicaSet is named in every message of the deployment controller. */
Test(trim, template_hash)
{
    static const struct {
        const char *message, *hash;
    } cases[] = {
        {"ReplicaSet \"s0-dpu-69c5bc97c5\" is progressing.", "69c5bc97c5"},
        {"ReplicaSet \"s0-dpu-69c5bc97c5\" has successfully progressed.", "69c5bc97c5"},
        {"ReplicaSet \"s0-dpu-69c5bc97c5\" has timed out progressing.", "69c5bc97c5"},
        {"Created new replica set \"s0-dpu-abc\"", "abc"},
        {"Failed to create new replica set \"s0-dpu-abc\": \"no\"", "abc"},
        {"Deployment does not have a name in it.", ""},
        {"one \" quote", ""},
        {"\"\"", ""},
        {"\"plain\"", "plain"},
        {"\"s0-\"", ""},
    };
    json_auto_t *object = load("deployment");
    struct child_view view;
    cleanup_buffer struct buffer scratch = BUFFER_INIT(4096);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        change(object, "status conditions 1 message", json_string(cases[i].message));
        child_view_of(CHILD_DEPLOYMENT, object, &scratch, &view);
        cr_expect_str_eq(view.template_hash, cases[i].hash, "%s: %s", cases[i].message,
                         view.template_hash);
    }
}

Test(trim, service)
{
    json_auto_t *object = load("service");
    cleanup_kube_object const struct kube_object *kept = keep_child(CHILD_SERVICE, object);
    const json_t *ports = json_object_get(json_object_get(object, "spec"), "ports");
    struct child_view view;
    child_view_read(kept, &view);
    for (size_t i = 0; i < 2; i++)
        cr_expect_eq(view.node_ports[i],
                     json_integer_value(json_object_get(json_array_get(ports, i), "nodePort")));
    cr_expect_geq(view.node_ports[0], 30000);
    expect_key(trim_key_child, kept, "default/s0");
}

/* Whoever holds a name that would be a child's wakes that DpuService. */
Test(trim, key_is_by_name)
{
    static const struct {
        enum child_kind kind;
        const char *name, *key;
    } cases[] = {
        {CHILD_CONFIG_MAP, "s0-dpu", "default/s0"},
        {CHILD_CONFIG_MAP, "s0", NULL},
        {CHILD_CONFIG_MAP, "-dpu", NULL},
        {CHILD_SERVICE, "s0", "default/s0"},
        {CHILD_SERVICE, "s0-dpu", "default/s0-dpu"},
        {CHILD_DEPLOYMENT, "a-dpu-dpu", "default/a-dpu"},
    };
    json_auto_t *object = load("config-map");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        change(object, "metadata name", json_string(cases[i].name));
        cleanup_kube_object const struct kube_object *kept = keep_child(cases[i].kind, object);
        expect_key(trim_key_child, kept, cases[i].key);
    }
}

static void read_owners(const char *json, struct child_view *ret_view, struct buffer *scratch)
{
    json_auto_t *object = load("config-map");
    change(object, "metadata ownerReferences", json_loads(json, 0, NULL));
    child_view_of(CHILD_CONFIG_MAP, object, scratch, ret_view);
}

Test(trim, owners)
{
    struct child_view view;
    cleanup_buffer struct buffer scratch = BUFFER_INIT(4096);
    read_owners("[]", &view, &scratch);
    cr_expect_eq(view.owner, 0);
    cr_expect_str_empty(view.owner_text);
    read_owners("[{\"apiVersion\": \"dpumesh.io/v1alpha1\", \"kind\": \"DpuService\", \"name\": "
                "\"s0\", \"uid\": \"u\"}]",
                &view, &scratch);
    cr_expect_eq(view.owner, 0, "an owner is no controller");
    read_owners("[{\"apiVersion\": \"apps/v1\", \"kind\": \"Deployment\", \"name\": \"web\", "
                "\"uid\": \"u\", \"controller\": true}]",
                &view, &scratch);
    cr_expect_eq(view.owner, 0);
    cr_expect_str_eq(view.owner_text, "Deployment web");
    read_owners("[{\"apiVersion\": \"other.io/v1\", \"kind\": \"DpuService\", \"name\": \"s0\", "
                "\"uid\": \"u\", \"controller\": true}]",
                &view, &scratch);
    cr_expect_eq(view.owner, 0, "a DpuService of another group");
    read_owners("[{\"apiVersion\": \"dpumesh.io/v1\", \"kind\": \"DpuService\", \"name\": \"s1\", "
                "\"uid\": \"u\", \"controller\": true}]",
                &view, &scratch);
    cr_expect_eq(view.owner, trim_uid("u"), "of another version of ours");
    cr_expect_str_eq(view.owner_text, "DpuService s1");
}

Test(trim, not_ours)
{
    json_auto_t *object = load("config-map");
    struct child_view view;
    cleanup_buffer struct buffer scratch = BUFFER_INIT(4096);
    child_view_of(CHILD_CONFIG_MAP, object, &scratch, &view);
    cr_expect(view.applied);
    change(object, "metadata managedFields 0 operation", json_string("Update"));
    child_view_of(CHILD_CONFIG_MAP, object, &scratch, &view);
    cr_expect_not(view.applied);
    change(object, "metadata managedFields 0 operation", json_string("Apply"));
    change(object, "metadata managedFields 0 manager", json_string("kubectl"));
    child_view_of(CHILD_CONFIG_MAP, object, &scratch, &view);
    cr_expect_not(view.applied);
    change(object, "metadata managedFields", NULL);
    child_view_of(CHILD_CONFIG_MAP, object, &scratch, &view);
    cr_expect_not(view.applied);
    change(object, "metadata deletionTimestamp", json_string("2026-11-23T12:00:00Z"));
    child_view_of(CHILD_CONFIG_MAP, object, &scratch, &view);
    cr_expect(view.deleting);
    /* Whatever comes: an object without anything. */
    json_auto_t *nothing = json_object();
    for (unsigned kind = 0; kind < CHILD_KINDS; kind++) {
        child_view_of((enum child_kind)kind, nothing, &scratch, &view);
        cr_expect_str_empty(view.service);
        cr_expect_str_empty(view.message);
        cr_expect_eq(view.owner, 0);
    }
    struct kube_object without_data = {.data = "", .data_length = 0};
    child_view_read(&without_data, &view);
    cr_expect_str_empty(view.owner_text);
}

/* Texts are cut, between characters. */
Test(trim, long_texts)
{
    static const char *const letters[] = {"x", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x92\xa9"};
    json_auto_t *object = load("deployment-quota");
    struct child_view view;
    cleanup_buffer struct buffer scratch = BUFFER_INIT(4096);
    for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++) {
        for (size_t offset = 0; offset < 4; offset++) {
            cleanup_buffer struct buffer text = BUFFER_INIT(8192);
            for (size_t k = 0; k < offset; k++)
                buffer_puts(&text, "a");
            while (text.length < 1000)
                buffer_puts(&text, letters[i]);
            change(object, "status conditions 2 message", json_string(buffer_terminate(&text)));
            child_view_of(CHILD_DEPLOYMENT, object, &scratch, &view);
            size_t length = strlen(view.message), step = strlen(letters[i]);
            cr_expect_leq(length, 300);
            cr_expect_gt(length, 300 - step);
            cr_expect_eq((length - offset) % step, 0, "cut in a character");
            json_auto_t *valid = json_string(view.message);
            cr_expect_not_null(valid);
        }
    }
}

/* What a HorizontalPodAutoscaler says: that it can't scale before that it has no figures. */
Test(trim, autoscaler)
{
    static const struct {
        const char *conditions; /* single quotes for double */
        bool active;
        const char *reason, *message;
    } cases[] = {
        {"[]", false, "", ""},
        {"[{'type': 'AbleToScale', 'status': 'True', 'reason': 'SucceededGetScale'},"
         " {'type': 'ScalingActive', 'status': 'True', 'reason': 'ValidMetricFound',"
         "  'message': 'it has one'}]",
         true, "ValidMetricFound", "it has one"},
        {"[{'type': 'AbleToScale', 'status': 'True', 'reason': 'SucceededGetScale'},"
         " {'type': 'ScalingActive', 'status': 'False', 'reason': 'FailedGetPodsMetric',"
         "  'message': 'there is none'}]",
         false, "FailedGetPodsMetric", "there is none"},
        {"[{'type': 'AbleToScale', 'status': 'False', 'reason': 'FailedUpdateScale',"
         "  'message': 'refused'},"
         " {'type': 'ScalingActive', 'status': 'True', 'reason': 'ValidMetricFound'}]",
         false, "FailedUpdateScale", "refused"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[512];
        snprintf(text, sizeof(text), "%s", cases[i].conditions);
        for (char *at = text; (at = strchr(at, '\'')); at++)
            *at = '"';
        json_auto_t *object =
            json_pack("{s:{s:s, s:s, s:s}, s:{s:o}}", "metadata", "name", "s0-dpu", "namespace",
                      "shop", "uid", "u", "status", "conditions", json_loads(text, 0, NULL));
        cleanup_kube_object const struct kube_object *kept = keep_child(CHILD_AUTOSCALER, object);
        struct child_view view;
        child_view_read(kept, &view);
        cr_expect_eq(view.active, cases[i].active, "%zu", i);
        cr_expect_str_eq(view.reason, cases[i].reason, "%zu: %s", i, view.reason);
        cr_expect_str_eq(view.message, cases[i].message, "%zu: %s", i, view.message);
        cr_expect_str_eq(view.service, "s0");
    }
}

/* Those that the operator scales itself are found without looking at the others. */
static int count_one(void *context, const struct kube_object *object)
{
    (void)object;
    return ++*(int *)context, 0;
}

Test(trim, autoscaled_are_indexed)
{
    static const char *const specs[] = {
        "{}",
        "{\"autoscaling\": null}",
        "{\"autoscaling\": {\"engine\": \"hpa\", \"maxReplicas\": 3}}",
        "{\"autoscaling\": {\"engine\": \"builtin\", \"maxReplicas\": 3}}",
        "{\"autoscaling\": {\"maxReplicas\": 3}}",
    };
    struct kube_store_options options;
    trim_store_options(SOURCE_DPUSERVICES, &options);
    struct kube_store *store = kube_store_new(&options);
    for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
        char name[] = {(char)('a' + i), '\0'};
        json_auto_t *object = json_pack("{s:{s:s, s:s, s:s, s:s}, s:o}", "metadata", "name", name,
                                        "namespace", "shop", "uid", name, "resourceVersion", "1",
                                        "spec", json_loads(specs[i], 0, NULL));
        kube_store_put(store, object, NULL, NULL);
    }
    int count = 0;
    kube_store_each(store, 0, TRIM_AUTOSCALED, count_one, &count);
    cr_expect_eq(count, 2);
    kube_store_free(store);
}

/* Those that a profile of somebody's own concerns, and none that name a shipped one. */
Test(trim, own_profiles_are_indexed)
{
    static const char *const specs[] = {
        "{}",
        "{\"datapath\": {\"mode\": \"dpu\"}}",
        "{\"datapath\": {\"mode\": \"dpu\", \"profile\": \"ideal\"}}",
        "{\"datapath\": {\"mode\": \"dpu\", \"profile\": \"mine\"}}",
        "{\"datapath\": {\"profile\": \"mine\"}, \"autoscaling\": {\"maxReplicas\": 3}}",
        "{\"datapath\": {\"profile\": \"other\"}}",
    };
    static const struct {
        const char *key;
        int count;
    } expected[] = {{"mine", 2}, {"other", 1}, {"ideal", 0}};
    struct kube_store_options options;
    trim_store_options(SOURCE_DPUSERVICES, &options);
    struct kube_store *store = kube_store_new(&options);
    for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
        char name[] = {(char)('a' + i), '\0'};
        json_auto_t *object = json_pack("{s:{s:s, s:s, s:s, s:s}, s:o}", "metadata", "name", name,
                                        "namespace", "shop", "uid", name, "resourceVersion", "1",
                                        "spec", json_loads(specs[i], 0, NULL));
        kube_store_put(store, object, NULL, NULL);
    }
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        int count = 0;
        kube_store_each(store, TRIM_PROFILE_INDEX, expected[i].key, count_one, &count);
        cr_expect_eq(count, expected[i].count, "%s: %d", expected[i].key, count);
    }
    kube_store_free(store);
}

/* ---- pods ---- */

static void read_pod(const json_t *object, const struct kube_object **ret_kept,
                     struct pod_view *ret_view)
{
    kube_object_unref(*ret_kept);
    *ret_kept = keep(SOURCE_PODS, object);
    pod_view_read(*ret_kept, ret_view);
}

Test(trim, pods)
{
    static const struct {
        const char *name, *cause, *message;
        bool ready;
    } cases[] = {
        {"pod-pending", "", "", false},
        {"pod-ready", "", "", true},
        {"pod-image", "ImagePullBackOff", "Back-off pulling image \"mubench-dpu-agent:latest\"",
         false},
        {"pod-unschedulable", "Unschedulable", "0/1 nodes are available: 1 Insufficient cpu.",
         false},
    };
    cleanup_kube_object const struct kube_object *kept = NULL;
    struct pod_view view;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_auto_t *object = load(cases[i].name);
        read_pod(object, &kept, &view);
        cr_expect_str_eq(view.service, "s0");
        cr_expect_str_eq(view.cause, cases[i].cause, "%s: %s", cases[i].name, view.cause);
        cr_expect_str_eq(view.message, cases[i].message, "%s: %s", cases[i].name, view.message);
        cr_expect_eq(view.ready, cases[i].ready);
        const json_t *status = json_object_get(object, "status");
        const char *address = json_string_value(json_object_get(status, "podIP"));
        const char *phase = json_string_value(json_object_get(status, "phase"));
        cr_expect_str_eq(view.address, address ? address : "");
        cr_expect_eq(view.running, strcmp(phase, "Running") == 0);
        cr_expect(!view.ready || (view.running && *view.address));
        cr_expect_str_eq(view.template_hash, "69c5bc97c5");
        cr_expect_not(view.deleting);
        cr_expect_not(view.ended);
        expect_key(trim_key_pod, kept, "default/s0");
    }
}

/* What a container's state says (single quotes for double). */
Test(trim, causes)
{
    static const struct {
        const char *container, *cause, *message;
    } cases[] = {
        {"{'state': {'running': {}}}", "", ""},
        {"{'state': {'waiting': {'reason': 'ContainerCreating'}}}", "", ""},
        {"{'state': {'waiting': {'reason': 'PodInitializing'}}}", "", ""},
        {"{'state': {'waiting': {}}}", "", ""},
        {"{'state': {'waiting': {'reason': 'CrashLoopBackOff', 'message': 'back-off 10s'}}}",
         "CrashLoopBackOff", "back-off 10s"},
        {"{'state': {'waiting': {'reason': 'CrashLoopBackOff', 'message': 'back-off 10s'}}, "
         "'lastState': {'terminated': {'message': 'no config'}}}",
         "CrashLoopBackOff", "no config"},
        {"{'state': {'terminated': {'exitCode': 0, 'reason': 'Completed'}}}", "", ""},
        {"{'state': {'terminated': {'exitCode': 137, 'reason': 'OOMKilled'}}}", "OOMKilled", ""},
        {"{'state': {'terminated': {'exitCode': 2}}}", "Error", ""},
        {"{}", "", ""},
    };
    cleanup_kube_object const struct kube_object *kept = NULL;
    struct pod_view view;
    json_auto_t *object = load("pod-ready");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[256];
        snprintf(text, sizeof(text), "[%s]", cases[i].container);
        for (char *c = text; *c; c++)
            *c = *c == '\'' ? '"' : *c;
        change(object, "status containerStatuses", json_loads(text, 0, NULL));
        read_pod(object, &kept, &view);
        cr_expect_str_eq(view.cause, cases[i].cause, "%s: %s", cases[i].container, view.cause);
        cr_expect_str_eq(view.message, cases[i].message, "%s: %s", cases[i].container,
                         view.message);
    }
}

Test(trim, pods_that_ended)
{
    cleanup_kube_object const struct kube_object *kept = NULL;
    struct pod_view view;
    json_auto_t *object = load("pod-pending");
    change(object, "status phase", json_string("Failed"));
    read_pod(object, &kept, &view);
    cr_expect(view.ended);
    cr_expect_str_eq(view.cause, "Failed");
    change(object, "status reason", json_string("Evicted"));
    change(object, "status message", json_string("The node was low on resource: memory."));
    change(object, "metadata deletionTimestamp", json_string("2026-11-23T12:00:00Z"));
    read_pod(object, &kept, &view);
    cr_expect_str_eq(view.cause, "Evicted");
    cr_expect_str_eq(view.message, "The node was low on resource: memory.");
    cr_expect(view.deleting);
    change(object, "metadata labels", NULL);
    read_pod(object, &kept, &view);
    expect_key(trim_key_pod, kept, NULL);
    struct kube_object without_data = {.data = "", .data_length = 0};
    pod_view_read(&without_data, &view);
    cr_expect_str_empty(view.template_hash);
}
