#include "spec/field_value.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "spec/quantity.h"

enum { NAMES_BYTES_MAX = 4096 };

static char *bytes_text(double bytes, char text[DURATION_TEXT_MAX])
{
    static const char *const units[] = {"", "Ki", "Mi", "Gi", "Ti"};
    size_t i = 0;
    while (bytes != 0 && i < 4 && fmod(bytes, 1024) == 0) {
        bytes /= 1024;
        i++;
    }
    snprintf(text, DURATION_TEXT_MAX, "%.15g%s", bytes, units[i]);
    return text;
}

/* One number in the field's unit. */
static char *unit_text(const struct field *field, double number, char text[DURATION_TEXT_MAX])
{
    if (field->type == FIELD_BYTES)
        return bytes_text(number, text);
    if (field->type != FIELD_DURATION && field->type != FIELD_SECONDS) {
        /* A whole number in full, not as 9.007e+15. */
        snprintf(text, DURATION_TEXT_MAX, fmod(number, 1) == 0 && number < 1e16 ? "%.0f" : "%.15g",
                 number);
        return text;
    }
    return duration_format((uint64_t)number, text);
}

char *field_bounds(const struct field *field, char text[FIELD_BOUNDS_MAX])
{
    char low[DURATION_TEXT_MAX], high[DURATION_TEXT_MAX];
    snprintf(text, FIELD_BOUNDS_MAX, "%s to %s", unit_text(field, field->min, low),
             unit_text(field, field->max, high));
    return text;
}

void field_names(const char *const *names, struct buffer *out)
{
    for (size_t i = 0; names[i]; i++)
        buffer_printf(out, "%s%s", i == 0 ? "" : names[i + 1] ? ", " : " or ", names[i]);
}

/* Whether number lies within the bounds; else a problem. shown: the value as written. */
bool field_within(const struct field *field, double number, const char *shown,
                  const struct place *place, struct problems *problems)
{
    char bounds[FIELD_BOUNDS_MAX], edge[DURATION_TEXT_MAX];
    if (number >= field->min && number <= field->max)
        return true;
    bool low = number < field->min;
    place_problem(place, problems, "%s is %s %s; give %s", shown, low ? "below" : "above",
                  unit_text(field, low ? field->min : field->max, edge),
                  field_bounds(field, bounds));
    return false;
}

void field_not_a_number(const struct field *field, const json_t *value, const char *kind,
                        const struct place *place, struct problems *problems)
{
    char shown[PLACE_VALUE_MAX], bounds[FIELD_BOUNDS_MAX], *end;
    const char *text = json_string_value(value);

    place_value(value, shown);
    if (text && *text && (strtod(text, &end), *end == '\0'))
        place_problem(place, problems, "%s is text; remove the quotes", shown);
    else
        place_problem(place, problems, "must be %s, not %s; give %s", kind, shown,
                      field_bounds(field, bounds));
}

/* A whole number within bounds (a real such as 3.0 is one, as the API server has it). */
bool field_whole(const struct field *field, const json_t *value, uint64_t *ret,
                 const struct place *place, struct problems *problems)
{
    char shown[PLACE_VALUE_MAX], bounds[FIELD_BOUNDS_MAX];

    if (!json_is_number(value)) {
        field_not_a_number(field, value, "a whole number", place, problems);
        return false;
    }
    double number = json_number_value(value);
    place_value(value, shown);
    if (number != floor(number)) {
        place_problem(place, problems, "%s is not a whole number; give %s", shown,
                      field_bounds(field, bounds));
        return false;
    }
    if (!field_within(field, number, shown, place, problems))
        return false;
    uint64_t whole =
        json_is_integer(value) ? (uint64_t)json_integer_value(value) : (uint64_t)number;
    if (field->flags & FIELD_POWER_OF_TWO && (whole & (whole - 1)) != 0) {
        uint64_t below = UINT64_C(1) << (63 - __builtin_clzll(whole));
        place_problem(place, problems, "%s is not a power of two; give %" PRIu64 " or %" PRIu64,
                      shown, below, below * 2);
        return false;
    }
    *ret = whole;
    return true;
}

static void store_whole(const struct field *field, uint64_t whole, void *target)
{
    unsigned narrow = (unsigned)whole;
    if (field->size == sizeof(narrow))
        memcpy(field_member(field, target), &narrow, sizeof(narrow));
    else
        memcpy(field_member(field, target), &whole, sizeof(whole));
}

/* A text in the duration form, or for FIELD_SECONDS a number of seconds. */
static void parse_duration(const struct field *field, const json_t *value, void *target,
                           const struct place *place, struct problems *problems)
{
    char shown[PLACE_VALUE_MAX];
    cleanup_error struct error *err = NULL;
    uint64_t ns;

    place_value(value, shown);
    if (json_is_number(value) && field->type == FIELD_SECONDS) {
        double seconds = json_number_value(value);
        if (seconds * 1e9 < field->min || seconds * 1e9 > field->max) {
            bool below = seconds * 1e9 < field->min;
            place_problem(place, problems,
                          "%s is %s %.15g; give %.15g to %.15g seconds, or a duration such as "
                          "\"10ms\"",
                          shown, below ? "below" : "above", (below ? field->min : field->max) / 1e9,
                          field->min / 1e9, field->max / 1e9);
            return;
        }
        ns = (uint64_t)llround(seconds * 1e9);
    } else if (json_is_number(value)) {
        if (json_number_value(value) == 0)
            place_problem(place, problems, "0 has no unit; write \"0s\"");
        else
            place_problem(place, problems, "%s has no unit; write a duration such as \"50ms\"",
                          shown);
        return;
    } else if (!json_is_string(value)) {
        place_problem(place, problems, "must be a duration such as \"50ms\", not %s", shown);
        return;
    } else if (json_string_length(value) > DURATION_TEXT_MAX) {
        place_problem(place, problems, "%s is not a duration; write one such as \"50ms\"", shown);
        return;
    } else if (duration_parse(json_string_value(value), &ns, &err) < 0) {
        place_problem(place, problems, "%s", error_message(err));
        return;
    } else if (!field_within(field, (double)ns, json_string_value(value), place, problems)) {
        return;
    }
    memcpy(field_member(field, target), &ns, sizeof(ns));
}

static void parse_bytes(const struct field *field, const json_t *value, void *target,
                        const struct place *place, struct problems *problems)
{
    cleanup_error struct error *err = NULL;
    uint64_t whole;

    if (!json_is_string(value)) {
        if (field_whole(field, value, &whole, place, problems))
            store_whole(field, whole, target);
        return;
    }
    double bytes;
    if (quantity_parse(json_string_value(value), &bytes, &err) < 0)
        place_problem(place, problems, "%s", error_message(err));
    else if (bytes != floor(bytes))
        place_problem(place, problems, "\"%s\" is not a whole number of bytes",
                      json_string_value(value));
    else if (field_within(field, bytes, json_string_value(value), place, problems))
        store_whole(field, (uint64_t)bytes, target);
}

static void parse_range(const struct field *field, const json_t *value, void *target,
                        const struct place *place, struct problems *problems)
{
    char shown[PLACE_VALUE_MAX], bounds[FIELD_BOUNDS_MAX];
    uint64_t ends[2];

    if (!json_is_array(value) || json_array_size(value) != 2) {
        place_problem(place, problems, "must be [low, high], two whole numbers %s, not %s",
                      field_bounds(field, bounds),
                      json_is_array(value) ? "another number of them" : place_value(value, shown));
        return;
    }
    bool right = true;
    for (size_t i = 0; i < 2; i++) {
        struct place end = PLACE_INDEX(place, i);
        right &= field_whole(field, json_array_get(value, i), &ends[i], &end, problems);
    }
    if (!right)
        return;
    if (ends[0] > ends[1]) {
        place_problem(place, problems,
                      "[%" PRIu64 ", %" PRIu64 "] has its low end above its high end; swap them",
                      ends[0], ends[1]);
        return;
    }
    unsigned low = (unsigned)ends[0], high = (unsigned)ends[1];
    memcpy(field_member(field, target), &low, sizeof(low));
    memcpy((char *)target + field->other, &high, sizeof(high));
}

/* Text of any kind: a string. A number or a boolean that was meant as text is told to be quoted. */
const char *field_any_text(const json_t *value, const struct place *place,
                           struct problems *problems)
{
    char shown[PLACE_VALUE_MAX];

    if (json_is_string(value))
        return json_string_value(value);
    place_value(value, shown);
    if (json_is_number(value) || json_is_boolean(value))
        place_problem(place, problems, "%s is not text; put it in quotes: \"%s\"", shown, shown);
    else
        place_problem(place, problems, "must be text, not %s", shown);
    return NULL;
}

const char *field_text(const struct field *field, const json_t *value, const struct place *place,
                       struct problems *problems)
{
    char shown[PLACE_VALUE_MAX];
    /* Lists and maps use max for the number of elements. */
    bool single = field->type == FIELD_STRING;
    size_t max = single && field->max > 0 ? (size_t)field->max : FIELD_TEXT_MAX;
    const char *text = field_any_text(value, place, problems);

    if (!text)
        return NULL;
    if (!*text && single && field->min > 0) {
        place_problem(place, problems, "empty; %s%s", field->pattern ? "give " : "give some text",
                      field->pattern ? field->pattern->says : "");
        return NULL;
    }
    if (json_string_length(value) > max) {
        place_problem(place, problems, "%s is longer than %zu characters",
                      place_value(value, shown), max);
        return NULL;
    }
    if (field->pattern && !field->pattern->valid(text)) {
        place_problem(place, problems, "%s is not %s", place_value(value, shown),
                      field->pattern->says);
        return NULL;
    }
    return text;
}

/* The index of the word in names, or -1 after a problem. */
static int parse_name(const struct field *field, const json_t *value, const struct place *place,
                      struct problems *problems)
{
    const char *text = json_string_value(value);
    char shown[PLACE_VALUE_MAX];
    struct text_nearest search = TEXT_NEAREST_INIT(text ? text : "");
    cleanup_buffer struct buffer names = BUFFER_INIT(NAMES_BYTES_MAX);

    place_value(value, shown);
    if (!text) {
        field_names(field->names, &names);
        place_problem(place, problems, "must be text, not %s; give %s", shown,
                      buffer_terminate(&names));
        return -1;
    }
    for (int i = 0; field->names[i]; i++) {
        if (strcmp(text, field->names[i]) == 0)
            return i;
        text_nearest_offer(&search, field->names[i]);
    }
    field_names(field->names, &names);
    for (size_t i = 0; field->later && field->later[i]; i++) {
        if (strcmp(text, field->later[i]) == 0) {
            place_problem(place, problems, "%s is not available in this version; give %s", text,
                          buffer_terminate(&names));
            return -1;
        }
    }
    if (search.best && field->names[1])
        place_problem(place, problems, "%s is not %s; did you mean %s?", shown,
                      buffer_terminate(&names), search.best);
    else
        place_problem(place, problems, "%s is not known here; give %s", shown,
                      buffer_terminate(&names));
    return -1;
}

static void parse_set(const struct field *field, json_t *value, void *target,
                      const struct place *place, struct problems *problems)
{
    char shown[PLACE_VALUE_MAX];
    cleanup_buffer struct buffer names = BUFFER_INIT(NAMES_BYTES_MAX);
    unsigned bits = 0;
    json_t *entry;
    size_t i;

    field_names(field->names, &names);
    if (!json_is_array(value)) {
        place_problem(place, problems, "must be a list, not %s; give some of %s",
                      place_value(value, shown), buffer_terminate(&names));
        return;
    }
    if (json_array_size(value) == 0) {
        place_problem(place, problems, "an empty list; give some of %s", buffer_terminate(&names));
        return;
    }
    json_array_foreach(value, i, entry)
    {
        struct place at = PLACE_INDEX(place, i);
        int index = parse_name(field, entry, &at, problems);
        if (index >= 0 && bits & FIELD_BIT(index))
            place_problem(&at, problems, "%s stands here twice; remove one", field->names[index]);
        else if (index >= 0)
            bits |= FIELD_BIT(index);
    }
    *(unsigned *)field_member(field, target) = bits;
}

void field_parse_value(const struct field *field, json_t *value, void *target,
                       const struct place *place, struct problems *problems)
{
    char shown[PLACE_VALUE_MAX];
    const char *text;
    uint64_t whole;
    int index;

    switch (field->type) {
    case FIELD_BOOL:
        if (json_is_boolean(value))
            *(bool *)field_member(field, target) = json_is_true(value);
        else
            place_problem(place, problems, "must be true or false, not %s",
                          place_value(value, shown));
        break;
    case FIELD_UNSIGNED:
        if (field_whole(field, value, &whole, place, problems))
            store_whole(field, whole, target);
        break;
    case FIELD_NUMBER:
        if (!json_is_number(value))
            field_not_a_number(field, value, "a number", place, problems);
        else if (field_within(field, json_number_value(value), place_value(value, shown), place,
                              problems))
            *(double *)field_member(field, target) = json_number_value(value);
        break;
    case FIELD_STRING:
        text = field_text(field, value, place, problems);
        if (text)
            *(char **)field_member(field, target) = xstrdup(text);
        break;
    case FIELD_WORD:
        index = parse_name(field, value, place, problems);
        if (index >= 0)
            *(char **)field_member(field, target) = xstrdup(field->names[index]);
        break;
    case FIELD_ENUM:
        index = parse_name(field, value, place, problems);
        if (index >= 0)
            memcpy(field_member(field, target), &index, sizeof(index));
        break;
    case FIELD_SET:
        parse_set(field, value, target, place, problems);
        break;
    case FIELD_CONSTANT:
        parse_name(field, value, place, problems);
        break;
    case FIELD_DURATION:
    case FIELD_SECONDS:
        parse_duration(field, value, target, place, problems);
        break;
    case FIELD_BYTES:
        parse_bytes(field, value, target, place, problems);
        break;
    case FIELD_RANGE:
        parse_range(field, value, target, place, problems);
        break;
    case FIELD_STRING_MAP:
    case FIELD_NUMBER_MAP:
    case FIELD_QUANTITY_MAP:
    case FIELD_QUANTITY:
    case FIELD_AMOUNT:
    case FIELD_OBJECT:
    case FIELD_OBJECTS:
    case FIELD_JSON:
        field_parse_json(field, value, target, place, problems);
        break;
    default: /* records and lists of them are field.c's */
        abort();
    }
}

json_t *field_default(const struct field *field)
{
    if (!field->fallback)
        return NULL;
    switch (field->type) {
    case FIELD_STRING:
    case FIELD_WORD:
    case FIELD_ENUM:
    case FIELD_DURATION:
    case FIELD_BYTES:
        return json_string(field->fallback);
    default:
        return json_loads(field->fallback, JSON_DECODE_ANY, NULL);
    }
}

size_t field_index(const struct record *record, const char *name)
{
    size_t i = 0;
    while (i < record->field_count && strcmp(record->fields[i].name, name) != 0)
        i++;
    return i;
}
