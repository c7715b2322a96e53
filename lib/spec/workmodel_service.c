/* A service of a work model: which of its keys go where. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "base/text.h"
#include "doc/document.h"
#include "spec/dpuservice.h"
#include "spec/workmodel_private.h"

enum {
    COMPUTING_MAX = 1024, /* workers times threads, as a DpuService has it */
    NAMESPACE_MAX = 63
};

#define HOST_LABEL "kubernetes.io/hostname"

static void take_antiaffinity(struct conversion *conversion, json_t *value,
                              const struct place *from)
{
    static const char *const path[WORKMODEL_PATH_MAX] = {"spec", "podTemplate", "affinity",
                                                         "podAntiAffinity"};
    char shown[PLACE_VALUE_MAX];

    if (!json_is_boolean(value))
        place_problem(from, conversion->problems, "must be true or false, not %s",
                      place_value(value, shown));
    if (!json_is_true(value))
        return;
    convert_put(conversion, path,
                json_pack("{s:[{s:{s:{s:s}}, s:s}]}",
                          "requiredDuringSchedulingIgnoredDuringExecution", "labelSelector",
                          "matchLabels", "app.kubernetes.io/instance", conversion->name,
                          "topologyKey", HOST_LABEL),
                from);
}

static void take_node_affinity(struct conversion *conversion, json_t *value,
                               const struct place *from)
{
    static const char *const path[WORKMODEL_PATH_MAX] = {"spec", "podTemplate", "affinity",
                                                         "nodeAffinity"};
    char shown[PLACE_VALUE_MAX];
    bool right = json_is_array(value);
    json_t *node;
    size_t i;

    if (!right)
        place_problem(from, conversion->problems, "must be a list of nodes' names, not %s",
                      place_value(value, shown));
    json_array_foreach(value, i, node)
    {
        struct place at = PLACE_INDEX(from, i);
        if (json_is_string(node))
            continue;
        place_problem(&at, conversion->problems, "must be a node's name, not %s",
                      place_value(node, shown));
        right = false;
    }
    if (!right || i == 0)
        return;
    convert_put(conversion, path,
                json_pack("{s:{s:[{s:[{s:s, s:s, s:O}]}]}}",
                          "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms",
                          "matchExpressions", "key", HOST_LABEL, "operator", "In", "values", value),
                from);
}

/* How others call the service. Both of muBench's ages: "rest" or "gRPC", later "get" or "post". */
static void take_request_method(struct conversion *conversion, json_t *value,
                                const struct place *from)
{
    static const char *const path[WORKMODEL_PATH_MAX] = {"spec", "workload", "requestMethod"};
    const char *text = json_string_value(value);

    if (text && (strcasecmp(text, "rest") == 0 || strcasecmp(text, "get") == 0))
        return; /* what a DpuService does by itself */
    if (text && (strcasecmp(text, "grpc") == 0 || strcasecmp(text, "post") == 0))
        convert_note(conversion, from, "calls are made by HTTP GET, not by %s", text);
    else
        convert_put(conversion, path, json_incref(value), from);
}

static void take_request_protocol(struct conversion *conversion, json_t *value,
                                  const struct place *from)
{
    const char *text = json_string_value(value);
    if (!text || strcasecmp(text, "http") != 0)
        convert_note(conversion, from, "calls are made by HTTP");
}

/* How long the bodies of POSTs are, and of some of muBench's cells also the answers. */
static void take_request_parameters(struct conversion *conversion, json_t *value,
                                    const struct place *from)
{
    const char *key;
    json_t *entry;

    convert_note(conversion, from, "calls are made by HTTP GET, without a body; left out");
    json_object_foreach(value, key, entry)
    {
        struct place at = PLACE_KEY(from, key);
        if (strncmp(key, "response", strlen("response")) == 0)
            convert_note(conversion, &at,
                         "an answer is as long as its function's mean_response_size says; left "
                         "out");
    }
}

/* muBench's deployer makes it of the service's name: then it says nothing new. */
static void take_url(struct conversion *conversion, json_t *value, const struct place *from)
{
    static const char scheme[] = "http://";
    const char *text = json_string_value(value);
    size_t length = strlen(conversion->name);

    if (text && strncmp(text, scheme, sizeof(scheme) - 1) == 0)
        text += sizeof(scheme) - 1;
    if (text && strncmp(text, conversion->name, length) == 0 && text[length] == '.' &&
        strstr(text, ".svc.") && !strpbrk(text, ":/"))
        return;
    convert_note(conversion, from, "callers use the service's name instead");
}

void convert_compare_url(struct conversion *conversion, const json_t *service,
                         const struct place *from)
{
    const char *url = json_string_value(json_object_get(service, "url"));
    const char *namespace = json_string_value(
        json_object_get(json_object_get(conversion->document, "metadata"), "namespace"));
    const char *first = url ? strchr(url, '.') : NULL;
    const char *end = first ? strstr(first, ".svc.") : NULL;
    const char *own = namespace ? namespace : "default";
    struct place at = PLACE_KEY(from, "url");

    if (!end || end == first++ || end - first > NAMESPACE_MAX)
        return;
    int length = (int)(end - first);
    if (strlen(own) == (size_t)length && strncmp(first, own, (size_t)length) == 0)
        return;
    if (namespace)
        convert_note(conversion, &at,
                     "not in the service's namespace, which is %s, where callers look for it",
                     namespace);
    else
        convert_note(conversion, &at,
                     "the service names no namespace; give it one to have it in %.*s", length,
                     first);
}

/* muBench's first version: {"c": digits of pi, "b": kB}. */
static json_t *first_params(const json_t *params)
{
    json_t *c = json_object_get(params, "c"), *b = json_object_get(params, "b");
    json_t *function = json_object();

    if (c)
        json_object_set_new(function, "range_complexity", json_pack("[O, O]", c, c));
    if (b)
        json_object_set(function, "mean_bandwidth", b);
    return json_pack("{s:o}", "compute_pi", function);
}

/* The places of the first version's values, which the names made of them hide. */
static void remember_first(struct conversion *conversion, const struct place *internal,
                           const struct place *from)
{
    struct place c = PLACE_KEY(from, "c"), b = PLACE_KEY(from, "b");
    struct place pi = PLACE_KEY(internal, "computePi"), range = PLACE_KEY(&pi, "rangeComplexity");
    struct place low = PLACE_INDEX(&range, 0), high = PLACE_INDEX(&range, 1);
    struct place size = PLACE_KEY(&pi, "meanResponseSize");

    convert_remember(conversion, &range, &c);
    convert_remember(conversion, &low, &c);
    convert_remember(conversion, &high, &c);
    convert_remember(conversion, &size, &b);
}

/* The most probable of several functions, from which muBench's second version drew at each
 * request. */
static const char *most_probable(json_t *params)
{
    const char *best = NULL, *key;
    double highest = -1;
    json_t *function;

    json_object_foreach(params, key, function)
    {
        const json_t *probability = json_object_get(function, "probability");
        double value = json_is_number(probability) ? json_number_value(probability) : 1;
        if (value > highest) {
            highest = value;
            best = key;
        }
    }
    return best;
}

static json_t *second_params(struct conversion *conversion, json_t *params,
                             const struct place *from)
{
    const char *best = most_probable(params), *key;
    json_t *function;

    json_object_foreach(params, key, function)
    {
        struct place at = PLACE_KEY(from, key);
        if (strcmp(key, best) != 0)
            convert_note(conversion, &at,
                         "one of several functions, drawn at each request; left out, %s counts",
                         best);
    }
    json_auto_t *chosen = json_copy(json_object_get(params, best));
    json_object_del(chosen, "probability");
    return json_pack("{s:O}", best, chosen);
}

static void take_params(struct conversion *conversion, json_t *value, const struct place *from)
{
    static const char *const path[WORKMODEL_PATH_MAX] = {"spec", "workload", "internalService"};
    struct place storage[WORKMODEL_PATH_MAX + 1];
    char shown[PLACE_VALUE_MAX];

    if (!json_is_object(value) || json_object_size(value) == 0) {
        place_problem(from, conversion->problems,
                      "must be an object of functions with their parameters, not %s",
                      json_is_object(value) ? "an empty one" : place_value(value, shown));
        return;
    }
    bool first =
        json_is_number(json_object_get(value, "c")) || json_is_number(json_object_get(value, "b"));
    json_auto_t *internal = first ? first_params(value) : second_params(conversion, value, from);
    const struct place *to = convert_path(path, storage);
    convert_put(conversion, path, convert_internal(conversion, internal, from, to), from);
    if (first)
        remember_first(conversion, to, from);
}

/* Keys that are not fields of spec.workload. */
static const struct row {
    const char *key;
    const char *path[WORKMODEL_PATH_MAX]; /* where the value goes as it is */
    void (*take)(struct conversion *conversion, json_t *value, const struct place *from);
    const char *note; /* no counterpart, and why */
    bool overrides;   /* K8sParameters' counts for every service */
} rows[] = {
    {.key = "replicas", .path = {"spec", "replicas"}, .overrides = true},
    {.key = "cpu-requests", .path = {"spec", "resources", "requests", "cpu"}, .overrides = true},
    {.key = "cpu-limits", .path = {"spec", "resources", "limits", "cpu"}, .overrides = true},
    {.key = "memory-requests",
     .path = {"spec", "resources", "requests", "memory"},
     .overrides = true},
    {.key = "memory-limits", .path = {"spec", "resources", "limits", "memory"}, .overrides = true},
    {.key = "scheduler-name", .path = {"spec", "podTemplate", "schedulerName"}, .overrides = true},
    {.key = "namespace", .path = {"metadata", "namespace"}, .overrides = true},
    {.key = "path", .path = {"spec", "workload", "path"}, .overrides = true},
    {.key = "pod_antiaffinity", .take = take_antiaffinity},
    {.key = "node_affinity", .take = take_node_affinity},
    {.key = "request_method", .take = take_request_method},
    {.key = "request_protocol", .take = take_request_protocol},
    {.key = "params", .take = take_params},
    {.key = "url", .take = take_url},
    {.key = "image", .note = "muBench's cell is not what runs: the agent is (--image names it)"},
    {.key = "sidecar", .note = "a DpuService's pods have no further container; left out"},
    {.key = "request_parameters", .take = take_request_parameters},
};

static const struct row *find_row(const char *key)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (workmodel_same_name(key, rows[i].key))
            return &rows[i];
    return NULL;
}

bool workmodel_overrides(const char *key)
{
    const struct row *row = find_row(key);
    return row && row->overrides;
}

static void take_row(struct conversion *conversion, const struct row *row, json_t *value,
                     const struct place *from)
{
    if (json_is_null(value))
        return;
    if (row->take)
        row->take(conversion, value, from);
    else if (row->note)
        convert_note(conversion, from, "%s", row->note);
    else
        convert_put(conversion, row->path, json_incref(value), from);
}

static void note_unknown_key(struct conversion *conversion, const char *key,
                             const struct place *from)
{
    static const char *const others[] = {"internal_service", "external_services",
                                         "alternative_behaviors", "workers", "threads"};
    struct text_nearest search = TEXT_NEAREST_INIT(key);

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        text_nearest_offer(&search, rows[i].key);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        text_nearest_offer(&search, others[i]);
    if (search.best)
        convert_note(conversion, from, "no counterpart, left out; did you mean %s?", search.best);
    else
        convert_note(conversion, from, "no counterpart, left out");
}

static void take_key(struct conversion *conversion, const char *key, json_t *value,
                     const struct place *from)
{
    const struct row *row = find_row(key);
    const struct field *field = workmodel_field(workmodel_workload_record(), key);

    if (row) {
        take_row(conversion, row, value, from);
    } else if (field) {
        const char *path[WORKMODEL_PATH_MAX] = {"spec", "workload", field->name};
        struct place storage[WORKMODEL_PATH_MAX + 1];
        const struct place *to = convert_path(path, storage);
        convert_put(conversion, path, convert_value(conversion, field, value, from, to), from);
    } else {
        note_unknown_key(conversion, key, from);
    }
}

/* muBench's threads hold a request each while it waits, ours compute: as many as ours may be do the
 * same work. */
static void limit_threads(struct conversion *conversion, const struct place *from)
{
    static const char *const path[WORKMODEL_PATH_MAX] = {"spec", "workload", "threads"};
    const json_t *workload =
        json_object_get(json_object_get(conversion->document, "spec"), "workload");
    const json_t *threads = json_object_get(workload, "threads");
    const json_t *workers = json_object_get(workload, "workers");
    json_int_t asked = json_integer_value(threads);
    json_int_t processes = workers ? json_integer_value(workers) : 1;

    if (!json_is_integer(threads) || processes < 1 || processes > COMPUTING_MAX ||
        asked <= COMPUTING_MAX / processes)
        return;
    struct place at = PLACE_KEY(from, "threads");
    json_int_t most = COMPUTING_MAX / processes;
    convert_note(conversion, &at,
                 "%" JSON_INTEGER_FORMAT " threads of %" JSON_INTEGER_FORMAT
                 " workers are more than %d; %" JSON_INTEGER_FORMAT " written",
                 asked, processes, COMPUTING_MAX, most);
    conversion->overriding = true;
    convert_put(conversion, path, json_integer(most), &at);
    conversion->overriding = false;
}

void convert_service(struct conversion *conversion, json_t *service, const struct place *from)
{
    char shown[PLACE_VALUE_MAX];
    const char *key;
    json_t *value;

    if (!json_is_object(service)) {
        place_problem(from, conversion->problems,
                      "must be an object that describes a service, "
                      "not %s",
                      place_value(service, shown));
        return;
    }
    json_object_foreach(service, key, value)
    {
        struct place at = PLACE_KEY(from, key);
        take_key(conversion, key, value, &at);
    }
    limit_threads(conversion, from);
}

void convert_begin(struct conversion *conversion, const char *name, const struct place *from)
{
    /* What no key of the service names, but the tables may have to say something of. */
    static const char *const paths[] = {"",
                                        "metadata",
                                        "metadata.name",
                                        "spec",
                                        "spec.workload",
                                        "spec.resources",
                                        "spec.podTemplate"};
    cleanup_free char *text = place_origin(from);
    json_auto_t *origin = json_string_nocheck(text);

    conversion->name = name;
    conversion->document =
        json_pack("{s:s, s:s, s:{s:s}, s:{}}", "apiVersion", DPUSERVICE_API_VERSION, "kind",
                  DPUSERVICE_KIND, "metadata", "name", name, "spec");
    conversion->origins = json_object();
    conversion->notes = json_array();
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        json_object_set_nocheck(conversion->origins, paths[i], origin);
}

bool convert_check(struct conversion *conversion)
{
    struct document document = {.file = (char *)(uintptr_t)conversion->source->model.name,
                                .root = conversion->document,
                                .origins = conversion->origins};
    size_t before = conversion->problems->count;

    dpuservice_free(dpuservice_read(&document, conversion->problems));
    return conversion->problems->count == before;
}

void convert_end(struct conversion *conversion)
{
    json_decref(conversion->document);
    json_decref(conversion->origins);
    json_decref(conversion->notes);
    conversion->document = conversion->origins = conversion->notes = NULL;
}
