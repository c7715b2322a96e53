/*
 * JSON as YAML that people like to read: block style, keys in the order of the object, long texts
 * folded. The same value gives the same text. What is written reads back as what was given.
 */
#ifndef DPUMESH_TESTS_SPEC_YAML_TEXT_H
#define DPUMESH_TESTS_SPEC_YAML_TEXT_H

#include <jansson.h>

#include "base/buffer.h"

/* Appends value, an object or a list that is not empty. 0 or -ENOBUFS. */
int yaml_text(const json_t *value, struct buffer *out);

#endif
