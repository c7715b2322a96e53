/*
 * Where in a document something stands: "app.yaml:12: s0: spec.egress.workers". Places are links on
 * the stack of the functions that walk a document; nothing is allocated and no text is made before
 * there is a problem to report.
 *
 *     struct place root = PLACE_ROOT(&source);
 *     struct place spec = PLACE_KEY(&root, "spec");
 *     place_problem(&spec, problems, "missing; ...");
 *
 * A place is valid as long as its parents are. One thread.
 */
#ifndef DPUMESH_DOC_PLACE_H
#define DPUMESH_DOC_PLACE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "doc/problem.h"

/* A document's origin, for messages. Everything is borrowed; each part may be absent. */
struct source {
    const char *file;    /* NULL: no file */
    unsigned line;       /* first line of the document; 0: not known */
    const json_t *lines; /* line tree of document.h; NULL: lines of fields are not known */
    const char *object;  /* the object's name; NULL: none */
    bool pointers;       /* places are shown as JSON pointers, /s0/services/0, and no object */
    /* For a document that was made from another: where its parts come from, by their path
     * ("spec.replicas": "workmodel.json: /s0/replicas"). NULL: from the file itself. */
    const json_t *origins;
};

struct place {
    const struct place *parent;  /* NULL at the root */
    const struct source *source; /* at the root alone */
    const char *key;             /* a field; NULL: an element */
    size_t index;                /* of the element */
};

#define PLACE_ROOT(source_)                                                                        \
    {                                                                                              \
        .parent = NULL, .source = (source_)                                                        \
    }
#define PLACE_KEY(parent_, key_)                                                                   \
    {                                                                                              \
        .parent = (parent_), .key = (key_)                                                         \
    }
#define PLACE_INDEX(parent_, index_)                                                               \
    {                                                                                              \
        .parent = (parent_), .index = (index_)                                                     \
    }

/*
 * Adds the problem "file:line: object: path: sentence"; parts that are not known are left out. With
 * pointers, "file:line: /pointer: sentence"; with origins, the origin of the place, or of its
 * nearest parent that has one and the pointer from there.
 */
void place_problem(const struct place *place, struct problems *problems, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Appends the path alone: spec.ports[0].name. 0 or -ENOBUFS. */
int place_path(const struct place *place, struct buffer *out);

/* Appends the place as a JSON pointer (RFC 6901): /spec/ports/0/name; nothing for the root. What
 * a line can't show becomes "?". 0 or -ENOBUFS. */
int place_pointer(const struct place *place, struct buffer *out);

/* "FILE: /POINTER" of a place in a file that is known, "FILE" of its root; one line, owned by the
 * caller. */
char *place_origin(const struct place *place);

/*
 * The line of the place, or of its nearest parent whose line is known (a missing field's line is
 * its record's); 0: not known.
 */
unsigned place_line(const struct place *place);

/* Longest text of place_value() with its NUL. */
#define PLACE_VALUE_MAX 64

/* A JSON value as a message shows it: text in quotes and cut, a container by its kind; returns
 * text. */
char *place_value(const json_t *value, char text[PLACE_VALUE_MAX]);

#endif
