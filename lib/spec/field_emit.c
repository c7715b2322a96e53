/* From structs back to JSON, and their release. */
#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "spec/field.h"
#include "spec/field_value.h"

/* The member for reading; the engine's accessors serve both directions. */
static const void *member_of(const struct field *field, const void *source)
{
    return (const char *)source + field->offset;
}

static uint64_t load_whole(const struct field *field, const void *source)
{
    unsigned narrow;
    uint64_t whole;
    if (field->size == sizeof(narrow)) {
        memcpy(&narrow, member_of(field, source), sizeof(narrow));
        return narrow;
    }
    memcpy(&whole, member_of(field, source), sizeof(whole));
    return whole;
}

static size_t load_size(const void *source, size_t offset)
{
    size_t size;
    memcpy(&size, (const char *)source + offset, sizeof(size));
    return size;
}

static json_t *emit_duration(uint64_t ns)
{
    char text[DURATION_TEXT_MAX];
    /* "0s" rather than "0": the form that every duration has. */
    return json_string(ns == 0 ? "0s" : duration_format(ns, text));
}

static json_t *emit_list(const struct field *field, const void *source)
{
    const char *elements;
    size_t count = load_size(source, field->other);
    json_t *list = json_array();

    memcpy(&elements, member_of(field, source), sizeof(elements));
    for (size_t i = 0; i < count; i++) {
        if (field->type == FIELD_RECORDS) {
            json_array_append_new(list,
                                  record_emit(field->record, elements + i * field->record->size));
        } else {
            size_t stride = field->stride ? field->stride : sizeof(char *);
            const char *text;
            memcpy(&text, elements + i * stride + field->at, sizeof(text));
            json_array_append_new(list, json_string(text));
        }
    }
    return list;
}

static json_t *emit_record_map(const struct field *field, const void *source)
{
    const char *elements, *name;
    size_t count = load_size(source, field->other);
    json_t *map = json_object();

    memcpy(&elements, member_of(field, source), sizeof(elements));
    for (size_t i = 0; i < count; i++) {
        const char *element = elements + i * field->record->size;
        memcpy(&name, element + field->at, sizeof(name));
        json_object_set_new(map, name, record_emit(field->record, element));
    }
    return map;
}

/* The names whose bits are set. */
static json_t *emit_set(const struct field *field, unsigned bits)
{
    json_t *list = json_array();

    for (unsigned i = 0; field->names[i]; i++)
        if (bits & FIELD_BIT(i))
            json_array_append_new(list, json_string(field->names[i]));
    return list;
}

/* The field's value, or NULL when there is nothing to write. */
static json_t *emit_value(const struct field *field, const void *source)
{
    const void *member = member_of(field, source);
    json_t *json;
    char *text;
    double number;
    unsigned ends[2];
    int index;

    switch (field->type) {
    case FIELD_BOOL:
        return json_boolean(*(const bool *)member);
    case FIELD_UNSIGNED:
    case FIELD_BYTES:
        if (field->flags & FIELD_OPTIONAL && load_whole(field, source) == 0)
            return NULL;
        return json_integer((json_int_t)load_whole(field, source));
    case FIELD_NUMBER:
        return json_real(*(const double *)member);
    case FIELD_STRING:
    case FIELD_WORD:
        memcpy(&text, member, sizeof(text));
        return text ? json_string(text) : NULL;
    case FIELD_ENUM:
        memcpy(&index, member, sizeof(index));
        return json_string(field->names[index]);
    case FIELD_SET:
        return emit_set(field, *(const unsigned *)member);
    case FIELD_CONSTANT:
        return json_string(field->names[0]);
    case FIELD_DURATION:
        if (field->flags & FIELD_OPTIONAL && load_whole(field, source) == 0)
            return NULL;
        return emit_duration(load_whole(field, source));
    case FIELD_SECONDS:
        number = (double)load_whole(field, source) / 1e9;
        return json_real(number);
    case FIELD_RANGE:
        memcpy(&ends[0], member, sizeof(ends[0]));
        memcpy(&ends[1], (const char *)source + field->other, sizeof(ends[1]));
        return json_pack("[I, I]", (json_int_t)ends[0], (json_int_t)ends[1]);
    case FIELD_RECORD:
        json = record_emit(field->record, member);
        if (field->flags & FIELD_OPTIONAL && json_object_size(json) == 0) {
            json_decref(json);
            return NULL;
        }
        return json;
    case FIELD_RECORDS:
    case FIELD_STRINGS:
        /* Where an empty list would be refused, none was given. */
        return load_size(source, field->other) == 0 && field->min > 0 ? NULL
                                                                      : emit_list(field, source);
    case FIELD_MAP:
        return emit_record_map(field, source);
    case FIELD_STRING_MAP:
    case FIELD_QUANTITY_MAP:
    case FIELD_QUANTITY:
    case FIELD_AMOUNT:
    case FIELD_JSON:
    case FIELD_OBJECT:
    case FIELD_OBJECTS:
        memcpy(&json, member, sizeof(json));
        if (field->flags & FIELD_OPTIONAL && json_is_object(json) && json_object_size(json) == 0)
            return NULL;
        return json_incref(json);
    case FIELD_NUMBER_MAP:
    case FIELD_LATER:
    case FIELD_MOVED:
    case FIELD_IGNORED:
        return NULL;
    }
    abort();
}

json_t *record_emit(const struct record *record, const void *source)
{
    json_t *object = json_object();
    int selected = 0, chosen = 0;

    if (record->choice)
        memcpy(&chosen, (const char *)source + record->chosen, sizeof(chosen));
    for (size_t i = 0; i < record->field_count; i++) {
        const struct field *field = &record->fields[i];
        if (field->flags & FIELD_SELECTS)
            memcpy(&selected, member_of(field, source), sizeof(selected));
        if (field->only_with && !(field->only_with & FIELD_BIT(selected)))
            continue;
        if (field->choice && field->choice != chosen)
            continue;
        if (field->given && !*((const bool *)source + field->given))
            continue;
        json_t *value = field->emit ? field->emit(source) : emit_value(field, source);
        if (value)
            json_object_set_new(object, field->name, value);
    }
    return object;
}

static void free_list(const struct field *field, void *target)
{
    char *elements;
    size_t *count = field_size_at(target, field->other);

    memcpy(&elements, field_member(field, target), sizeof(elements));
    for (size_t i = 0; i < *count; i++) {
        if (field->type == FIELD_STRINGS) {
            size_t stride = field->stride ? field->stride : sizeof(char *);
            free(*(char **)(void *)(elements + i * stride + field->at));
            continue;
        }
        char *element = elements + i * field->record->size;
        record_free(field->record, element);
        if (field->type == FIELD_MAP)
            free(*(char **)(void *)(element + field->at));
    }
    free(elements);
    elements = NULL;
    memcpy(field_member(field, target), &elements, sizeof(elements));
    *count = 0;
}

void record_free(const struct record *record, void *target)
{
    for (size_t i = 0; i < record->field_count; i++) {
        const struct field *field = &record->fields[i];
        void *member = field_member(field, target);
        switch (field->type) {
        case FIELD_STRING:
        case FIELD_WORD:
            free(*(char **)member);
            *(char **)member = NULL;
            break;
        case FIELD_STRING_MAP:
        case FIELD_QUANTITY_MAP:
        case FIELD_QUANTITY:
        case FIELD_AMOUNT:
        case FIELD_JSON:
        case FIELD_OBJECT:
        case FIELD_OBJECTS:
            json_decref(*(json_t **)member);
            *(json_t **)member = NULL;
            break;
        case FIELD_RECORD:
            record_free(field->record, member);
            break;
        case FIELD_RECORDS:
        case FIELD_STRINGS:
        case FIELD_MAP:
            free_list(field, target);
            break;
        default:
            break;
        }
    }
}
