/* YAML to jansson: libyaml's events, read by descent with a cap on its depth. */
#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "doc/yaml_reader.h"

static bool has_tag(const yaml_char_t *tag, const char *type)
{
    static const char prefix[] = "tag:yaml.org,2002:";
    const char *text = (const char *)tag;
    return strncmp(text, prefix, sizeof(prefix) - 1) == 0 &&
           strcmp(text + sizeof(prefix) - 1, type) == 0;
}

static int unknown_tag(struct yaml_reader *reader, const yaml_event_t *event,
                       const yaml_char_t *tag)
{
    static const char prefix[] = "tag:yaml.org,2002:";
    const char *text = (const char *)tag;
    bool core = strncmp(text, prefix, sizeof(prefix) - 1) == 0;

    return yaml_refuse(reader, event->start_mark, "the tag %s%.64s does not fit here; remove it",
                       core ? "!!" : "", core ? text + sizeof(prefix) - 1 : text);
}

/* The kind that an explicit tag asks for; -1 for a tag that a scalar can't have here. */
static int tagged_kind(const yaml_char_t *tag)
{
    static const struct {
        const char *type;
        enum yaml_kind kind;
    } kinds[] = {{"str", YAML_TEXT},
                 {"null", YAML_NULL},
                 {"bool", YAML_BOOLEAN},
                 {"int", YAML_INTEGER},
                 {"float", YAML_FLOAT}};

    if (strcmp((const char *)tag, "!") == 0)
        return YAML_TEXT;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (has_tag(tag, kinds[i].type))
            return (int)kinds[i].kind;
    return -1;
}

static int read_scalar(struct yaml_reader *reader, const yaml_event_t *event,
                       struct yaml_node *ret_node)
{
    const char *text = (const char *)event->data.scalar.value;
    const yaml_char_t *tag = event->data.scalar.tag;
    json_t *value = NULL;
    int ret = yaml_count(reader, event->start_mark, 1);

    if (ret < 0)
        return ret;
    if (strlen(text) != event->data.scalar.length)
        return yaml_refuse(reader, event->start_mark, "a NUL character in text; remove it");
    int asked = tag ? tagged_kind(tag) : -1;
    if (tag && asked < 0)
        return unknown_tag(reader, event, tag);
    if (tag ? asked == YAML_TEXT : event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE) {
        value = json_string(text);
    } else {
        enum yaml_kind kind = yaml_resolve(text, &value);
        if (kind == YAML_INTEGER && asked == YAML_FLOAT)
            kind = YAML_FLOAT;
        if (kind == YAML_UNUSABLE)
            return yaml_refuse(reader, event->start_mark, "%.32s is not a finite number", text);
        if (tag && (int)kind != asked) {
            json_decref(value);
            return unknown_tag(reader, event, tag);
        }
    }
    if (!value) /* libyaml lets through what jansson does not take for UTF-8 */
        return yaml_refuse(reader, event->start_mark, "text that is not UTF-8");
    *ret_node = (struct yaml_node){value, json_integer(yaml_line(event->start_mark)), 1, 0};
    return 0;
}

static int read_node(struct yaml_reader *reader, const yaml_event_t *event, unsigned depth,
                     struct yaml_node *ret_node);

/* A finished container: its line goes in front of its line tree. */
static void container_finish(struct yaml_node *node, yaml_mark_t mark)
{
    node->lines = json_pack("[I, o]", (json_int_t)yaml_line(mark), node->lines);
    node->height++;
}

static void container_grow(struct yaml_node *container, const struct yaml_node *part)
{
    container->values += part->values;
    if (part->height > container->height)
        container->height = part->height;
}

static int read_sequence(struct yaml_reader *reader, const yaml_event_t *event, unsigned depth,
                         struct yaml_node *ret_node)
{
    cleanup_node struct yaml_node list = {json_array(), json_array(), 1, 0};
    size_t anchor;
    int ret =
        yaml_anchor_open(reader, event->data.sequence_start.anchor, event->start_mark, &anchor);

    for (; ret == 0;) {
        cleanup_event yaml_event_t inner = {0};
        cleanup_node struct yaml_node item = {0};
        ret = yaml_next(reader, &inner);
        if (ret < 0 || inner.type == YAML_SEQUENCE_END_EVENT)
            break;
        ret = read_node(reader, &inner, depth + 1, &item);
        if (ret < 0)
            break;
        container_grow(&list, &item);
        json_array_append_new(list.value, STEAL_POINTER(item.value));
        json_array_append_new(list.lines, STEAL_POINTER(item.lines));
    }
    if (ret < 0)
        return ret;
    container_finish(&list, event->start_mark);
    yaml_anchor_close(reader, event->data.sequence_start.anchor, anchor, &list);
    *ret_node = list;
    list = (struct yaml_node){0};
    return 0;
}

/* "<<": *defaults, or a list of such: takes over the keys that the mapping has not got itself. */
static int merge(struct yaml_reader *reader, yaml_mark_t mark, struct yaml_node *mapping,
                 const struct yaml_node *from)
{
    const char *key;
    json_t *value, *part;
    size_t i;
    int ret = 0;

    if (json_is_array(from->value)) {
        json_array_foreach(from->value, i, part)
        {
            struct yaml_node one = {part, json_array_get(json_array_get(from->lines, 1), i), 0, 0};
            if (ret == 0)
                ret = json_is_object(part) ? merge(reader, mark, mapping, &one)
                                           : yaml_refuse(reader, mark, "<< must be given mappings");
        }
        return ret;
    }
    if (!json_is_object(from->value))
        return yaml_refuse(reader, mark, "<< must be given a mapping or a list of mappings");
    json_object_foreach(from->value, key, value)
    {
        if (json_object_get(mapping->value, key))
            continue;
        json_object_set(mapping->value, key, value);
        json_object_set(mapping->lines, key, json_object_get(json_array_get(from->lines, 1), key));
    }
    return 0;
}

/* A key's text. Aliases and containers as keys have no counterpart in JSON. */
static int read_key(struct yaml_reader *reader, const yaml_event_t *event)
{
    if (event->type != YAML_SCALAR_EVENT)
        return yaml_refuse(reader, event->start_mark, "a key must be plain text");
    const char *text = (const char *)event->data.scalar.value;
    if (strlen(text) != event->data.scalar.length ||
        !text_utf8_valid(text, event->data.scalar.length))
        return yaml_refuse(reader, event->start_mark, "a NUL character in a key; remove it");
    if (!*text && event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        return yaml_refuse(reader, event->start_mark,
                           "an empty key; write a name before the colon");
    if (event->data.scalar.anchor)
        return yaml_refuse(reader, event->start_mark, "an anchor on a key; put it on the value");
    return yaml_count(reader, event->start_mark, 1);
}

/* Puts a key and its value in; a key that is there already is a problem, and reading goes on. */
static void put_pair(struct yaml_reader *reader, const yaml_event_t *event,
                     struct yaml_node *mapping, struct yaml_node *value)
{
    const char *key = (const char *)event->data.scalar.value;
    const json_t *first = json_object_get(mapping->lines, key);

    if (first) {
        first = json_is_array(first) ? json_array_get(first, 0) : first;
        yaml_refuse(reader, event->start_mark,
                    "duplicate key %.64s, first on line %" JSON_INTEGER_FORMAT "; remove one", key,
                    json_integer_value(first));
        return;
    }
    json_object_set_new(mapping->value, key, STEAL_POINTER(value->value));
    /* A field stands where its name does; the lines within it may be shared with an anchor. */
    json_int_t line = yaml_line(event->start_mark);
    json_object_set_new(mapping->lines, key,
                        json_is_array(value->lines)
                            ? json_pack("[I, O]", line, json_array_get(value->lines, 1))
                            : json_integer(line));
}

static bool is_merge_key(const yaml_event_t *event)
{
    return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           strcmp((const char *)event->data.scalar.value, "<<") == 0;
}

static int read_pair(struct yaml_reader *reader, const yaml_event_t *key, unsigned depth,
                     struct yaml_node *mapping, struct yaml_node *merged)
{
    cleanup_event yaml_event_t inner = {0};
    cleanup_node struct yaml_node value = {0};
    int ret = read_key(reader, key);

    if (ret == 0)
        ret = yaml_next(reader, &inner);
    if (ret == 0)
        ret = read_node(reader, &inner, depth + 1, &value);
    if (ret < 0)
        return ret;
    container_grow(mapping, &value);
    mapping->values++;
    if (!is_merge_key(key)) {
        put_pair(reader, key, mapping, &value);
        return 0;
    }
    if (merged->value)
        return yaml_refuse(reader, key->start_mark, "a second << key; give a list: << : [*a, *b]");
    *merged = value;
    value = (struct yaml_node){0};
    return 0;
}

static int read_mapping(struct yaml_reader *reader, const yaml_event_t *event, unsigned depth,
                        struct yaml_node *ret_node)
{
    cleanup_node struct yaml_node mapping = {json_object(), json_object(), 1, 0};
    cleanup_node struct yaml_node merged = {0};
    size_t anchor;
    int ret =
        yaml_anchor_open(reader, event->data.mapping_start.anchor, event->start_mark, &anchor);

    for (; ret == 0;) {
        cleanup_event yaml_event_t key = {0};
        ret = yaml_next(reader, &key);
        if (ret < 0 || key.type == YAML_MAPPING_END_EVENT)
            break;
        ret = read_pair(reader, &key, depth, &mapping, &merged);
    }
    if (ret == 0 && merged.value)
        ret = merge(reader, event->start_mark, &mapping, &merged);
    if (ret < 0)
        return ret;
    container_finish(&mapping, event->start_mark);
    yaml_anchor_close(reader, event->data.mapping_start.anchor, anchor, &mapping);
    *ret_node = mapping;
    mapping = (struct yaml_node){0};
    return 0;
}

static int read_node(struct yaml_reader *reader, const yaml_event_t *event, unsigned depth,
                     struct yaml_node *ret_node)
{
    const yaml_char_t *tag = NULL;
    size_t anchor;
    int ret;

    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return yaml_read_alias(reader, event, depth, ret_node);
    case YAML_SCALAR_EVENT:
        ret = yaml_anchor_open(reader, event->data.scalar.anchor, event->start_mark, &anchor);
        if (ret == 0)
            ret = read_scalar(reader, event, ret_node);
        if (ret == 0)
            yaml_anchor_close(reader, event->data.scalar.anchor, anchor, ret_node);
        return ret;
    case YAML_SEQUENCE_START_EVENT:
        tag = event->data.sequence_start.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        tag = event->data.mapping_start.tag;
        break;
    default:
        return yaml_refuse(reader, event->start_mark, "not YAML: a value is missing here");
    }
    bool sequence = event->type == YAML_SEQUENCE_START_EVENT;
    if (tag && strcmp((const char *)tag, "!") != 0 && !has_tag(tag, sequence ? "seq" : "map"))
        return unknown_tag(reader, event, tag);
    ret = yaml_check_depth(reader, event->start_mark, depth + 1);
    if (ret == 0)
        ret = yaml_count(reader, event->start_mark, 1);
    if (ret < 0)
        return ret;
    return sequence ? read_sequence(reader, event, depth, ret_node)
                    : read_mapping(reader, event, depth, ret_node);
}

/* One document after its start event. *ret_whole: read to its end, so that the next may follow. */
static int read_document(struct yaml_reader *reader, struct documents *documents, bool *ret_whole)
{
    cleanup_event yaml_event_t root = {0}, end = {0};
    cleanup_node struct yaml_node node = {0};
    size_t problems = reader->text->problems->count;
    int ret = yaml_next(reader, &root);

    if (ret == 0)
        ret = read_node(reader, &root, 0, &node);
    if (ret == 0)
        ret = yaml_next(reader, &end);
    yaml_anchors_release(reader);
    *ret_whole = ret == 0;
    if (ret < 0)
        return ret;
    if (reader->text->problems->count > problems) /* duplicate keys */
        return -EINVAL;
    return document_take(reader->text, yaml_line(root.start_mark), STEAL_POINTER(node.value),
                         STEAL_POINTER(node.lines), documents);
}

/* Reads until the end of the stream, or to the first problem that leaves the parser within a
 * document. */
static int read_stream(struct yaml_reader *reader, struct documents *documents)
{
    int ret = 0;

    for (;;) {
        cleanup_event yaml_event_t event = {0};
        bool whole = true;
        int one = yaml_next(reader, &event);
        if (one < 0)
            return one;
        if (event.type == YAML_STREAM_END_EVENT)
            return ret;
        if (event.type == YAML_DOCUMENT_START_EVENT)
            one = read_document(reader, documents, &whole);
        if (!whole)
            return one;
        ret = one < 0 ? one : ret;
    }
}

int document_read_yaml(const struct document_text *text, struct documents *documents)
{
    struct yaml_reader reader = {.text = text};

    if (!yaml_parser_initialize(&reader.parser)) {
        problem_add(text->problems, "%s: out of memory", text->file);
        return -ENOMEM;
    }
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text->text, text->length);
    int ret = read_stream(&reader, documents);
    yaml_anchors_release(&reader);
    yaml_parser_delete(&reader.parser);
    return ret;
}
