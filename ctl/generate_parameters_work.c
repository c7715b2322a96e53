/*
 * WorkModelParameters.json in its three forms. A function, or what holds for all, is
 *     now       "f0": {"type": "function", "value": {"name": "loader", "parameters": {...}, ...}}
 *               "request_method": {"type": "metadata", "value": "rest"}
 *     before    "f0": {"function": "loader", ...parameters}, "request_method": "rest"
 *     at first  "loader": {"probability": 0.3, ...parameters}
 */
#include <string.h>

#include "ctl/generate_parameters_private.h"

/* The keys of a function that are not the service's. */
static const char *const own[] = {"name", "function", "recipient", "probability", "parameters"};

/* What the services that have the function are told, and which function it is; owned by the caller.
 */
static json_t *settings_of(json_t *value, const char *id)
{
    const json_t *name = json_object_get(value, "name");
    const char *function = json_string_value(json_object_get(value, "function"));
    json_auto_t *rest = json_copy(value);

    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        json_object_del(rest, own[i]);
    if (name) {
        json_t *parameters = json_object_get(value, "parameters");
        json_object_set_new(rest, "internal_service",
                            json_pack("{s:o}", json_string_value(name),
                                      parameters ? json_incref(parameters) : json_object()));
        return json_incref(rest);
    }
    json_t *replicas = json_incref(json_object_get(rest, "replicas"));
    json_object_del(rest, "replicas");
    json_t *settings = json_pack("{s:{s:O}}", "internal_service", function ? function : id, rest);
    if (replicas)
        json_object_set_new(settings, "replicas", replicas);
    return settings;
}

/* Whether the key is there and no text. */
static bool wrong_text(const struct reading *reading, const json_t *value, const char *key,
                       const struct place *at)
{
    struct place place = PLACE_KEY(at, key);
    const json_t *text = json_object_get(value, key);

    if (!text || json_is_string(text))
        return false;
    place_problem(&place, reading->problems, "must be text");
    return true;
}

static void take_function(const struct reading *reading, const char *id, json_t *value,
                          const struct place *at)
{
    struct generate_parameters *parameters = reading->parameters;
    json_t *probability = json_object_get(value, "probability");
    const char *recipient = json_string_value(json_object_get(value, "recipient"));
    bool database = recipient && strcmp(recipient, "database") == 0;
    struct place ratio = PLACE_KEY(at, "probability"), whose = PLACE_KEY(at, "recipient");

    if (wrong_text(reading, value, "name", at) || wrong_text(reading, value, "function", at) ||
        wrong_text(reading, value, "recipient", at))
        return;
    if (!json_is_number(probability) || json_number_value(probability) < 0) {
        place_problem(&ratio, reading->problems, "must be a number of at least 0");
        return;
    }
    if (recipient && !database && strcmp(recipient, "service") != 0) {
        place_problem(&whose, reading->problems, "must be service or database");
        return;
    }
    cleanup_free char *origin = place_origin(at);
    json_array_append_new(database ? parameters->database_functions : parameters->functions,
                          json_pack("{s:s, s:s, s:O, s:o}", "id", id, "origin", origin, "ratio",
                                    probability, "settings", settings_of(value, id)));
}

static void take_overrides(const struct reading *reading, json_t *value, const struct place *at)
{
    const char *name, *key;
    json_t *service, *entry;

    if (!json_is_object(value)) {
        place_problem(at, reading->problems, "must be an object of services");
        return;
    }
    json_object_foreach(value, name, service)
    {
        struct place place = PLACE_KEY(at, name);
        if (!json_is_object(service)) {
            place_problem(&place, reading->problems, "must be an object");
            continue;
        }
        json_object_foreach(service, key, entry)
        {
            struct place inner = PLACE_KEY(&place, key);
            if (strcmp(key, "function_id") == 0)
                wrong_text(reading, service, key, &place);
            else if (strcmp(key, "sidecar") != 0)
                parameters_note(reading, &inner, "no counterpart, left out");
        }
    }
    reading->parameters->overrides = json_incref(value);
    reading->parameters->overrider = parameters_keep(reading, place_origin(at));
}

/* What holds for all; at: of the value. */
static void take_metadata(const struct reading *reading, const char *key, json_t *value,
                          const struct place *at)
{
    struct generate_parameters *parameters = reading->parameters;
    const char *text = json_string_value(value);

    if (strcmp(key, "override") == 0) {
        take_overrides(reading, value, at);
        return;
    }
    const char **place = strcmp(key, "request_method") == 0     ? &parameters->request_method
                         : strcmp(key, "databases_prefix") == 0 ? &parameters->database_prefix
                                                                : NULL;
    if (!place)
        parameters_note_rest(reading, key, at);
    else if (!text || !*text)
        place_problem(at, reading->problems, "must be text");
    else
        *place = text;
}

static void take_entry(const struct reading *reading, const char *key, json_t *value,
                       const struct place *at)
{
    const char *type = json_string_value(json_object_get(value, "type"));
    json_t *inner = type ? json_object_get(value, "value") : NULL;
    struct place inside = PLACE_KEY(at, "value"), kind = PLACE_KEY(at, "type");

    if (inner && strcmp(type, "function") == 0 && !json_object_get(inner, "name"))
        place_problem(&inside, reading->problems, "has no name, that of the function");
    else if (inner && strcmp(type, "function") == 0)
        take_function(reading, key, inner, &inside);
    else if (inner && strcmp(type, "metadata") == 0)
        take_metadata(reading, key, inner, &inside);
    else if (inner)
        place_problem(&kind, reading->problems, "must be function or metadata");
    else if (json_is_object(value) && strcmp(key, "override") != 0)
        take_function(reading, key, value, at);
    else
        take_metadata(reading, key, value, at);
}

void parameters_read_work(const struct reading *reading, json_t *object, const struct place *at)
{
    struct generate_parameters *parameters = reading->parameters;
    size_t before = reading->problems->count;
    const char *key;
    json_t *value;

    if (!json_is_object(object) || parameters->functions) {
        place_problem(at, reading->problems, "%s",
                      parameters->functions ? "given a second time; give one of them"
                                            : "must be an object of functions");
        return;
    }
    parameters->functions = json_array();
    parameters->database_functions = json_array();
    json_object_foreach(object, key, value)
    {
        struct place place = PLACE_KEY(at, key);
        take_entry(reading, key, value, &place);
    }
    if (reading->problems->count == before && json_array_size(parameters->functions) == 0)
        place_problem(at, reading->problems, "no function of a service; give one");
}
