/* Keys that are given twice in an object, found in a text that jansson has found to be JSON. */
#include <errno.h>
#include <string.h>

#include "doc/document_private.h"

/* Where in the text the reading is. */
struct scan {
    const struct document_text *text;
    size_t offset;
    size_t counted; /* the line below is that of this offset */
    unsigned line;
    struct source *source; /* of the places; its line is that of the next problem */
    struct problems *repeated;
};

static char look(struct scan *scan)
{
    scan->offset = document_skip_space(scan->text, scan->offset);
    return scan->offset < scan->text->length ? scan->text->text[scan->offset] : '\0';
}

static unsigned line_here(struct scan *scan)
{
    for (; scan->counted < scan->offset; scan->counted++)
        scan->line += scan->text->text[scan->counted] == '\n';
    return scan->line;
}

/* Passes a text with its quotes. */
static void skip_text(struct scan *scan)
{
    scan->offset++;
    while (scan->offset < scan->text->length && scan->text->text[scan->offset] != '"')
        scan->offset += scan->text->text[scan->offset] == '\\' ? 2 : 1;
    scan->offset++;
}

/* Passes a key and its colon; the key as a JSON text, owned by the caller. */
static json_t *take_key(struct scan *scan)
{
    size_t begin = scan->offset;

    skip_text(scan);
    json_t *key = json_loadb(scan->text->text + begin, scan->offset - begin, JSON_DECODE_ANY, NULL);
    look(scan);
    scan->offset++;
    return key;
}

static void scan_value(struct scan *scan, const struct place *place);

static void scan_object(struct scan *scan, const struct place *place)
{
    json_auto_t *seen = json_object();

    scan->offset++;
    while (look(scan) == '"') {
        unsigned line = line_here(scan);
        json_auto_t *key = take_key(scan);
        const char *name = json_string_value(key);
        struct place at = PLACE_KEY(place, name);
        const json_t *first = json_object_get(seen, name);
        if (first) {
            scan->source->line = line;
            place_problem(&at, scan->repeated,
                          "given before, in line %" JSON_INTEGER_FORMAT "; remove one of the two",
                          json_integer_value(first));
        }
        json_object_set_new(seen, name, json_integer(line));
        scan_value(scan, &at);
        if (look(scan) == ',')
            scan->offset++;
    }
    scan->offset++;
}

static void scan_list(struct scan *scan, const struct place *place)
{
    scan->offset++;
    for (size_t i = 0; look(scan) && look(scan) != ']'; i++) {
        struct place at = PLACE_INDEX(place, i);
        scan_value(scan, &at);
        if (look(scan) == ',')
            scan->offset++;
    }
    scan->offset++;
}

/* Nesting was found to be bounded, so the recursion is, too. */
static void scan_value(struct scan *scan, const struct place *place)
{
    switch (look(scan)) {
    case '{':
        scan_object(scan, place);
        break;
    case '[':
        scan_list(scan, place);
        break;
    case '"':
        skip_text(scan);
        break;
    default:
        while (scan->offset < scan->text->length &&
               !memchr(",]} \t\r\n", scan->text->text[scan->offset], 7))
            scan->offset++;
        break;
    }
}

int document_parse_json_repeating(const char *bytes, size_t length, const char *file,
                                  json_t **ret_root, struct problems *repeated,
                                  struct problems *problems)
{
    struct document_text text = document_text_of(bytes, length, file, problems);
    json_t *root;

    int ret = document_load_json(&text, 0, &root);
    if (ret < 0)
        return ret;
    struct source source = {.file = file, .pointers = true};
    struct place place = PLACE_ROOT(&source);
    struct scan scan = {.text = &text, .line = 1, .source = &source, .repeated = repeated};
    scan_value(&scan, &place);
    *ret_root = root;
    return 0;
}
