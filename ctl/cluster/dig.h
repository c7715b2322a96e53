/* Reading what lies deep in a JSON object. What is returned is borrowed. Any thread. */
#ifndef DPUMESH_CTL_CLUSTER_DIG_H
#define DPUMESH_CTL_CLUSTER_DIG_H

#include <jansson.h>
#include <stdbool.h>

/* The member of the member ... of object: dig(o, "status", "conditions", NULL). NULL when a part of
 * the way is missing or no object. */
json_t *dig(const json_t *object, ...) __attribute__((sentinel));

/* Its text, or "" when there is none. */
const char *dig_text(const json_t *object, ...) __attribute__((sentinel));

/* Its whole number, or 0. */
long long dig_number(const json_t *object, ...) __attribute__((sentinel));

/* The condition of this type in object.status.conditions, or NULL. */
const json_t *dig_condition(const json_t *object, const char *type);

/* Whether that condition's status is "True". */
bool dig_is_true(const json_t *object, const char *type);

/* The label of an object, or "". */
const char *dig_label(const json_t *object, const char *name);

#endif
