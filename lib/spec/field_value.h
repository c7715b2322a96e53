/* Private to the field engine: values of one field, without the records around them. */
#ifndef DPUMESH_SPEC_FIELD_VALUE_H
#define DPUMESH_SPEC_FIELD_VALUE_H

#include <jansson.h>
#include <stdint.h>

#include "spec/field.h"

/* Longest text of field_bounds() with its NUL. */
#define FIELD_BOUNDS_MAX 96

/* "0 to 1000", "10ms to 1h", "1Ki to 64Mi": the field's bounds in the unit people write. */
char *field_bounds(const struct field *field, char text[FIELD_BOUNDS_MAX]);

/* Longest text of a field that states no cap, and of a map's value; bytes. */
#define FIELD_TEXT_MAX 1024

/* What a field means, in one line of Markdown: help, what it goes with, older names, values to
 * come. */
void field_meaning(const struct field *field, const struct field *selector, struct buffer *out);

/* Appends "a, b or c". */
void field_names(const char *const *names, struct buffer *out);

/* Reads a scalar, a range, or a map that is kept as JSON into the member of the struct at target.
 */
void field_parse_value(const struct field *field, json_t *value, void *target,
                       const struct place *place, struct problems *problems);

/* The part of field_parse_value() that is kept as JSON. */
void field_parse_json(const struct field *field, json_t *value, void *target,
                      const struct place *place, struct problems *problems);

/* Whether number lies within the bounds; else a problem. shown: the value as written. */
bool field_within(const struct field *field, double number, const char *shown,
                  const struct place *place, struct problems *problems);

/* Says that value is not of this kind ("a number"), or is one in quotes. */
void field_not_a_number(const struct field *field, const json_t *value, const char *kind,
                        const struct place *place, struct problems *problems);

/* A whole number within bounds (a real such as 3.0 is one, as the API server has it); false after a
 * problem. */
bool field_whole(const struct field *field, const json_t *value, uint64_t *ret,
                 const struct place *place, struct problems *problems);

/* Text of any kind, borrowed; NULL after a problem, which tells to quote what was meant as text. */
const char *field_any_text(const json_t *value, const struct place *place,
                           struct problems *problems);

/* Reads text for FIELD_STRINGS and the like: length and pattern. NULL after a problem. */
const char *field_text(const struct field *field, const json_t *value, const struct place *place,
                       struct problems *problems);

/* The table's default as JSON, or NULL; owned by the caller. */
json_t *field_default(const struct field *field);

/* Whether the field's value in the struct at target means something: the one that it needs is above
 * 0, or it is its own default. */
bool field_need_met(const struct field *field, const struct field *needed, const void *target);

/* For record_self_check(): both must be numbers, and the needed one off by default. */
void field_check_need(const struct record *record, const struct field *field,
                      const struct place *place, struct problems *problems);

/* Where in the table the field of this name stands; field_count: nowhere. */
size_t field_index(const struct record *record, const char *name);

/* What is said of a field without the one that it needs; three texts: value, and its name twice. */
#define FIELD_NEEDS_SENTENCE "%s means nothing without %s; give %s above 0 too"

/* Reads and writes a size_t count or a bool given at an offset. */
static inline size_t *field_size_at(void *target, size_t offset)
{
    return (size_t *)(void *)((char *)target + offset);
}

/* The address of the field's member. */
static inline void *field_member(const struct field *field, void *target)
{
    return (char *)target + field->offset;
}

#endif
