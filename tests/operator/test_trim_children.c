/* Children, as they are kept, and whose they are. */
#include "trim_given.h"

Test(trim_children, deployment)
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

Test(trim_children, deployment_that_others_scale)
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

Test(trim_children, deployment_beyond_quota)
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
Test(trim_children, template_hash)
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

Test(trim_children, service)
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
Test(trim_children, key_is_by_name)
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

Test(trim_children, owners)
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

Test(trim_children, not_ours)
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
Test(trim_children, long_texts)
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
Test(trim_children, autoscaler)
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
