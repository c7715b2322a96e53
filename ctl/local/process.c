#include "ctl/local/process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/memory.h"

enum { FIRST_FD = 3, PID_DIGITS = 20 };

/* All that the child needs, made before fork(): after it only async-signal-safe calls are allowed.
 */
struct launch {
    const struct process_spec *spec;
    char **environment;
    char *listen_pid; /* "LISTEN_PID=" with room for the digits, in environment */
    pid_t parent;
    int error_fd;
};

static bool is_listen_variable(const char *entry)
{
    return strncmp(entry, "LISTEN_FDS=", 11) == 0 || strncmp(entry, "LISTEN_PID=", 11) == 0 ||
           strncmp(entry, "LISTEN_FDNAMES=", 15) == 0;
}

static char *join_names(const struct process_spec *spec)
{
    struct buffer text = BUFFER_INIT(16384);
    for (size_t i = 0; i < spec->fd_count; i++)
        buffer_printf(&text, "%s%s", i ? ":" : "LISTEN_FDNAMES=", spec->fd_names[i]);
    return buffer_terminate(&text);
}

static void launch_init(struct launch *launch, const struct process_spec *spec)
{
    size_t count = 0, kept = 0;
    while (environ[count])
        count++;
    char **environment = xcalloc(count + 4, sizeof(*environment));
    for (size_t i = 0; i < count; i++)
        if (!is_listen_variable(environ[i]))
            environment[kept++] = xstrdup(environ[i]);
    if (spec->fd_count > 0) {
        launch->listen_pid = xcalloc(1, strlen("LISTEN_PID=") + PID_DIGITS + 1);
        memcpy(launch->listen_pid, "LISTEN_PID=", strlen("LISTEN_PID="));
        environment[kept++] = launch->listen_pid;
        environment[kept++] = xasprintf("LISTEN_FDS=%zu", spec->fd_count);
        environment[kept++] = join_names(spec);
    }
    launch->spec = spec;
    launch->environment = environment;
    launch->parent = getpid();
}

static void launch_free(struct launch *launch)
{
    for (size_t i = 0; launch->environment && launch->environment[i]; i++)
        free(launch->environment[i]);
    free(launch->environment);
}
#define cleanup_launch CLEANUP(launch_free)

/* printf is not async-signal-safe. */
static void write_pid(char *at, pid_t pid)
{
    char digits[PID_DIGITS];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + pid % 10);
        pid /= 10;
    } while (pid > 0);
    while (count > 0)
        *at++ = digits[--count];
    *at = '\0';
}

/* Lifts *fd above the range that dup2() is about to fill. */
static int lift(int *fd, int above)
{
    int lifted = fcntl(*fd, F_DUPFD_CLOEXEC, above);
    if (lifted < 0)
        return -errno;
    *fd = lifted;
    return 0;
}

static int child_descriptors(struct launch *launch)
{
    const struct process_spec *spec = launch->spec;
    int above = FIRST_FD + (int)spec->fd_count;
    int fds[PROCESS_FDS_MAX], output_fd = spec->output_fd;

    if (lift(&launch->error_fd, above) < 0 || lift(&output_fd, above) < 0)
        return -errno;
    for (size_t i = 0; i < spec->fd_count; i++) {
        fds[i] = spec->fds[i];
        if (lift(&fds[i], above) < 0)
            return -errno;
    }
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null_fd < 0 || lift(&null_fd, above) < 0 || dup2(null_fd, 0) < 0 ||
        dup2(output_fd, 1) < 0 || dup2(output_fd, 2) < 0)
        return -errno;
    for (size_t i = 0; i < spec->fd_count; i++)
        if (dup2(fds[i], FIRST_FD + (int)i) < 0)
            return -errno;
    /* What our own caller left open without close-on-exec is not the child's business. */
    close_range((unsigned)above, ~0U, CLOSE_RANGE_CLOEXEC);
    return 0;
}

static void child_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    /* Handlers fall back by themselves at exec, ignored signals do not. */
    struct sigaction by_default = {.sa_handler = SIG_DFL};
    sigaction(SIGPIPE, &by_default, NULL);
    sigaction(SIGHUP, &by_default, NULL);
    sigaction(SIGINT, &by_default, NULL);
    sigaction(SIGTERM, &by_default, NULL);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void __attribute__((noreturn)) child_run(struct launch *launch)
{
    int failed = 0;
    /* A parent that died before prctl() took effect sends nothing: look who our parent is now. */
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0)
        failed = errno;
    if (getppid() != launch->parent)
        _exit(1);
    setsid();
    if (!failed)
        failed = -child_descriptors(launch);
    if (!failed) {
        if (launch->listen_pid)
            write_pid(launch->listen_pid + strlen("LISTEN_PID="), getpid());
        child_signals();
        execve(launch->spec->program, (char *const *)(uintptr_t)launch->spec->argv,
               launch->environment);
        failed = errno;
    }
    ssize_t written = write(launch->error_fd, &failed, sizeof(failed));
    _exit(written == sizeof(failed) ? 127 : 126);
}

/* The child's errno when exec failed, 0 when the pipe closed at exec. */
static int read_failure(int fd)
{
    int failed = 0;
    ssize_t length;
    do {
        length = read(fd, &failed, sizeof(failed));
    } while (length < 0 && errno == EINTR);
    return length == sizeof(failed) ? failed : 0;
}

int process_spawn(const struct process_spec *spec, pid_t *ret_pid, int *ret_pidfd,
                  struct error **err)
{
    if (spec->fd_count > PROCESS_FDS_MAX)
        return error_make(err, E2BIG, "%zu sockets for one process; at most %d", spec->fd_count,
                          PROCESS_FDS_MAX);
    cleanup_close int read_fd = -1;
    cleanup_close int write_fd = -1;
    int pipe_fds[2];
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return error_make(err, errno, "cannot make a pipe: %s", strerror(errno));
    read_fd = pipe_fds[0];
    write_fd = pipe_fds[1];

    cleanup_launch struct launch launch = {.error_fd = write_fd};
    launch_init(&launch, spec);

    /* No handler of ours may run in the child before its dispositions are reset. */
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0)
        child_run(&launch);
    int fork_errno = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (pid < 0)
        return error_make(err, fork_errno, "cannot fork: %s", strerror(fork_errno));

    close(STEAL_FD(write_fd));
    int failed = read_failure(read_fd);
    if (failed) {
        waitpid(pid, NULL, 0);
        return error_make(err, failed, "cannot run %s: %s", spec->program, strerror(failed));
    }
    int pidfd = pidfd_open(pid, 0);
    if (pidfd < 0) {
        int number = errno;
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        return error_make(err, number, "cannot watch process %d: %s", pid, strerror(number));
    }
    *ret_pid = pid;
    *ret_pidfd = pidfd;
    return 0;
}

int process_reap(int pidfd, int *ret_code, int *ret_signal)
{
    siginfo_t info = {0};
    if (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG) < 0)
        return -errno;
    if (info.si_pid == 0)
        return -EAGAIN;
    bool exited = info.si_code == CLD_EXITED;
    *ret_code = exited ? info.si_status : -1;
    *ret_signal = exited ? 0 : info.si_status;
    return 0;
}

char *process_describe_end(int code, int signal)
{
    if (signal == 0)
        return xasprintf("exit status %d", code);
    return xasprintf("killed by signal %d (%s)", signal, strsignal(signal));
}

int process_start_time(pid_t pid, uint64_t *ret_ticks)
{
    char path[64], text[1024];
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    cleanup_file FILE *file = fopen(path, "re");
    if (!file)
        return -ESRCH;
    size_t length = fread(text, 1, sizeof(text) - 1, file);
    text[length] = '\0';

    /* The second field is the program's name in parentheses, and may hold any byte. */
    const char *at = strrchr(text, ')');
    char state;
    unsigned long long ticks;
    if (!at || sscanf(at + 1,
                      " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d"
                      " %llu",
                      &state, &ticks) != 2)
        return -ESRCH;
    if (state == 'Z' || state == 'X')
        return -ESRCH;
    *ret_ticks = ticks;
    return 0;
}
