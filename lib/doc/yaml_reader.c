#include "doc/yaml_reader.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { ANCHORS_MAX = 1000 /* a document; each alias looks through them */ };

void yaml_node_release(struct yaml_node *node)
{
    json_decref(node->value);
    json_decref(node->lines);
    *node = (struct yaml_node){0};
}

static struct yaml_node node_share(const struct yaml_node *node)
{
    struct yaml_node copy = *node;
    json_incref(copy.value);
    json_incref(copy.lines);
    return copy;
}

int yaml_refuse(struct yaml_reader *reader, yaml_mark_t mark, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    cleanup_free char *sentence = xvasprintf(format, arguments);
    va_end(arguments);
    problem_add(reader->text->problems, "%s:%u:%zu: %s", reader->text->file, yaml_line(mark),
                mark.column + 1, sentence);
    return -EINVAL;
}

/* Whether a line (from 0) is indented with a tab, and at which column (from 0). */
static bool indented_with_tab(const struct document_text *text, size_t line, size_t *ret_column)
{
    const char *at = text->text, *end = text->text + text->length;

    for (; line > 0 && at; line--) {
        at = memchr(at, '\n', (size_t)(end - at));
        at = at ? at + 1 : NULL;
    }
    if (!at)
        return false;
    for (const char *c = at; c < end && (*c == ' ' || *c == '\t'); c++) {
        if (*c == '\t') {
            *ret_column = (size_t)(c - at);
            return true;
        }
    }
    return false;
}

/* Whether nothing but space follows the mark. */
static bool at_the_end(const struct document_text *text, yaml_mark_t mark)
{
    const char *at = text->text, *end = text->text + text->length;

    for (size_t line = mark.line; line > 0 && at < end; line--) {
        const char *feed = memchr(at, '\n', (size_t)(end - at));
        at = feed ? feed + 1 : end;
    }
    for (size_t column = mark.column; column > 0 && at < end; at++)
        column -= ((unsigned char)*at & 0xc0) != 0x80;
    while (at < end && memchr(" \t\r\n", *at, 4))
        at++;
    return at == end;
}

/* libyaml's error as a sentence. */
static int explain(struct yaml_reader *reader)
{
    const yaml_parser_t *parser = &reader->parser;
    yaml_mark_t mark = parser->problem_mark;
    unsigned line, column;
    size_t tab;

    if (parser->error == YAML_MEMORY_ERROR) {
        problem_add(reader->text->problems, "%s: out of memory", reader->text->file);
        return -ENOMEM;
    }
    if (parser->error == YAML_READER_ERROR) {
        document_position(reader->text, parser->problem_offset, &line, &column);
        problem_add(reader->text->problems, "%s:%u:%u: not YAML: %s", reader->text->file, line,
                    column, parser->problem);
        return -EINVAL;
    }
    if (indented_with_tab(reader->text, mark.line, &tab)) {
        mark.column = tab;
        return yaml_refuse(reader, mark, "a tab; YAML is indented with spaces, use spaces here");
    }
    if (at_the_end(reader->text, mark)) {
        document_ends_early(reader->text, "YAML");
        return -EINVAL;
    }
    return yaml_refuse(reader, mark, "not YAML: %s%s%s", parser->context ? parser->context : "",
                       parser->context ? ": " : "", parser->problem);
}

int yaml_next(struct yaml_reader *reader, yaml_event_t *ret_event)
{
    if (yaml_parser_parse(&reader->parser, ret_event))
        return 0;
    *ret_event = (yaml_event_t){0};
    return explain(reader);
}

int yaml_count(struct yaml_reader *reader, yaml_mark_t mark, size_t more)
{
    reader->values += more;
    if (reader->values > DOCUMENT_VALUES_MAX)
        return yaml_refuse(reader, mark, "more than %d values, aliases expanded",
                           DOCUMENT_VALUES_MAX);
    return 0;
}

int yaml_check_depth(struct yaml_reader *reader, yaml_mark_t mark, unsigned depth)
{
    if (depth > DOCUMENT_DEPTH_MAX)
        return yaml_refuse(reader, mark, "nested deeper than %d levels", DOCUMENT_DEPTH_MAX);
    return 0;
}

int yaml_anchor_open(struct yaml_reader *reader, const yaml_char_t *name, yaml_mark_t mark,
                     size_t *ret_index)
{
    *ret_index = reader->anchor_count;
    if (!name)
        return 0;
    if (reader->anchor_count >= ANCHORS_MAX)
        return yaml_refuse(reader, mark, "more than %d anchors", ANCHORS_MAX);
    reader->anchors =
        xreallocarray(reader->anchors, reader->anchor_count + 1, sizeof(*reader->anchors));
    reader->anchors[reader->anchor_count++] =
        (struct yaml_anchor){.name = xstrdup((const char *)name)};
    return 0;
}

void yaml_anchor_close(struct yaml_reader *reader, const yaml_char_t *name, size_t index,
                       const struct yaml_node *node)
{
    if (name)
        reader->anchors[index].node = node_share(node);
}

void yaml_anchors_release(struct yaml_reader *reader)
{
    for (size_t i = 0; i < reader->anchor_count; i++) {
        free(reader->anchors[i].name);
        yaml_node_release(&reader->anchors[i].node);
    }
    free(reader->anchors);
    reader->anchors = NULL;
    reader->anchor_count = 0;
}

int yaml_read_alias(struct yaml_reader *reader, const yaml_event_t *event, unsigned depth,
                    struct yaml_node *ret_node)
{
    const char *name = (const char *)event->data.alias.anchor;

    for (size_t i = reader->anchor_count; i-- > 0;) {
        const struct yaml_anchor *anchor = &reader->anchors[i];
        if (strcmp(anchor->name, name) != 0)
            continue;
        if (!anchor->node.value)
            return yaml_refuse(reader, event->start_mark, "*%.64s stands inside its own anchor",
                               name);
        int ret = yaml_count(reader, event->start_mark, anchor->node.values);
        if (ret == 0)
            ret = yaml_check_depth(reader, event->start_mark, depth + anchor->node.height);
        if (ret == 0)
            *ret_node = node_share(&anchor->node);
        return ret;
    }
    return yaml_refuse(reader, event->start_mark, "*%.64s has no anchor &%.64s before it", name,
                       name);
}
