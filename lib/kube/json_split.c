#include "kube/json_split.h"

#include <errno.h>
#include <string.h>

/* The way to what is cut out of a value, and for a list, first of all, the way to its items. */
static const char *const list_path[] = {"items", "", "metadata", "managedFields"};
static const char *const event_path[] = {"object", "metadata", "managedFields"};

/* Of an object alone: the same without the event around it. */
enum { EVENT_DEPTH = 1 };

#define PATH_LENGTH(path) (sizeof(path) / sizeof((path)[0]))

void json_split_init(struct json_split *split, const struct json_split_options *options)
{
    memset(split, 0, sizeof(*split));
    split->options = *options;
    split->value = (struct buffer)BUFFER_INIT(options->value_bytes);
    split->rest = (struct buffer)BUFFER_INIT(JSON_SPLIT_REST_MAX);
    if (options->items) {
        split->path = list_path;
        split->path_length = options->strip_managed_fields ? PATH_LENGTH(list_path) : 1;
        split->value_depth = 2;
    } else {
        size_t skipped = options->itself ? EVENT_DEPTH : 0;
        split->path = event_path + skipped;
        split->path_length = options->strip_managed_fields ? PATH_LENGTH(event_path) - skipped : 0;
    }
}

void json_split_reset(struct json_split *split)
{
    struct json_split_options options = split->options;
    struct buffer value = split->value, rest = split->rest;

    json_split_init(split, &options);
    buffer_clear(&value);
    buffer_clear(&rest);
    split->value = value;
    split->rest = rest;
}

void json_split_free(struct json_split *split)
{
    buffer_free(&split->value);
    buffer_free(&split->rest);
}

/* Puts bytes where they belong: into the value, or beside it, or (when skipping) nowhere. */
static int emit(struct json_split *split, const char *data, size_t size)
{
    if (split->skip_depth > 0 || size == 0)
        return 0;
    int ret = buffer_append(split->in_value ? &split->value : &split->rest, data, size);
    return ret < 0 ? -EMSGSIZE : 0;
}

static bool in_object(const struct json_split *split)
{
    return split->depth > 0 && split->depth < 64 && (split->objects >> split->depth & 1);
}

/* Whether the innermost container is one that the path leads to, and goes on from. */
static bool on_path(const struct json_split *split)
{
    return split->depth > 0 && split->depth <= split->path_length &&
           split->match == split->depth - 1;
}

/* Whether we stand where values stand, outside of one. */
static bool at_value(const struct json_split *split)
{
    if (split->in_value || split->depth != split->value_depth)
        return false;
    return split->depth == 0 || (split->match == split->depth - 1 && !in_object(split));
}

static int open_container(struct json_split *split, bool object)
{
    bool element = on_path(split) && !in_object(split) && !split->path[split->depth - 1][0];

    if (at_value(split)) {
        if (!object || split->done)
            return -EPROTO;
        split->in_value = true;
    }
    if (split->depth == 0 && split->options.items && (!object || split->done))
        return -EPROTO;
    if (split->hit || element)
        split->match = split->depth;
    split->hit = false;
    split->want_key = object;
    split->depth++;
    if (split->depth < 64) {
        split->objects &= ~(UINT64_C(1) << split->depth);
        split->objects |= (uint64_t)object << split->depth;
    }
    return 0;
}

static int deliver(struct json_split *split)
{
    const char *text = buffer_terminate(&split->value);
    int ret = split->options.value(split->options.context, text, split->value.length);

    split->in_value = false;
    buffer_clear(&split->value);
    return ret < 0 ? ret : 0;
}

/* data[*from .. i] is not emitted yet and ends with the closing bracket. */
static int close_container(struct json_split *split, const char *data, size_t *from, size_t i)
{
    int ret;

    /* Beyond depth 63 the kind of bracket is not remembered: the value's parser will see. */
    if (split->depth == 0 || (split->depth < 64 && in_object(split) != (data[i] == '}')))
        return -EPROTO;
    split->depth--;
    split->match = split->depth == 0                 ? 0
                   : split->match > split->depth - 1 ? split->depth - 1
                                                     : split->match;
    split->want_key = false;
    split->hit = false;
    if (split->depth == 0 && split->options.items)
        split->done = true;
    if (!split->in_value || split->depth != split->value_depth)
        return 0;
    ret = emit(split, data + *from, i + 1 - *from);
    *from = i + 1;
    return ret < 0 ? ret : deliver(split);
}

static void end_key(struct json_split *split)
{
    const char *wanted = split->path[split->depth - 1];

    split->in_key = false;
    split->hit = split->key_length > 0 && split->key_length <= JSON_SPLIT_KEY_MAX &&
                 split->key_length == strlen(wanted) &&
                 memcmp(split->key, wanted, split->key_length) == 0;
}

/* The rest of a string with its closing quote; returns how many bytes of data belong to it. */
static size_t take_string(struct json_split *split, const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        char c = data[i];
        if (!split->escaped && c == '"') {
            split->in_string = false;
            if (split->in_key)
                end_key(split);
            return i + 1;
        }
        split->escaped = !split->escaped && c == '\\';
        if (split->in_key && split->key_length <= JSON_SPLIT_KEY_MAX) {
            if (split->key_length < JSON_SPLIT_KEY_MAX)
                split->key[split->key_length] = c;
            split->key_length++;
        }
    }
    return size;
}

/* The colon after a key: what follows the last key of the path is cut out. data[0 .. size) is not
 * emitted yet and ends with the colon. */
static int take_colon(struct json_split *split, const char *data, size_t size)
{
    int ret;

    if (!split->hit || !split->options.strip_managed_fields || split->depth != split->path_length)
        return 0;
    ret = emit(split, data, size);
    if (ret == 0)
        ret = emit(split, "[]", 2);
    split->skip_depth = split->depth;
    split->hit = false;
    return ret;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Bytes between values: blanks, and the commas of a list. They are in no text of ours. */
static int take_between(struct json_split *split, const char *data, size_t *from, size_t i)
{
    int ret = emit(split, data + *from, i - *from);

    *from = i;
    if (data[i] == '{' || (data[i] == ']' && split->depth > 0))
        return ret;
    *from = i + 1;
    return is_blank(data[i]) || (data[i] == ',' && split->depth > 0) ? ret : -EPROTO;
}

/* One byte outside of strings. data[*from .. i) is not emitted yet. */
static int take_structure(struct json_split *split, const char *data, size_t *from, size_t i)
{
    char c = data[i];
    int ret = 0;

    if (split->skip_depth == split->depth && split->skip_depth > 0 && (c == ',' || c == '}')) {
        split->skip_depth = 0;
        *from = i;
    }
    if (at_value(split))
        ret = take_between(split, data, from, i);
    if (ret < 0)
        return ret;
    switch (c) {
    case '"':
        split->in_string = true;
        split->in_key = split->want_key && split->skip_depth == 0 && on_path(split);
        split->key_length = 0;
        split->want_key = false;
        return 0;
    case '{':
    case '[':
        return open_container(split, c == '{');
    case '}':
    case ']':
        return close_container(split, data, from, i);
    case ',':
        split->want_key = in_object(split);
        split->hit = false;
        return 0;
    case ':':
        return take_colon(split, data + *from, i + 1 - *from);
    default:
        /* The top level of a list is an object and nothing else. */
        return split->depth > 0 || is_blank(c) ? 0 : -EPROTO;
    }
}

int json_split_feed(struct json_split *split, const char *data, size_t size)
{
    size_t from = 0, i = 0;

    while (split->failed == 0 && i < size) {
        if (split->in_string) {
            i += take_string(split, data + i, size - i);
        } else {
            split->failed = take_structure(split, data, &from, i);
            i++;
        }
    }
    if (split->failed == 0)
        split->failed = emit(split, data + from, size - from);
    return split->failed;
}

int json_split_end(struct json_split *split)
{
    if (split->failed == 0 &&
        (split->depth > 0 || split->in_string || (split->options.items && !split->done)))
        split->failed = -EPROTO;
    return split->failed;
}

const char *json_split_rest(struct json_split *split, size_t *ret_length)
{
    const char *text = buffer_terminate(&split->rest);

    *ret_length = split->rest.length;
    return text;
}
