#include "spec/agent_config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "doc/document.h"
#include "spec/url.h"

enum { HOST_NAME_BYTES = 256, PEERS_MAX = 10000 };

/* Whether text is a port number, 0 (any free one) to 65535. */
static bool port_valid(const char *text)
{
    uint64_t port;
    return strlen(text) <= 5 && text_parse_unsigned(text, 0, 65535, &port, NULL) == 0;
}

static bool address_valid(const char *text)
{
    char host[INET6_ADDRSTRLEN];
    unsigned char bytes[sizeof(struct in6_addr)];
    const char *colon = strrchr(text, ':');
    bool v6 = text[0] == '[';

    if (!colon || !port_valid(colon + 1))
        return false;
    size_t length = (size_t)(colon - text);
    if (v6) {
        if (length < 2 || text[length - 1] != ']')
            return false;
        text++;
        length -= 2;
    }
    if (length >= sizeof(host))
        return false;
    memcpy(host, text, length);
    host[length] = '\0';
    return inet_pton(v6 ? AF_INET6 : AF_INET, host, bytes) == 1;
}

static const struct field_pattern pattern_listen = {
    .valid = address_valid,
    .says = "an address and a port, such as 0.0.0.0:5005 or [::]:5005",
};

/* "host:port" with a host name or an address. */
static bool endpoint_valid(const char *text)
{
    const char *colon = strrchr(text, ':');
    return colon && colon != text && port_valid(colon + 1) &&
           strcspn(text, " \t\r\n/?#@") == strlen(text);
}

static const struct field_pattern pattern_endpoint = {
    .valid = endpoint_valid,
    .says = "a host and a port, such as s1:5005",
};

static bool plain_text_valid(const char *text)
{
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return false;
    return true;
}

static const struct field_pattern pattern_plain_text = {
    .valid = plain_text_valid,
    .says = "text without control characters",
};

#define LISTEN_FIELD(name_, member_, default_, help_)                                              \
    {                                                                                              \
        .name = (name_), .type = FIELD_STRINGS, FIELD_AT(struct agent_config, listen.member_),     \
        .other = offsetof(struct agent_config, listen.member_##_count), .max = 64,                 \
        .pattern = &pattern_listen, .fallback = (default_), .help = (help_)                        \
    }

static const struct field listen_fields[] = {
    LISTEN_FIELD("bridge", bridge, "[\"0.0.0.0:5005\"]",
                 "Where the bridge listens; port 0 takes a free one."),
    LISTEN_FIELD(
        "http", http, "[\"0.0.0.0:8080\"]",
        "Where HTTP listens: the application's path, /metrics, /healthz, /readyz, /config."),
    LISTEN_FIELD("admin", admin, "[]", "Further listeners with the same HTTP pages."),
};
static const struct record listen_record = {FIELDS(listen_fields),
                                            .size = sizeof(struct agent_config)};

static const struct field workload_fields[] = {
    WORKLOAD_PATH_FIELD(struct agent_config, workload),
    {.name = "threads",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct agent_config, workload.threads),
     .fallback = "4",
     .min = 1,
     .max = 1024,
     .help = "Threads that compute."},
    WORKLOAD_CALL_FIELDS(struct agent_config, workload),
    {.name = "scratch",
     .type = FIELD_STRING,
     FIELD_AT(struct agent_config, scratch),
     .flags = FIELD_OPTIONAL,
     .min = 1,
     .max = 1000,
     .pattern = &pattern_absolute_path,
     .unset = "`$TMPDIR`, else `/tmp`",
     .help = "The directory of diskStress' temporary files."},
};
static const struct record workload_record = {FIELDS(workload_fields),
                                              .size = sizeof(struct agent_config)};

static const struct field peer_fields[] = {
    {.name = "bridge",
     .type = FIELD_STRING,
     FIELD_AT(struct agent_peer, bridge),
     .flags = FIELD_OPTIONAL,
     .min = 1,
     .max = 300,
     .pattern = &pattern_endpoint,
     .unset = "none",
     .help = "Its bridge."},
    {.name = "http",
     .type = FIELD_STRING,
     FIELD_AT(struct agent_peer, http),
     .flags = FIELD_OPTIONAL,
     .min = 1,
     .max = 1000,
     .pattern = &pattern_service_url,
     .unset = "none",
     .help = "Its application path over HTTP."},
};
static const struct record peer_record = {FIELDS(peer_fields), .size = sizeof(struct agent_peer)};

static const char *const api_versions[] = {AGENT_CONFIG_API_VERSION, NULL};

static const struct field agent_config_fields[] = {
    {.name = "apiVersion",
     .type = FIELD_CONSTANT,
     .names = api_versions,
     .fallback = "\"" AGENT_CONFIG_API_VERSION "\"",
     .help = "The form of this document."},
    {.name = "service",
     .type = FIELD_STRING,
     FIELD_AT(struct agent_config, service),
     .flags = FIELD_REQUIRED,
     .min = 1,
     .max = SERVICE_NAME_MAX,
     .pattern = &pattern_service_name,
     .help = "The service that this agent is a replica of."},
    {.name = "replica",
     .type = FIELD_STRING,
     FIELD_AT(struct agent_config, replica),
     .flags = FIELD_OPTIONAL,
     .min = 1,
     .max = 253,
     .pattern = &pattern_plain_text,
     .unset = "the host's name",
     .help = "This process, for people and logs."},
    {.name = "zone",
     .type = FIELD_STRING,
     FIELD_AT(struct agent_config, zone),
     .fallback = "default",
     .max = 63,
     .pattern = &pattern_plain_text,
     .help = "The label `zone` of muBench's metrics."},
    {.name = "listen",
     .type = FIELD_RECORD,
     .record = &listen_record,
     .help = "Addresses. Listeners that the agent inherits (`LISTEN_FDS`) take their place."},
    {.name = "workload",
     .type = FIELD_RECORD,
     .record = &workload_record,
     .help = "What a request does."},
    {.name = "egress",
     .type = FIELD_RECORD,
     FIELD_AT(struct agent_config, egress),
     .record = &egress_record,
     .help = "Calls to other services."},
    {.name = "datapath",
     .type = FIELD_RECORD,
     FIELD_AT(struct agent_config, datapath),
     .record = &datapath_settings_record,
     .help = "What a message goes through between the network and the application."},
    {.name = "queues",
     .type = FIELD_RECORD,
     FIELD_AT(struct agent_config, queues),
     .record = &queues_record,
     .help = "The queues between the DPU side and the application."},
    {.name = "limits",
     .type = FIELD_RECORD,
     FIELD_AT(struct agent_config, limits),
     .record = &limits_record,
     .help = "What the network can't exceed."},
    {.name = "peers",
     .type = FIELD_MAP,
     FIELD_AT(struct agent_config, peers),
     .other = offsetof(struct agent_config, peer_count),
     .given = offsetof(struct agent_config, peers_known),
     .at = offsetof(struct agent_peer, name),
     .max = PEERS_MAX,
     .record = &peer_record,
     .pattern = &pattern_service_name,
     .unset = "every name is taken for a service",
     .help = "The services that may be called, by name, and where they answer."},
    {.name = "callees",
     .type = FIELD_STRING_MAP,
     FIELD_AT(struct agent_config, callees),
     .flags = FIELD_OPTIONAL,
     .entries_max = CALLEES_MAX,
     .pattern = &pattern_service_name,
     .value_pattern = &pattern_service_url,
     .unset = "none",
     .help = "Where callees answer whose address neither `egress.destinations` nor `peers` tells, "
             "and which is not http://NAME:8080 with this service's own path; the operator fills "
             "it in."},
    {.name = "tracing",
     .type = FIELD_RECORD,
     FIELD_AT(struct agent_config, tracing),
     .flags = FIELD_OPTIONAL,
     .given = offsetof(struct agent_config, tracing.given),
     .record = &tracing_record,
     .unset = "nothing is recorded",
     .help = "Traces of requests, for OpenTelemetry."},
    {.name = "log",
     .type = FIELD_RECORD,
     FIELD_AT(struct agent_config, log),
     .record = &log_record,
     .help = "What the agent writes to standard error."},
};

const struct record agent_config_record = {FIELDS(agent_config_fields),
                                           .size = sizeof(struct agent_config)};

static char *host_name(void)
{
    char name[HOST_NAME_BYTES];
    if (gethostname(name, sizeof(name)) < 0)
        return xstrdup("unknown");
    name[sizeof(name) - 1] = '\0';
    return xstrdup(name);
}

int agent_config_parse(const char *text, size_t length, const char *origin,
                       struct agent_config **ret_config, struct problems *problems)
{
    cleanup_agent_config struct agent_config *config = xcalloc(1, sizeof(*config));
    struct source source = {.file = origin};
    struct place root = PLACE_ROOT(&source);
    json_auto_t *object = NULL;
    size_t before = problems->count;
    int ret = document_parse_json(text, length, origin, &object, problems);

    if (ret < 0)
        return ret;
    record_parse(&agent_config_record, object, config, &root, problems);
    struct place datapath = PLACE_KEY(&root, "datapath");
    if (problems->count == before)
        datapath_resolve(&config->datapath, &datapath, problems);
    if (problems->count > before)
        return -EINVAL;
    if (!config->replica)
        config->replica = host_name();
    config->document = record_emit(&agent_config_record, config);
    *ret_config = STEAL_POINTER(config);
    return 0;
}

int agent_config_load(const char *path, struct agent_config **ret_config, struct problems *problems)
{
    cleanup_buffer struct buffer text = BUFFER_INIT(DOCUMENT_BYTES_MAX);
    cleanup_error struct error *err = NULL;
    int ret = file_read(path, &text, &err);

    if (ret < 0) {
        problem_add(problems, "%s", error_message(err));
        return ret;
    }
    return agent_config_parse(buffer_terminate(&text), text.length, path, ret_config, problems);
}

/* One problem when the JSON at path differs between the two documents. */
static void must_be_same(const struct agent_config *running, const struct agent_config *next,
                         const char *record, const char *field, struct problems *problems)
{
    const json_t *before = json_object_get(json_object_get(running->document, record), field);
    const json_t *after = json_object_get(json_object_get(next->document, record), field);

    if (json_equal(before, after))
        return;
    cleanup_free char *old = json_dumps(before, JSON_ENCODE_ANY);
    cleanup_free char *new = json_dumps(after, JSON_ENCODE_ANY);
    problem_add(problems,
                "%s.%s: can't change from %.100s to %.100s under a running agent; restart it",
                record, field, old ? old : "nothing", new ? new : "nothing");
}

int agent_config_reloadable(const struct agent_config *running, const struct agent_config *next,
                            struct problems *problems)
{
    static const char *const fixed[][2] = {
        {"listen", "bridge"},
        {"listen", "http"},
        {"listen", "admin"},
        {"queues", "ingressSubmission"},
        {"queues", "ingressCompletion"},
        {"queues", "egressSubmission"},
        {"queues", "egressCompletion"},
        {"limits", "arenaBytes"},
        {"limits", "requests"},
        {"limits", "connections"},
        {"limits", "sources"},
        {"workload", "threads"},
    };
    size_t before = problems->count;

    if (strcmp(running->service, next->service) != 0)
        problem_add(problems, "service: can't change from \"%s\" to \"%s\" under a running agent",
                    running->service, next->service);
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
        must_be_same(running, next, fixed[i][0], fixed[i][1], problems);
    return problems->count > before ? -EBUSY : 0;
}

bool agent_config_peer(const struct agent_config *config, const char *name, size_t length)
{
    size_t low = 0, high = config->peer_count;

    if (!config->peers_known || egress_destination(&config->egress, name, length))
        return true;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const char *peer = config->peers[middle].name;
        size_t peer_length = strlen(peer), common = peer_length < length ? peer_length : length;
        int order = memcmp(peer, name, common);
        if (order == 0)
            order = (peer_length > length) - (peer_length < length);
        if (order == 0)
            return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

void agent_config_free(struct agent_config *config)
{
    if (!config)
        return;
    record_free(&agent_config_record, config);
    json_decref(config->document);
    free(config);
}
