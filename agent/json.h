/*
 * A JSON reader for frames: it walks the text once, in place, allocates nothing, and stops at the
 * first error with a sentence. jansson builds a tree of allocations for every frame, and cannot
 * tell where a frame that is still arriving ends; bench/README.md has what the difference costs.
 * Configuration files are read with jansson.
 *
 *     struct json_cursor c = json_cursor(text, length);
 *     struct json_text key;
 *     for (int more = json_object_begin(&c); more > 0; more = json_object_next(&c)) {
 *         if (json_key(&c, &key) < 0)
 *             break;
 *         ... json_read_string(&c, &value), or json_skip(&c)
 *     }
 *     if (c.error) ... sentence, at byte c.at - c.begin
 *
 * RFC 8259, strictly: UTF-8 is checked, control characters in strings are refused, depth is capped.
 */
#ifndef DPUMESH_AGENT_JSON_H
#define DPUMESH_AGENT_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { JSON_DEPTH_MAX = 64 };

/* A string's bytes between its quotes, as they stand in the text. */
struct json_text {
    const char *data;
    size_t length;
    bool escaped; /* holds backslashes: copy it with json_unescape() */
};

struct json_cursor {
    const char *begin, *at, *end;
    const char *error; /* static sentence, NULL while all is well */
    unsigned depth;
};

static inline struct json_cursor json_cursor(const char *text, size_t length)
{
    return (struct json_cursor){.begin = text, .at = text, .end = text + length};
}

/* Sets the sentence, keeps an earlier one; returns -1. */
int json_fail(struct json_cursor *cursor, const char *error);

/* Skips white space; the next byte, or '\0' at the end of the text. */
static inline char json_peek(struct json_cursor *cursor)
{
    const char *at = cursor->at;
    while (at < cursor->end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
        at++;
    cursor->at = at;
    return at < cursor->end ? *at : '\0';
}

/* Enters an object. 1: it has a member, json_key() reads its name. 0: it was empty. -1: error. */
int json_object_begin(struct json_cursor *cursor);
/* After a member's value. 1: another member follows; 0: the object ended; -1: error. */
int json_object_next(struct json_cursor *cursor);
/* Reads a member's name and the colon. 0 or -1. */
int json_key(struct json_cursor *cursor, struct json_text *ret_key);

/* The same for arrays: json_array_begin() 1 when an element follows. */
int json_array_begin(struct json_cursor *cursor);
int json_array_next(struct json_cursor *cursor);

/* Reads a string. 0 or -1 (also when the next value is something else). */
int json_read_string(struct json_cursor *cursor, struct json_text *ret_text);

/* Reads the literal null if it is next: true and past it. */
bool json_read_null(struct json_cursor *cursor);

/* Skips one value of any kind, checking it. 0 or -1. */
int json_skip(struct json_cursor *cursor);

/* Checks that only white space follows. 0 or -1. */
int json_finish(struct json_cursor *cursor);

/* Whether a text equals a word of length bytes, at most 64 (escapes are resolved). */
bool json_text_equals(const struct json_text *text, const char *word, size_t length);

/* The same for a literal, whose length is known: the comparison is inline. */
#define json_text_is(text, literal)                                                                \
    (!(text)->escaped ? (text)->length == sizeof(literal) - 1 &&                                   \
                            __builtin_memcmp((text)->data, literal, sizeof(literal) - 1) == 0      \
                      : json_text_equals((text), literal, sizeof(literal) - 1))

/* Writes the text with its escapes resolved to out, which holds text->length bytes; returns the
 * bytes written, never more than text->length. */
size_t json_unescape(const struct json_text *text, char *out);

/* Bytes that `length` bytes of text take as the inside of a JSON string, and the writing of them;
 * json_escape() returns the end. The text must be valid UTF-8. */
size_t json_escaped_length(const char *text, size_t length);
char *json_escape(const char *text, size_t length, char *out);

/*
 * Finds the end of one object in a text that arrives in pieces. Feed it each piece once; it keeps
 * its place. It balances braces and strings and checks nothing else: that is the reader's task.
 */
struct json_scan {
    uint32_t depth;
    bool in_string, after_backslash;
};

/* The bytes up to and including the brace that ends the object, or 0 when it has not ended yet. */
size_t json_scan(struct json_scan *scan, const char *text, size_t length);

#endif
