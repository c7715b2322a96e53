/* Field tables as structural OpenAPI v3 schemas (Kubernetes, "Extend the API with
 * CustomResourceDefinitions"). */
#include "spec/field_schema.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"

enum { DESCRIPTION_BYTES_MAX = 4096, QUANTITY_LENGTH_MAX = 40, POWER_MAX = 63 };

#define PRESERVE    "x-kubernetes-preserve-unknown-fields"
#define INTORSTRING "x-kubernetes-int-or-string"

static json_t *number(double value)
{
    return fmod(value, 1) == 0 && fabs(value) < 0x1p53 ? json_integer((json_int_t)value)
                                                       : json_real(value);
}

static void set_bounds(json_t *schema, const struct field *field)
{
    json_object_set_new(schema, "minimum", number(field->min));
    json_object_set_new(schema, "maximum", number(field->max));
}

static void set_type(json_t *schema, const char *type)
{
    json_object_set_new(schema, "type", json_string(type));
}

static void set_length(json_t *schema, size_t max)
{
    json_object_set_new(schema, "maxLength", json_integer((json_int_t)max));
}

static json_t *names_of(const char *const *names)
{
    json_t *list = json_array();
    for (size_t i = 0; names[i]; i++)
        json_array_append_new(list, json_string(names[i]));
    return list;
}

static json_t *powers_of_two(const struct field *field)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < POWER_MAX; i++)
        if (ldexp(1, (int)i) >= field->min && ldexp(1, (int)i) <= field->max)
            json_array_append_new(list, json_integer((json_int_t)1 << i));
    return list;
}

static void unsigned_schema(json_t *schema, const struct field *field)
{
    set_type(schema, "integer");
    json_object_set_new(schema, "format", json_string("int64"));
    if (field->flags & FIELD_POWER_OF_TWO)
        json_object_set_new(schema, "enum", powers_of_two(field));
    else
        set_bounds(schema, field);
}

static void text_schema(json_t *schema, const struct field_pattern *pattern, size_t min, size_t max)
{
    set_type(schema, "string");
    if (min > 0 && !pattern)
        json_object_set_new(schema, "minLength", json_integer((json_int_t)min));
    set_length(schema, pattern && pattern->max && pattern->max < max ? pattern->max : max);
    if (pattern)
        schema_add_pattern(schema, pattern);
}

/*
 * A number of seconds or a duration: no type of OpenAPI is both a fraction and text, so that this
 * one has none, and CEL can't see it. Bounds count for numbers, the pattern for texts, the rest
 * keeps out what is neither.
 */
static void seconds_schema(json_t *schema, const struct field *field)
{
    json_object_set_new(schema, PRESERVE, json_true());
    json_object_set_new(schema, "minimum", number(field->min / (double)NS_PER_S));
    json_object_set_new(schema, "maximum", number(field->max / (double)NS_PER_S));
    set_length(schema, DURATION_TEXT_MAX);
    json_object_set_new(schema, "pattern", json_string("^(0|[0-9]*[.]?[0-9]+(ns|us|ms|s|m|h))$"));
    json_object_set_new(schema, "maxItems", json_integer(0));
    json_object_set_new(schema, "maxProperties", json_integer(0));
    json_object_set_new(schema, "not", json_pack("{s:[b, b]}", "enum", 0, 1));
}

static void range_schema(json_t *schema, const struct field *field)
{
    json_t *items = json_object();

    set_type(schema, "array");
    unsigned_schema(items, field);
    json_object_set_new(schema, "items", items);
    json_object_set_new(schema, "minItems", json_integer(2));
    json_object_set_new(schema, "maxItems", json_integer(2));
    json_object_set_new(schema, "x-kubernetes-list-type", json_string("atomic"));
    schema_add_rule(
        schema, &(struct schema_rule){.rule = "self.size() != 2 || self[0] <= self[1]",
                                      .sentence = "its low end is above its high end; swap them",
                                      .says = "'[%d, %d] has its low end above its high end; swap "
                                              "them'.format([self[0], self[1]])"});
}

/* A list of what items says; owns items. */
static void list_schema(json_t *schema, const struct field *field, json_t *items)
{
    set_type(schema, "array");
    json_object_set_new(schema, "items", items);
    if (field->min > 0)
        json_object_set_new(schema, "minItems", number(field->min));
    json_object_set_new(schema, "maxItems", number(field->max));
    json_object_set_new(schema, "x-kubernetes-list-type", json_string("atomic"));
}

/* Values by name; owns values. */
static void map_schema(json_t *schema, const struct field *field, json_t *values)
{
    size_t max = field->entries_max ? field->entries_max : (size_t)field->max;

    set_type(schema, "object");
    json_object_set_new(schema, "additionalProperties", values);
    if (max > 0)
        json_object_set_new(schema, "maxProperties", json_integer((json_int_t)max));
}

static json_t *map_values(const struct field *field)
{
    json_t *values = json_object();

    if (field->type == FIELD_NUMBER_MAP) {
        set_type(values, "number");
        set_bounds(values, field);
    } else if (field->type == FIELD_QUANTITY_MAP) {
        json_object_set_new(values, INTORSTRING, json_true());
        set_length(values, QUANTITY_LENGTH_MAX);
        schema_add_quantity(values);
    } else if (field->value_pattern) {
        text_schema(values, field->value_pattern, 0, FIELD_TEXT_MAX);
    } else {
        set_type(values, "string");
    }
    return values;
}

/* Of what is to come, the API server takes what we take: that it is off. */
static void later_schema(json_t *schema)
{
    set_type(schema, "object");
    json_object_set_new(schema, PRESERVE, json_true());
    json_object_set_new(schema, "properties",
                        json_pack("{s:{s:s, s:s}}", "run", "type", "boolean", "description",
                                  "Only false is available yet."));
    schema_add_rule(schema, &(struct schema_rule){
                                .rule = "has(self.run) && !self.run",
                                .sentence = "not available in this version; remove it or set run: "
                                            "false"});
}

/* Refused with the sentence that says where it is now. */
static void moved_schema(json_t *schema, const struct field *field)
{
    set_type(schema, "object");
    json_object_set_new(schema, PRESERVE, json_true());
    schema_add_rule(schema, &(struct schema_rule){.rule = "false", .sentence = field->help});
}

/* Each name at most once. */
static void set_schema(json_t *schema, const struct field *field)
{
    json_t *names = names_of(field->names);

    set_type(schema, "array");
    json_object_set_new(schema, "minItems", json_integer(1));
    json_object_set_new(schema, "maxItems", json_integer((json_int_t)json_array_size(names)));
    json_object_set_new(schema, "items", json_pack("{s:s, s:o}", "type", "string", "enum", names));
    /* Not "set": that would be merged into the default, and not stand instead of it. */
    json_object_set_new(schema, "x-kubernetes-list-type", json_string("atomic"));
    schema_add_rule(schema,
                    &(struct schema_rule){.rule = "self.all(x, self.exists_one(y, y == x))",
                                          .sentence = "a name stands here twice; remove one"});
}

static json_t *free_object(void)
{
    return json_pack("{s:s, s:b}", "type", "object", PRESERVE, 1);
}

/* Whether something inside has a default, so that the record itself must be there to get it. */
static bool has_defaults(const struct record *record)
{
    for (size_t i = 0; i < record->field_count; i++) {
        const struct field *field = &record->fields[i];
        if (field->only_with || field->choice || field->flags & FIELD_OPTIONAL)
            continue;
        if (field->fallback || (field->type == FIELD_RECORD && has_defaults(field->record)))
            return true;
    }
    return false;
}

/* Whether a rule of the record reads its fields. */
static bool has_rules(const struct record *record)
{
    bool any = record->check_count > 0;
    for (size_t i = 0; i < record->field_count; i++)
        any |= record->fields[i].needs != NULL;
    return any;
}

/* Which of the selector's values is the default. */
static unsigned default_index(const struct field *selector)
{
    unsigned i = 0;
    while (selector->names[i + 1] && strcmp(selector->names[i], selector->fallback) != 0)
        i++;
    return i;
}

static bool default_in_schema(const struct field *field)
{
    return field->fallback && !field->only_with && !field->alias && !field->choice;
}

/*
 * The default of an absent record: {}, which the API server fills with the defaults inside. But a
 * record with rules has those that its rules may read, because the API server asks them of the
 * default as it is written; and what has a default with the selector's default alone has none of
 * its own.
 */
static json_t *record_default(const struct record *record)
{
    json_t *value = json_object();
    const struct field *selector = NULL;

    for (size_t i = 0; i < record->field_count; i++) {
        const struct field *field = &record->fields[i];
        if (field->flags & FIELD_SELECTS && field->fallback)
            selector = field;
        bool selected = selector && field->only_with & FIELD_BIT(default_index(selector));
        if (field->fallback &&
            (selected || ((selector || has_rules(record)) && default_in_schema(field))))
            json_object_set_new(value, field->name, field_default(field));
    }
    return value;
}

static void set_default(json_t *schema, const struct field *field)
{
    if (default_in_schema(field))
        json_object_set_new(schema, "default", field_default(field));
    if (field->type == FIELD_RECORD && !field->only_with && !field->choice &&
        !(field->flags & FIELD_OPTIONAL) && has_defaults(field->record))
        json_object_set_new(schema, "default", record_default(field->record));
}

static void set_description(json_t *schema, const struct field *field, const struct field *selector)
{
    cleanup_buffer struct buffer text = BUFFER_INIT(DESCRIPTION_BYTES_MAX);
    char bounds[FIELD_BOUNDS_MAX];

    field_meaning(field, selector, &text);
    if (field->type == FIELD_DURATION || field->type == FIELD_BYTES || field->type == FIELD_SECONDS)
        buffer_printf(&text, " A %s, %s.",
                      field->type == FIELD_BYTES ? "size such as 4096 or 1Mi" : "duration",
                      field_bounds(field, bounds));
    if (field->fallback && !default_in_schema(field))
        buffer_printf(&text, " Default: %s.", field->fallback);
    if (field->unset && !field->fallback)
        buffer_printf(&text, " Default: %s.", field->unset);
    json_object_set_new(schema, "description", json_string(buffer_terminate(&text)));
}

/* Records, lists, maps, and what has no type of its own. */
static void set_container(json_t *schema, const struct field *field)
{
    json_t *items;

    switch (field->type) {
    case FIELD_RECORD:
        items = record_schema(field->record);
        json_object_update(schema, items);
        json_decref(items);
        break;
    case FIELD_RECORDS:
        list_schema(schema, field, record_schema(field->record));
        break;
    case FIELD_STRINGS:
        items = json_object();
        text_schema(items, field->pattern, 0, FIELD_TEXT_MAX);
        list_schema(schema, field, items);
        break;
    case FIELD_MAP:
        map_schema(schema, field, record_schema(field->record));
        if (field->pattern && field->pattern->expression)
            schema_add_name_pattern(schema, field->pattern);
        break;
    case FIELD_STRING_MAP:
    case FIELD_NUMBER_MAP:
    case FIELD_QUANTITY_MAP:
        map_schema(schema, field, map_values(field));
        break;
    case FIELD_JSON:
        json_object_set_new(schema, PRESERVE, json_true());
        break;
    case FIELD_OBJECT:
        items = free_object();
        json_object_update(schema, items);
        json_decref(items);
        break;
    case FIELD_OBJECTS:
        list_schema(schema, field, free_object());
        break;
    case FIELD_LATER:
        later_schema(schema);
        break;
    case FIELD_MOVED:
        moved_schema(schema, field);
        break;
    case FIELD_SET:
        set_schema(schema, field);
        break;
    default:
        break;
    }
}

/* The schema of a value of the field, without what goes with the field itself. */
static void set_value(json_t *schema, const struct field *field)
{
    switch (field->type) {
    case FIELD_BOOL:
        set_type(schema, "boolean");
        break;
    case FIELD_UNSIGNED:
        unsigned_schema(schema, field);
        break;
    case FIELD_NUMBER:
        set_type(schema, "number");
        set_bounds(schema, field);
        break;
    case FIELD_STRING:
        text_schema(schema, field->pattern, (size_t)field->min,
                    field->max > 0 ? (size_t)field->max : FIELD_TEXT_MAX);
        break;
    case FIELD_WORD:
    case FIELD_ENUM:
    case FIELD_CONSTANT:
        set_type(schema, "string");
        json_object_set_new(schema, "enum", names_of(field->names));
        break;
    case FIELD_DURATION:
        set_type(schema, "string");
        set_length(schema, DURATION_TEXT_MAX);
        schema_add_duration(schema, field);
        break;
    case FIELD_SECONDS:
        seconds_schema(schema, field);
        break;
    case FIELD_BYTES:
        json_object_set_new(schema, INTORSTRING, json_true());
        set_length(schema, QUANTITY_LENGTH_MAX);
        schema_add_bytes(schema, field);
        break;
    case FIELD_QUANTITY:
        json_object_set_new(schema, INTORSTRING, json_true());
        set_length(schema, QUANTITY_LENGTH_MAX);
        schema_add_quantity_within(schema, field);
        break;
    case FIELD_AMOUNT:
        json_object_set_new(schema, INTORSTRING, json_true());
        set_length(schema, QUANTITY_LENGTH_MAX);
        schema_add_amount(schema, field);
        break;
    case FIELD_RANGE:
        range_schema(schema, field);
        break;
    default:
        set_container(schema, field);
        break;
    }
}

static json_t *field_schema(const struct field *field, const struct field *selector)
{
    json_t *schema = json_object();

    set_description(schema, field, selector);
    set_value(schema, field);
    set_default(schema, field);
    return schema;
}

/* The older name of a field, without a default of its own. */
static json_t *alias_schema(const struct field *field)
{
    cleanup_buffer struct buffer text = BUFFER_INIT(DESCRIPTION_BYTES_MAX);
    json_t *schema = json_object();

    buffer_printf(&text, "The same as %s.", field->name);
    json_object_set_new(schema, "description", json_string(buffer_terminate(&text)));
    set_value(schema, field);
    return schema;
}

json_t *record_schema(const struct record *record)
{
    json_t *schema = json_pack("{s:s}", "type", "object");
    json_t *properties = json_object(), *required = json_array();
    const struct field *selector = NULL;

    for (size_t i = 0; i < record->field_count; i++) {
        const struct field *field = &record->fields[i];
        if (field->flags & FIELD_SELECTS)
            selector = field;
        if (field->type == FIELD_IGNORED)
            continue;
        json_object_set_new(properties, field->name, field_schema(field, selector));
        if (field->alias)
            json_object_set_new(properties, field->alias, alias_schema(field));
        if (field->flags & FIELD_REQUIRED && !field->only_with)
            json_array_append_new(required, json_string(field->name));
    }
    if (json_array_size(required))
        json_object_set(schema, "required", required);
    json_decref(required);
    json_object_set_new(schema, "properties", properties);
    schema_add_record_rules(schema, record);
    return schema;
}
