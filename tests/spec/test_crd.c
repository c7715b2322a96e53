/* What is true of the CRD without an API server; tests/kube/test_crd.py asks a real one. */
#include <criterion/criterion.h>
#include <string.h>

#include "doc/document.h"
#include "doc/yaml_text.h"
#include "spec/crd.h"
#include "spec/dpuservice.h"

/* Every check across fields that a DpuService has is also said to the API server. */
static unsigned count_silent(const struct record *record, const char *name)
{
    unsigned silent = 0;

    for (size_t i = 0; i < record->check_count; i++) {
        const struct record_check *check = &record->checks[i];
        if (check->rule && check->sentence)
            continue;
        cr_log_error("check %zu of %s has no rule, or no sentence", i, name);
        silent++;
    }
    for (size_t i = 0; i < record->field_count; i++)
        if (record->fields[i].record)
            silent += count_silent(record->fields[i].record, record->fields[i].name);
    return silent;
}

Test(crd, every_check_is_a_rule)
{
    cr_assert_eq(count_silent(&dpuservice_record, "DpuService"), 0);
}

static const json_t *property(const json_t *schema, const char *name)
{
    return json_object_get(json_object_get(schema, "properties"), name);
}

static const json_t *spec_schema(const json_t *crd)
{
    const json_t *versions = json_object_get(json_object_get(crd, "spec"), "versions");
    const json_t *schema = json_object_get(json_array_get(versions, 0), "schema");
    return property(json_object_get(schema, "openAPIV3Schema"), "spec");
}

static void expect(const json_t *schema, const char *key, const char *json)
{
    json_auto_t *expected = json_loads(json, JSON_DECODE_ANY, NULL);
    cr_assert(json_equal(json_object_get(schema, key), expected), "%s is not %s", key, json);
}

Test(crd, what_a_row_says)
{
    json_auto_t *crd = dpuservice_crd();
    const json_t *spec = spec_schema(crd);
    const json_t *latency = property(property(spec, "egress"), "latency");

    expect(property(spec, "replicas"), "default", "1");
    expect(property(spec, "replicas"), "maximum", "1000");
    expect(property(spec, "service"), "default", "{\"type\": \"ClusterIP\"}");
    expect(latency, "default",
           "{\"distribution\": \"constant\", \"value\": \"50ms\", \"seed\": 0}");
    cr_assert_null(json_object_get(property(latency, "value"), "default"),
                   "with another distribution it would be one too many");
    expect(property(property(property(spec, "datapath"), "queues"), "ingressSubmission"), "enum",
           "[16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536]");
    expect(property(property(spec, "datapath"), "mode"), "enum",
           "[\"direct\", \"sidecar\", \"dpu\"]");
    expect(property(spec, "datapath"), "default", "{\"mode\": \"dpu\"}");
    expect(property(property(spec, "limits"), "frameBytes"), "x-kubernetes-int-or-string", "true");
    expect(property(spec, "autoscaling"), "required", "[\"maxReplicas\"]");
    cr_assert_null(json_object_get(property(spec, "autoscaling"), "default"));
    expect(property(property(spec, "podTemplate"), "affinity"),
           "x-kubernetes-preserve-unknown-fields", "true");
}

/* The file says what was to be said, whatever its lines look like. */
Test(crd, yaml_reads_back)
{
    cleanup_buffer struct buffer text = BUFFER_INIT(1 << 20);
    cleanup_documents struct documents documents = DOCUMENTS_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    json_auto_t *crd = dpuservice_crd();

    json_object_set_new(crd, "odd",
                        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:[], s:{}, s:n, s:[[i, i]]}",
                                  "a b", "true", "b", " blank", "c", "1e3", "d", "a: b # c", "e",
                                  "two  blanks, and a text that is long enough to be folded over",
                                  "f", "line\nline", "g", "h", "i", "j", 1, 2));
    cr_assert_eq(yaml_text(crd, &text), 0);
    int ret =
        documents_parse(buffer_terminate(&text), text.length, "crd.yaml", &documents, &problems);
    cr_assert_eq(ret, 0, "%s", problems.count ? problems.texts[0] : "no sentence");
    cr_assert_eq(documents.count, 1);
    cr_assert(json_equal(documents.items[0].root, crd));
}
