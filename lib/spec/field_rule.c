/* What a schema's own words can't say, in CEL (Kubernetes, "Validation rules"). The sentences are
 * those of our own parser where CEL has what it takes. */
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "spec/field_schema.h"

static void set_text(json_t *object, const char *key, const char *text)
{
    if (text)
        json_object_set_new(object, key, json_string(text));
}

void schema_add_rule(json_t *schema, const struct schema_rule *rule)
{
    static const char key[] = "x-kubernetes-validations";
    json_t *rules = json_object_get(schema, key), *entry = json_object();

    if (!rules) {
        json_object_set_new(schema, key, json_array());
        rules = json_object_get(schema, key);
    }
    set_text(entry, "rule", rule->rule);
    set_text(entry, "message", rule->sentence);
    set_text(entry, "messageExpression", rule->says);
    set_text(entry, "fieldPath", rule->at);
    json_array_append_new(rules, entry);
}

void schema_put_text(struct buffer *out, const char *text)
{
    buffer_puts(out, "\"");
    for (; *text; text++)
        buffer_printf(out, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
    buffer_puts(out, "\"");
}

void schema_add_pattern(json_t *schema, const struct field_pattern *pattern)
{
    cleanup_buffer struct buffer rule = BUFFER_INIT(RULE_BYTES_MAX);
    cleanup_buffer struct buffer says = BUFFER_INIT(RULE_BYTES_MAX);
    cleanup_buffer struct buffer tail = BUFFER_INIT(RULE_BYTES_MAX);
    cleanup_buffer struct buffer sentence = BUFFER_INIT(RULE_BYTES_MAX);

    buffer_puts(&rule, "self.matches(");
    schema_put_text(&rule, pattern->expression);
    buffer_puts(&rule, ")");
    buffer_printf(&sentence, "give %s", pattern->says);
    buffer_printf(&tail, "\" is not %s", pattern->says);
    buffer_puts(&says, "'\"' + self + ");
    schema_put_text(&says, buffer_terminate(&tail));
    schema_add_rule(schema, &(struct schema_rule){.rule = buffer_terminate(&rule),
                                                  .sentence = buffer_terminate(&sentence),
                                                  .says = buffer_terminate(&says)});
}

void schema_add_name_pattern(json_t *schema, const struct field_pattern *pattern)
{
    cleanup_buffer struct buffer rule = BUFFER_INIT(RULE_BYTES_MAX);
    cleanup_buffer struct buffer sentence = BUFFER_INIT(RULE_BYTES_MAX);

    buffer_puts(&rule, "self.all(name, name.matches(");
    schema_put_text(&rule, pattern->expression);
    buffer_puts(&rule, "))");
    buffer_printf(&sentence, "a name in it is not %s", pattern->says);
    schema_add_rule(schema, &(struct schema_rule){.rule = buffer_terminate(&rule),
                                                  .sentence = buffer_terminate(&sentence)});
}

void schema_add_duration(json_t *schema, const struct field *field)
{
    cleanup_buffer struct buffer rule = BUFFER_INIT(RULE_BYTES_MAX);
    cleanup_buffer struct buffer says = BUFFER_INIT(RULE_BYTES_MAX);
    char bounds[FIELD_BOUNDS_MAX], low[DURATION_TEXT_MAX], high[DURATION_TEXT_MAX];

    schema_add_rule(
        schema,
        &(struct schema_rule){
            .rule = "self.matches(" CEL_DURATION ")",
            .sentence = "write a number and a unit (ns, us, ms, s, m, h), such as 50ms or 1.5s",
            .says = "'\"' + self + '\" is not a duration; write a number and a unit (ns, us, ms, "
                    "s, m, h), such as 50ms or 1.5s'"});
    field_bounds(field, bounds);
    duration_format((uint64_t)field->min, low);
    duration_format((uint64_t)field->max, high);
    buffer_puts(&rule, "!self.matches(" CEL_DURATION ") || ");
    if (field->min > 0)
        buffer_printf(&rule, "(duration(self) >= duration('%s') && ", low);
    buffer_printf(&rule, "duration(self) <= duration('%s')%s", high, field->min > 0 ? ")" : "");
    if (field->min > 0)
        buffer_printf(
            &says,
            "self + (duration(self) < duration('%s') ? ' is below %s' : ' is above %s') + "
            "'; give %s'",
            low, low, high, bounds);
    else
        buffer_printf(&says, "self + ' is above %s; give %s'", high, bounds);
    cleanup_buffer struct buffer sentence = BUFFER_INIT(RULE_BYTES_MAX);
    buffer_printf(&sentence, "give %s", bounds);
    schema_add_rule(schema, &(struct schema_rule){.rule = buffer_terminate(&rule),
                                                  .sentence = buffer_terminate(&sentence),
                                                  .says = buffer_terminate(&says)});
}

void schema_add_bytes(json_t *schema, const struct field *field)
{
    cleanup_buffer struct buffer rule = BUFFER_INIT(RULE_BYTES_MAX);
    cleanup_buffer struct buffer sentence = BUFFER_INIT(RULE_BYTES_MAX);
    cleanup_buffer struct buffer says = BUFFER_INIT(RULE_BYTES_MAX);
    char bounds[FIELD_BOUNDS_MAX];

    buffer_printf(
        &rule,
        "type(self) == int ? self >= %.0f && self <= %.0f : isQuantity(self) && "
        "quantity(self).isInteger() && quantity(self).compareTo(quantity('%.0f')) >= 0 && "
        "quantity(self).compareTo(quantity('%.0f')) <= 0",
        field->min, field->max, field->min, field->max);
    buffer_printf(&sentence, "give a size in bytes, %s", field_bounds(field, bounds));
    buffer_printf(&says, "'\"' + string(self) + '\" is not a size in bytes within bounds; give %s'",
                  bounds);
    schema_add_rule(schema, &(struct schema_rule){.rule = buffer_terminate(&rule),
                                                  .sentence = buffer_terminate(&sentence),
                                                  .says = buffer_terminate(&says)});
}

void schema_add_amount(json_t *schema, const struct field *field)
{
    cleanup_buffer struct buffer rule = BUFFER_INIT(RULE_BYTES_MAX);
    cleanup_buffer struct buffer sentence = BUFFER_INIT(RULE_BYTES_MAX);
    cleanup_buffer struct buffer says = BUFFER_INIT(RULE_BYTES_MAX);
    char bounds[FIELD_BOUNDS_MAX];

    buffer_printf(&rule,
                  "type(self) == int ? self >= %.0f && self <= %.0f : "
                  "self.matches('^([0-9]{1,2}|100)%%$')",
                  field->min, field->max);
    field_bounds(field, bounds);
    buffer_printf(&sentence, "give a whole number, %s, or a percentage such as 50%%", bounds);
    buffer_printf(&says,
                  "'\"' + string(self) + '\" is not a whole number or a percentage within bounds; "
                  "give %s, or such as \"50%%\"'",
                  bounds);
    schema_add_rule(schema, &(struct schema_rule){.rule = buffer_terminate(&rule),
                                                  .sentence = buffer_terminate(&sentence),
                                                  .says = buffer_terminate(&says)});
}

void schema_add_quantity(json_t *schema)
{
    schema_add_rule(
        schema,
        &(struct schema_rule){
            .rule = "type(self) == int ? self >= 0 : isQuantity(self) && "
                    "!quantity(self).isLessThan(quantity('0')) && !self.startsWith('+')",
            .sentence = "write a number and an optional unit, such as 100m, 0.5, 64Mi or 1G",
            .says = "'\"' + string(self) + '\" is not a quantity; write a number and an optional "
                    "unit, such as 100m, 0.5, 64Mi or 1G'"});
}

void schema_add_quantity_within(json_t *schema, const struct field *field)
{
    cleanup_buffer struct buffer rule = BUFFER_INIT(RULE_BYTES_MAX);
    cleanup_buffer struct buffer sentence = BUFFER_INIT(RULE_BYTES_MAX);
    cleanup_buffer struct buffer says = BUFFER_INIT(RULE_BYTES_MAX);
    char bounds[FIELD_BOUNDS_MAX];

    buffer_printf(&rule,
                  "type(self) == int ? self >= %.0f && self <= %.0f : isQuantity(self) && "
                  "quantity(self).compareTo(quantity('%.0fm')) >= 0 && "
                  "quantity(self).compareTo(quantity('%.0f')) <= 0 && !self.startsWith('+')",
                  ceil(field->min), field->max, field->min * 1000, field->max);
    field_bounds(field, bounds);
    buffer_printf(&sentence, "give a quantity such as 100, 500m or 2k, %s", bounds);
    buffer_printf(&says,
                  "'\"' + string(self) + '\" is not a quantity within bounds; give one such as "
                  "100, 500m or 2k, %s'",
                  bounds);
    schema_add_rule(schema, &(struct schema_rule){.rule = buffer_terminate(&rule),
                                                  .sentence = buffer_terminate(&sentence),
                                                  .says = buffer_terminate(&says)});
}

/* Appends "a or b", the selector's values with which the field may be given. */
static void put_fitting(const struct field *field, const struct field *selector, const char *before,
                        const char *between, const char *after, struct buffer *out)
{
    const char *separator = "";

    for (unsigned i = 0; selector->names[i]; i++) {
        if (field->only_with & FIELD_BIT(i)) {
            buffer_printf(out, "%s%s%s%s", separator, before, selector->names[i], after);
            separator = between;
        }
    }
}

/* A field that belongs to some values of the selector: not with others, and perhaps always with
 * these. */
static void add_only_with(json_t *schema, const struct field *field, const struct field *selector)
{
    cleanup_buffer struct buffer fits = BUFFER_INIT(RULE_BYTES_MAX);
    cleanup_buffer struct buffer rule = BUFFER_INIT(RULE_BYTES_MAX);
    cleanup_buffer struct buffer sentence = BUFFER_INIT(RULE_BYTES_MAX);
    cleanup_buffer struct buffer says = BUFFER_INIT(RULE_BYTES_MAX);
    cleanup_buffer struct buffer at = BUFFER_INIT(RULE_BYTES_MAX);

    buffer_printf(&at, ".%s", field->name);
    buffer_printf(&fits, "self.%s in [", selector->name);
    put_fitting(field, selector, "'", ", ", "'", &fits);
    buffer_puts(&fits, "]");
    buffer_printf(&rule, "!has(self.%s) || %s", field->name, buffer_terminate(&fits));
    buffer_printf(&sentence, "only with %s ", selector->name);
    put_fitting(field, selector, "", " or ", "", &sentence);
    buffer_printf(&says, "'%s; here it is ' + self.%s", buffer_terminate(&sentence),
                  selector->name);
    schema_add_rule(schema, &(struct schema_rule){.rule = buffer_terminate(&rule),
                                                  .at = buffer_terminate(&at),
                                                  .sentence = buffer_terminate(&sentence),
                                                  .says = buffer_terminate(&says)});
    if (!(field->flags & FIELD_REQUIRED))
        return;
    buffer_clear(&rule);
    buffer_clear(&sentence);
    buffer_printf(&rule, "has(self.%s) || !(%s)", field->name, buffer_terminate(&fits));
    buffer_printf(&sentence, "%s is missing; %s ", field->name, selector->name);
    put_fitting(field, selector, "", " or ", "", &sentence);
    buffer_printf(&sentence, " needs it: give a value such as %s", field->example);
    schema_add_rule(schema, &(struct schema_rule){.rule = buffer_terminate(&rule),
                                                  .sentence = buffer_terminate(&sentence)});
}

static void add_alias(json_t *schema, const struct field *field)
{
    cleanup_buffer struct buffer rule = BUFFER_INIT(RULE_BYTES_MAX);
    cleanup_buffer struct buffer sentence = BUFFER_INIT(RULE_BYTES_MAX);
    cleanup_buffer struct buffer at = BUFFER_INIT(RULE_BYTES_MAX);

    buffer_printf(&rule, "!has(self.%s) || !has(self.%s)", field->alias, field->name);
    buffer_printf(&sentence, "the same as %s, which is also given; remove one", field->name);
    buffer_printf(&at, ".%s", field->alias);
    schema_add_rule(schema, &(struct schema_rule){.rule = buffer_terminate(&rule),
                                                  .at = buffer_terminate(&at),
                                                  .sentence = buffer_terminate(&sentence)});
}

static void add_choice(json_t *schema, const struct record *record)
{
    cleanup_buffer struct buffer rule = BUFFER_INIT(RULE_BYTES_MAX);
    cleanup_buffer struct buffer sentence = BUFFER_INIT(RULE_BYTES_MAX);
    const char *separator = "";

    buffer_puts(&rule, "[");
    buffer_puts(&sentence, "give exactly one of ");
    for (size_t i = 0; i < record->field_count; i++) {
        if (!record->fields[i].choice)
            continue;
        buffer_printf(&rule, "%shas(self.%s)", separator, record->fields[i].name);
        buffer_printf(&sentence, "%s%s", separator, record->fields[i].name);
        separator = ", ";
    }
    buffer_puts(&rule, "].filter(given, given).size() == 1");
    schema_add_rule(schema, &(struct schema_rule){.rule = buffer_terminate(&rule),
                                                  .sentence = buffer_terminate(&sentence)});
}

/* Appends "self.NAME > 0" or "self.NAME == DEFAULT", true also of a duration that is none. */
static void put_comparison(const struct field *field, const char *relation, const char *number,
                           struct buffer *out)
{
    bool duration = field->type == FIELD_DURATION;

    if (duration)
        buffer_printf(out, "!self.%s.matches(" CEL_DURATION ") || ", field->name);
    buffer_printf(out,
                  duration                      ? "duration(self.%s) %s duration('%s')"
                  : field->type == FIELD_NUMBER ? "self.%s %s double(%s)"
                                                : "self.%s %s %s",
                  field->name, relation, number);
}

/* A field that must be its default while the one that it needs is 0. */
static void add_need(json_t *schema, const struct field *field, const struct field *needed)
{
    cleanup_buffer struct buffer rule = BUFFER_INIT(RULE_BYTES_MAX);
    cleanup_buffer struct buffer sentence = BUFFER_INIT(RULE_BYTES_MAX);
    cleanup_buffer struct buffer says = BUFFER_INIT(RULE_BYTES_MAX);
    cleanup_buffer struct buffer at = BUFFER_INIT(RULE_BYTES_MAX);

    put_comparison(needed, ">", needed->fallback, &rule);
    buffer_puts(&rule, " || ");
    put_comparison(field, "==", field->fallback, &rule);
    buffer_printf(&sentence, FIELD_NEEDS_SENTENCE, "it", needed->name, needed->name);
    buffer_printf(&says, "'" FIELD_NEEDS_SENTENCE "'.format([self.%s])", "%s", needed->name,
                  needed->name, field->name);
    buffer_printf(&at, ".%s", field->name);
    schema_add_rule(schema, &(struct schema_rule){.rule = buffer_terminate(&rule),
                                                  .at = buffer_terminate(&at),
                                                  .sentence = buffer_terminate(&sentence),
                                                  .says = buffer_terminate(&says)});
}

void schema_add_record_rules(json_t *schema, const struct record *record)
{
    const struct field *selector = NULL;

    for (size_t i = 0; i < record->field_count; i++) {
        const struct field *field = &record->fields[i];
        if (field->flags & FIELD_SELECTS)
            selector = field;
        if (field->only_with && selector)
            add_only_with(schema, field, selector);
        if (field->alias)
            add_alias(schema, field);
        if (field->needs)
            add_need(schema, field, &record->fields[field_index(record, field->needs)]);
    }
    if (record->choice)
        add_choice(schema, record);
    for (size_t i = 0; i < record->check_count; i++) {
        const struct record_check *check = &record->checks[i];
        if (check->rule)
            schema_add_rule(schema, &(struct schema_rule){check->rule, check->at, check->sentence,
                                                          check->says});
    }
}
