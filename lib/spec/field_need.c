/* Fields that mean nothing without another one of their record: `needs`. */
#include <string.h>

#include "spec/field_value.h"

/* The value in the struct at target; a duration in ns. */
static double number_of(const struct field *field, const void *target)
{
    const char *member = (const char *)target + field->offset;
    double number;
    uint64_t whole;
    unsigned narrow;

    if (field->type == FIELD_NUMBER) {
        memcpy(&number, member, sizeof(number));
        return number;
    }
    if (field->size == sizeof(narrow)) {
        memcpy(&narrow, member, sizeof(narrow));
        return narrow;
    }
    memcpy(&whole, member, sizeof(whole));
    return (double)whole;
}

static double default_of(const struct field *field)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    const struct place place = {0};
    struct field probe = *field;
    json_auto_t *value = field_default(field);
    uint64_t member = 0;

    probe.offset = 0;
    field_parse_value(&probe, value, &member, &place, &problems);
    return number_of(&probe, &member);
}

bool field_need_met(const struct field *field, const struct field *needed, const void *target)
{
    return number_of(needed, target) > 0 || number_of(field, target) == default_of(field);
}

void field_check_need(const struct record *record, const struct field *field,
                      const struct place *place, struct problems *problems)
{
    size_t i = field_index(record, field->needs);
    const struct field *const both[] = {field, &record->fields[i]};

    if (i == record->field_count) {
        place_problem(place, problems, "needs %s, which is no field", field->needs);
        return;
    }
    for (size_t j = 0; j < 2; j++)
        if (both[j]->type != FIELD_UNSIGNED && both[j]->type != FIELD_NUMBER &&
            both[j]->type != FIELD_DURATION)
            place_problem(place, problems, "%s is no number", both[j]->name);
        else if (!both[j]->fallback || (j == 1 && default_of(both[j]) != 0))
            place_problem(place, problems, "%s has no default, or is not 0 by it", both[j]->name);
}
