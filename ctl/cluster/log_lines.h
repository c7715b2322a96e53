/*
 * A pod's log, in which standard output and standard error of `dpumesh load` are one stream: lines
 * that begin with "dpumesh" and a colon or a verb are what it says on standard error (no line of
 * its results begins so), all others go to standard output. Pure but for the two files; one thread.
 */
#ifndef DPUMESH_CTL_CLUSTER_LOG_LINES_H
#define DPUMESH_CTL_CLUSTER_LOG_LINES_H

#include <stddef.h>
#include <stdio.h>

#include "base/buffer.h"

enum { LOG_LINES_BYTES_MAX = 1 << 20 /* a line; a longer one is printed in pieces */ };

struct log_lines {
    FILE *out, *err;
    struct buffer line; /* that is not whole yet */
};

#define LOG_LINES_INIT(out_file, err_file)                                                         \
    {                                                                                              \
        .out = (out_file), .err = (err_file), .line = BUFFER_INIT(LOG_LINES_BYTES_MAX)             \
    }

/* Prints the lines that are whole. 0, or -EPIPE when standard output takes no more. */
int log_lines_feed(struct log_lines *lines, const char *data, size_t size);

/* Prints what came without an end of line. */
void log_lines_end(struct log_lines *lines);

void log_lines_free(struct log_lines *lines);
#define cleanup_log_lines CLEANUP(log_lines_free)

#endif
