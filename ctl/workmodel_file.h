/*
 * What import, export and generate share: muBench's files are read, documents and what has no
 * counterpart are written. Nothing here keeps state; one thread.
 */
#ifndef DPUMESH_CTL_WORKMODEL_FILE_H
#define DPUMESH_CTL_WORKMODEL_FILE_H

#include <jansson.h>

#include "base/buffer.h"
#include "base/error.h"
#include "spec/workmodel.h"

/*
 * Reads one of muBench's files, JSON; "-" is standard input. Keys that are given twice go to
 * repeated (which may be problems). 0 and *ret_file, whose root is the caller's; or a negative
 * errno and problems.
 */
int workmodel_file_read(const char *path, struct workmodel_file *ret_file,
                        struct problems *repeated, struct problems *problems);

/* Whether these can be set for all services: spec.image and spec.egress.mode, either may be NULL.
 * 0, or -EINVAL and a sentence. */
int workmodel_check_options(const char *image, const char *egress, struct error **err);

/* Writes text to the file, or to standard output when path is NULL or "-". 0 or a negative errno.
 */
int workmodel_file_write(const char *path, const struct buffer *text, struct error **err);

/* Puts keys that were given twice before the notes: muBench's reader takes the last one as well. */
void workmodel_note_repeated(const struct problems *repeated, json_t *notes);

/* Says each note on standard error. */
void workmodel_say_notes(json_t *notes);

/* Makes the documents, and says what is wrong. The exit status, and when it is 0 *ret_documents,
 * owned by the caller. */
int workmodel_make(const struct workmodel_source *source,
                   struct workmodel_documents *ret_documents);

/* Writes the documents to path with their notes, which it also says; title: the first line. The
 * exit status. */
int workmodel_write(const struct workmodel_documents *documents, const char *path,
                    const char *title);

#endif
