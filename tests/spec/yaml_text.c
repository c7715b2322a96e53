#include "yaml_text.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"

enum { WIDTH = 110, INDENT = 2, FOLD_WIDTH_MIN = 40 };

static void put_indent(unsigned indent, struct buffer *out)
{
    buffer_printf(out, "%*s", (int)indent, "");
}

/* Whether YAML takes the text for a text when it stands there bare. */
static bool is_plain(const char *text)
{
    static const char *const words[] = {"true", "false", "null", "yes", "no",
                                        "on",   "off",   "y",    "n"};

    if (!isalpha((unsigned char)*text))
        return false;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcasecmp(text, words[i]) == 0)
            return false;
    for (const char *c = text; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr(" ._/()-+<>=;~", *c))
            return false;
    return text[strlen(text) - 1] != ' ';
}

/* Whether folding it over lines loses nothing: single spaces between words. */
static bool folds(const char *text)
{
    if (strlen(text) < FOLD_WIDTH_MIN || *text == ' ' || strchr(text, '\n') || strstr(text, "  "))
        return false;
    return text[strlen(text) - 1] != ' ';
}

static void put_folded(const char *text, unsigned indent, struct buffer *out)
{
    buffer_puts(out, ">-");
    for (size_t column = WIDTH; *text;) {
        size_t word = strcspn(text, " ");
        if (column + 1 + word > WIDTH) {
            buffer_puts(out, "\n");
            put_indent(indent, out);
            column = indent;
        } else {
            buffer_puts(out, " ");
            column++;
        }
        buffer_append(out, text, word);
        column += word;
        text += word + (text[word] == ' ');
    }
}

static void put_scalar(const json_t *value, unsigned indent, struct buffer *out)
{
    const char *text = json_string_value(value);
    cleanup_free char *json = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));

    if (text && is_plain(text) && indent + strlen(text) < WIDTH)
        buffer_puts(out, text);
    else if (text && folds(text))
        put_folded(text, indent, out);
    else
        buffer_puts(out, json);
}

static void put_value(const json_t *value, unsigned indent, bool in_list, struct buffer *out);

static void put_object(const json_t *object, unsigned indent, bool in_list, struct buffer *out)
{
    const char *key;
    json_t *value, *reading = (json_t *)(uintptr_t)object; /* the macro wants to write */
    bool first = in_list;

    json_object_foreach(reading, key, value)
    {
        if (!first)
            put_indent(indent, out);
        first = false;
        if (is_plain(key) && !strchr(key, ' '))
            buffer_puts(out, key);
        else
            buffer_printf(out, "\"%s\"", key);
        buffer_puts(out, ":");
        put_value(value, indent, false, out);
    }
}

/* What comes after "key:" or "-", and the end of its last line. */
static void put_value(const json_t *value, unsigned indent, bool in_list, struct buffer *out)
{
    size_t index;
    json_t *entry;

    if (json_is_object(value) && json_object_size(value) > 0) {
        buffer_puts(out, in_list ? " " : "\n");
        put_object(value, indent + INDENT, in_list, out);
    } else if (json_is_array(value) && json_array_size(value) > 0) {
        /* Below a key a list stands under it, below another list it must stand further in. */
        indent += in_list ? INDENT : 0;
        buffer_puts(out, "\n");
        json_array_foreach(value, index, entry)
        {
            put_indent(indent, out);
            buffer_puts(out, "-");
            put_value(entry, indent, true, out);
        }
    } else {
        buffer_puts(out, " ");
        put_scalar(value, indent + INDENT, out);
        buffer_puts(out, "\n");
    }
}

int yaml_text(const json_t *value, struct buffer *out)
{
    put_object(value, 0, false, out);
    return buffer_puts(out, "");
}
