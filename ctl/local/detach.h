/*
 * `dpumesh up --detach`: the supervisor runs in a child process with a session of its own, and the
 * process that the user started waits until the application is ready or has ended.
 *
 *     int status = detach_fork(&detach, &err);
 *     if (status >= 0)
 *         return status;          the user's process: exit with it
 *     ...                         the child goes on, and calls detach_ready() when all is ready
 *
 * Main thread only, before any other thread exists.
 */
#ifndef DPUMESH_CTL_LOCAL_DETACH_H
#define DPUMESH_CTL_LOCAL_DETACH_H

#include "base/error.h"
#include "ctl/local/rundir.h"

struct detach {
    int report_fd; /* the child's end */
};

#define DETACH_INIT                                                                                \
    {                                                                                              \
        .report_fd = -1                                                                            \
    }

/*
 * Forks. In the child: -1. In the parent, when the child is ready or has ended: 0, or the child's
 * exit status. When no child can be made: -errno and *err is set.
 */
int detach_fork(struct detach *detach, struct error **err);

/*
 * Lets the parent go, and sends what is printed from now on to up.log in the run directory.
 * context: the struct detach.
 */
void detach_ready(void *context, const struct rundir *dir);

#endif
