/*
 * Documents from outside: whatever the bytes, reading them ends, touches no foreign memory, and
 * either gives something or says at least one sentence. The first byte chooses how the rest is
 * read: as YAML, as JSON, or as the agent's configuration. Of what is accepted, these hold:
 *   - its JSON with defaults filled in is accepted again and means the same;
 *   - the configuration in its ConfigMap is accepted by the agent, with what is told of callees
 * too.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "require.h"
#include "spec/agent_config.h"
#include "spec/application.h"
#include "spec/callees.h"
#include "spec/children.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A failure says why, in sentences that a terminal can show; a success says nothing. */
static void check_problems(int ret, const struct problems *problems)
{
    REQUIRE((ret < 0) == (problems->count > 0));
    for (size_t i = 0; i < problems->count && i < PROBLEMS_MAX; i++) {
        const char *text = problems->texts[i];
        REQUIRE(*text && text_utf8_valid(text, strlen(text)));
    }
}

static void check_agent_text(const char *text, size_t length)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_agent_config struct agent_config *config = NULL, *again = NULL;
    int ret = agent_config_parse(text, length, "agent.json", &config, &problems);

    check_problems(ret, &problems);
    if (ret < 0)
        return;
    cleanup_free char *emitted = spec_json_text(config->document);
    REQUIRE(agent_config_parse(emitted, strlen(emitted), "again", &again, &problems) == 0);
    cleanup_free char *emitted_again = spec_json_text(again->document);
    REQUIRE(strcmp(emitted, emitted_again) == 0);
    REQUIRE(agent_config_reloadable(config, again, &problems) == 0);
    for (size_t i = 0; i < config->peer_count; i++)
        REQUIRE(agent_config_peer(config, config->peers[i].name, strlen(config->peers[i].name)));
}

/* What the agent reads, which it must take; its owner frees it. */
static struct agent_config *agent_of(const struct children *children)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    struct agent_config *config = NULL;
    const char *text = json_string_value(json_object_get(
        json_object_get(children->objects[CHILD_CONFIG_MAP], "data"), CHILD_CONFIG_KEY));

    REQUIRE(text);
    REQUIRE(agent_config_parse(text, strlen(text), "child", &config, &problems) == 0);
    return config;
}

/* All callees answer at this path, which may be any that a document may give. */
static char *answers_at(void *path, const char *name)
{
    (void)name;
    return service_address(65535, path);
}

/* Agents take what they are told of callees, all of it, and no pod is another for it. */
static void check_callees(struct dpuservice *service)
{
    cleanup_children struct children before = CHILDREN_INIT, after = CHILDREN_INIT;

    spec_children(service, &before);
    callees_resolve(service, answers_at, service->workload.path);
    spec_children(service, &after);
    REQUIRE(json_equal(before.objects[CHILD_DEPLOYMENT], after.objects[CHILD_DEPLOYMENT]));
    cleanup_agent_config struct agent_config *config = agent_of(&after);
    REQUIRE(json_equal(config->callees, service->callees));
}

static void check_service(struct dpuservice *service)
{
    cleanup_children struct children children = CHILDREN_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_dpuservice struct dpuservice *again = NULL;
    json_auto_t *emitted = dpuservice_emit(service);
    struct document document = {.file = service->file, .root = emitted};

    REQUIRE(dpuservice_parse(&document, &again, &problems) == 0);
    json_auto_t *emitted_again = dpuservice_emit(again);
    REQUIRE(json_equal(emitted, emitted_again));

    spec_children(service, &children);
    for (enum child_kind kind = 0; kind < CHILD_KINDS; kind++) {
        json_t *object = children.objects[kind];
        REQUIRE(json_is_object(object) || (!object && kind > CHILD_DEPLOYMENT));
        json_auto_t *copy = json_deep_copy(object);
        REQUIRE(spec_child_fingerprint(kind, object) == spec_child_fingerprint(kind, copy));
    }
    cleanup_agent_config struct agent_config *config = agent_of(&children);
    REQUIRE(strcmp(config->service, service->name) == 0);
    check_callees(service);
}

static void check_documents(const char *text, size_t length, const char *file)
{
    cleanup_documents struct documents documents = DOCUMENTS_INIT;
    cleanup_application struct application application = APPLICATION_INIT;
    cleanup_problems struct problems reading = PROBLEMS_INIT, checking = PROBLEMS_INIT;
    int ret = documents_parse(text, length, file, &documents, &reading);

    check_problems(ret, &reading);
    if (documents.count == 0)
        return;
    ret = application_parse(&documents, file, &application, &checking);
    check_problems(ret, &checking);
    for (size_t i = 0; i < application.count; i++)
        check_service(application.services[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    /* A copy of its own, so that a read past the end is seen. */
    size_t length = size - 1;
    char *text = malloc(length ? length : 1);
    memcpy(text, data + 1, length);
    switch (data[0]) {
    case 'y':
        check_documents(text, length, "fuzz.yaml");
        break;
    case 'j':
        check_documents(text, length, "fuzz.json");
        break;
    case 'a':
        check_agent_text(text, length);
        break;
    default:
        check_documents(text, length, "fuzz");
        break;
    }
    free(text);
    return 0;
}
