/*
 * Files of measured delays, for people with a file and dpumesh beside it. In place of `quantiles` a
 * latency of a DpuService in a file may name one, which is read where the DpuService is:
 *
 *     latency: {distribution: empirical, samples: measured.txt}
 *
 * The file has a delay such as 12.5ms on each line, in any order; empty lines and what follows a #
 * do not count. Only what reads files takes it (application_load()): neither the API server nor the
 * operator reads files of their users.
 */
#ifndef DPUMESH_SPEC_SAMPLES_H
#define DPUMESH_SPEC_SAMPLES_H

#include "doc/document.h"
#include "model/distribution.h"

enum { SAMPLES_FILE_BYTES_MAX = 16 << 20 };

/*
 * Replaces each `samples` in the document's egress.latency, in those of its destinations, and in
 * their parts, by the quantiles of the file, as many as a latency may have, most of them in the
 * tail. A relative path is one from the directory of the document's file. 0, or -EINVAL and
 * sentences.
 */
int samples_expand(struct document *document, struct problems *problems);

/*
 * Reads length bytes of text as samples: their quantile table as in distribution_from_samples(),
 * owned by the caller. origin: for messages. 0, or -EINVAL and a sentence.
 */
int samples_parse(const char *text, size_t length, const char *origin,
                  struct distribution_point **ret_table, size_t *ret_count, struct error **err);

#endif
