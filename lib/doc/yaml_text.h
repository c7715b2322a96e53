/*
 * JSON as YAML that people like to read: block style, keys in the order of the object, long texts
 * folded. The same value gives the same text. What is written reads back as what was given, here
 * and with kubectl. Any thread.
 */
#ifndef DPUMESH_DOC_YAML_TEXT_H
#define DPUMESH_DOC_YAML_TEXT_H

#include <jansson.h>

#include "base/buffer.h"

/* Appends value, an object that is not empty. 0 or -ENOBUFS (some of it appended). */
int yaml_text(const json_t *value, struct buffer *out);

/*
 * Appends "# text" and a line feed; what a comment can't hold (line feeds, control characters)
 * becomes "?". 0 or -ENOBUFS.
 */
int yaml_comment(const char *text, struct buffer *out);

#endif
