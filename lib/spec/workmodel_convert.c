/* From a work model's values to those of the field tables: names are changed, the rest is checked
 * when the document is read. */
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "base/text.h"
#include "spec/settings.h"
#include "spec/workmodel_private.h"

enum { ORIGIN_BYTES_MAX = 8192 };

/* Spellings that are not the table's name in other letters. */
static const struct spelling {
    const char *key, *name;
} spellings[] = {
    {"internal_services", "internalService"}, {"external_service", "externalServices"},
    {"mean_bandwidth", "meanResponseSize"},   {"mean_memory_size", "memorySize"},
    {"mean_memory_io", "memoryIo"},           {"alternative_behaviours", "alternativeBehaviors"},
};

bool workmodel_same_name(const char *key, const char *name)
{
    if (*key == '_' || *key == '-')
        return false;
    for (;;) {
        while (*key == '_' || *key == '-')
            key++;
        while (*name == '_' || *name == '-')
            name++;
        if (tolower((unsigned char)*key) != tolower((unsigned char)*name))
            return false;
        if (!*key)
            return true;
        key++;
        name++;
    }
}

char *workmodel_snake(const char *name)
{
    char *snake = xmalloc(2 * strlen(name) + 1), *out = snake;

    for (const char *c = name; *c; c++) {
        if (isupper((unsigned char)*c) && c > name && !isupper((unsigned char)c[-1]))
            *out++ = '_';
        *out++ = (char)tolower((unsigned char)*c);
    }
    *out = '\0';
    return snake;
}

const struct field *workmodel_named(const struct record *record, const char *name)
{
    for (size_t i = 0; i < record->field_count; i++)
        if (strcmp(record->fields[i].name, name) == 0)
            return &record->fields[i];
    return NULL;
}

const struct field *workmodel_field(const struct record *record, const char *key)
{
    for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++)
        if (workmodel_same_name(key, spellings[i].key))
            return workmodel_named(record, spellings[i].name);
    for (size_t i = 0; i < record->field_count; i++)
        if (workmodel_same_name(key, record->fields[i].name))
            return &record->fields[i];
    return NULL;
}

const struct record *workmodel_spec_record(void)
{
    return workmodel_named(&dpuservice_record, "spec")->record;
}

const struct record *workmodel_workload_record(void)
{
    return workmodel_named(workmodel_spec_record(), "workload")->record;
}

void convert_remember(struct conversion *conversion, const struct place *to,
                      const struct place *from)
{
    cleanup_buffer struct buffer path = BUFFER_INIT(ORIGIN_BYTES_MAX);
    cleanup_free char *origin = place_origin(from);

    /* A file's name may be anything; these texts are never written as JSON. */
    if (place_path(to, &path) == 0)
        json_object_set_new_nocheck(conversion->origins, buffer_terminate(&path),
                                    json_string_nocheck(origin));
}

void convert_note(struct conversion *conversion, const struct place *from, const char *format, ...)
{
    cleanup_free char *origin = place_origin(from);
    va_list arguments;

    va_start(arguments, format);
    cleanup_free char *sentence = xvasprintf(format, arguments);
    va_end(arguments);
    cleanup_free char *note = xasprintf("%s: %s", origin, sentence);
    json_array_append_new(conversion->notes, json_string_nocheck(text_one_line(note)));
}

/* A key that means nothing here; a near name may be what was meant. */
static void note_unknown(struct conversion *conversion, const struct record *record,
                         const char *key, const struct place *from)
{
    cleanup_free char *best = NULL;
    size_t distance = SIZE_MAX;

    for (size_t i = 0; i < record->field_count; i++) {
        cleanup_free char *name = workmodel_snake(record->fields[i].name);
        struct text_nearest search = TEXT_NEAREST_INIT(key);
        text_nearest_offer(&search, name);
        if (search.best && search.distance < distance) {
            distance = search.distance;
            free(best);
            best = STEAL_POINTER(name);
        }
    }
    if (best)
        convert_note(conversion, from, "no counterpart, left out; did you mean %s?", best);
    else
        convert_note(conversion, from, "no counterpart, left out");
}

/*
 * Two keys of one meaning. muBench itself lets mean_bandwidth win, so that old files keep their
 * meaning; of others, both are wanted with the same value. Whether the new value counts.
 */
static bool takes_place(struct conversion *conversion, const char *key, const struct field *field,
                        const json_t *before, const json_t *value, const struct place *from)
{
    bool old = field->alias && workmodel_same_name(key, field->alias);

    if (!before)
        return true;
    if (json_equal(before, value))
        return false;
    if (!field->alias) {
        place_problem(from, conversion->problems,
                      "given a second time, with another value, in another spelling; remove one");
        return false;
    }
    convert_note(conversion, from, "%s, as muBench has it when both names are given",
                 old ? "counts" : "left out for the older name");
    return old;
}

json_t *convert_record(struct conversion *conversion, const struct record *record, json_t *value,
                       const struct place *from, const struct place *to)
{
    const char *key;
    json_t *entry;

    if (!json_is_object(value))
        return json_incref(value);
    json_t *object = json_object();
    json_object_foreach(value, key, entry)
    {
        const struct field *field = workmodel_field(record, key);
        struct place source = PLACE_KEY(from, key);
        if (!field) {
            note_unknown(conversion, record, key, &source);
            continue;
        }
        struct place target = PLACE_KEY(to, field->name);
        json_auto_t *made = convert_value(conversion, field, entry, &source, &target);
        if (!made || !takes_place(conversion, key, field, json_object_get(object, field->name),
                                  made, &source))
            continue;
        convert_remember(conversion, &target, &source);
        json_object_set(object, field->name, made);
    }
    return object;
}

static json_t *convert_records(struct conversion *conversion, const struct field *field,
                               json_t *value, const struct place *from, const struct place *to)
{
    json_t *list = json_array(), *entry;
    size_t i;

    json_array_foreach(value, i, entry)
    {
        struct place source = PLACE_INDEX(from, i), target = PLACE_INDEX(to, json_array_size(list));
        json_t *made = field->record == &external_group_record
                           ? convert_group(conversion, entry, &source, &target)
                           : convert_record(conversion, field->record, entry, &source, &target);
        if (!made)
            continue;
        convert_remember(conversion, &target, &source);
        json_array_append_new(list, made);
    }
    return list;
}

/* alternative_behaviors: the names are the user's. */
static json_t *convert_map(struct conversion *conversion, const struct field *field, json_t *value,
                           const struct place *from, const struct place *to)
{
    json_t *object = json_object(), *entry;
    const char *key;

    conversion->alternative = true;
    json_object_foreach(value, key, entry)
    {
        struct place source = PLACE_KEY(from, key), target = PLACE_KEY(to, key);
        json_t *made = convert_record(conversion, field->record, entry, &source, &target);
        convert_remember(conversion, &target, &source);
        json_object_set_new(object, key, made);
    }
    conversion->alternative = false;
    return object;
}

json_t *convert_value(struct conversion *conversion, const struct field *field, json_t *value,
                      const struct place *from, const struct place *to)
{
    if (field->type == FIELD_RECORD && field->record == &internal_service_record)
        return convert_internal(conversion, value, from, to);
    if (field->type == FIELD_RECORD)
        return convert_record(conversion, field->record, value, from, to);
    if (field->type == FIELD_RECORDS && json_is_array(value))
        return convert_records(conversion, field, value, from, to);
    if (field->type == FIELD_MAP && json_is_object(value))
        return convert_map(conversion, field, value, from, to);
    return json_incref(value);
}

const struct place *convert_path(const char *const path[WORKMODEL_PATH_MAX],
                                 struct place storage[WORKMODEL_PATH_MAX + 1])
{
    static const struct source nowhere = {.file = NULL};
    size_t depth = 0;

    storage[0] = (struct place)PLACE_ROOT(&nowhere);
    for (; depth < WORKMODEL_PATH_MAX && path[depth]; depth++)
        storage[depth + 1] = (struct place)PLACE_KEY(&storage[depth], path[depth]);
    return &storage[depth];
}

/* The object at all but the last key of path, made when it is not there. */
static json_t *reach(struct conversion *conversion, const char *const path[WORKMODEL_PATH_MAX],
                     size_t depth)
{
    json_t *object = conversion->document;

    for (size_t i = 0; i + 1 < depth; i++) {
        json_t *inner = json_object_get(object, path[i]);
        if (!inner) {
            inner = json_object();
            json_object_set_new(object, path[i], inner);
        }
        object = inner;
    }
    return object;
}

void convert_put(struct conversion *conversion, const char *const path[WORKMODEL_PATH_MAX],
                 json_t *value, const struct place *from)
{
    struct place storage[WORKMODEL_PATH_MAX + 1];
    size_t depth = 0;

    if (!value)
        return;
    while (depth < WORKMODEL_PATH_MAX && path[depth])
        depth++;
    json_t *object = reach(conversion, path, depth);
    const json_t *before = json_object_get(object, path[depth - 1]);
    if (before && !conversion->overriding) {
        if (!json_equal(before, value))
            place_problem(from, conversion->problems,
                          "given a second time, with another value, in another spelling; "
                          "remove one");
        json_decref(value);
        return;
    }
    convert_remember(conversion, convert_path(path, storage), from);
    json_object_set_new(object, path[depth - 1], value);
}
