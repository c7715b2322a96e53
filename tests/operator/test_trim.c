/* DpuServices and pods, as they are kept. */
#include "trim_given.h"

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
