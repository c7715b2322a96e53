#include "doc/place.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"

enum {
    PROBLEM_BYTES_MAX = 8192, /* one sentence; longer ones are cut */
    KEY_BYTES_MAX = 64        /* of a key in a path */
};

static bool key_is_plain(const char *key)
{
    if (!*key)
        return false;
    for (const char *c = key; *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '_' && *c != '-')
            return false;
    return strlen(key) <= KEY_BYTES_MAX;
}

/* Cuts text to at most max bytes, at a character's edge, and replaces control characters. */
static size_t copy_printable(const char *text, size_t max, char *out)
{
    size_t length = strnlen(text, max + 1);

    if (length > max) {
        length = max;
        while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
            length--;
    }
    for (size_t i = 0; i < length; i++)
        out[i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? '?' : text[i];
    out[length] = '\0';
    return length;
}

int place_path(const struct place *place, struct buffer *out)
{
    if (!place->parent)
        return 0;
    int ret = place_path(place->parent, out);
    if (ret < 0)
        return ret;
    if (!place->key)
        return buffer_printf(out, "[%zu]", place->index);
    if (key_is_plain(place->key))
        return buffer_printf(out, "%s%s", out->length ? "." : "", place->key);
    char key[KEY_BYTES_MAX + 1];
    size_t length = copy_printable(place->key, KEY_BYTES_MAX, key);
    return buffer_printf(out, "[\"%s%s\"]", key, place->key[length] ? "..." : "");
}

/* One token of a pointer: "~" and "/" are escaped in it. */
static int put_token(const struct place *place, struct buffer *out)
{
    char key[KEY_BYTES_MAX + 1];

    if (!place->key)
        return buffer_printf(out, "/%zu", place->index);
    size_t length = copy_printable(place->key, KEY_BYTES_MAX, key);
    int ret = buffer_puts(out, "/");
    for (const char *c = key; *c && ret == 0; c++)
        ret = *c == '~'   ? buffer_puts(out, "~0")
              : *c == '/' ? buffer_puts(out, "~1")
                          : buffer_append(out, c, 1);
    return ret < 0 || !place->key[length] ? ret : buffer_puts(out, "...");
}

int place_pointer(const struct place *place, struct buffer *out)
{
    int ret = place->parent ? place_pointer(place->parent, out) : 0;
    return ret < 0 || !place->parent ? ret : put_token(place, out);
}

static const struct source *place_source(const struct place *place)
{
    while (place->parent)
        place = place->parent;
    return place->source;
}

char *place_origin(const struct place *place)
{
    cleanup_buffer struct buffer pointer = BUFFER_INIT(PROBLEM_BYTES_MAX);

    place_pointer(place, &pointer);
    return text_one_line(xasprintf("%s%s%s", place_source(place)->file, place->parent ? ": " : "",
                                   buffer_terminate(&pointer)));
}

/* Appends where place comes from; false, and nothing, when neither it nor a parent has an origin.
 */
static bool put_origin(const struct place *place, const json_t *origins, struct buffer *out)
{
    cleanup_buffer struct buffer path = BUFFER_INIT(PROBLEM_BYTES_MAX);

    place_path(place, &path);
    const char *origin = json_string_value(json_object_get(origins, buffer_terminate(&path)));
    if (origin)
        return buffer_puts(out, origin) == 0;
    if (!place->parent || !put_origin(place->parent, origins, out))
        return false;
    return put_token(place, out) == 0;
}

/*
 * Finds the node of the line tree for place, or for its nearest parent that has one. *ret_exact
 * tells whether it is the place itself, so that a child may look further.
 */
static const json_t *line_node(const struct place *place, const struct source *source,
                               bool *ret_exact)
{
    if (!place->parent) {
        *ret_exact = true;
        return source->lines;
    }
    const json_t *parent = line_node(place->parent, source, ret_exact);
    if (!*ret_exact)
        return parent;
    const json_t *container = json_array_get(parent, 1), *node;
    node = place->key ? json_object_get(container, place->key)
                      : json_array_get(container, place->index);
    *ret_exact = node != NULL;
    return node ? node : parent;
}

unsigned place_line(const struct place *place)
{
    const struct source *source = place_source(place);
    bool exact;

    if (!source || !source->lines)
        return source ? source->line : 0;
    const json_t *node = line_node(place, source, &exact);
    return (unsigned)json_integer_value(json_is_array(node) ? json_array_get(node, 0) : node);
}

/* "file:line: object: path", of which parts may be missing. */
static void put_place(const struct place *place, const struct source *source, struct buffer *out)
{
    cleanup_buffer struct buffer path = BUFFER_INIT(PROBLEM_BYTES_MAX);
    unsigned line = place_line(place);
    const char *between = "";

    if (source && source->file) {
        buffer_puts(out, source->file);
        between = ":";
    }
    if (line)
        buffer_printf(out, "%s%u", between, line);
    if (source && source->object && !source->pointers) {
        char object[KEY_BYTES_MAX + 1];
        copy_printable(source->object, KEY_BYTES_MAX, object);
        buffer_printf(out, "%s%s", out->length ? ": " : "", object);
    }
    if (source && source->pointers)
        place_pointer(place, &path);
    else
        place_path(place, &path);
    if (path.length)
        buffer_printf(out, "%s%s", out->length ? ": " : "", buffer_terminate(&path));
}

void place_problem(const struct place *place, struct problems *problems, const char *format, ...)
{
    const struct source *source = place_source(place);
    cleanup_buffer struct buffer text = BUFFER_INIT(PROBLEM_BYTES_MAX);
    va_list arguments;

    if (problems->count >= PROBLEMS_MAX) { /* counted alone: not worth the text */
        problem_add(problems, "%s", "");
        return;
    }
    if (!source || !source->origins || !put_origin(place, source->origins, &text))
        put_place(place, source, &text);
    if (text.length)
        buffer_puts(&text, ": ");
    va_start(arguments, format);
    if (buffer_vprintf(&text, format, arguments) < 0)
        buffer_puts(&text, "(a sentence too long to print)");
    va_end(arguments);
    problem_add(problems, "%s", buffer_terminate(&text));
}

char *place_value(const json_t *value, char text[PLACE_VALUE_MAX])
{
    enum { SHOWN = PLACE_VALUE_MAX - 6 }; /* two quotes, three dots, NUL */

    switch (json_typeof(value)) {
    case JSON_STRING: {
        const char *string = json_string_value(value);
        text[0] = '"';
        size_t length = copy_printable(string, SHOWN, text + 1);
        snprintf(text + 1 + length, PLACE_VALUE_MAX - 1 - length, "%s\"",
                 string[length] ? "..." : "");
        break;
    }
    case JSON_INTEGER:
        snprintf(text, PLACE_VALUE_MAX, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_REAL:
        snprintf(text, PLACE_VALUE_MAX, "%.15g", json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        snprintf(text, PLACE_VALUE_MAX, "%s", json_is_true(value) ? "true" : "false");
        break;
    case JSON_NULL:
        snprintf(text, PLACE_VALUE_MAX, "null");
        break;
    case JSON_OBJECT:
        snprintf(text, PLACE_VALUE_MAX, "an object");
        break;
    case JSON_ARRAY:
        snprintf(text, PLACE_VALUE_MAX, "a list");
        break;
    }
    return text;
}
