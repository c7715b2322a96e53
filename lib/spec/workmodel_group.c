/* external_services[i] and internal_service, whose meaning is more than their names. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "spec/settings.h"
#include "spec/workmodel_private.h"

/* Where and whom a call is: the part of the name before "__". */
static void remember_call(struct conversion *conversion, const char *label, double probability,
                          bool sampled, const struct place *from)
{
    struct workmodel_calls *calls = &conversion->calls;
    const char *mark = strstr(label, "__");

    if (calls->count == calls->room) {
        calls->room = calls->room ? 2 * calls->room : 64;
        calls->items = xreallocarray(calls->items, calls->room, sizeof(*calls->items));
    }
    calls->items[calls->count++] = (struct workmodel_call){
        .caller = conversion->index,
        .callee = label,
        .length = mark ? (size_t)(mark - label) : strlen(label),
        .origin = place_origin(from),
        .certain = probability >= 1 && !sampled && !conversion->alternative,
        .never = probability <= 0,
    };
}

/* A whole number, which JSON may also write as 2.0; -1: it is none. */
static double whole(const json_t *value)
{
    double number = json_is_number(value) ? json_number_value(value) : -1;
    return number == floor(number) ? number : -1;
}

static void remember_calls(struct conversion *conversion, const json_t *group, json_t *services,
                           const struct place *from)
{
    const json_t *probabilities = json_object_get(group, "probabilities");
    double seq_len = whole(json_object_get(group, "seqLen"));
    bool sampled = seq_len >= 0 && seq_len < (double)json_array_size(services);
    json_t *service;
    size_t i;

    json_array_foreach(services, i, service)
    {
        const char *label = json_string_value(service);
        const json_t *probability = json_object_get(probabilities, label ? label : "");
        struct place at = PLACE_INDEX(from, i);
        if (label)
            remember_call(conversion, label,
                          json_is_number(probability) ? json_number_value(probability) : 1, sampled,
                          &at);
    }
}

/* The services of a group as the keys of an object, which finds them fast; owned by the caller. */
static json_t *listed(json_t *services)
{
    json_t *set = json_object(), *service;
    size_t i;

    json_array_foreach(services, i, service)
    {
        const char *name = json_string_value(service);
        if (name)
            json_object_set_new(set, name, json_true());
    }
    return set;
}

/* Probabilities that say something: 1 is the default, of which muBench's generator writes many; and
 * at services that the group does not have muBench does not look. */
static void keep_probabilities(struct conversion *conversion, json_t *group, json_t *services,
                               const struct place *from)
{
    json_auto_t *probabilities = json_incref(json_object_get(group, "probabilities"));
    const char *key;
    json_t *value;

    if (!json_is_object(probabilities) || !json_is_array(services))
        return;
    json_auto_t *kept = json_object(), *set = listed(services);
    json_object_foreach(probabilities, key, value)
    {
        struct place at = PLACE_KEY(from, key);
        if (!json_object_get(set, key))
            convert_note(conversion, &at,
                         "not one of the group's services, so nobody is called; left out");
        else if (!json_is_number(value) || json_number_value(value) != 1)
            json_object_set(kept, key, value);
    }
    if (json_object_size(kept))
        json_object_set(group, "probabilities", kept);
    else
        json_object_del(group, "probabilities");
}

/* The key under which the file has the field called name. */
static const char *key_of(json_t *object, const char *name)
{
    const char *key;
    json_t *value;

    json_object_foreach(object, key, value) if (workmodel_same_name(key, name)) return key;
    return name;
}

json_t *convert_group(struct conversion *conversion, json_t *value, const struct place *from,
                      const struct place *to)
{
    json_t *group = convert_record(conversion, &external_group_record, value, from, to);
    json_t *services = json_object_get(group, "services");
    double seq_len = whole(json_object_get(group, "seqLen"));
    size_t count = json_array_size(services);

    if (!json_is_object(value))
        return group;
    if ((json_is_array(services) && count == 0) || seq_len == 0) {
        convert_note(conversion, from, "a group that calls nobody; left out");
        json_decref(group);
        return NULL;
    }
    struct place probabilities = PLACE_KEY(from, key_of(value, "probabilities"));
    keep_probabilities(conversion, group, services, &probabilities);
    struct place calls = PLACE_KEY(from, key_of(value, "services"));
    remember_calls(conversion, group, services, &calls);
    /* muBench's generator writes 100 for "all": more than there are means the same. */
    if (count && seq_len >= (double)count)
        json_object_del(group, "seqLen");
    return group;
}

json_t *workmodel_idle(void)
{
    return json_pack("{s:{s:{s:b}, s:{s:b}, s:{s:b}, s:{s:b}, s:f}}", "loader", "cpu_stress", "run",
                     0, "memory_stress", "run", 0, "disk_stress", "run", 0, "sleep_stress", "run",
                     0, "mean_response_size", 0.001);
}

/* muBench answers as long as it draws. The agent cuts an answer at a sixteenth of
 * limits.arenaBytes, which no key sets; of this mean and above that meets one in a hundred. */
enum { ANSWER_CHARACTERS_MAX = 4 << 20, ANSWER_MEAN_KB = 910 };

static void note_long_answers(struct conversion *conversion, const struct record *record,
                              json_t *parameters, const struct place *from)
{
    const char *key;
    json_t *value;

    json_object_foreach(parameters, key, value)
    {
        const struct field *field = workmodel_field(record, key);
        struct place at = PLACE_KEY(from, key);
        if (field && strcmp(field->name, "meanResponseSize") == 0 && json_is_number(value) &&
            json_number_value(value) >= ANSWER_MEAN_KB)
            convert_note(conversion, &at,
                         "longer answers are cut to %d characters, a sixteenth of "
                         "spec.limits.arenaBytes; raise that for longer ones",
                         ANSWER_CHARACTERS_MAX);
    }
}

json_t *convert_internal(struct conversion *conversion, json_t *value, const struct place *from,
                         const struct place *to)
{
    size_t count = json_object_size(value);
    const char *function = json_object_iter_key(json_object_iter(value));
    json_auto_t *idle = workmodel_idle();

    if (count > 1) {
        place_problem(from, conversion->problems, "%zu functions; give exactly one", count);
        return NULL;
    }
    const struct field *known = workmodel_field(&internal_service_record, function ? function : "");
    if (known) {
        struct place at = PLACE_KEY(from, function);
        note_long_answers(conversion, known->record, json_object_get(value, function), &at);
    } else if (count == 1) {
        struct place at = PLACE_KEY(from, function);
        convert_note(conversion, &at,
                     "a function of your own in Python, which an agent can't run: the service does "
                     "no internal work");
        value = idle;
    }
    /* A behaviour that says nothing of it does the service's own. */
    if (!conversion->alternative && json_equal(value, idle))
        return NULL;
    return convert_record(conversion, &internal_service_record, value, from, to);
}

void workmodel_calls_free(struct workmodel_calls *calls)
{
    for (size_t i = 0; i < calls->count; i++)
        free(calls->items[i].origin);
    free(calls->items);
    *calls = (struct workmodel_calls){0};
}
