/*
 * Whole files: read with a cap, written so that a reader sees the old or the new content and never
 * half of it. Errors are sentences that begin with the path. Any thread.
 */
#ifndef DPUMESH_BASE_FILE_H
#define DPUMESH_BASE_FILE_H

#include <stddef.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "base/error.h"

/*
 * Appends the whole file to out, which must have been made with the cap that is meant (a pipe is
 * read to its end). "-" is no special name. 0; -EISDIR for a directory, -EFBIG when the file does
 * not fit in out, or what open() and read() said. On failure out is as it was.
 */
int file_read(const char *path, struct buffer *out, struct error **err);

/*
 * Writes size bytes to a new file beside path, syncs it, and renames it onto path; a symbolic link
 * at path is replaced, not followed. mode: permission bits, taken exactly (no umask). A file that
 * the caller may not write is not replaced either. What is no file (a device, a pipe), and links to
 * open files (/dev/stdout, /dev/fd, /proc), are written to as they are. 0 or a negative errno; then
 * a file at path is untouched and nothing is left beside it.
 */
int file_write(const char *path, const void *data, size_t size, mode_t mode, struct error **err);

/*
 * Makes the directory and those above it that are missing, each with mode (less the umask). An
 * existing directory is fine and keeps its mode. 0 or a negative errno; -ENOTDIR when a part of the
 * path is something else.
 */
int file_make_directory(const char *path, mode_t mode, struct error **err);

#endif
