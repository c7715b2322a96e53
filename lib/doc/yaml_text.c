#include "doc/yaml_text.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "base/text.h"

enum { WIDTH = 110, INDENT = 2, FOLD_WIDTH_MIN = 40 };

/* The text so far; ret: -ENOBUFS once something did not fit. */
struct writer {
    struct buffer *text;
    int ret;
};

static void put_bytes(struct writer *out, const char *bytes, size_t size)
{
    int ret = buffer_append(out->text, bytes, size);
    out->ret = ret < 0 ? ret : out->ret;
}

static void put(struct writer *out, const char *text)
{
    put_bytes(out, text, strlen(text));
}

static void put_indent(unsigned indent, struct writer *out)
{
    int ret = buffer_printf(out->text, "%*s", (int)indent, "");
    out->ret = ret < 0 ? ret : out->ret;
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

/* The first character of text, of which YAML forbids a few and takes others for line ends
 * (YAML 1.1, 5.1 and 5.4). Returns its length, and *ret_plain: whether it may stand in a text as it
 * is. */
static size_t next_character(const char *text, uint32_t *ret_code, bool *ret_plain)
{
    size_t size = text_utf8_decode(text, strlen(text), ret_code);
    uint32_t code = *ret_code;

    *ret_plain = size > 0 && code >= 0x20 && (code < 0x7f || code >= 0xa0) && code != 0x2028 &&
                 code != 0x2029 && code != 0xfeff && code < 0xfffe;
    if (size > 0 && code > 0xffff)
        *ret_plain = true;
    return size > 0 ? size : 1;
}

static bool is_printable(const char *text)
{
    uint32_t code;
    bool plain = true;

    while (*text && plain)
        text += next_character(text, &code, &plain);
    return plain;
}

/* Whether folding it over lines loses nothing: single spaces between words. */
static bool folds(const char *text)
{
    if (strlen(text) < FOLD_WIDTH_MIN || *text == ' ' || strstr(text, "  ") || !is_printable(text))
        return false;
    return text[strlen(text) - 1] != ' ';
}

static void put_escaped(uint32_t code, struct writer *out)
{
    char text[sizeof("\\u") + 8];
    snprintf(text, sizeof(text), "\\u%04x", (unsigned)code);
    put(out, text);
}

static void put_quoted(const char *text, struct writer *out)
{
    put(out, "\"");
    while (*text) {
        uint32_t code;
        bool plain;
        size_t size = next_character(text, &code, &plain);
        if (*text == '"' || *text == '\\')
            put(out, "\\");
        if (plain)
            put_bytes(out, text, size);
        else if (*text == '\n' || *text == '\t')
            put(out, *text == '\n' ? "\\n" : "\\t");
        else
            put_escaped(code, out);
        text += size;
    }
    put(out, "\"");
}

static void put_folded(const char *text, unsigned indent, struct writer *out)
{
    put(out, ">-");
    for (size_t column = WIDTH; *text;) {
        size_t word = strcspn(text, " ");
        if (column + 1 + word > WIDTH) {
            put(out, "\n");
            put_indent(indent, out);
            column = indent;
        } else {
            put(out, " ");
            column++;
        }
        put_bytes(out, text, word);
        column += word;
        text += word + (text[word] == ' ');
    }
}

/* A number, a truth value, null, or an empty container. */
static void put_bare(const json_t *value, struct writer *out)
{
    cleanup_free char *json = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    put(out, json);
}

static void put_scalar(const json_t *value, unsigned indent, struct writer *out)
{
    const char *text = json_string_value(value);

    if (text && is_plain(text) && indent + strlen(text) < WIDTH)
        put(out, text);
    else if (text && folds(text))
        put_folded(text, indent, out);
    else if (text)
        put_quoted(text, out);
    else
        put_bare(value, out);
}

static void put_value(const json_t *value, unsigned indent, bool in_list, struct writer *out);

static void put_object(const json_t *object, unsigned indent, bool in_list, struct writer *out)
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
            put(out, key);
        else
            put_quoted(key, out);
        put(out, ":");
        put_value(value, indent, false, out);
    }
}

/* What comes after "key:" or "-", and the end of its last line. */
static void put_value(const json_t *value, unsigned indent, bool in_list, struct writer *out)
{
    size_t index;
    json_t *entry;

    if (json_is_object(value) && json_object_size(value) > 0) {
        put(out, in_list ? " " : "\n");
        put_object(value, indent + INDENT, in_list, out);
    } else if (json_is_array(value) && json_array_size(value) > 0) {
        /* Below a key a list stands under it, below another list it must stand further in. */
        indent += in_list ? INDENT : 0;
        put(out, "\n");
        json_array_foreach(value, index, entry)
        {
            put_indent(indent, out);
            put(out, "-");
            put_value(entry, indent, true, out);
        }
    } else {
        put(out, " ");
        put_scalar(value, indent + INDENT, out);
        put(out, "\n");
    }
}

int yaml_text(const json_t *value, struct buffer *out)
{
    struct writer writer = {out, 0};

    put_object(value, 0, false, &writer);
    return writer.ret;
}

int yaml_comment(const char *text, struct buffer *out)
{
    struct writer writer = {out, 0};

    put(&writer, "# ");
    while (*text) {
        uint32_t code;
        bool plain;
        size_t size = next_character(text, &code, &plain);
        put_bytes(&writer, plain ? text : "?", plain ? size : 1);
        text += size;
    }
    put(&writer, "\n");
    return writer.ret;
}
