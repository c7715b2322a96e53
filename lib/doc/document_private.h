/* Private to the document readers: what document.c and the readers of each syntax share. */
#ifndef DPUMESH_DOC_DOCUMENT_PRIVATE_H
#define DPUMESH_DOC_DOCUMENT_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

#include "doc/document.h"

/* Text being read, and where its problems go. */
struct document_text {
    const char *text;
    size_t length;
    const char *file;
    struct problems *problems;
};

/*
 * Takes a parsed document: flattens lists, skips null, refuses what is not an object. Steals root
 * and lines (which may be NULL). 0 or -EINVAL after a problem.
 */
int document_take(const struct document_text *text, unsigned line, json_t *root, json_t *lines,
                  struct documents *documents);

/* The bytes of a file without a byte order mark in front; borrowed. */
struct document_text document_text_of(const char *bytes, size_t length, const char *file,
                                      struct problems *problems);

/* Size, NUL and UTF-8. 0 or -EINVAL after a problem. */
int document_check_text(const struct document_text *text);

/* Line and column, both from 1, of the byte at offset. */
void document_position(const struct document_text *text, size_t offset, unsigned *ret_line,
                       unsigned *ret_column);

/* Adds the problem of a text that stops too early, at the end of what it has. syntax: "YAML". */
void document_ends_early(const struct document_text *text, const char *syntax);

/*
 * Depth and number of values, before jansson recurses and allocates: brackets and separators
 * outside strings. Text that is not JSON may be counted wrongly; jansson refuses it then. 0 or
 * -EINVAL.
 */
int document_check_json_shape(const struct document_text *text);

/* Adds jansson's error as a sentence; the part that was parsed begins at base. */
void document_explain_json(const struct document_text *text, size_t base,
                           const json_error_t *error);

/* One JSON text of any kind of value, checked; flags: jansson's. 0 and *ret_root (owned by the
 * caller), or -EINVAL after a problem. */
int document_load_json(const struct document_text *text, size_t flags, json_t **ret_root);

/* The offset of the first byte from offset on that is not white space, or the length. */
size_t document_skip_space(const struct document_text *text, size_t offset);

/* All YAML documents of a text; 0 or -EINVAL after problems. */
int document_read_yaml(const struct document_text *text, struct documents *documents);

/* What a plain YAML scalar means. */
enum yaml_kind { YAML_TEXT, YAML_NULL, YAML_BOOLEAN, YAML_INTEGER, YAML_FLOAT, YAML_UNUSABLE };

/*
 * Resolves a plain scalar as kubectl's reader does (sigs.k8s.io/yaml, goyaml.v2 resolve.go), and
 * makes its JSON value (owned by the caller). YAML_UNUSABLE, and NULL: infinities and not-a-number,
 * which JSON can't hold.
 */
enum yaml_kind yaml_resolve(const char *text, json_t **ret_value);

#endif
