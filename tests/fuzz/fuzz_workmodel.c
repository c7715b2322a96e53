/*
 * muBench's files from outside: whatever the bytes, an import ends and either makes documents that
 * can be read, exported and imported again with the same meaning, or says at least one sentence.
 * An object with a key "model" is taken for several files: model, mesh, parameters.
 */
#include <stdint.h>
#include <string.h>

#include "base/buffer.h"
#include "base/text.h"
#include "doc/document.h"
#include "require.h"
#include "spec/workmodel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_problems(const struct problems *problems)
{
    for (size_t i = 0; i < problems->count && i < PROBLEMS_MAX; i++)
        REQUIRE(text_utf8_valid(problems->texts[i], strlen(problems->texts[i])));
}

/* The documents as they are printed, read, and with all defaults in them. */
static json_t *meaning(const struct workmodel_documents *made, struct application *application)
{
    cleanup_buffer struct buffer text = BUFFER_INIT(64 << 20);
    cleanup_documents struct documents documents = DOCUMENTS_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    json_t *list = json_array();

    REQUIRE(workmodel_print(made, "fuzz", &text) == 0);
    REQUIRE(documents_parse(text.data, text.length, "fuzz.yaml", &documents, &problems) == 0);
    REQUIRE(application_parse(&documents, "fuzz.yaml", application, &problems) == 0);
    for (size_t i = 0; i < application->count; i++)
        json_array_append_new(list, dpuservice_emit(application->services[i]));
    return list;
}

static void check_round_trip(const struct workmodel_documents *made)
{
    cleanup_application struct application first = APPLICATION_INIT, second = APPLICATION_INIT;
    cleanup_workmodel struct workmodel_documents again = WORKMODEL_DOCUMENTS_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    json_t *list;

    json_auto_t *means = meaning(made, &first);
    json_auto_t *model = workmodel_export(&first, &list);
    json_auto_t *notes = list;
    struct workmodel_source source = {.model = {"exported", model}, .egress = "forward"};
    REQUIRE(workmodel_import(&source, &again, &problems) == 0);
    json_auto_t *means_again = meaning(&again, &second);
    /* What was left out was told. */
    REQUIRE(json_array_size(notes) > 0 || json_equal(means, means_again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT, repeated = PROBLEMS_INIT;
    cleanup_workmodel struct workmodel_documents made = WORKMODEL_DOCUMENTS_INIT;
    json_t *root = NULL;

    int r = document_parse_json_repeating((const char *)data, size, "fuzz", &root, &repeated,
                                          &problems);
    REQUIRE((r < 0) == (problems.count > 0));
    check_problems(&problems);
    check_problems(&repeated);
    if (r < 0)
        return 0;
    json_auto_t *owned = root;
    json_t *model = json_object_get(owned, "model");
    struct workmodel_source source = {.model = {"fuzz", model ? model : owned},
                                      .egress = "forward"};
    if (model) {
        source.mesh = (struct workmodel_file){"mesh", json_object_get(owned, "mesh")};
        source.parameters = (struct workmodel_file){"k8s", json_object_get(owned, "parameters")};
    }
    r = workmodel_import(&source, &made, &problems);
    REQUIRE((r < 0) == (problems.count > 0));
    check_problems(&problems);
    if (r == 0)
        check_round_trip(&made);
    return 0;
}
