#include <errno.h>
#include <string.h>

#include "doc/document_private.h"

int document_check_json_shape(const struct document_text *text)
{
    size_t depth = 0, values = 1;
    bool in_string = false;

    for (size_t i = 0; i < text->length; i++) {
        char c = text->text[i];
        unsigned line, column;
        if (in_string) {
            i += c == '\\';
            in_string = c != '"';
            continue;
        }
        in_string = c == '"';
        values += c == ',' || c == '[' || c == '{';
        if (c == '[' || c == '{')
            depth++;
        else if ((c == ']' || c == '}') && depth > 0)
            depth--;
        if (depth <= DOCUMENT_DEPTH_MAX && values <= DOCUMENT_VALUES_MAX)
            continue;
        document_position(text, i, &line, &column);
        if (depth > DOCUMENT_DEPTH_MAX)
            problem_add(text->problems, "%s:%u:%u: nested deeper than %d levels", text->file, line,
                        column, DOCUMENT_DEPTH_MAX);
        else
            problem_add(text->problems, "%s:%u:%u: more than %d values", text->file, line, column,
                        DOCUMENT_VALUES_MAX);
        return -EINVAL;
    }
    return 0;
}

void document_explain_json(const struct document_text *text, size_t base, const json_error_t *error)
{
    unsigned line, column;
    size_t offset = base + (error->position > 0 ? (size_t)error->position : 0);

    document_position(text, offset < text->length ? offset : text->length, &line, &column);
    switch (json_error_code(error)) {
    case json_error_premature_end_of_input:
        document_ends_early(text, "JSON");
        break;
    case json_error_duplicate_key:
        problem_add(text->problems, "%s:%u:%u: %s; remove one of the two", text->file, line, column,
                    error->text);
        break;
    case json_error_null_character:
    case json_error_null_byte_in_key:
        problem_add(text->problems, "%s:%u:%u: a NUL character in text; remove it", text->file,
                    line, column);
        break;
    default:
        problem_add(text->problems, "%s:%u:%u: not JSON: %s", text->file, line, column,
                    error->text);
        break;
    }
}

size_t document_skip_space(const struct document_text *text, size_t offset)
{
    while (offset < text->length && memchr(" \t\r\n", text->text[offset], 4))
        offset++;
    return offset;
}

int document_load_json(const struct document_text *text, size_t flags, json_t **ret_root)
{
    json_error_t error;
    int ret = document_check_text(text);

    if (ret == 0)
        ret = document_check_json_shape(text);
    if (ret < 0)
        return ret;
    if (document_skip_space(text, 0) == text->length) {
        problem_add(text->problems, "%s: the file is empty", text->file);
        return -EINVAL;
    }
    json_t *root = json_loadb(text->text, text->length, flags | JSON_DECODE_ANY, &error);
    if (!root) {
        document_explain_json(text, 0, &error);
        return -EINVAL;
    }
    *ret_root = root;
    return 0;
}

int document_parse_json(const char *bytes, size_t length, const char *file, json_t **ret_root,
                        struct problems *problems)
{
    struct document_text text = document_text_of(bytes, length, file, problems);
    return document_load_json(&text, JSON_REJECT_DUPLICATES, ret_root);
}
