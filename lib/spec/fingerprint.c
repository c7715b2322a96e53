/*
 * Digests of children: a mask of paths for each kind, and FNV-1a over what stands there. Paths are
 * keys separated by spaces (labels have dots and slashes in theirs); key=value picks the entry of a
 * list by one of its fields, so that what others put beside it does not count. A whole object or
 * list counts with all that is in it: these are atomic, which is to say that server-side apply
 * replaces them as one.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "spec/children_private.h"
#include "spec/quantity.h"

enum { KEY_BYTES_MAX = 400 };

/* One path that is ours. */
struct owned {
    const char *path; /* a key * stands for each key that the annotation names */
    const char *name; /* in the annotation; NULL: every child of the kind has it */
    bool quantity;
};

#define LABEL(name)                                                                                \
    {                                                                                              \
        .path = "metadata labels app.kubernetes.io/" name                                          \
    }
#define EVERY_CHILD                                                                                \
    LABEL("name"), LABEL("instance"), LABEL("component"), LABEL("part-of"), LABEL("managed-by"),   \
    {                                                                                              \
        .path = "metadata ownerReferences kind=" DPUSERVICE_KIND                                   \
    }
#define OWNS                                                                                       \
    {                                                                                              \
        .path = "metadata annotations " CHILD_OWNS_ANNOTATION                                      \
    }

static const struct owned config_map_paths[] = {
    EVERY_CHILD,
    {.path = "data " CHILD_CONFIG_KEY},
    {NULL, NULL, false},
};

#define SERVICE_PORT(name_)                                                                        \
    {.path = "spec ports name=" name_ " port"}, {.path = "spec ports name=" name_ " protocol"},    \
        {.path = "spec ports name=" name_ " targetPort"},                                          \
    {                                                                                              \
        .path = "spec ports name=" name_ " nodePort", .name = "nodePort:" name_                    \
    }

static const struct owned service_paths[] = {
    EVERY_CHILD,
    OWNS,
    {.path = "spec type"},
    {.path = "spec selector"},
    SERVICE_PORT("bridge"),
    SERVICE_PORT("http"),
    {.path = "spec ports name=http appProtocol"},
    {NULL, NULL, false},
};

#define TEMPLATE "spec template "
#define POD      TEMPLATE "spec "
#define AGENT    POD "containers name=agent "
#define POD_LABEL(l)                                                                               \
    {                                                                                              \
        .path = TEMPLATE "metadata labels app.kubernetes.io/" l                                    \
    }
#define POD_OPTION(n)                                                                              \
    {                                                                                              \
        .path = POD n, .name = n                                                                   \
    }
#define CONTAINER_PORT(name_)                                                                      \
    {.path = AGENT "ports name=" name_ " containerPort"},                                          \
    {                                                                                              \
        .path = AGENT "ports name=" name_ " protocol"                                              \
    }
#define PROBE(name_)                                                                               \
    {.path = AGENT name_ " httpGet path"}, {.path = AGENT name_ " httpGet port"},                  \
        {.path = AGENT name_ " periodSeconds"}, {.path = AGENT name_ " timeoutSeconds"},           \
    {                                                                                              \
        .path = AGENT name_ " failureThreshold"                                                    \
    }

#define TLS_VOLUME(name_)                                                                          \
    {.path = AGENT "volumeMounts name=" name_ " mountPath", .name = name_},                        \
        {.path = AGENT "volumeMounts name=" name_ " readOnly", .name = name_},                     \
        {.path = POD "volumes name=" name_ " projected sources", .name = name_},                   \
    {                                                                                              \
        .path = POD "volumes name=" name_ " projected defaultMode", .name = name_                  \
    }

static const struct owned deployment_paths[] = {
    EVERY_CHILD,
    OWNS,
    {.path = "spec replicas"},
    {.path = "spec revisionHistoryLimit"},
    {.path = "spec selector"},
    {.path = "spec strategy type"},
    {.path = "spec strategy rollingUpdate maxSurge"},
    {.path = "spec strategy rollingUpdate maxUnavailable"},
    POD_LABEL("name"),
    POD_LABEL("instance"),
    POD_LABEL("component"),
    POD_LABEL("part-of"),
    POD_LABEL("managed-by"),
    {.path = TEMPLATE "metadata labels *", .name = "label:"},
    {.path = TEMPLATE "metadata annotations " CHILD_CONFIG_ANNOTATION},
    {.path = TEMPLATE "metadata annotations *", .name = "annotation:"},
    {.path = AGENT "image"},
    {.path = AGENT "imagePullPolicy"},
    {.path = AGENT "args"},
    CONTAINER_PORT("bridge"),
    CONTAINER_PORT("http"),
    PROBE("readinessProbe"),
    PROBE("livenessProbe"),
    {.path = AGENT "resources requests *", .name = "request:", .quantity = true},
    {.path = AGENT "resources limits *", .name = "limit:", .quantity = true},
    {.path = AGENT "securityContext allowPrivilegeEscalation"},
    {.path = AGENT "securityContext readOnlyRootFilesystem"},
    {.path = AGENT "securityContext capabilities drop"},
    {.path = AGENT "volumeMounts name=config mountPath"},
    {.path = AGENT "volumeMounts name=config readOnly"},
    {.path = POD "volumes name=config configMap name"},
    {.path = AGENT "volumeMounts name=scratch mountPath", .name = "scratch"},
    {.path = POD "volumes name=scratch emptyDir sizeLimit", .name = "scratch", .quantity = true},
    TLS_VOLUME("forward-tls"),
    TLS_VOLUME("tracing-ca"),
    {.path = POD "terminationGracePeriodSeconds"},
    {.path = POD "automountServiceAccountToken"},
    {.path = POD "enableServiceLinks"},
    {.path = POD "securityContext runAsNonRoot"},
    {.path = POD "securityContext runAsUser"},
    {.path = POD "securityContext runAsGroup"},
    {.path = POD "securityContext seccompProfile type"},
    POD_OPTION("nodeSelector"),
    POD_OPTION("affinity"),
    POD_OPTION("tolerations"),
    POD_OPTION("topologySpreadConstraints"),
    POD_OPTION("priorityClassName"),
    POD_OPTION("schedulerName"),
    POD_OPTION("serviceAccountName"),
    POD_OPTION("runtimeClassName"),
    POD_OPTION("imagePullSecrets"),
    {NULL, NULL, false},
};

static const struct owned autoscaler_paths[] = {
    EVERY_CHILD,
    OWNS,
    {.path = "spec scaleTargetRef"},
    {.path = "spec minReplicas"},
    {.path = "spec maxReplicas"},
    {.path = "spec metrics"},
    {.path = "spec behavior", .name = "behavior"},
    {NULL, NULL, false},
};

static const struct owned disruption_budget_paths[] = {
    EVERY_CHILD,
    {.path = "spec minAvailable"},
    {.path = "spec maxUnavailable"},
    {.path = "spec selector"},
    {NULL, NULL, false},
};

static const struct owned *const paths_of[CHILD_KINDS] = {
    [CHILD_CONFIG_MAP] = config_map_paths,
    [CHILD_SERVICE] = service_paths,
    [CHILD_DEPLOYMENT] = deployment_paths,
    [CHILD_AUTOSCALER] = autoscaler_paths,
    [CHILD_DISRUPTION_BUDGET] = disruption_budget_paths,
};

static uint64_t hash_text(uint64_t hash, char tag, const char *text)
{
    return fnv1a(fnv1a(hash, &tag, 1), text, strlen(text) + 1);
}

/*
 * Whether the API server keeps nothing of a value, or keeps it and drops it just the same: null,
 * "" and [] anywhere, {} but for a selector, where it means everything.
 */
static bool is_nothing(const char *key, const json_t *value)
{
    static const char selector[] = "elector";
    size_t length = key ? strlen(key) : 0;

    if (json_is_object(value))
        return json_object_size(value) == 0 &&
               (length < sizeof(selector) - 1 ||
                strcmp(key + length - (sizeof(selector) - 1), selector) != 0);
    return !value || json_is_null(value) || (json_is_string(value) && !*json_string_value(value)) ||
           (json_is_array(value) && json_array_size(value) == 0);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static uint64_t hash_value(uint64_t hash, const json_t *value);

static uint64_t hash_object(uint64_t hash, const json_t *object)
{
    size_t count = json_object_size(object), i = 0;
    cleanup_free const char **keys = xcalloc(count + 1, sizeof(*keys));
    json_t *reading = (json_t *)(uintptr_t)object; /* iterators want to write; this one does not */

    for (void *at = json_object_iter(reading); at; at = json_object_iter_next(reading, at))
        keys[i++] = json_object_iter_key(at);
    qsort(keys, count, sizeof(*keys), compare_texts);
    for (i = 0; i < count; i++) {
        const json_t *value = json_object_get(object, keys[i]);
        if (!is_nothing(keys[i], value))
            hash = hash_value(hash_text(hash, 'k', keys[i]), value);
    }
    return fnv1a(hash, "}", 1);
}

/* Deep objects are the document reader's to refuse: it allows 64 levels. */
static uint64_t hash_value(uint64_t hash, const json_t *value)
{
    char number[32];

    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return hash_object(fnv1a(hash, "{", 1), value);
    case JSON_ARRAY:
        hash = fnv1a(hash, "[", 1);
        for (size_t i = 0; i < json_array_size(value); i++)
            hash = hash_value(hash, json_array_get(value, i));
        return fnv1a(hash, "]", 1);
    case JSON_STRING:
        return hash_text(hash, 's', json_string_value(value));
    case JSON_INTEGER:
        snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        return hash_text(hash, 'n', number);
    case JSON_REAL: /* 2.0 is 2 */
        snprintf(number, sizeof(number), "%.17g", json_real_value(value));
        return hash_text(hash, 'n', number);
    case JSON_TRUE:
        return fnv1a(hash, "t", 1);
    case JSON_FALSE:
        return fnv1a(hash, "f", 1);
    case JSON_NULL:
        break;
    }
    return fnv1a(hash, "0", 1);
}

/* The entry of a list whose field (the first length bytes of pick) has the value after its =. */
static const json_t *entry_of(const json_t *list, const char *pick, size_t length)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        const char *value = json_string_value(json_object_getn(entry, pick, length));
        if (value && strcmp(value, pick + length + 1) == 0)
            return entry;
    }
    return NULL;
}

/* Copies the first length bytes, cut at what a word may have. A digest takes hundreds of them, each
 * some ten times as fast as by snprintf(). */
static void take_word(char word[KEY_BYTES_MAX], const char *text, size_t length)
{
    length = length < KEY_BYTES_MAX ? length : KEY_BYTES_MAX - 1;
    memcpy(word, text, length);
    word[length] = '\0';
}

/* What stands at a path; key takes the place of a last *. */
static const json_t *value_at(const json_t *at, const char *path, const char *key)
{
    char step[KEY_BYTES_MAX];

    while (at && *path) {
        size_t length = strcspn(path, " ");
        take_word(step, path, length);
        const char *equals = strchr(step, '=');
        if (equals)
            at = entry_of(at, step, (size_t)(equals - step));
        else
            at = json_object_get(at, strcmp(step, "*") == 0 ? key : step);
        path += length + (path[length] == ' ');
    }
    return at;
}

static uint64_t hash_owned(uint64_t hash, const json_t *object, const struct owned *owned,
                           const char *key)
{
    const json_t *value = value_at(object, owned->path, key);
    char text[QUANTITY_TEXT_MAX];

    hash = hash_text(hash, 'p', owned->path);
    if (key)
        hash = hash_text(hash, 'k', key);
    if (is_nothing("selector", value))
        return fnv1a(hash, "-", 1);
    if (owned->quantity && json_is_string(value) &&
        quantity_canonical(json_string_value(value), text, NULL) == 0)
        return hash_text(hash, 's', text);
    return hash_value(hash, value);
}

/* The parts that the annotation names, each once for each of its keys. */
static uint64_t hash_named(uint64_t hash, const json_t *object, const struct owned *owned,
                           const char *owns)
{
    size_t length = strlen(owned->name);
    bool keyed = owned->name[length - 1] == ':';
    char key[KEY_BYTES_MAX];

    while (*owns) {
        size_t word = strcspn(owns, " ");
        if (word >= length && strncmp(owns, owned->name, length) == 0 &&
            (keyed || word == length)) {
            take_word(key, owns + length, word - length);
            hash = hash_owned(hash, object, owned, keyed ? key : NULL);
        }
        owns += word + (owns[word] == ' ');
    }
    return hash;
}

uint64_t spec_child_fingerprint(enum child_kind kind, const json_t *object)
{
    const char *owns =
        json_string_value(value_at(object, "metadata annotations " CHILD_OWNS_ANNOTATION, NULL));
    uint64_t hash = FNV_START;

    for (const struct owned *owned = paths_of[kind]; owned->path; owned++)
        hash = owned->name ? hash_named(hash, object, owned, owns ? owns : "")
                           : hash_owned(hash, object, owned, NULL);
    return hash;
}
