#include "doc/document.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "doc/document_private.h"

static int append_document(const struct document_text *text, unsigned line, json_t *root,
                           json_t *lines, struct documents *documents)
{
    if (documents->count >= DOCUMENTS_MAX) {
        problem_add(text->problems, "%s:%u: more than %d documents", text->file, line,
                    DOCUMENTS_MAX);
        return -EINVAL;
    }
    documents->items =
        xreallocarray(documents->items, documents->count + 1, sizeof(*documents->items));
    documents->items[documents->count++] = (struct document){
        .file = xstrdup(text->file),
        .line = line,
        .root = json_incref(root),
        .lines = json_incref(lines),
    };
    return 0;
}

static bool is_list(const json_t *root)
{
    const char *kind = json_string_value(json_object_get(root, "kind"));
    return kind && (strcmp(kind, "List") == 0 || strcmp(kind, "DpuServiceList") == 0) &&
           json_is_array(json_object_get(root, "items"));
}

/* Nesting is bounded by DOCUMENT_DEPTH_MAX, so the recursion is, too. */
static int take(const struct document_text *text, unsigned line, json_t *root, json_t *lines,
                struct documents *documents)
{
    char shown[PLACE_VALUE_MAX];
    json_t *items, *item;
    size_t i;
    int ret = 0;

    if (json_is_array(lines))
        line = (unsigned)json_integer_value(json_array_get(lines, 0));
    if (!json_is_object(root)) {
        problem_add(text->problems,
                    "%s:%u: a document must be an object with apiVersion and kind, not %s",
                    text->file, line, place_value(root, shown));
        return -EINVAL;
    }
    if (!is_list(root))
        return append_document(text, line, root, lines, documents);
    items = json_object_get(json_array_get(lines, 1), "items");
    json_array_foreach(json_object_get(root, "items"), i, item)
    {
        int one = take(text, line, item, json_array_get(json_array_get(items, 1), i), documents);
        ret = one < 0 ? one : ret;
    }
    return ret;
}

int document_take(const struct document_text *text, unsigned line, json_t *root, json_t *lines,
                  struct documents *documents)
{
    int ret = json_is_null(root) ? 0 : take(text, line, root, lines, documents);
    json_decref(root);
    json_decref(lines);
    return ret;
}

static int read_json(const struct document_text *text, struct documents *documents)
{
    int ret = document_check_json_shape(text);
    size_t offset = document_skip_space(text, 0), counted = 0;
    unsigned line = 1;

    while (ret == 0 && offset < text->length) {
        json_error_t error;
        for (; counted < offset; counted++)
            line += text->text[counted] == '\n';
        json_t *root = json_loadb(text->text + offset, text->length - offset,
                                  JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK, &error);
        if (!root) {
            document_explain_json(text, offset, &error);
            return -EINVAL;
        }
        offset = document_skip_space(text, offset + (size_t)error.position);
        ret = document_take(text, line, root, NULL, documents);
    }
    return ret;
}

static bool ends_in(const char *text, const char *end)
{
    size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

/*
 * JSON by its name, or when the text begins like JSON and its name does not say YAML. A YAML flow
 * mapping also begins with a brace, so a .yaml file is read as YAML, of which JSON is nearly a
 * subset.
 */
static bool looks_like_json(const struct document_text *text)
{
    size_t i = 0;

    if (ends_in(text->file, ".json"))
        return true;
    while (i < text->length && memchr(" \t\r\n", text->text[i], 4))
        i++;
    if (i == text->length || (text->text[i] != '{' && text->text[i] != '['))
        return false;
    return !ends_in(text->file, ".yaml") && !ends_in(text->file, ".yml");
}

int documents_parse(const char *bytes, size_t length, const char *file, struct documents *documents,
                    struct problems *problems)
{
    struct document_text text = document_text_of(bytes, length, file, problems);
    size_t before = documents->count;

    int ret = document_check_text(&text);
    if (ret < 0)
        return ret;
    ret =
        looks_like_json(&text) ? read_json(&text, documents) : document_read_yaml(&text, documents);
    if (ret == 0 && documents->count == before) {
        problem_add(problems, "%s: no document in it", file);
        return -EINVAL;
    }
    return ret;
}

int documents_load(const char *path, struct documents *documents, struct problems *problems)
{
    cleanup_buffer struct buffer text = BUFFER_INIT(DOCUMENT_BYTES_MAX);
    cleanup_error struct error *err = NULL;
    bool standard_input = strcmp(path, "-") == 0;
    int ret = file_read(standard_input ? "/dev/stdin" : path, &text, &err);

    if (ret < 0) {
        problem_add(problems, "%s", error_message(err));
        return ret;
    }
    return documents_parse(buffer_terminate(&text), text.length,
                           standard_input ? "standard input" : path, documents, problems);
}

struct source document_source(const struct document *document, const char *object)
{
    return (struct source){.file = document->file,
                           .line = document->line,
                           .lines = document->lines,
                           .object = object,
                           .origins = document->origins};
}

void documents_free(struct documents *documents)
{
    for (size_t i = 0; i < documents->count; i++) {
        free(documents->items[i].file);
        json_decref(documents->items[i].root);
        json_decref(documents->items[i].lines);
        json_decref(documents->items[i].origins);
    }
    free(documents->items);
    *documents = (struct documents)DOCUMENTS_INIT;
}
