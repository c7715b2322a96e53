/*
 * Private to the schema of field tables: field_schema.c has the types, field_rule.c the CEL rules.
 * Whoever gets a json_t * owns it.
 */
#ifndef DPUMESH_SPEC_FIELD_SCHEMA_H
#define DPUMESH_SPEC_FIELD_SCHEMA_H

#include <jansson.h>

#include "spec/field_value.h"

enum { RULE_BYTES_MAX = 4096 };

/* One CEL rule of a schema; what is NULL is left out. */
struct schema_rule {
    const char *rule;     /* an expression over self that is true for what is right */
    const char *at;       /* fieldPath: ".low" */
    const char *sentence; /* message */
    const char *says;     /* messageExpression */
};

/* Appends a rule to the schema's x-kubernetes-validations. */
void schema_add_rule(json_t *schema, const struct schema_rule *rule);

/* The rules of one text-like value, or of a map's names: its pattern, or its bounds as a duration,
 * size or amount. */
void schema_add_pattern(json_t *schema, const struct field_pattern *pattern);
void schema_add_name_pattern(json_t *schema, const struct field_pattern *pattern);
void schema_add_duration(json_t *schema, const struct field *field);
void schema_add_bytes(json_t *schema, const struct field *field);
void schema_add_amount(json_t *schema, const struct field *field);
void schema_add_quantity(json_t *schema);
void schema_add_quantity_within(json_t *schema, const struct field *field);

/* The rules of a record: which fields go together, and the table's checks. */
void schema_add_record_rules(json_t *schema, const struct record *record);

/* Appends text as a CEL text with its quotes. */
void schema_put_text(struct buffer *out, const char *text);

#endif
