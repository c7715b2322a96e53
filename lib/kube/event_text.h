/*
 * What happened, as kube_event() was told it: texts in one block of memory, cut and cleaned so that
 * the API server takes them; and Event objects made of it. Private to lib/kube.
 */
#ifndef DPUMESH_KUBE_EVENT_TEXT_H
#define DPUMESH_KUBE_EVENT_TEXT_H

#include <jansson.h>
#include <stdint.h>

#include "kube/event.h"
#include "kube/lru.h"

enum {
    EVENT_NOTE_MAX = 1024, /* bytes; events.k8s.io/v1 (pkg/apis/core/validation/events.go) */
    EVENT_WORD_MAX = 128,  /* of reason, action and reportingInstance; the same */
    EVENT_FIELD_MAX = 512, /* of what refers to the object; the API has nothing that long */
    EVENT_NAME_MAX = 253   /* of an object's name (a DNS subdomain) */
};

/* The order is that of the block: the first five name the object, the first nine the series. */
enum event_field {
    EVENT_API_VERSION,
    EVENT_KIND,
    EVENT_NAMESPACE,
    EVENT_NAME,
    EVENT_UID,
    EVENT_TYPE,
    EVENT_REASON,
    EVENT_ACTION,
    EVENT_NOTE,
    EVENT_RESOURCE_VERSION,
    EVENT_FIELDS
};

struct event_occurrence {
    struct event_occurrence *next;
    uint64_t at_ns, unix_ns; /* monotonic and wall clock */
    const char *fields[EVENT_FIELDS];
    size_t object_length, series_length; /* of the parts of the block */
    char block[];
};

/* A new one; free with free(). fields may be NULL. */
struct event_occurrence *event_occurrence_new(const char *const fields[EVENT_FIELDS],
                                              uint64_t at_ns, uint64_t unix_ns);

/* The keys of its series and of its object. */
struct kube_lru_key event_occurrence_key(const struct event_occurrence *occurrence);
struct kube_lru_key event_occurrence_object(const struct event_occurrence *occurrence);

/* Where its Event lies: its object's namespace, or default for one that has none. */
const char *event_occurrence_namespace(const struct event_occurrence *occurrence);

/* A name for an Event on the object: "NAME.HEX", number in hexadecimal; owned by the caller. An
 * object's name that no Event can have (RBAC's may hold colons) becomes "event", as client-go
 * replaces it; one that is too long is cut. */
char *event_name(const char *object_name, uint64_t number);

/* The Event object without series. */
json_t *event_body(const struct event_occurrence *occurrence, const char *name,
                   const char *controller, const char *instance);

/* {"count": .., "lastObservedTime": ..} */
json_t *event_series_body(unsigned count, uint64_t unix_ns);

/* A copy of text as UTF-8, each byte that is none replaced by U+FFFD; longer than max bytes it is
 * cut and ends in "...". Owned by the caller. */
char *event_clean(const char *text, size_t max);

#endif
