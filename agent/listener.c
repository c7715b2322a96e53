/* Accepting connections, and who they come from. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/io_private.h"
#include "base/clock.h"

enum {
    ACCEPT_BATCH = 64,
    ACCEPT_BATCH_SHARED = 1, /* so that replicas that share a socket share its connections */
};

/* After running out of descriptors, how long until the next try. */
#define ACCEPT_PAUSE_NS (100 * NS_PER_MS)

/* How long a replica at its capacity leaves a connection to the others. */
#define ACCEPT_YIELD_NS (1 * NS_PER_MS)

/* The address as IPv6, IPv4 mapped into it. */
static struct in6_addr address_of(const struct sockaddr_storage *peer)
{
    struct in6_addr address = IN6ADDR_ANY_INIT;
    if (peer->ss_family == AF_INET6) {
        address = ((const struct sockaddr_in6 *)peer)->sin6_addr;
    } else if (peer->ss_family == AF_INET) {
        address.s6_addr[10] = address.s6_addr[11] = 0xff;
        memcpy(&address.s6_addr[12], &((const struct sockaddr_in *)peer)->sin_addr, 4);
    }
    return address;
}

static void write_text(char text[SOURCE_TEXT_MAX], const struct in6_addr *address)
{
    if (IN6_IS_ADDR_V4MAPPED(address))
        inet_ntop(AF_INET, &address->s6_addr[12], text, SOURCE_TEXT_MAX);
    else
        inet_ntop(AF_INET6, address, text, SOURCE_TEXT_MAX);
}

/* The number of the label value `from` for this address; 0, "other", past limits.sources of them.
 */
static uint32_t source_of(struct io *io, const struct sockaddr_storage *peer)
{
    struct agent *agent = io->agent;
    struct in6_addr address = address_of(peer);
    uint32_t count = agent->source_count;
    for (uint32_t i = 1; i < count; i++)
        if (memcmp(&io->source_addresses[i], &address, sizeof address) == 0)
            return i;
    if (count > io->source_limit)
        return 0;
    io->source_addresses[count] = address;
    write_text(agent->sources[count], &address);
    __atomic_store_n(&agent->source_count, count + 1, __ATOMIC_RELEASE);
    return count;
}

static void set_paused(struct io *io, struct listener *listener, bool paused)
{
    struct epoll_event event = {.events = paused ? 0 : EPOLLIN,
                                .data.u64 =
                                    IO_EVENT_LISTENER | (uint64_t)(listener - io->listeners)};
    if (listener->paused == paused)
        return;
    epoll_ctl(io->epoll, EPOLL_CTL_MOD, listener->fd, &event);
    listener->paused = paused;
}

/* No descriptor or no room is left: connections wait in the backlog, and are not lost. */
static void pause_accepting(struct io *io, struct listener *listener)
{
    metric_add(io->agent->metrics.accept_pauses, 1);
    set_paused(io, listener, true);
    io->accept_again_ns = io->now_ns + ACCEPT_PAUSE_NS;
}

void listener_resume(struct io *io)
{
    io->accept_again_ns = 0;
    for (size_t i = 0; i < io->listener_count; i++)
        if (io->listeners[i].fd >= 0)
            set_paused(io, &io->listeners[i], false);
}

void listener_accept(struct io *io, struct listener *listener)
{
    unsigned limit = io_config(io)->limits.connections;
    unsigned batch = listener->shared ? ACCEPT_BATCH_SHARED : ACCEPT_BATCH;
    /* All our workers are busy: another replica that has some to spare may take the connection; if
     * none does, it is ours a moment later. */
    if (listener->shared && __atomic_load_n(&io->agent->egress_capped, __ATOMIC_RELAXED) &&
        !io->yielded) {
        set_paused(io, listener, true);
        io->yielded = true;
        io->accept_again_ns = io->now_ns + ACCEPT_YIELD_NS;
        return;
    }
    io->yielded = false;
    for (unsigned i = 0; i < batch; i++) {
        struct sockaddr_storage peer = {0};
        socklen_t size = sizeof peer;
        if (io->connections.used == io->connections.capacity) {
            pause_accepting(io, listener);
            return;
        }
        int fd =
            accept4(listener->fd, (struct sockaddr *)&peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
            pause_accepting(io, listener);
            return;
        }
        if (fd < 0)
            return; /* EAGAIN: none waits, or another replica had it */
        const int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        connection_open(io, fd, listener->kind, source_of(io, &peer),
                        io->connections.used >= limit);
    }
}

void listener_close_all(struct io *io, bool shared_only)
{
    for (size_t i = 0; i < io->listener_count; i++) {
        struct listener *listener = &io->listeners[i];
        if (listener->fd < 0 || (shared_only && !listener->shared))
            continue;
        epoll_ctl(io->epoll, EPOLL_CTL_DEL, listener->fd, NULL);
        close(listener->fd);
        listener->fd = -1;
    }
}
