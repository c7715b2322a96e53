/*
 * The main thread's work while the others serve: signals and the configuration file. SIGTERM drains
 * after limits.shutdownDelay, SIGINT and a second SIGTERM at once; SIGHUP, or a change of the file
 * since it was first read, reads it again. A file that is wrong is refused with all its reasons,
 * counted, and the old configuration stays.
 */
#ifndef DPUMESH_AGENT_CONTROL_H
#define DPUMESH_AGENT_CONTROL_H

#include "agent/agent.h"

/* Blocks the signals that control_run() takes; before any thread is started. 0 or -errno. */
int control_block_signals(struct error **err);

/*
 * Runs until ended_fd (the I/O thread's) is readable. path: the configuration file. 0, or -errno
 * and a sentence when it can't watch at all.
 */
int control_run(struct agent *agent, const char *path, int ended_fd, struct error **err);

#endif
