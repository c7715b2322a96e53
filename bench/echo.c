/*
 * echo: the control of the bridge's benchmarks. A raw epoll server in one thread that sends back
 * the bytes it reads: the least that any server on sockets can do for a request, and nothing else.
 *
 *     echo [--listen ADDRESS:PORT] [--delay MICROSECONDS]
 *
 * Prints "listening on ADDRESS:PORT" once it listens (port 0 takes a free one), and ends on SIGTERM
 * or SIGINT. With --delay each chunk goes back that much after it was read: deadlines are in order
 * of arrival, so a FIFO and the timeout of the one epoll wait are all the timers there are, and
 * each wake sends everything that is due.
 */
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"

enum { EVENTS = 512, INPUT = 256 << 10 };

/* What was read and has not gone back: data[head..tail); `due` bytes of it may go now. */
struct client {
    int fd;
    uint32_t generation; /* of the descriptor: chunks of an earlier client are void */
    char *data;
    size_t head, tail, capacity, due;
    bool dirty; /* is in the list of clients to send to */
};

struct chunk {
    uint64_t deadline_ns;
    uint32_t fd, generation;
    size_t length;
};

static struct client *clients; /* by descriptor */
static size_t client_max;
static struct chunk *chunks; /* ring, chunk_max a power of two */
static size_t chunk_head, chunk_tail, chunk_max;
static uint32_t *dirty;
static size_t dirty_count;
static uint64_t delay_ns;
static char input[INPUT];
static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    stopped = number;
}

static void drop(struct client *client)
{
    close(client->fd);
    free(client->data);
    *client =
        (struct client){.fd = -1, .generation = client->generation + 1, .dirty = client->dirty};
}

static void keep(struct client *client, const char *data, size_t length)
{
    if (client->head == client->tail)
        client->head = client->tail = 0;
    if (client->capacity - client->tail < length) {
        size_t used = client->tail - client->head;
        memmove(client->data, client->data ? client->data + client->head : client->data, used);
        client->head = 0;
        client->tail = used;
        if (client->capacity - used < length) {
            client->capacity = (used + length) * 2;
            client->data = xreallocarray(client->data, client->capacity, 1);
        }
    }
    memcpy(client->data + client->tail, data, length);
    client->tail += length;
}

/* Sends what is due of what was kept. False when the client is gone. */
static bool flush(struct client *client)
{
    while (client->due > 0) {
        ssize_t sent = send(client->fd, client->data + client->head, client->due, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno == EAGAIN)
                return true; /* EPOLLOUT comes */
            drop(client);
            return false;
        }
        client->head += (size_t)sent;
        client->due -= (size_t)sent;
    }
    return true;
}

static void schedule(struct client *client, size_t length, uint64_t now)
{
    if (chunk_tail - chunk_head == chunk_max) {
        size_t max = chunk_max ? chunk_max * 2 : 4096;
        struct chunk *grown = xreallocarray(NULL, max, sizeof(*grown));
        for (size_t i = chunk_head; i != chunk_tail; i++)
            grown[i & (max - 1)] = chunks[i & (chunk_max - 1)];
        free(chunks);
        chunks = grown;
        chunk_max = max;
    }
    chunks[chunk_tail++ & (chunk_max - 1)] =
        (struct chunk){now + delay_ns, (uint32_t)client->fd, client->generation, length};
}

/* False when the client is gone. */
static bool serve(struct client *client, uint64_t now)
{
    for (;;) {
        ssize_t size = recv(client->fd, input, sizeof(input), 0);
        if (size < 0 && errno == EAGAIN)
            return true;
        if (size <= 0) {
            drop(client);
            return false;
        }
        size_t length = (size_t)size, done = 0;
        if (delay_ns) {
            keep(client, input, length);
            schedule(client, length, now);
        } else {
            if (client->due == 0) {
                ssize_t sent = send(client->fd, input, length, MSG_NOSIGNAL);
                done = sent > 0 ? (size_t)sent : 0;
            }
            if (done < length) {
                keep(client, input + done, length - done);
                client->due += length - done;
            }
        }
        if (length < sizeof(input))
            return true;
    }
}

/* Sends each client all that is due by now, with one call. */
static void send_due(uint64_t now)
{
    for (; chunk_head != chunk_tail; chunk_head++) {
        const struct chunk *chunk = &chunks[chunk_head & (chunk_max - 1)];
        struct client *client = &clients[chunk->fd];
        if (chunk->deadline_ns > now)
            break;
        if (client->fd < 0 || client->generation != chunk->generation)
            continue;
        client->due += chunk->length;
        if (!client->dirty)
            dirty[dirty_count++] = chunk->fd;
        client->dirty = true;
    }
    for (; dirty_count > 0; dirty_count--) {
        struct client *client = &clients[dirty[dirty_count - 1]];
        client->dirty = false;
        if (client->fd >= 0)
            flush(client);
    }
}

static void take_clients(int listener, int epoll)
{
    const int one = 1;
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                    .data.fd = fd};
        if ((size_t)fd >= client_max ||
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0 ||
            epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
            close(fd);
            continue;
        }
        clients[fd].fd = fd;
    }
}

static void run(int listener, int epoll)
{
    struct epoll_event events[EVENTS];
    while (!stopped) {
        struct timespec wait = {0}, *timeout = NULL;
        uint64_t now = delay_ns ? clock_monotonic_ns() : 0;
        if (chunk_head != chunk_tail) {
            uint64_t at = chunks[chunk_head & (chunk_max - 1)].deadline_ns;
            wait.tv_nsec = at > now ? (long)((at - now) % NS_PER_S) : 0;
            wait.tv_sec = at > now ? (time_t)((at - now) / NS_PER_S) : 0;
            timeout = &wait;
        }
        int count = epoll_pwait2(epoll, events, EVENTS, timeout, NULL);
        now = delay_ns ? clock_monotonic_ns() : 0;
        for (int i = 0; i < count; i++) {
            struct client *client = &clients[events[i].data.fd];
            if (events[i].data.fd == listener)
                take_clients(listener, epoll);
            else if ((!(events[i].events & EPOLLOUT) || flush(client)) &&
                     (events[i].events & ~(uint32_t)EPOLLOUT) && serve(client, now) &&
                     (events[i].events & (EPOLLRDHUP | EPOLLHUP)))
                serve(client, now); /* finds the end of the stream */
        }
        if (delay_ns)
            send_due(now);
    }
}

static int listen_on(const char *text)
{
    char host[256];
    const char *colon = strrchr(text, ':');
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *info;
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);
    const int one = 1;
    char number[8];

    if (!colon || (size_t)(colon - text) >= sizeof(host)) {
        fprintf(stderr, "echo: --listen %s: give ADDRESS:PORT\n", text);
        exit(2);
    }
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    int r = getaddrinfo(host, colon + 1, &hints, &info);
    if (r != 0) {
        fprintf(stderr, "echo: --listen %s: %s\n", text, gai_strerror(r));
        exit(2);
    }
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        bind(fd, info->ai_addr, info->ai_addrlen) < 0 || listen(fd, 4096) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) < 0 ||
        getnameinfo((struct sockaddr *)&address, size, NULL, 0, number, sizeof(number),
                    NI_NUMERICSERV) != 0) {
        fprintf(stderr, "echo: can't listen on %s: %m\n", text);
        exit(2);
    }
    freeaddrinfo(info);
    printf("listening on %s:%s\n", host, number);
    fflush(stdout);
    return fd;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"listen", 1, NULL, 'l'}, {"delay", 1, NULL, 'd'}, {NULL, 0, NULL, 0}};
    const char *address = "127.0.0.1:0";
    char *end;
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'l') {
            address = optarg;
        } else if (c == 'd') {
            delay_ns = strtoull(optarg, &end, 10) * NS_PER_US;
            if (*end || end == optarg || *optarg == '-') {
                fprintf(stderr, "echo: --delay %s: give whole microseconds\n", optarg);
                return 2;
            }
        } else {
            fputs("Usage: echo [--listen ADDRESS:PORT] [--delay MICROSECONDS]\n", stderr);
            return 2;
        }
    }
    const struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max < 200000 ? limit.rlim_max : 200000;
    setrlimit(RLIMIT_NOFILE, &limit);
    client_max = limit.rlim_cur;
    clients = xcalloc(client_max, sizeof(*clients));
    dirty = xcalloc(client_max, sizeof(*dirty));
    for (size_t i = 0; i < client_max; i++)
        clients[i].fd = -1;

    int listener = listen_on(address), epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) < 0) {
        fprintf(stderr, "echo: can't set up epoll: %m\n");
        return 1;
    }
    run(listener, epoll);
    return 0;
}
