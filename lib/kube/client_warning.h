/*
 * What the server warns of beside an answer, in a header (RFC 7234, section 5.5; Kubernetes sends
 * code 299, "miscellaneous persistent warning"):
 *
 *     Warning: 299 - "policy/v1beta1 PodDisruptionBudget is deprecated"
 *
 * The same warning comes with every answer, so each text is handed on once as long as it is
 * remembered. Private to the client. Any thread.
 */
#ifndef DPUMESH_KUBE_CLIENT_WARNING_H
#define DPUMESH_KUBE_CLIENT_WARNING_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

enum {
    KUBE_WARNING_BYTES = 1024,    /* of a text; what is longer ends in "..." */
    KUBE_WARNINGS_AN_ANSWER = 16, /* more are dropped */
    KUBE_WARNINGS_KEPT = 256      /* texts that are remembered; the oldest is forgotten first */
};

/*
 * Reads the next warning with code 299 of a header's value, from *at, which moves on behind it, to
 * end. True, and text holds it (its content is replaced; make it with the cap KUBE_WARNING_BYTES +
 * 1, what is beyond is dropped); false when no further one is to be understood.
 */
bool kube_warning_next(const char **at, const char *end, struct buffer *text);

struct kube_attempt;

/* Takes a line of an answer's head, and tells the client's user when it is a warning that is not
 * remembered. */
void kube_warning_take(struct kube_attempt *attempt, const char *line, size_t length);

struct kube_lru;

/* What is remembered; owned by the caller. Not known outside: its entries. */
struct kube_lru *kube_warnings_new(void);
void kube_warnings_free(struct kube_lru *warned);

#endif
