/* What field tables say of themselves: reference pages, and a check of the tables. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "spec/field.h"
#include "spec/field_value.h"

enum { PATH_BYTES_MAX = 1024, CELL_BYTES_MAX = 4096 };

/* Appends text to a Markdown table cell: a bar would end the cell. */
static int put_cell(struct buffer *out, const char *text)
{
    for (; *text; text++)
        if (buffer_printf(out, *text == '|' ? "\\%c" : "%c", *text) < 0)
            return -1;
    return 0;
}

static void put_type(const struct field *field, struct buffer *out)
{
    char bounds[FIELD_BOUNDS_MAX];

    switch (field->type) {
    case FIELD_BOOL:
        buffer_puts(out, "boolean");
        break;
    case FIELD_UNSIGNED:
        buffer_printf(out, "%s, %s",
                      field->flags & FIELD_POWER_OF_TWO ? "power of two" : "whole number",
                      field_bounds(field, bounds));
        break;
    case FIELD_NUMBER:
        buffer_printf(out, "number, %s", field_bounds(field, bounds));
        break;
    case FIELD_STRING:
        buffer_puts(out, "text");
        if (field->pattern)
            buffer_printf(out, ": %s", field->pattern->says);
        break;
    case FIELD_WORD:
    case FIELD_ENUM:
    case FIELD_CONSTANT:
        for (size_t i = 0; field->names[i]; i++)
            buffer_printf(out, "%s`%s`", i ? ", " : "", field->names[i]);
        break;
    case FIELD_SET:
        buffer_puts(out, "list of ");
        for (size_t i = 0; field->names[i]; i++)
            buffer_printf(out, "%s`%s`", i ? ", " : "", field->names[i]);
        break;
    case FIELD_DURATION:
        buffer_printf(out, "duration, %s", field_bounds(field, bounds));
        break;
    case FIELD_SECONDS:
        buffer_printf(out, "seconds as a number, or a duration, %s", field_bounds(field, bounds));
        break;
    case FIELD_BYTES:
        buffer_printf(out, "bytes (`4096`, `1Mi`), %s", field_bounds(field, bounds));
        break;
    case FIELD_RANGE:
        buffer_printf(out, "`[low, high]`, whole numbers, %s", field_bounds(field, bounds));
        break;
    case FIELD_RECORD:
        buffer_puts(out, "object");
        break;
    case FIELD_RECORDS:
        buffer_puts(out, "list of objects");
        break;
    case FIELD_STRINGS:
        buffer_puts(out, "list of text");
        if (field->pattern)
            buffer_printf(out, ": each %s", field->pattern->says);
        break;
    case FIELD_MAP:
        buffer_puts(out, "objects by name");
        break;
    case FIELD_STRING_MAP:
        buffer_puts(out, "text by name");
        break;
    case FIELD_NUMBER_MAP:
        buffer_printf(out, "numbers by name, %s", field_bounds(field, bounds));
        break;
    case FIELD_QUANTITY_MAP:
        buffer_puts(out, "Kubernetes quantities by name");
        break;
    case FIELD_QUANTITY:
        buffer_printf(out, "Kubernetes quantity, %s", field_bounds(field, bounds));
        break;
    case FIELD_AMOUNT:
        buffer_printf(out, "whole number, %s, or a percentage", field_bounds(field, bounds));
        break;
    case FIELD_JSON:
        buffer_puts(out, field->pattern ? field->pattern->says : "anything");
        break;
    case FIELD_OBJECT:
        if (field->example)
            buffer_printf(out, "object, such as `%s`", field->example);
        else
            buffer_puts(out, "object, as in a pod");
        break;
    case FIELD_OBJECTS:
        buffer_puts(out, "list of objects, as in a pod");
        break;
    case FIELD_LATER:
        buffer_puts(out, "not available yet");
        break;
    case FIELD_MOVED:
    case FIELD_IGNORED:
        break;
    }
}

static void put_default(const struct field *field, struct buffer *out)
{
    if (field->flags & FIELD_REQUIRED)
        buffer_puts(out, "required");
    else if (field->fallback)
        buffer_printf(out, "`%s`", field->fallback);
    else if (field->unset)
        buffer_puts(out, field->unset);
}

void field_meaning(const struct field *field, const struct field *selector, struct buffer *out)
{
    buffer_puts(out, field->help);
    if (field->only_with && selector) {
        buffer_printf(out, " Only with `%s`", selector->name);
        const char *separator = "";
        for (unsigned i = 0; selector->names[i]; i++) {
            if (field->only_with & FIELD_BIT(i)) {
                buffer_printf(out, "%s `%s`", separator, selector->names[i]);
                separator = " or";
            }
        }
        buffer_puts(out, ".");
    }
    if (field->needs)
        buffer_printf(out, " Only with `%s` above 0.", field->needs);
    if (field->alias)
        buffer_printf(out, " Also read as `%s`.", field->alias);
    if (field->later) {
        buffer_puts(out, " Not available yet:");
        for (size_t i = 0; field->later[i]; i++)
            buffer_printf(out, "%s `%s`", i ? "," : "", field->later[i]);
        buffer_puts(out, ".");
    }
}

static const char *path_suffix(const struct field *field)
{
    return field->type == FIELD_RECORDS ? "[]." : field->type == FIELD_MAP ? ".NAME." : ".";
}

/* Where the page has the rows of a table already. */
struct printed {
    const struct record *record;
    char *path;
    struct printed *before;
};

static const struct printed *find_printed(const struct printed *last, const struct record *record)
{
    while (last && last->record != record)
        last = last->before;
    return last;
}

/* Tables of tables are long: their rows stand once on a page. */
static bool holds_records(const struct record *record)
{
    for (size_t i = 0; i < record->field_count; i++)
        if (record->fields[i].record)
            return true;
    return false;
}

static void printed_free(struct printed *last)
{
    while (last) {
        struct printed *before = last->before;
        free(last->path);
        free(last);
        last = before;
    }
}

static int put_rows(const struct record *record, const char *prefix, struct printed **printed,
                    struct buffer *out)
{
    const struct field *selector = NULL;

    for (size_t i = 0; i < record->field_count; i++) {
        const struct field *field = &record->fields[i];
        cleanup_buffer struct buffer cell = BUFFER_INIT(CELL_BYTES_MAX);
        if (field->flags & FIELD_SELECTS)
            selector = field;
        if (field->type == FIELD_IGNORED || field->type == FIELD_MOVED)
            continue;
        buffer_printf(out, "| `%s%s` | ", prefix, field->name);
        put_type(field, &cell);
        put_cell(out, buffer_terminate(&cell));
        buffer_puts(out, " | ");
        buffer_clear(&cell);
        put_default(field, &cell);
        put_cell(out, buffer_terminate(&cell));
        buffer_puts(out, " | ");
        buffer_clear(&cell);
        field_meaning(field, selector, &cell);
        const struct printed *there = field->record ? find_printed(*printed, field->record) : NULL;
        if (there)
            buffer_printf(&cell, " Fields as those of `%s`.", there->path);
        put_cell(out, buffer_terminate(&cell));
        if (buffer_puts(out, " |\n") < 0)
            return -1;
        if (!field->record || there)
            continue;
        if (holds_records(field->record)) {
            struct printed *own = xcalloc(1, sizeof(*own));
            *own =
                (struct printed){field->record, xasprintf("%s%s", prefix, field->name), *printed};
            *printed = own;
        }
        cleanup_buffer struct buffer path = BUFFER_INIT(PATH_BYTES_MAX);
        buffer_printf(&path, "%s%s%s", prefix, field->name, path_suffix(field));
        if (put_rows(field->record, buffer_terminate(&path), printed, out) < 0)
            return -1;
    }
    return 0;
}

int record_reference(const struct record *record, const char *prefix, struct buffer *out)
{
    int ret = buffer_puts(out, "| field | type | default | meaning |\n| --- | --- | --- | --- |\n");
    if (ret < 0)
        return ret;
    size_t before = out->length;
    struct printed *printed = NULL;
    ret = put_rows(record, prefix, &printed, out);
    printed_free(printed);
    if (ret < 0) {
        out->length = before;
        return buffer_reserve(out, out->max);
    }
    return 0;
}

/* A default must pass its own field's checks: this is how a table's typing mistakes are found. */
static void check_default(const struct field *field, const struct place *place,
                          struct problems *problems)
{
    struct field probe = *field;
    json_t *kept = NULL;
    json_auto_t *value = field_default(field);
    union {
        char bytes[64];
        char *text;
        uint64_t align;
    } member = {{0}};

    if (!field->fallback || field->record)
        return;
    if (!value) {
        place_problem(place, problems, "its default is not JSON");
        return;
    }
    if (field->type == FIELD_STRINGS)
        return; /* read through record_parse() by every test of the table */
    probe.offset = 0;
    probe.other = 32;
    if (field->type == FIELD_STRING_MAP || field->type == FIELD_QUANTITY_MAP) {
        kept = json_object();
        memcpy(member.bytes, &kept, sizeof(kept));
    }
    field_parse_value(&probe, value, member.bytes, place, problems);
    if (field->type == FIELD_STRING || field->type == FIELD_WORD)
        free(member.text);
    json_decref(kept);
}

/* A check that reads a field that is not there would run whatever is wrong. */
static void check_reads(const struct record *record, const struct record_check *check,
                        const struct place *place, struct problems *problems)
{
    for (size_t i = 0; i < sizeof(check->reads) / sizeof(check->reads[0]) && check->reads[i]; i++) {
        if (field_index(record, check->reads[i]) == record->field_count)
            place_problem(place, problems, "a check reads %s, which is no field", check->reads[i]);
    }
}

void record_self_check(const struct record *record, const char *prefix, struct problems *problems)
{
    const struct source source = {.object = prefix};
    struct place root = PLACE_ROOT(&source);
    bool selector = false;

    if (record->field_count > RECORD_FIELDS_MAX)
        place_problem(&root, problems, "more than %d fields", RECORD_FIELDS_MAX);
    for (size_t i = 0; i < record->check_count; i++)
        check_reads(record, &record->checks[i], &root, problems);

    for (size_t i = 0; i < record->field_count; i++) {
        const struct field *field = &record->fields[i];
        struct place place = PLACE_KEY(&root, field->name);
        bool named = field->type == FIELD_WORD || field->type == FIELD_ENUM ||
                     field->type == FIELD_SET || field->type == FIELD_CONSTANT;
        selector |= (field->flags & FIELD_SELECTS) != 0;
        if (field->type != FIELD_IGNORED && (!field->help || !*field->help))
            place_problem(&place, problems, "has no help");
        if (named && !field->names)
            place_problem(&place, problems, "has no names");
        if (field->min > field->max && field->type != FIELD_STRINGS)
            place_problem(&place, problems, "has min above max");
        if (field->needs)
            field_check_need(record, field, &place, problems);
        if (field->only_with && !selector)
            place_problem(&place, problems, "comes before its selector");
        check_default(field, &place, problems);
        if (field->record)
            record_self_check(field->record, field->name, problems);
    }
}
