#include <criterion/criterion.h>

#include "spec/settings_private.h"
#include "workmodel_given.h"

#define TO(services) "\"external_services\": [{\"services\": [" services "]}]"

/* An agent finds who has its own path, in its own namespace; of others it is told the URL, which an
 * export leaves out again. */
Test(workmodel_urls, where_callees_answer)
{
    static const char model[] = "{\"s0\": {\"namespace\": \"a\", " TO(
        "\"s1\", \"s2\", \"s1__2\", \"s3\", \"s4\"") "}, \"s1\": {\"namespace\": \"a\", \"path\": "
                                                     "\"/w\"}, \"s2\": {\"namespace\": \"a\"},"
                                                     "\"s3\": {\"namespace\": \"b\"}, \"s4\": "
                                                     "{\"namespace\": \"b\", \"path\": \"/w\"},"
                                                     "\"s5\": {\"path\": \"/w\", " TO(
                                                         "\"s6\"") ", \"alternative_behaviors\": "
                                                                   "{\"x\": {" TO("\"s7\"") "}}}"
                                                                                            ", "
                                                                                            "\"s"
                                                                                            "6\""
                                                                                            ": "
                                                                                            "{\""
                                                                                            "pat"
                                                                                            "h\""
                                                                                            ": "
                                                                                            "\"/"
                                                                                            "w\""
                                                                                            "}, "
                                                                                            "\"s"
                                                                                            "7\""
                                                                                            ": "
                                                                                            "{}"
                                                                                            "}";
    struct given given = {.model = model, .egress = "forward"};

    expect(given, 0,
           "{\"workload\": {\"externalServices\": [{\"services\": [\"s1\", \"s2\", \"s1__2\", "
           "\"s3\", \"s4\"]}]}, \"egress\": {\"mode\": \"forward\", \"destinations\": ["
           "{\"name\": \"s1\", \"url\": \"http://s1:8080/w\"},"
           "{\"name\": \"s3\", \"url\": \"http://s3.b.svc:8080/api/v1\"},"
           "{\"name\": \"s4\", \"url\": \"http://s4.b.svc:8080/w\"}]}}",
           "");
    expect(given, 5,
           "{\"workload\": {\"path\": \"/w\", \"externalServices\": [{\"services\": [\"s6\"]}], "
           "\"alternativeBehaviors\": {\"x\": {\"externalServices\": [{\"services\": "
           "[\"s7\"]}]}}}, \"egress\": {\"mode\": \"forward\", \"destinations\": ["
           "{\"name\": \"s7\", \"url\": \"http://s7:8080/api/v1\"}]}}",
           "");
    expect(given, 6, "{\"workload\": {\"path\": \"/w\"}, \"egress\": {\"mode\": \"forward\"}}", "");
    /* K8sParameters' path is everybody's. */
    given.parameters = "{\"K8sParameters\": {\"path\": \"/all\", \"namespace\": \"c\"}}";
    expect(given, 5,
           "{\"workload\": {\"path\": \"/all\", \"externalServices\": [{\"services\": [\"s6\"]}], "
           "\"alternativeBehaviors\": {\"x\": {\"externalServices\": [{\"services\": "
           "[\"s7\"]}]}}}, \"egress\": {\"mode\": \"forward\"}}",
           "");
    /* Simulated calls leave no pod. */
    given = (struct given){.model = model, .egress = "simulate"};
    expect(given, 1, "{\"workload\": {\"path\": \"/w\"}, \"egress\": {\"mode\": \"simulate\"}}",
           "");
}

/* What is not of an import's making is told. */
Test(workmodel_urls, export_tells_of_other_destinations)
{
    static const char document[] =
        "apiVersion: dpumesh.io/v1alpha1\nkind: DpuService\nmetadata: {name: s0}\nspec:\n"
        "  workload: {internalService: {computePi: {}}, externalServices: [{services: [s1]}]}\n"
        "  egress: {mode: forward, destinations: [{name: s1, url: 'http://s1:%s/w'}]}\n---\n"
        "apiVersion: dpumesh.io/v1alpha1\nkind: DpuService\nmetadata: {name: s1}\n"
        "spec: {workload: {path: /w, internalService: {computePi: {}}}}\n";
    static const char *const ports[] = {"8080", "80"};

    for (size_t i = 0; i < 2; i++) {
        cleanup_free char *yaml = xasprintf(document, ports[i]);
        json_t *list;
        json_auto_t *model = export(yaml, &list);
        json_auto_t *notes = list;
        cr_assert_not_null(model);
        cr_assert_eq(json_array_size(notes), i, "port %s", ports[i]);
        if (i)
            cr_assert_str_eq(json_string_value(json_array_get(notes, 0)),
                             "a.yaml:6: s0: spec.egress.destinations: no counterpart in muBench, "
                             "left out");
    }
}

/* One caller of more callees elsewhere than a DpuService may name: nothing is lost in silence. */
Test(workmodel_urls, more_than_fit)
{
    enum { CALLEES = DESTINATIONS_MAX + 2 };
    cleanup_workmodel struct workmodel_documents made = WORKMODEL_DOCUMENTS_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_buffer struct buffer text = BUFFER_INIT(1 << 16);

    buffer_puts(&text, "{\"s0\": {\"external_services\": [{\"services\": [");
    for (unsigned i = 1; i <= CALLEES; i++)
        buffer_printf(&text, "%s\"s%u\"", i > 1 ? ", " : "", i);
    buffer_puts(&text, "]}]}");
    for (unsigned i = 1; i <= CALLEES; i++)
        buffer_printf(&text, ", \"s%u\": {\"path\": \"/w\"}", i);
    buffer_puts(&text, "}");
    struct given given = {.model = buffer_terminate(&text), .egress = "forward"};
    cr_assert_eq(import(&given, &made, &problems), 0, "%s", problems.texts[0]);
    json_t *egress = json_object_get(json_object_get(made.items[0].object, "spec"), "egress");
    cr_assert_eq(json_array_size(json_object_get(egress, "destinations")), DESTINATIONS_MAX);
    cr_assert_eq(json_array_size(made.items[0].notes), 2);
    cr_assert_str_eq(json_string_value(json_array_get(made.items[0].notes, 1)),
                     "m.json: /s0/external_services/0/services/65: answers at http://s66:8080/w, "
                     "where a pod will not find it: a DpuService may have 64 destinations; give "
                     "both services one path and namespace");
}
