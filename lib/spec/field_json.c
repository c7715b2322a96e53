/* Values that are kept as JSON: maps, amounts, and objects whose fields are not ours. */
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "spec/field_value.h"
#include "spec/quantity.h"

/* The text of a quantity. cpu: 1 is fine, as in a pod; a fraction is not, because the schema that
 * the API server has of us can't say "a number or text". */
static json_t *quantity_of(const json_t *entry, double *ret_number, const struct place *place,
                           struct problems *problems)
{
    char shown[PLACE_VALUE_MAX];
    cleanup_error struct error *err = NULL;
    const char *text =
        json_is_integer(entry) ? place_value(entry, shown) : field_any_text(entry, place, problems);

    if (!text)
        return NULL;
    if (quantity_parse(text, ret_number, &err) == 0)
        return json_string(text);
    place_problem(place, problems, "%s", error_message(err));
    return NULL;
}

static void parse_quantity(const struct field *field, json_t *value, void *target,
                           const struct place *place, struct problems *problems)
{
    double number;
    json_auto_t *kept = quantity_of(value, &number, place, problems);
    if (kept && field_within(field, number, json_string_value(kept), place, problems))
        *(json_t **)field_member(field, target) = json_incref(kept);
}

/* What is kept of a map's entry: a text; NULL after a problem, and of a number, which is only
 * checked. */
static json_t *entry_of(const struct field *field, json_t *entry, const struct place *place,
                        struct problems *problems)
{
    char shown[PLACE_VALUE_MAX];

    double ignored;

    if (field->type == FIELD_QUANTITY_MAP)
        return quantity_of(entry, &ignored, place, problems);
    if (field->type == FIELD_NUMBER_MAP) {
        if (!json_is_number(entry))
            field_not_a_number(field, entry, "a number", place, problems);
        else
            field_within(field, json_number_value(entry), place_value(entry, shown), place,
                         problems);
        return NULL;
    }
    const char *text = field_any_text(entry, place, problems);
    if (!text || !field->value_pattern || field->value_pattern->valid(text))
        return text ? json_incref(entry) : NULL;
    place_problem(place, problems, "%s is not %s", place_value(entry, shown),
                  field->value_pattern->says);
    return NULL;
}

static void parse_map(const struct field *field, json_t *value, void *target,
                      const struct place *place, struct problems *problems)
{
    char shown[PLACE_VALUE_MAX];
    const char *key;
    json_t *entry;

    if (!json_is_object(value)) {
        place_problem(place, problems, "must be an object (names with values), not %s",
                      place_value(value, shown));
        return;
    }
    if (field->entries_max > 0 && json_object_size(value) > field->entries_max) {
        place_problem(place, problems, "%zu entries; at most %zu", json_object_size(value),
                      field->entries_max);
        return;
    }
    json_object_foreach(value, key, entry)
    {
        struct place at = PLACE_KEY(place, key);
        if (field->pattern && !field->pattern->valid(key))
            place_problem(&at, problems, "the name is not %s", field->pattern->says);
        json_t *kept = entry_of(field, entry, &at, problems);
        if (kept)
            json_object_set_new(*(json_t **)field_member(field, target), key, kept);
    }
}

/* A whole number within bounds, or a percentage from 0% to 100%. */
static void parse_amount(const struct field *field, json_t *value, void *target,
                         const struct place *place, struct problems *problems)
{
    char shown[PLACE_VALUE_MAX], bounds[FIELD_BOUNDS_MAX];
    const char *text = json_string_value(value);
    size_t digits = text ? strspn(text, "0123456789") : 0;
    uint64_t whole;

    if (json_is_number(value)) {
        if (field_whole(field, value, &whole, place, problems))
            *(json_t **)field_member(field, target) = json_integer((json_int_t)whole);
        return;
    }
    bool percent = digits >= 1 && digits <= 3 && strcmp(text + digits, "%") == 0;
    if (percent && (digits < 3 || strcmp(text, "100%") == 0))
        *(json_t **)field_member(field, target) = json_incref(value);
    else
        place_problem(
            place, problems,
            "must be a whole number or a percentage, not %s; give %s, or such as \"50%%\"",
            place_value(value, shown), field_bounds(field, bounds));
}

/* Objects of which only Kubernetes knows the fields: one, or a list. */
static void parse_objects(const struct field *field, json_t *value, void *target,
                          const struct place *place, struct problems *problems)
{
    char shown[PLACE_VALUE_MAX];
    size_t before = problems->count, index;
    json_t *element;

    if (field->type == FIELD_OBJECT && !json_is_object(value))
        place_problem(place, problems, "must be an object (fields with values), not %s",
                      place_value(value, shown));
    if (field->type == FIELD_OBJECTS && !json_is_array(value))
        place_problem(place, problems, "must be a list, not %s", place_value(value, shown));
    if (field->type == FIELD_OBJECTS && json_array_size(value) > (size_t)field->max)
        place_problem(place, problems, "%zu entries; at most %zu", json_array_size(value),
                      (size_t)field->max);
    if (problems->count != before)
        return;
    json_array_foreach(value, index, element)
    {
        struct place at = PLACE_INDEX(place, index);
        if (!json_is_object(element))
            place_problem(&at, problems, "must be an object (fields with values), not %s",
                          place_value(element, shown));
    }
    if (problems->count == before)
        *(json_t **)field_member(field, target) = json_incref(value);
}

void field_parse_json(const struct field *field, json_t *value, void *target,
                      const struct place *place, struct problems *problems)
{
    switch (field->type) {
    case FIELD_QUANTITY:
        parse_quantity(field, value, target, place, problems);
        break;
    case FIELD_AMOUNT:
        parse_amount(field, value, target, place, problems);
        break;
    case FIELD_OBJECT:
    case FIELD_OBJECTS:
        parse_objects(field, value, target, place, problems);
        break;
    case FIELD_JSON:
        *(json_t **)field_member(field, target) = json_incref(value);
        break;
    default:
        parse_map(field, value, target, place, problems);
        break;
    }
}
