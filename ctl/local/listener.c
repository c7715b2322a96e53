#include "ctl/local/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "ctl/local/holder.h"

char *listener_format(const struct sockaddr_in *address, char text[LISTENER_TEXT_MAX])
{
    char host[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &address->sin_addr, host, sizeof(host));
    snprintf(text, LISTENER_TEXT_MAX, "%s:%u", host, ntohs(address->sin_port));
    return text;
}

static int taken(const struct sockaddr_in *address, int number, struct error **err)
{
    char text[LISTENER_TEXT_MAX];
    listener_format(address, text);
    if (number == EADDRINUSE) {
        cleanup_free char *holder = holder_find(address);
        return error_make(err, number, "%s is taken by %s", text,
                          holder ? holder : "another process");
    }
    if (number == EADDRNOTAVAIL)
        return error_make(err, number,
                          "%s is not an address of this machine; --address 127.0.0.1 always is",
                          text);
    if (number == EACCES)
        return error_make(err, number, "%s: ports below 1024 need root", text);
    return error_make(err, number, "%s: cannot listen: %s", text, strerror(number));
}

int listener_open(struct sockaddr_in *address, int *ret_fd, struct error **err)
{
    cleanup_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_make(err, errno, "cannot make a socket: %s", strerror(errno));
    /* Ours are TIME_WAIT leftovers to step over; a listener of another's still refuses the bind. */
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)address, sizeof(*address)) < 0 || listen(fd, INT_MAX) < 0)
        return taken(address, errno, err);
    socklen_t length = sizeof(*address);
    if (getsockname(fd, (struct sockaddr *)address, &length) < 0)
        return error_make(err, errno, "cannot read a socket's address: %s", strerror(errno));
    *ret_fd = STEAL_FD(fd);
    return 0;
}

int listener_service_address(struct in_addr base, size_t service_index, struct in_addr *ret_address)
{
    uint32_t first = ntohl(base.s_addr);
    if (service_index > 0 && (first & 0xFF) + service_index > 254)
        return -ERANGE;
    ret_address->s_addr = htonl(first + (uint32_t)service_index);
    return 0;
}
