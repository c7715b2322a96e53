/*
 * What a replica prints, kept in a file that can't grow without end: at max_bytes the file is
 * renamed to PATH.1 (the one that was there goes) and a new one begins, at the start of a line
 * where possible. So a replica keeps at most twice max_bytes, and always its last lines.
 *
 * One thread, but for logfile_tail(), which reads the files by path from any process.
 */
#ifndef DPUMESH_CTL_LOCAL_LOGFILE_H
#define DPUMESH_CTL_LOCAL_LOGFILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

#define LOGFILE_MAX_BYTES (UINT64_C(1) << 20)

struct logfile {
    char *path;
    int fd;
    uint64_t size;      /* bytes in the current file */
    uint64_t max_bytes; /* of the current file, then it is rotated */
};

/* Opens path for appending, mode 0600. 0 or -errno. */
int logfile_open(struct logfile *log, const char *path, uint64_t max_bytes, struct error **err);

/* Appends bytes as they come. A full disk loses them: a log is never worth a replica. */
void logfile_write(struct logfile *log, const void *data, size_t size);

/* Closes the file and frees the path; the files stay. */
void logfile_close(struct logfile *log);

/*
 * Appends the last `lines` lines of path (and, when it holds fewer, of path.1 before it) to out; at
 * most out's cap, older lines are left out first. 0 and, unless NULL, *ret_end, the offset in path
 * up to which that is; or -errno when path can't be read.
 */
int logfile_tail(const char *path, size_t lines, struct buffer *out, size_t *ret_end);

#endif
