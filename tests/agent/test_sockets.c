#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/sockets.h"

enum { MAX = 4, TEXT = 512 };

static int some_socket(bool listening, unsigned *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_geq(fd, 0);
    cr_assert_eq(bind(fd, (const struct sockaddr *)&address, size), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    cr_assert(!listening || listen(fd, 16) == 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

/* A port that nobody has, at least a moment ago. */
static unsigned free_port(void)
{
    unsigned port;
    close(some_socket(false, &port));
    return port;
}

static struct agent_config *config_of(const char *bridge, const char *http, const char *admin)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    struct agent_config *config;
    char text[TEXT];
    int length = snprintf(text, sizeof text,
                          "{\"service\":\"s0\",\"listen\":{\"bridge\":[\"%s\"],\"http\":[\"%s\"],"
                          "\"admin\":[\"%s\"]}}",
                          bridge, http, admin);
    int result = agent_config_parse(text, (size_t)length, "test", &config, &problems);
    cr_assert_eq(result, 0, "%s", problems.count ? problems.texts[0] : "");
    return config;
}

static unsigned open_descriptors(void)
{
    unsigned count = 0;
    DIR *directory = opendir("/proc/self/fd");
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

static bool connects(unsigned port)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool connected = connect(fd, (const struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return connected;
}

/* A listener as it must be: never inherited by accident, never blocking. */
static bool is_sound(const struct listener *l)
{
    return fcntl(l->fd, F_GETFD) == FD_CLOEXEC && fcntl(l->fd, F_GETFL) & O_NONBLOCK && !l->paused;
}

Test(sockets, listens_at_the_configured_addresses)
{
    struct listener listeners[MAX];
    size_t count;
    unsigned ports[3] = {free_port(), free_port(), free_port()};
    char text[3][32];
    for (unsigned i = 0; i < 3; i++)
        snprintf(text[i], sizeof text[i], "127.0.0.1:%u", ports[i]);
    cleanup_agent_config struct agent_config *config = config_of(text[0], text[1], text[2]);
    cr_assert_eq(sockets_open(config, listeners, MAX, &count, NULL), 0);
    cr_assert_eq(count, 3);
    static const enum listener_kind kinds[] = {LISTEN_BRIDGE, LISTEN_HTTP, LISTEN_HTTP};
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(listeners[i].kind, kinds[i]);
        cr_assert(is_sound(&listeners[i]));
        cr_assert_not(listeners[i].shared);
        cr_assert(connects(ports[i]));
        close(listeners[i].fd);
        cr_assert_not(connects(ports[i]));
    }
    /* No room for the third: none stays open. */
    struct error *err = NULL;
    unsigned before = open_descriptors();
    cr_assert_eq(sockets_open(config, listeners, 2, &count, &err), -EINVAL);
    cr_assert_str_eq(error_message(err), "listen: more than 2 addresses");
    cr_assert_eq(open_descriptors(), before);
    cr_assert_eq(count, 3, "outputs stay as they were");
    error_free(err);
}

Test(sockets, a_taken_port_is_told)
{
    struct listener listeners[MAX];
    struct error *err = NULL;
    size_t count = 99;
    unsigned port;
    char taken[32], fine[32], expected[256];
    int fd = some_socket(true, &port);
    snprintf(taken, sizeof taken, "127.0.0.1:%u", port);
    snprintf(fine, sizeof fine, "127.0.0.1:%u", free_port());
    cleanup_agent_config struct agent_config *config = config_of(fine, taken, fine);
    unsigned before = open_descriptors();
    cr_assert_eq(sockets_open(config, listeners, MAX, &count, &err), -EADDRINUSE);
    snprintf(expected, sizeof expected,
             "%s: the port is taken by another process; stop it, or give another port in listen",
             taken);
    cr_assert_str_eq(error_message(err), expected);
    cr_assert_eq(open_descriptors(), before, "the first one stayed open");
    cr_assert_eq(count, 99);
    error_free(err);
    close(fd);
}

/* What a child that inherits `kinds` (l: listening, b: bound only, p: a pipe, -: closed) from
 * descriptor 3 on says about them. */
struct child {
    const char *kinds, *pid, *fds, *names;
    const char *expected; /* a line for each listener, or a sentence */
};

static void describe(char *text, size_t size, const struct listener *listeners, size_t count)
{
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < count; i++)
        at += (size_t)snprintf(text + at, size - at, "%d %s%s%s\n", listeners[i].fd,
                               listeners[i].kind == LISTEN_BRIDGE ? "bridge" : "http",
                               listeners[i].shared ? " shared" : "",
                               is_sound(&listeners[i]) ? "" : " unsound");
}

/* In the child: no assertion may fail here. */
static void __attribute__((noreturn))
act(const struct child *child, const int *inherited, int answer, const struct agent_config *config)
{
    struct listener listeners[MAX];
    struct error *err = NULL;
    size_t count = 0;
    char text[TEXT], pid[16];
    int high = fcntl(answer, F_DUPFD, 200), fds[8];
    size_t kinds = strlen(child->kinds);
    for (size_t i = 0; i < kinds; i++)
        fds[i] = inherited[i] < 0 ? -1 : fcntl(inherited[i], F_DUPFD, 100);
    for (size_t i = 0; i < kinds; i++) {
        close(3 + (int)i);
        if (fds[i] >= 0)
            dup2(fds[i], 3 + (int)i);
    }
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("LISTEN_PID", child->pid ? child->pid : pid, 1);
    setenv("LISTEN_FDS", child->fds, 1);
    if (child->names)
        setenv("LISTEN_FDNAMES", child->names, 1);
    if (sockets_open(config, listeners, MAX, &count, &err) == 0)
        describe(text, sizeof text, listeners, count);
    else
        snprintf(text, sizeof text, "%s", error_message(err));
    ssize_t sent = write(high, text, strlen(text));
    _exit(sent < 0);
}

static void check_child(const struct child *child, const struct agent_config *config)
{
    int inherited[8], answer[2], others[2];
    unsigned port;
    char text[TEXT];
    cr_assert_eq(pipe(answer), 0);
    cr_assert_eq(pipe(others), 0);
    size_t kinds = strlen(child->kinds);
    for (size_t i = 0; i < kinds; i++)
        inherited[i] = child->kinds[i] == '-'   ? -1
                       : child->kinds[i] == 'p' ? others[0]
                                                : some_socket(child->kinds[i] == 'l', &port);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0)
        act(child, inherited, answer[1], config);
    close(answer[1]);
    size_t length = 0;
    ssize_t got;
    while ((got = read(answer[0], text + length, sizeof text - 1 - length)) > 0)
        length += (size_t)got;
    text[length] = '\0';
    int status;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child ended with %d", status);
    cr_assert_str_eq(text, child->expected, "%s with %s: %s", child->kinds, child->names, text);
    for (size_t i = 0; i < kinds; i++)
        if (child->kinds[i] == 'l' || child->kinds[i] == 'b')
            close(inherited[i]);
    close(answer[0]);
    close(others[0]);
    close(others[1]);
}

Test(sockets, are_inherited, .timeout = 60)
{
    static const struct child children[] = {
        {"lll", NULL, "3", "bridge:http:admin", "3 bridge shared\n4 http shared\n5 http\n"},
        {"ll", NULL, "2", "http:http", "3 http shared\n4 http shared\n"},
        {"l", NULL, "1", "bridge", "3 bridge shared\n"},
        {"ll", NULL, "2", "bridge:https",
         "LISTEN_FDNAMES: name 2 is none of bridge, http and admin"},
        {"ll", NULL, "2", "bridge", "LISTEN_FDNAMES: name 2 is none of bridge, http and admin"},
        {"l", NULL, "1", NULL, "LISTEN_FDNAMES: name 1 is none of bridge, http and admin"},
        {"l", NULL, "1", "bridg", "LISTEN_FDNAMES: name 1 is none of bridge, http and admin"},
        {"lb", NULL, "2", "bridge:http", "LISTEN_FDS: descriptor 4 is no listening socket"},
        {"lp", NULL, "2", "bridge:http", "LISTEN_FDS: descriptor 4 is no listening socket"},
        {"l-", NULL, "2", "bridge:http", "LISTEN_FDS: descriptor 4 is not open"},
    };
    cleanup_agent_config struct agent_config *config =
        config_of("127.0.0.1:1", "127.0.0.1:1", "127.0.0.1:1");
    for (unsigned i = 0; i < sizeof children / sizeof children[0]; i++)
        check_child(&children[i], config);
}

/* Meant for another process, or malformed. */
Test(sockets, variables_that_do_not_fit, .timeout = 60)
{
    struct listener listeners[MAX];
    struct error *err = NULL;
    size_t count = 0;
    char pid[16], address[32];
    unsigned port = free_port();
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    snprintf(address, sizeof address, "127.0.0.1:%u", port);
    cleanup_agent_config struct agent_config *config = config_of(address, address, address);
    static const char *const malformed[] = {"", "0", "x", "-1", "1x", "5", "99999999999999999999"};
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDNAMES", "bridge", 1);
    for (unsigned i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        setenv("LISTEN_FDS", malformed[i], 1);
        cr_assert_eq(sockets_open(config, listeners, MAX, &count, &err), -EINVAL, "%s",
                     malformed[i]);
        cr_assert_eq(strncmp(error_message(err), "LISTEN_FDS: ", 12), 0, "%s", error_message(err));
        error_free(err);
        err = NULL;
    }
    /* Another process was meant: the configuration counts, whose second address is taken then. */
    setenv("LISTEN_PID", "1", 1);
    setenv("LISTEN_FDS", "x", 1);
    cr_assert_eq(sockets_open(config, listeners, MAX, &count, &err), -EADDRINUSE);
    cr_assert_not(connects(port));
    error_free(err);
}
