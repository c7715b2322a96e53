/*
 * The HTTP/1.1 half of load_answer.h: responses framed as RFC 9112 section 6 says. Not for anybody
 * but load_answer.c.
 */
#ifndef DPUMESH_CTL_LOAD_HTTP_H
#define DPUMESH_CTL_LOAD_HTTP_H

#include "ctl/load_answer.h"

/* load_reader_next() and load_reader_end() of an LOAD_ANSWER_HTTP reader. */
int load_http_next(struct load_reader *reader, const char **data, size_t *length,
                   struct load_answer *ret);
int load_http_end(struct load_reader *reader, struct load_answer *ret);

#endif
