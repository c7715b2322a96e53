/*
 * Reads the replicas' log files of an application from another process, and follows them: inotify
 * tells of new lines, of rotation and of new replicas, so that nothing is polled. The supervisor is
 * not asked. Any one thread.
 */
#ifndef DPUMESH_CTL_LOCAL_FOLLOW_H
#define DPUMESH_CTL_LOCAL_FOLLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "ctl/local/rundir.h"

/*
 * Prints the last `tail` lines of each log that `which` means (NULL: all; a service's name: all its
 * replicas; a replica's name: that one) to file; then, when follow, what comes, until the
 * application's run directory is removed or file can't be written. Lines begin with the replica's
 * name unless which names one replica.
 * 0, or -ENOENT and a sentence when which means nothing, other -errno.
 */
int follow_logs(const struct rundir *dir, const char *which, size_t tail, bool follow, FILE *file,
                struct error **err);

/* Whether log file `name` ("s0-1.log") belongs to which, as above. */
bool follow_matches(const char *name, const char *which);

#endif
