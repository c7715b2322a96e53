/*
 * Run directories: where the applications that run locally keep their sockets, configurations and
 * logs.
 *
 *     $XDG_RUNTIME_DIR/dpumesh/APP/      or /tmp/dpumesh-UID/APP/, mode 0700, ours or refused
 *         lock                           held (flock) by the supervisor as long as it lives; its
 * pid control.sock                   the control socket, see ctl/local/control.h
 *         config/REPLICA.json            what the agent was started with
 *         logs/REPLICA.log, .log.1       what it printed
 *         pids/REPLICA                   "pid start-time" of its process
 *
 * The lock says whether an application runs: the kernel drops it however its holder ends, so a
 * directory whose lock is free is stale, and whoever meets it cleans it. One thread a rundir; any
 * number of processes.
 */
#ifndef DPUMESH_CTL_LOCAL_RUNDIR_H
#define DPUMESH_CTL_LOCAL_RUNDIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/error.h"

struct rundir {
    char *name; /* of the application */
    char *path;
    int fd;      /* the directory */
    int lock_fd; /* the lock, held; -1 when the directory was only opened */
};

#define RUNDIR_INIT                                                                                \
    {                                                                                              \
        .name = NULL, .path = NULL, .fd = -1, .lock_fd = -1                                        \
    }

/* Whether text can name an application: a DNS label (RFC 1123), so that it is a file name too. */
bool rundir_name_valid(const char *text);

/*
 * Makes and locks the directory of an application; what a dead supervisor left there goes first:
 * its processes get SIGTERM, after patience_ns SIGKILL, its files are removed. 0 (the caller owns
 * *ret_dir: rundir_remove(), then rundir_close()); -EBUSY when that application runs (the sentence
 * names its pid); other -errno.
 */
int rundir_create(const char *name, uint64_t patience_ns, struct rundir *ret_dir,
                  struct error **err);

/* Opens the directory of a running application. 0, -ENOENT when none of that name runs, -errno. */
int rundir_open(const char *name, struct rundir *ret_dir, struct error **err);

/*
 * The names of all running applications, sorted; stale directories without living processes are
 * removed on the way. 0 and *ret_names (*ret_count of them, the caller frees each and the array).
 */
int rundir_list(char ***ret_names, size_t *ret_count, struct error **err);

/* A descriptor for rundir_wait(); open it while the supervisor runs. -1 when there is no lock. */
int rundir_watch(const struct rundir *dir);

/* Waits until the supervisor has ended, however it ended: its lock becomes free. -1 returns at
 * once. */
void rundir_wait(int watch_fd);

/* "PATH/FOLDER/NAMESUFFIX"; the caller frees it. */
char *rundir_file(const struct rundir *dir, const char *folder, const char *name,
                  const char *suffix);

/* Writes a file whole or not at all (temporary file and rename), mode 0600, unless it holds that
 * text already: a full disk is then no matter. 0 or -errno. */
int rundir_write(const struct rundir *dir, const char *folder, const char *name, const char *suffix,
                 const char *text, size_t length, struct error **err);

/* Remembers (pid > 0) or forgets (0) the process of a replica, for the cleaning after our death. */
void rundir_record_pid(const struct rundir *dir, const char *replica, pid_t pid);

/* Removes the directory with all it holds; only its holder may. */
void rundir_remove(struct rundir *dir);

/* Closes it (a lock that is held becomes free) and frees its strings. */
void rundir_close(struct rundir *dir);

#define cleanup_rundir CLEANUP(rundir_close)

#endif
