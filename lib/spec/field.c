#include "spec/field.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "spec/field_value.h"

enum {
    LIST_ITEMS_MAX = 10000, /* of a list whose field states no cap */
    NAMES_BYTES_MAX = 4096,
    SELECTED_BADLY = -1 /* the selector's value was a problem of its own */
};

/* What one record is being read from and into. */
struct reading {
    const struct record *record;
    json_t *object;
    void *target;
    const struct place *place;
    struct problems *problems;
    int selected;
    const struct field *selector; /* NULL: the record has none */
    uint64_t wrong;               /* bit set of the fields that were problems */
};

/* Puts count zeroed elements of size bytes under the list at its member and its count. */
static char *list_make(const struct field *field, size_t count, size_t size, void *target)
{
    char *elements = count ? xcalloc(count, size) : NULL;
    memcpy(field_member(field, target), &elements, sizeof(elements));
    *field_size_at(target, field->other) = count;
    return elements;
}

static bool list_fits(const struct field *field, size_t count, const struct place *place,
                      struct problems *problems)
{
    size_t max = field->max > 0 ? (size_t)field->max : LIST_ITEMS_MAX;
    if (count < (size_t)field->min) {
        place_problem(place, problems, "empty; give at least %zu, or remove it",
                      (size_t)field->min);
        return false;
    }
    if (count > max)
        place_problem(place, problems, "%zu entries; at most %zu", count, max);
    return count <= max;
}

static void parse_list(const struct field *field, json_t *value, void *target,
                       const struct place *place, struct problems *problems)
{
    char shown[PLACE_VALUE_MAX];
    bool records = field->type == FIELD_RECORDS;
    size_t stride = records ? field->record->size : field->stride ? field->stride : sizeof(char *);
    size_t count = json_array_size(value);

    if (!json_is_array(value)) {
        place_problem(place, problems, "must be a list, not %s", place_value(value, shown));
        return;
    }
    if (!list_fits(field, count, place, problems))
        return;
    char *elements = list_make(field, count, stride, target);
    for (size_t i = 0; i < count; i++) {
        struct place at = PLACE_INDEX(place, i);
        json_t *element = json_array_get(value, i);
        if (records) {
            record_parse(field->record, element, elements + i * stride, &at, problems);
            continue;
        }
        const char *text = field_text(field, element, &at, problems);
        if (text)
            *(char **)(void *)(elements + i * stride + field->at) = xstrdup(text);
    }
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void parse_record_map(const struct field *field, json_t *value, void *target,
                             const struct place *place, struct problems *problems)
{
    char shown[PLACE_VALUE_MAX];
    size_t stride = field->record->size, count = json_object_size(value), i = 0;
    const char *key;
    json_t *entry;

    if (!json_is_object(value)) {
        place_problem(place, problems, "must be an object (names with values), not %s",
                      place_value(value, shown));
        return;
    }
    if (!list_fits(field, count, place, problems) || count == 0)
        return;
    cleanup_free const char **keys = xcalloc(count, sizeof(*keys));
    json_object_foreach(value, key, entry) keys[i++] = key;
    qsort(keys, count, sizeof(*keys), compare_keys);
    char *elements = list_make(field, count, stride, target);
    for (i = 0; i < count; i++) {
        struct place at = PLACE_KEY(place, keys[i]);
        char *element = elements + i * stride;
        if (field->pattern && !field->pattern->valid(keys[i]))
            place_problem(&at, problems, "the name is not %s", field->pattern->says);
        record_parse(field->record, json_object_get(value, keys[i]), element, &at, problems);
        *(char **)(void *)(element + field->at) = xstrdup(keys[i]);
    }
}

/* Known and not available: harmless when it says that it is off. */
static void parse_later(const json_t *value, const struct place *place, struct problems *problems)
{
    const json_t *run = json_object_get(value, "run");
    if (json_is_false(run))
        return;
    if (run)
        place_problem(place, problems,
                      "not available in this version; remove it or set run: false");
    else
        place_problem(place, problems, "not available in this version; remove it");
}

static void parse_present(const struct field *field, json_t *value, void *target,
                          const struct place *place, struct problems *problems)
{
    switch (field->type) {
    case FIELD_RECORD:
        record_parse(field->record, value, field_member(field, target), place, problems);
        break;
    case FIELD_RECORDS:
    case FIELD_STRINGS:
        parse_list(field, value, target, place, problems);
        break;
    case FIELD_MAP:
        parse_record_map(field, value, target, place, problems);
        break;
    case FIELD_LATER:
        parse_later(value, place, problems);
        break;
    case FIELD_MOVED:
        place_problem(place, problems, "%s", field->help);
        break;
    case FIELD_IGNORED:
        break;
    default:
        field_parse_value(field, value, target, place, problems);
        break;
    }
}

/* Says that a required field is not there, and what to give. */
static void missing(const struct reading *reading, const struct field *field,
                    const struct place *place)
{
    cleanup_buffer struct buffer hint = BUFFER_INIT(NAMES_BYTES_MAX);

    if (field->example)
        buffer_printf(&hint, "a value such as %s", field->example);
    else if (field->pattern)
        buffer_puts(&hint, field->pattern->says);
    else if (field->names)
        field_names(field->names, &hint);
    else
        buffer_puts(&hint, "it");
    if (field->only_with)
        place_problem(place, reading->problems, "missing; %s %s needs it: give %s",
                      reading->selector->name, reading->selector->names[reading->selected],
                      buffer_terminate(&hint));
    else
        place_problem(place, reading->problems, "missing; give %s", buffer_terminate(&hint));
}

/* The field's value under its name or its older name; NULL when absent or null. */
static json_t *find_value(const struct reading *reading, const struct field *field,
                          struct place *ret_place)
{
    json_t *value = json_object_get(reading->object, field->name);
    *ret_place = (struct place)PLACE_KEY(reading->place, field->name);
    if (!field->alias || !json_object_get(reading->object, field->alias))
        return json_is_null(value) ? NULL : value;
    struct place alias = PLACE_KEY(reading->place, field->alias);
    if (value) {
        place_problem(&alias, reading->problems, "the same as %s, which is also given; remove one",
                      field->name);
        return json_is_null(value) ? NULL : value;
    }
    *ret_place = alias;
    value = json_object_get(reading->object, field->alias);
    return json_is_null(value) ? NULL : value;
}

static void parse_absent(const struct reading *reading, const struct field *field,
                         const struct place *place)
{
    json_auto_t *value = NULL;

    if (field->flags & FIELD_REQUIRED) {
        missing(reading, field, place);
        return;
    }
    if (field->flags & FIELD_OPTIONAL || field->choice)
        return;
    if (field->type == FIELD_RECORD) {
        record_parse(field->record, NULL, field_member(field, reading->target), place,
                     reading->problems);
        return;
    }
    value = field_default(field);
    if (value)
        parse_present(field, value, reading->target, place, reading->problems);
}

/* Fields that belong to another value of the selector: a problem when given, else left alone. */
static bool applies(struct reading *reading, const struct field *field, const json_t *value,
                    const struct place *place)
{
    const struct field *selector = reading->selector;
    cleanup_buffer struct buffer names = BUFFER_INIT(NAMES_BYTES_MAX);
    const char *fitting[32] = {NULL};
    size_t count = 0;

    if (!field->only_with)
        return true;
    if (reading->selected == SELECTED_BADLY)
        return value != NULL;
    if (field->only_with & FIELD_BIT(reading->selected))
        return true;
    if (!value)
        return false;
    for (unsigned i = 0; selector->names[i]; i++)
        if (field->only_with & FIELD_BIT(i))
            fitting[count++] = selector->names[i];
    field_names(fitting, &names);
    place_problem(place, reading->problems, "only with %s %s; here it is %s", selector->name,
                  buffer_terminate(&names), selector->names[reading->selected]);
    return false;
}

static void parse_field(struct reading *reading, const struct field *field)
{
    size_t before = reading->problems->count;
    struct place place;
    json_t *value = find_value(reading, field, &place);

    /* Maps that are kept as JSON are never NULL. */
    if (field->type == FIELD_STRING_MAP || field->type == FIELD_QUANTITY_MAP)
        *(json_t **)field_member(field, reading->target) = json_object();
    if (!applies(reading, field, value, &place))
        return;
    if (field->given)
        *(bool *)((char *)reading->target + field->given) = value != NULL;
    if (value)
        parse_present(field, value, reading->target, &place, reading->problems);
    else
        parse_absent(reading, field, &place);
    if (field->flags & FIELD_SELECTS) {
        reading->selector = field;
        memcpy(&reading->selected, field_member(field, reading->target), sizeof(int));
        if (reading->problems->count != before)
            reading->selected = SELECTED_BADLY;
    }
}

static bool is_named(const struct field *field, const char *key)
{
    return strcmp(field->name, key) == 0 || (field->alias && strcmp(field->alias, key) == 0);
}

static void refuse_unknown(const struct reading *reading, const char *key)
{
    struct place place = PLACE_KEY(reading->place, key);
    struct text_nearest search = TEXT_NEAREST_INIT(key);
    cleanup_buffer struct buffer names = BUFFER_INIT(NAMES_BYTES_MAX);

    /* Past the cap only the count matters: a file of unknown names must not take long. */
    for (size_t i = 0; i < reading->record->field_count && reading->problems->count < PROBLEMS_MAX;
         i++) {
        const struct field *field = &reading->record->fields[i];
        text_nearest_offer(&search, field->name);
        if (field->type != FIELD_IGNORED && field->type != FIELD_LATER &&
            field->type != FIELD_MOVED)
            buffer_printf(&names, "%s%s", names.length ? ", " : "", field->name);
    }
    if (search.best)
        place_problem(&place, reading->problems, "unknown field; did you mean %s?", search.best);
    else if (reading->record->field_count == 0)
        place_problem(&place, reading->problems, "unknown field; there is nothing to set here");
    else
        place_problem(&place, reading->problems, "unknown field; known are %s",
                      buffer_terminate(&names));
}

/* Which of the choices is given. complete: no problem was found in the record, which could be that
 * the choice is there under a wrong name. */
static void parse_choice(struct reading *reading, bool complete)
{
    cleanup_buffer struct buffer names = BUFFER_INIT(NAMES_BYTES_MAX);
    const struct field *empty = NULL;
    unsigned count = 0;

    for (size_t i = 0; i < reading->record->field_count; i++) {
        const struct field *field = &reading->record->fields[i];
        json_t *value = json_object_get(reading->object, field->name);
        if (!field->choice)
            continue;
        buffer_printf(&names, "%s%s", names.length ? ", " : "", field->name);
        if (!value)
            continue;
        count++;
        if (json_is_null(value))
            empty = field;
        else
            memcpy((char *)reading->target + reading->record->chosen, &field->choice, sizeof(int));
    }
    if (count > 1 || (count == 0 && complete)) {
        place_problem(reading->place, reading->problems, "%s; give exactly one of %s",
                      count ? "several given" : "none given", buffer_terminate(&names));
    } else if (empty) {
        struct place place = PLACE_KEY(reading->place, empty->name);
        place_problem(&place, reading->problems, "empty; write %s: {} for its defaults",
                      empty->name);
    }
}

/* Whether the fields that the check reads are right. */
static bool can_run(const struct reading *reading, const struct record_check *check)
{
    for (size_t i = 0; i < sizeof(check->reads) / sizeof(check->reads[0]) && check->reads[i]; i++)
        if (reading->wrong >> field_index(reading->record, check->reads[i]) & 1)
            return false;
    return true;
}

/* A field that is given, but not the one that it needs. The default passes, because a document that
 * was filled in has it. */
static void check_need(const struct reading *reading, size_t i)
{
    const struct field *field = &reading->record->fields[i];
    const json_t *value = json_object_get(reading->object, field->name);
    struct place place = PLACE_KEY(reading->place, field->name);
    char shown[PLACE_VALUE_MAX];
    size_t j = field_index(reading->record, field->needs);

    if (!value || (reading->wrong >> i & 1) || (reading->wrong >> j & 1) ||
        field_need_met(field, &reading->record->fields[j], reading->target))
        return;
    place_problem(&place, reading->problems, FIELD_NEEDS_SENTENCE,
                  json_is_string(value) ? json_string_value(value) : place_value(value, shown),
                  field->needs, field->needs);
}

static void run_checks(const struct reading *reading)
{
    const struct record *record = reading->record;

    for (size_t i = 0; i < record->field_count; i++)
        if (record->fields[i].needs)
            check_need(reading, i);
    for (size_t i = 0; i < record->check_count; i++)
        if (record->checks[i].run && can_run(reading, &record->checks[i]))
            record->checks[i].run(reading->target, reading->object, reading->place,
                                  reading->problems);
    if (record->finish)
        record->finish(reading->target, reading->object);
}

void record_parse(const struct record *record, json_t *object, void *target,
                  const struct place *place, struct problems *problems)
{
    struct reading reading = {record, object, target, place, problems, SELECTED_BADLY, NULL, 0};
    size_t before = problems->count;
    char shown[PLACE_VALUE_MAX];
    const char *key;
    json_t *value;

    if (object && !json_is_object(object)) {
        place_problem(place, problems, "must be an object (fields with values), not %s",
                      place_value(object, shown));
        return;
    }
    for (size_t i = 0; i < record->field_count; i++) {
        size_t count = problems->count;
        parse_field(&reading, &record->fields[i]);
        reading.wrong |= (uint64_t)(problems->count != count) << i;
    }
    json_object_foreach(object, key, value)
    {
        size_t i = 0;
        while (i < record->field_count && !is_named(&record->fields[i], key))
            i++;
        if (i == record->field_count)
            refuse_unknown(&reading, key);
    }
    if (record->choice)
        parse_choice(&reading, problems->count == before);
    run_checks(&reading);
}
