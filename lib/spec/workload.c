/* The tables of workload: muBench's vocabulary. */
#include "spec/settings.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum {
    CALL_DIGITS_MAX = 4,    /* of the n in s1__n */
    CALLS_MAX = 128,        /* of a group; CEL may cost so much and no more */
    PROBABILITIES_MAX = 64, /* of a group: CEL compares each with each service */
    BEHAVIOR_NAME_MAX = 63,
    BEHAVIOR_GROUPS_MAX = 8 /* BEHAVIORS_MAX times as many are as many as a workload's own */
};

/* "s1", or "s1__2" for a second call of s1; *ret_length is that of the service's name. */
static bool call_name_split(const char *text, size_t *ret_length)
{
    const char *mark = strstr(text, "__");
    size_t length = mark ? (size_t)(mark - text) : strlen(text);
    cleanup_free char *name = xstrndup(text, length);

    if (!pattern_service_name.valid(name) || length > SERVICE_NAME_MAX)
        return false;
    if (mark) {
        size_t digits = strspn(mark + 2, "0123456789");
        if (digits == 0 || digits > CALL_DIGITS_MAX || mark[2 + digits])
            return false;
    }
    *ret_length = length;
    return true;
}

static bool call_name_valid(const char *text)
{
    size_t length;
    return call_name_split(text, &length);
}

static const struct field_pattern pattern_call_name = {
    .valid = call_name_valid,
    .expression = "^[a-z]([-a-z0-9]*[a-z0-9])?(__[0-9]{1,4})?$",
    .max = SERVICE_NAME_MAX + 2 + CALL_DIGITS_MAX,
    .says = "a service name such as s1, or s1__2 to call s1 a second time",
};

/* externalServices */

static size_t calls_before(const struct external_group *group, size_t index)
{
    size_t count = 0;
    for (size_t i = 0; i < index; i++)
        count += strcmp(group->calls[i].service, group->calls[index].service) == 0;
    return count;
}

/* The name under which a call is written: the second call of s1 is s1__2. */
static char *call_label(const struct external_group *group, size_t index)
{
    size_t before = calls_before(group, index);
    const char *service = group->calls[index].service;
    return before ? xasprintf("%s__%zu", service, before + 1) : xstrdup(service);
}

static json_t *emit_services(const void *record)
{
    const struct external_group *group = record;
    json_t *services = json_array();

    for (size_t i = 0; i < group->call_count; i++) {
        cleanup_free char *label = call_label(group, i);
        json_array_append_new(services, json_string(label));
    }
    return services;
}

static json_t *emit_probabilities(const void *record)
{
    const struct external_group *group = record;
    json_t *probabilities = json_object();

    for (size_t i = 0; i < group->call_count; i++) {
        cleanup_free char *label = call_label(group, i);
        if (group->calls[i].probability < 1)
            json_object_set_new(probabilities, label, json_real(group->calls[i].probability));
    }
    if (json_object_size(probabilities) > 0)
        return probabilities;
    json_decref(probabilities);
    return NULL;
}

/* Only what is called can be given a probability. A service that is called several times counts as
 * often, because the agent's configuration names each call. */
static void check_probabilities(const void *record, json_t *object, const struct place *place,
                                struct problems *problems)
{
    const struct external_group *group = record;
    struct place map = PLACE_KEY(place, "probabilities");
    const char *key;
    json_t *value;

    json_object_foreach(json_object_get(object, "probabilities"), key, value)
    {
        struct place at = PLACE_KEY(&map, key);
        size_t i = 0;
        while (i < group->call_count && strcmp(group->calls[i].service, key) != 0)
            i++;
        if (i == group->call_count)
            place_problem(&at, problems,
                          "not one of this group's services; add it there, or remove it");
    }
    const json_t *given = json_object_get(object, "probabilities");
    size_t count = 0;
    for (size_t i = 0; i < group->call_count; i++)
        count += json_object_get(given, group->calls[i].service) != NULL;
    /* More names than that were told already. */
    if (count > PROBABILITIES_MAX && json_object_size(given) <= PROBABILITIES_MAX)
        place_problem(&map, problems, "for %zu calls; at most %d", count, PROBABILITIES_MAX);
}

/* No more can be called than there are; whether their names are right does not matter here. */
static void check_seq_len(const void *record, json_t *object, const struct place *place,
                          struct problems *problems)
{
    const struct external_group *group = record;
    struct place seq_len = PLACE_KEY(place, "seqLen");

    (void)object;
    if (group->call_count > 0 && group->seq_len > group->call_count)
        place_problem(&seq_len, problems,
                      "%u is above the number of services in the group; give at most %zu",
                      group->seq_len, group->call_count);
}

/* Gives each call its probability and takes the "__n" off the names. */
static void finish_group(void *record, json_t *object)
{
    struct external_group *group = record;
    const json_t *probabilities = json_object_get(object, "probabilities");

    for (size_t i = 0; i < group->call_count; i++) {
        struct external_call *call = &group->calls[i];
        size_t length = 0;
        if (!call->service)
            continue;
        const json_t *value = json_object_get(probabilities, call->service);
        call->probability = json_is_number(value) ? json_number_value(value) : 1;
        if (call_name_split(call->service, &length))
            call->service[length] = '\0';
    }
    if (group->seq_len == 0)
        group->seq_len = (unsigned)group->call_count;
}

static const struct field external_group_fields[] = {
    {.name = "seqLen",
     .type = FIELD_UNSIGNED,
     FIELD_AT(struct external_group, seq_len),
     .flags = FIELD_OPTIONAL,
     .min = 1,
     .max = CALLS_MAX,
     .unset = "all",
     .help = "How many of the services are called; a random sample when fewer than all."},
    {.name = "services",
     .type = FIELD_STRINGS,
     FIELD_AT(struct external_group, calls),
     .other = offsetof(struct external_group, call_count),
     .stride = sizeof(struct external_call),
     .at = offsetof(struct external_call, service),
     .flags = FIELD_REQUIRED,
     .min = 1,
     .max = CALLS_MAX,
     .pattern = &pattern_call_name,
     .example = "[s1, s2]",
     .emit = emit_services,
     .help = "The services called, one after the other."},
    {.name = "probabilities",
     .type = FIELD_NUMBER_MAP,
     .min = 0,
     .max = 1,
     .entries_max = PROBABILITIES_MAX,
     .emit = emit_probabilities,
     .unset = "1 each",
     .help = "How likely each service of the group is called."},
};

static const struct record_check external_group_checks[] = {
    {.run = check_probabilities,
     .reads = {"services"},
     .rule = "!has(self.probabilities) || self.probabilities.all(s, s in self.services)",
     .at = ".probabilities",
     .sentence = "it names what is not one of this group's services; add it there, or remove it"},
    {.run = check_seq_len,
     .reads = {"seqLen"},
     .rule = "!has(self.seqLen) || self.seqLen <= self.services.size()",
     .at = ".seqLen",
     .sentence = "it is above the number of services in the group; give fewer",
     .says = "'%d is above the number of services in the group; give at most %d'.format(["
             "self.seqLen, self.services.size()])"},
};
const struct record external_group_record = {
    FIELDS(external_group_fields), CHECKS(external_group_checks),
    .size = sizeof(struct external_group), .finish = finish_group};

/* alternativeBehaviors */

static bool behavior_valid(const char *text)
{
    static const char others[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t length = strlen(text);
    return length > 0 && length <= BEHAVIOR_NAME_MAX && strspn(text, others) == length;
}

const struct field_pattern pattern_behavior = {
    .valid = behavior_valid,
    .expression = "^[A-Za-z0-9._-]{1,63}$",
    .max = BEHAVIOR_NAME_MAX,
    .says = "a behaviour's name (letters, digits, ., _ and -, at most 63), such as b1",
};

static const struct field alternative_behavior_fields[] = {
    {.name = "internalService",
     .type = FIELD_RECORD,
     FIELD_AT(struct alternative_behavior, internal),
     .flags = FIELD_OPTIONAL,
     .given = offsetof(struct alternative_behavior, internal_given),
     .record = &internal_service_record,
     .unset = "the workload's own",
     .help = "The work inside the service: exactly one function."},
    {.name = "externalServices",
     .type = FIELD_RECORDS,
     FIELD_AT(struct alternative_behavior, groups),
     .other = offsetof(struct alternative_behavior, group_count),
     .given = offsetof(struct alternative_behavior, groups_given),
     .max = BEHAVIOR_GROUPS_MAX,
     .record = &external_group_record,
     .unset = "the workload's own",
     .help = "The calls; an empty list makes none."},
};

const struct record alternative_behavior_record = {FIELDS(alternative_behavior_fields),
                                                   .size = sizeof(struct alternative_behavior)};

static uint64_t disk_bytes_of(const struct internal_service *internal)
{
    return internal->kind == INTERNAL_LOADER && internal->disk_run ? internal_disk_bytes(internal)
                                                                   : 0;
}

uint64_t workload_disk_bytes(const struct workload_settings *workload)
{
    uint64_t most = disk_bytes_of(&workload->internal);

    for (size_t i = 0; i < workload->behavior_count; i++) {
        uint64_t bytes = disk_bytes_of(&workload->behaviors[i].internal);
        most = bytes > most ? bytes : most;
    }
    return most * workload->threads;
}

static void each_of(const struct external_group *groups, size_t count,
                    void (*each)(void *context, const struct external_call *call), void *context)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < groups[i].call_count; j++)
            each(context, &groups[i].calls[j]);
}

void workload_each_call(const struct workload_settings *workload,
                        void (*each)(void *context, const struct external_call *call),
                        void *context)
{
    each_of(workload->groups, workload->group_count, each, context);
    for (size_t i = 0; i < workload->behavior_count; i++)
        each_of(workload->behaviors[i].groups, workload->behaviors[i].group_count, each, context);
}
