/*
 * Starting a child that can't outlive us. The child gets PR_SET_PDEATHSIG (SIGTERM, so that it
 * drains), a session of its own (a Ctrl-C at the terminal is the supervisor's to interpret), an
 * empty signal mask, /dev/null as stdin, output_fd as stdout and stderr, and the listed sockets
 * from descriptor 3 on with systemd's LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES (sd_listen_fds(3)).
 * Nothing else that is open here reaches it.
 *
 * Call it from the thread that lives as long as the process does, the main thread: the kernel sends
 * the death signal when the *thread* that forked ends.
 */
#ifndef DPUMESH_CTL_LOCAL_PROCESS_H
#define DPUMESH_CTL_LOCAL_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

enum { PROCESS_FDS_MAX = 64 }; /* sockets a child may inherit */

struct process_spec {
    const char *program;         /* path */
    const char *const *argv;     /* NULL-terminated, argv[0] first */
    const int *fds;              /* inherited, become 3, 4, ... */
    const char *const *fd_names; /* one for each fd, without ':' */
    size_t fd_count;             /* at most PROCESS_FDS_MAX */
    int output_fd;               /* becomes stdout and stderr */
};

/*
 * Forks and executes. Returns when exec has happened or failed.
 * 0, *ret_pid and *ret_pidfd (close-on-exec, the caller closes it and reaps with process_reap());
 * or -errno and no child is left: -ENOENT, -EACCES, ... are exec's own.
 */
int process_spawn(const struct process_spec *spec, pid_t *ret_pid, int *ret_pidfd,
                  struct error **err);

/*
 * Takes the status of a child whose pidfd became readable. 0, *ret_code (the exit status, or -1
 * when a signal ended it) and *ret_signal (the signal or 0); -errno when it has not ended.
 */
int process_reap(int pidfd, int *ret_code, int *ret_signal);

/* "exit status 3" or "killed by signal 9 (Killed)"; the caller frees it. */
char *process_describe_end(int code, int signal);

/*
 * When a process started, in clock ticks since boot (proc(5), stat field 22): with its pid it names
 * a process for ever. 0, or -ESRCH when there is none (a zombie counts as none).
 */
int process_start_time(pid_t pid, uint64_t *ret_ticks);

#endif
