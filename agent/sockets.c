#include "agent/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/text.h"

enum { FIRST_INHERITED = 3, BACKLOG = 4096 };

/* "host:port" or "[host]:port" in two strings; the caller frees them. */
static int split(const char *address, char **ret_host, char **ret_port, struct error **err)
{
    const char *colon = strrchr(address, ':');
    if (!colon || colon == address || !colon[1])
        return error_make(err, EINVAL, "%s: give address:port, such as 0.0.0.0:5005 or [::]:5005",
                          address);
    const char *host = address, *end = colon;
    if (*host == '[' && end[-1] == ']') {
        host++;
        end--;
    }
    *ret_host = xstrndup(host, (size_t)(end - host));
    *ret_port = xstrdup(colon + 1);
    return 0;
}

static int bind_one(const struct addrinfo *info, const char *address, struct error **err)
{
    const int on = 1;
    cleanup_close int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_make(err, errno, "%s: can't make a socket: %s", address, strerror(errno));
    /* Not SO_REUSEPORT: a second agent on the same port must be told, not share it in silence. */
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, info->ai_addr, info->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0) {
        if (errno == EADDRINUSE)
            return error_make(err, EADDRINUSE,
                              "%s: the port is taken by another process; stop it, or give another "
                              "port in listen",
                              address);
        return error_make(err, errno, "%s: can't listen: %s", address, strerror(errno));
    }
    return STEAL_FD(fd);
}

static int bind_address(const char *address, struct error **err)
{
    cleanup_free char *host = NULL, *port = NULL;
    int result = split(address, &host, &port, err);
    if (result < 0)
        return result;
    const struct addrinfo hints = {.ai_family = AF_UNSPEC,
                                   .ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *info = NULL;
    int failed = getaddrinfo(host, port, &hints, &info);
    if (failed)
        return error_make(err, EINVAL, "%s: %s; give a numeric address and a port", address,
                          gai_strerror(failed));
    result = bind_one(info, address, err);
    freeaddrinfo(info);
    return result;
}

static int bind_all(char *const *addresses, size_t count, enum listener_kind kind,
                    struct listener *listeners, size_t max, size_t *at, struct error **err)
{
    for (size_t i = 0; i < count; i++) {
        if (*at == max)
            return error_make(err, EINVAL, "listen: more than %zu addresses", max);
        int fd = bind_address(addresses[i], err);
        if (fd < 0)
            return fd;
        listeners[(*at)++] = (struct listener){.fd = fd, .kind = kind};
    }
    return 0;
}

/* The sockets that the parent made, when it made any. */
static int inherit(struct listener *listeners, size_t max, size_t *ret_count, struct error **err)
{
    const char *pid = getenv("LISTEN_PID"), *count_text = getenv("LISTEN_FDS");
    const char *names = getenv("LISTEN_FDNAMES");
    uint64_t count;
    *ret_count = 0;
    if (!pid || !count_text || strtoul(pid, NULL, 10) != (unsigned long)getpid())
        return 0;
    if (text_parse_unsigned(count_text, 1, max, &count, err) < 0)
        return error_prefix(err, -EINVAL, "LISTEN_FDS");
    for (size_t i = 0; i < count; i++) {
        size_t length = names ? strcspn(names, ":") : 0;
        int fd = FIRST_INHERITED + (int)i;
        bool bridge = length == 6 && memcmp(names, "bridge", 6) == 0;
        bool http = length == 4 && memcmp(names, "http", 4) == 0;
        bool admin = length == 5 && memcmp(names, "admin", 5) == 0;
        if (!bridge && !http && !admin)
            return error_make(err, EINVAL,
                              "LISTEN_FDNAMES: name %zu is none of bridge, http and admin", i + 1);
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ||
            fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
            return error_make(err, EINVAL, "LISTEN_FDS: descriptor %d is not open", fd);
        int listens = 0;
        socklen_t size = sizeof listens;
        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) < 0 || !listens)
            return error_make(err, EINVAL, "LISTEN_FDS: descriptor %d is no listening socket", fd);
        listeners[(*ret_count)++] =
            (struct listener){.fd = fd,
                              .kind = bridge ? LISTEN_BRIDGE : LISTEN_HTTP,
                              .shared = !admin}; /* an admin socket is one replica's own */
        names += length + (names[length] == ':');
    }
    return 0;
}

int sockets_open(const struct agent_config *config, struct listener *listeners, size_t max,
                 size_t *ret_count, struct error **err)
{
    size_t count = 0;
    int result = inherit(listeners, max, &count, err);
    if (result == 0 && count == 0) {
        result = bind_all(config->listen.bridge, config->listen.bridge_count, LISTEN_BRIDGE,
                          listeners, max, &count, err);
        if (result == 0)
            result = bind_all(config->listen.http, config->listen.http_count, LISTEN_HTTP,
                              listeners, max, &count, err);
        if (result == 0)
            result = bind_all(config->listen.admin, config->listen.admin_count, LISTEN_HTTP,
                              listeners, max, &count, err);
    }
    if (result < 0) {
        for (size_t i = 0; i < count; i++)
            close(listeners[i].fd);
        return result;
    }
    *ret_count = count;
    return 0;
}
