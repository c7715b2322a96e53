/*
 * Cuts a stream of JSON text into values while it comes, in pieces of any size, so that memory
 * holds one value at a time: the events of a watch (objects one after the other) or the elements of
 * the "items" array of a list. Only nesting and strings are followed; whether a value is JSON in
 * full is for who parses it.
 *
 *     struct json_split split;
 *     json_split_init(&split, &options);
 *     while (more bytes come)
 *         if ((ret = json_split_feed(&split, data, size)) < 0) ...
 *     if ((ret = json_split_end(&split)) < 0) ...
 *     json_split_free(&split);
 *
 * A splitter belongs to one thread.
 */
#ifndef DPUMESH_KUBE_JSON_SPLIT_H
#define DPUMESH_KUBE_JSON_SPLIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

enum {
    JSON_SPLIT_REST_MAX = 64 << 10, /* bytes of a list outside of its items */
    JSON_SPLIT_KEY_MAX = 16         /* longer keys are none of ours */
};

struct json_split_options {
    bool items;                /* the values are what is in "items" of the one top-level object;
                                  else every top-level object is a value */
    bool itself;               /* the values are objects, not events with an "object" in them */
    bool strip_managed_fields; /* metadata.managedFields of the object (of a list's item, of an
                                  event's "object", or of the value itself) becomes [] in the
                                  value's text */
    size_t value_bytes;        /* cap on one value's text, after stripping */
    /* One value; text is followed by a NUL that is not counted, valid until the call returns. A
     * negative value ends the splitting and is what json_split_feed() returns. */
    int (*value)(void *context, const char *text, size_t length);
    void *context;
};

/* The fields are private. */
struct json_split {
    struct json_split_options options;
    const char *const *path; /* keys that lead to what is cut out, outermost first; "" an element */
    size_t path_length;
    size_t value_depth;  /* containers around a value */
    size_t depth, match; /* open containers; how many of them the path leads through */
    size_t skip_depth;   /* of the object whose member is being skipped; 0: none */
    uint64_t objects;    /* bit d: the container at depth d is an object; up to depth 63 */
    size_t key_length;   /* of the key being read; over JSON_SPLIT_KEY_MAX: too long */
    bool in_string, escaped, in_key, want_key, hit, in_value, done;
    int failed;
    char key[JSON_SPLIT_KEY_MAX];
    struct buffer value, rest;
};

void json_split_init(struct json_split *split, const struct json_split_options *options);

/* Forgets what came so far and starts a new text, with the same options. */
void json_split_reset(struct json_split *split);

void json_split_free(struct json_split *split);

/*
 * Takes size more bytes. 0; -EMSGSIZE: a value is longer than its cap, or the text around a list's
 * items than JSON_SPLIT_REST_MAX; -EPROTO: something else than an object stands where a value has
 * to be; or what value() returned. After a failure every further call returns the same.
 */
int json_split_feed(struct json_split *split, const char *data, size_t size);

/* The text is over: 0, or -EPROTO when it ended within a value or list. */
int json_split_end(struct json_split *split);

/* The list without its items ("items":[]), as JSON text; for json_split_options.items. Valid until
 * the splitter is fed, reset or freed. */
const char *json_split_rest(struct json_split *split, size_t *ret_length);

#endif
