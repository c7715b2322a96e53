/* What the transforms share, and others that read objects as the API server sends them. */
#ifndef DPUMESH_OPERATOR_TRIM_PRIVATE_H
#define DPUMESH_OPERATOR_TRIM_PRIVATE_H

#include <jansson.h>

#include "base/buffer.h"

enum {
    TRIM_MESSAGE_MAX = 300, /* bytes kept of a condition's or a container's message */
    TRIM_LABEL_MAX = 64     /* bytes of a label's value, and a NUL */
};

/* A member's text, "" when there is none; and its number within unsigned's bounds. */
const char *trim_text(const json_t *object, const char *key);
unsigned trim_number(const json_t *object, const char *key);

/* The entry of status.conditions with this type, or NULL. */
const json_t *trim_condition(const json_t *status, const char *type);

/* Appends at most `most` bytes of text, whole characters, and a NUL. 0 or -ENOBUFS. */
int trim_put_text(struct buffer *out, const char *text, size_t most);

/* The text behind this one. */
const char *trim_next_text(const char *text);

/* kube_store_options.transform of a child; context: its enum child_kind. */
int trim_child(void *context, const json_t *object, struct buffer *out);

#endif
