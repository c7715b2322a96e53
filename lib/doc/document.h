/*
 * Documents: YAML (several to a file, "---" between them) and JSON, read into jansson trees with
 * the line of each value, so that messages about a field can say where it stands. Scalars read as
 * kubectl reads them: true, 3, 0x1f, 1.5, null, quoted text stays text, and YAML 1.1's yes, no, on
 * and off are booleans. Anchors, aliases and merge keys work.
 *
 * What comes from outside is capped: 4 MiB a file, 64 levels of nesting, 500,000 values a file with
 * aliases counted as often as they are used, 1,000 documents a file. Duplicate keys are refused.
 *
 *     cleanup_documents struct documents documents = DOCUMENTS_INIT;
 *     cleanup_problems struct problems problems = PROBLEMS_INIT;
 *     if (documents_load("app.yaml", &documents, &problems) < 0)
 *         problems_print(&problems, stderr, "dpumesh: ");
 *
 * A list belongs to its caller and one thread. The trees may share parts with each other (an alias
 * is the same jansson value as its anchor), so they are to be read, not changed.
 */
#ifndef DPUMESH_DOC_DOCUMENT_H
#define DPUMESH_DOC_DOCUMENT_H

#include <jansson.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "doc/place.h"
#include "doc/problem.h"

enum {
    DOCUMENT_BYTES_MAX = 4 << 20,
    DOCUMENT_DEPTH_MAX = 64,
    DOCUMENT_VALUES_MAX = 500000,
    DOCUMENTS_MAX = 1000
};

struct document {
    char *file;    /* as the user named it */
    unsigned line; /* its first line; 0: not known */
    json_t *root;  /* an object; never NULL */
    json_t *lines; /* NULL for JSON; else a line tree: an integer for a scalar, and for a container
                      [line, container of the same shape] */
    json_t *origins; /* of a document made from another; see place.h. Else NULL */
};

struct documents {
    size_t count;
    struct document *items;
};

#define DOCUMENTS_INIT                                                                             \
    {                                                                                              \
        0, NULL                                                                                    \
    }

/*
 * Appends the documents of a file: JSON when the name ends in .json or the text is JSON, else YAML;
 * "-" reads standard input. A document of kind List counts as its items; empty documents are
 * skipped. 0, or -EINVAL and sentences in problems (an unreadable file's errno); documents read
 * before the problem stay in the list.
 */
int documents_load(const char *path, struct documents *documents, struct problems *problems);

/* The same from length bytes of text (need not end in NUL); file: the name for messages, and it
 * chooses JSON by its end.
 */
int documents_parse(const char *bytes, size_t length, const char *file, struct documents *documents,
                    struct problems *problems);

/*
 * One JSON text of any kind of value: strict, no duplicate keys, depth and size capped, messages
 * with line and column. 0 and *ret_root (owned by the caller), or -EINVAL and one problem.
 */
int document_parse_json(const char *bytes, size_t length, const char *file, json_t **ret_root,
                        struct problems *problems);

/*
 * The same for JSON in which a key may be repeated in an object: the last one counts, as most
 * readers have it, and each further one adds "file:line: /pointer: sentence" to repeated. 0, also
 * when there were some, and *ret_root (owned by the caller), or -EINVAL and one problem.
 */
int document_parse_json_repeating(const char *bytes, size_t length, const char *file,
                                  json_t **ret_root, struct problems *repeated,
                                  struct problems *problems);

/* Where a document comes from, for places; object may be NULL. Borrows from the document. */
struct source document_source(const struct document *document, const char *object);

/* Frees the documents; the list is empty again. */
void documents_free(struct documents *documents);

#define cleanup_documents CLEANUP(documents_free)

#endif
