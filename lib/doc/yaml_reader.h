/*
 * Private to the YAML reader: libyaml's parser with what reading a file keeps beside it, its errors
 * as sentences, its caps, and its anchors. document_yaml.c reads values with it.
 */
#ifndef DPUMESH_DOC_YAML_READER_H
#define DPUMESH_DOC_YAML_READER_H

#include <jansson.h>
#include <yaml.h>

#include "base/cleanup.h"
#include "doc/document_private.h"

/* One value as it was read, with the line tree beside it. */
struct yaml_node {
    json_t *value;
    json_t *lines;
    size_t values;   /* in it, aliases expanded */
    unsigned height; /* levels of containers in it */
};

struct yaml_anchor {
    char *name;
    struct yaml_node node; /* value NULL: not complete yet */
};

struct yaml_reader {
    const struct document_text *text;
    yaml_parser_t parser;
    size_t values; /* of the file so far */
    size_t anchor_count;
    struct yaml_anchor
        *anchors; /* of the document; a name may come again and then hides the first */
};

/* Frees what the node owns; it is empty again. */
void yaml_node_release(struct yaml_node *node);
#define cleanup_node  CLEANUP(yaml_node_release)
#define cleanup_event CLEANUP(yaml_event_delete)

/* The mark's line, from 1. */
static inline unsigned yaml_line(yaml_mark_t mark)
{
    return (unsigned)mark.line + 1;
}

/* Adds the problem "file:line:column: sentence"; -EINVAL. */
int yaml_refuse(struct yaml_reader *reader, yaml_mark_t mark, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The next event, to be deleted by the caller; after a problem an empty one and a negative errno.
 */
int yaml_next(struct yaml_reader *reader, yaml_event_t *ret_event);

/* Counts values as if aliases had been written out: what "billion laughs" makes grow. */
int yaml_count(struct yaml_reader *reader, yaml_mark_t mark, size_t more);

/* Refuses depth levels of containers when that is too many. */
int yaml_check_depth(struct yaml_reader *reader, yaml_mark_t mark, unsigned depth);

/*
 * Remembers an anchor's name before its value is read, so that an alias to itself is told apart.
 * name NULL: no anchor. 0 and *ret_index for yaml_anchor_close(), or -EINVAL after a problem.
 */
int yaml_anchor_open(struct yaml_reader *reader, const yaml_char_t *name, yaml_mark_t mark,
                     size_t *ret_index);

/* Shares the finished value with the anchor that was opened. */
void yaml_anchor_close(struct yaml_reader *reader, const yaml_char_t *name, size_t index,
                       const struct yaml_node *node);

/* The value that an alias stands for, shared; counted, and its depth checked. 0 or -EINVAL. */
int yaml_read_alias(struct yaml_reader *reader, const yaml_event_t *event, unsigned depth,
                    struct yaml_node *ret_node);

/* Forgets the anchors, at the end of a document. */
void yaml_anchors_release(struct yaml_reader *reader);

#endif
