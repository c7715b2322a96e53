#include "ctl/local/process.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buffer.h"

static void wait_for(int pidfd)
{
    struct pollfd poller = {.fd = pidfd, .events = POLLIN};
    cr_assert_eq(poll(&poller, 1, 10000), 1);
}

/* Runs /bin/sh -c script and returns what it printed, its end in *ret_code and *ret_signal. */
static char *run(const char *script, const int *fds, const char *const *names, size_t count,
                 int *ret_code, int *ret_signal)
{
    int output[2];
    cr_assert_eq(pipe2(output, O_CLOEXEC), 0);
    const char *const argv[] = {"sh", "-c", script, NULL};
    struct process_spec spec = {"/bin/sh", argv, fds, names, count, output[1]};
    pid_t pid;
    int pidfd;
    cleanup_error struct error *err = NULL;
    cr_assert_eq(process_spawn(&spec, &pid, &pidfd, &err), 0, "%s", error_message(err));
    close(output[1]);
    struct buffer text = BUFFER_INIT(65536);
    char bytes[512];
    ssize_t length;
    while ((length = read(output[0], bytes, sizeof(bytes))) > 0)
        buffer_append(&text, bytes, (size_t)length);
    close(output[0]);
    wait_for(pidfd);
    cr_assert_eq(process_reap(pidfd, ret_code, ret_signal), 0);
    close(pidfd);
    return buffer_terminate(&text);
}

Test(process, inherits_exactly_the_listed_descriptors)
{
    /* Pipes that lie where they shall not go, in the wrong order, and one that is left open. */
    int stray = open("/dev/null", O_RDONLY);
    int pipes[2][2];
    cr_assert(pipe(pipes[0]) == 0 && pipe(pipes[1]) == 0);
    cr_assert_eq(write(pipes[0][1], "first\n", 6), 6);
    cr_assert_eq(write(pipes[1][1], "second\n", 7), 7);
    int fds[] = {pipes[1][0], pipes[0][0]};
    static const char *const names[] = {"bridge", "admin"};
    setenv("LISTEN_FDS", "77", 1);
    setenv("LISTEN_FDNAMES", "old", 1);
    int code, signal_number;
    char *text =
        run("echo $LISTEN_FDS $LISTEN_FDNAMES $((LISTEN_PID == $$)); head -1 <&3; head -1 <&4; "
            "cat; for fd in 5 6 7 8 9; do [ -e /proc/self/fd/$fd ] && echo leak $fd; done; "
            "grep -c '^Sig\\(Blk\\|Ign\\):.*0000000000000000$' /proc/self/status; exit 7",
            fds, names, 2, &code, &signal_number);
    cr_expect_str_eq(text, "2 bridge:admin 1\nsecond\nfirst\n2\n");
    cr_expect_eq(code, 7);
    cr_expect_eq(signal_number, 0);
    free(text);
    close(stray);
    for (int i = 0; i < 2; i++) {
        close(pipes[i][0]);
        close(pipes[i][1]);
    }
}

Test(process, tells_how_a_child_ended)
{
    int code, signal_number;
    char *text = run("kill -9 $$", NULL, NULL, 0, &code, &signal_number);
    cr_expect(code == -1 && signal_number == SIGKILL);
    free(text);
    text = process_describe_end(-1, SIGKILL);
    cr_expect_str_eq(text, "killed by signal 9 (Killed)");
    free(text);
    text = process_describe_end(3, 0);
    cr_expect_str_eq(text, "exit status 3");
    free(text);
}

Test(process, reports_what_exec_says)
{
    const char *const argv[] = {"x", NULL};
    static const struct {
        const char *program;
        int number;
    } cases[] = {{"/nonexistent/agent", ENOENT}, {"/etc", EACCES}, {"/etc/passwd", EACCES}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cleanup_error struct error *err = NULL;
        struct process_spec spec = {cases[i].program, argv, NULL, NULL, 0, 1};
        pid_t pid = -5;
        int pidfd = -5;
        cr_expect_eq(process_spawn(&spec, &pid, &pidfd, &err), -cases[i].number, "%s",
                     error_message(err));
        cr_expect(strstr(error_message(err), cases[i].program));
        cr_expect(pid == -5 && pidfd == -5);
    }
}

Test(process, knows_start_times)
{
    uint64_t ours, again;
    cr_assert_eq(process_start_time(getpid(), &ours), 0);
    cr_assert_eq(process_start_time(getpid(), &again), 0);
    cr_expect(ours == again && ours > 0);
    cr_expect_eq(process_start_time(0x3ffffff, &again), -ESRCH);
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    siginfo_t info;
    waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
    cr_expect_eq(process_start_time(pid, &again), -ESRCH, "a zombie counts as none");
    waitid(P_PID, (id_t)pid, &info, WEXITED);
}

/* A middle process dies by SIGKILL: its child must get SIGTERM. */
Test(process, children_do_not_outlive_us, .timeout = 20)
{
    int output[2];
    cr_assert_eq(pipe(output), 0);
    pid_t middle = fork();
    if (middle == 0) {
        const char *const argv[] = {
            "sh", "-c", "trap 'echo drained; exit 0' TERM; echo up; while :; do sleep 0.05; done",
            NULL};
        struct process_spec spec = {"/bin/sh", argv, NULL, NULL, 0, output[1]};
        pid_t pid;
        int pidfd;
        if (process_spawn(&spec, &pid, &pidfd, NULL) < 0)
            _exit(1);
        pause();
        _exit(1);
    }
    close(output[1]);
    char bytes[64] = "";
    cr_assert_eq(read(output[0], bytes, sizeof(bytes) - 1), 3);
    cr_assert_str_eq(bytes, "up\n");
    kill(middle, SIGKILL);
    memset(bytes, 0, sizeof(bytes));
    cr_assert_gt(read(output[0], bytes, sizeof(bytes) - 1), 0);
    cr_expect_str_eq(bytes, "drained\n");
    cr_expect_eq(read(output[0], bytes, sizeof(bytes)), 0, "it has ended");
    close(output[0]);
}
