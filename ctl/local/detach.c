#include "ctl/local/detach.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "ctl/terminal.h"

static int wait_for_child(pid_t pid, int fd)
{
    char byte;
    ssize_t length;
    do {
        length = read(fd, &byte, 1);
    } while (length < 0 && errno == EINTR);
    if (length == 1)
        return 0;
    int status;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int detach_fork(struct detach *detach, struct error **err)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0)
        return error_make(err, errno, "cannot make a pipe: %s", strerror(errno));
    cleanup_close int read_fd = fds[0];
    cleanup_close int write_fd = fds[1];
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        return error_make(err, errno, "cannot fork: %s", strerror(errno));
    if (pid == 0) {
        setsid();
        detach->report_fd = STEAL_FD(write_fd);
        return -1;
    }
    close(STEAL_FD(write_fd));
    return wait_for_child(pid, read_fd);
}

void detach_ready(void *context, const struct rundir *dir)
{
    struct detach *detach = context;
    cleanup_close int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    cleanup_close int log_fd =
        openat(dir->fd, "up.log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    fflush(NULL);
    /* Nothing of the terminal stays open: who waits for our output's end would wait for ever. */
    dup2(null_fd, 0);
    dup2(log_fd < 0 ? null_fd : log_fd, 1);
    dup2(log_fd < 0 ? null_fd : log_fd, 2);
    terminal_own_file();
    char byte = 1;
    ssize_t written = write(detach->report_fd, &byte, 1);
    (void)written;
    close(STEAL_FD(detach->report_fd));
}
