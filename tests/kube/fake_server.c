#include "fake_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/memory.h"

enum { CONNECTIONS_MAX = 64, REQUESTS_MAX = 4096, REQUEST_BYTES = 1 << 20, REPLY_BYTES = 64 << 20 };

struct connection {
    int fd;
    struct buffer in;
};

struct fake_server {
    fake_answer *answer;
    void *context;
    pthread_t thread;
    int listener, stop;
    char url[64];
    struct connection connections[CONNECTIONS_MAX]; /* of the thread */
    size_t open;
    pthread_mutex_t lock; /* guards what follows */
    char *requests[REQUESTS_MAX];
    size_t request_count, connection_count;
};

static void require(bool truth, const char *what)
{
    if (truth)
        return;
    perror(what);
    exit(1);
}

/* The length of the request at the front of the buffer; 0: it is not all there. */
static size_t request_length(struct buffer *in)
{
    const char *text = buffer_terminate(in);
    const char *end = strstr(text, "\r\n\r\n");
    const char *length = strcasestr(text, "\r\nContent-Length:");

    if (!end)
        return 0;
    size_t whole = (size_t)(end - text) + 4;
    if (length && length < end)
        whole += strtoul(length + 17, NULL, 10);
    return in->length >= whole ? whole : 0;
}

static void send_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return; /* the client went away: its test knows */
        data += sent;
        size -= (size_t)sent;
    }
}

static void hang_up(struct fake_server *server, size_t index, bool reset)
{
    struct connection *connection = &server->connections[index];
    struct linger linger = {.l_onoff = 1, .l_linger = 0};

    if (reset)
        setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(connection->fd);
    buffer_free(&connection->in);
    *connection = server->connections[--server->open];
}

/* Answers the first request in the buffer. False: there is none, or the connection is gone. */
static bool serve(struct fake_server *server, size_t index)
{
    struct connection *connection = &server->connections[index];
    size_t length = request_length(&connection->in);

    if (length == 0)
        return false;
    char *request = xstrndup(connection->in.data, length);
    buffer_consume(&connection->in, length);
    pthread_mutex_lock(&server->lock);
    size_t number = server->request_count++;
    require(number < REQUESTS_MAX, "fake_server: too many requests");
    server->requests[number] = request;
    pthread_mutex_unlock(&server->lock);
    struct fake_reply reply = {.context = server->context,
                               .index = number,
                               .request = request,
                               .text = BUFFER_INIT(REPLY_BYTES)};
    server->answer(&reply);
    if (reply.delay_ms)
        usleep(reply.delay_ms * 1000);
    send_all(connection->fd, reply.text.data, reply.text.length);
    buffer_free(&reply.text);
    if (reply.after != FAKE_KEEP)
        hang_up(server, index, reply.after == FAKE_RESET);
    return reply.after == FAKE_KEEP;
}

static void take_connection(struct fake_server *server)
{
    int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0)
        return;
    require(server->open < CONNECTIONS_MAX, "fake_server: too many connections");
    server->connections[server->open++] =
        (struct connection){.fd = fd, .in = BUFFER_INIT(REQUEST_BYTES)};
    pthread_mutex_lock(&server->lock);
    server->connection_count++;
    pthread_mutex_unlock(&server->lock);
}

static void take_bytes(struct fake_server *server, size_t index)
{
    struct connection *connection = &server->connections[index];
    char bytes[4096];
    ssize_t size = recv(connection->fd, bytes, sizeof(bytes), 0);

    if (size <= 0 || buffer_append(&connection->in, bytes, (size_t)size) < 0) {
        hang_up(server, index, false);
        return;
    }
    while (serve(server, index))
        continue;
}

static void *run(void *context)
{
    struct fake_server *server = context;

    for (;;) {
        struct pollfd fds[CONNECTIONS_MAX + 2] = {{.fd = server->stop, .events = POLLIN},
                                                  {.fd = server->listener, .events = POLLIN}};
        size_t count = server->open;
        for (size_t i = 0; i < count; i++)
            fds[i + 2] = (struct pollfd){.fd = server->connections[i].fd, .events = POLLIN};
        if (poll(fds, count + 2, -1) < 0)
            continue;
        if (fds[0].revents)
            break;
        /* From the back: one that hangs up is replaced by the last. */
        for (size_t i = count; i-- > 0;)
            if (fds[i + 2].revents)
                take_bytes(server, i);
        if (fds[1].revents)
            take_connection(server);
    }
    while (server->open > 0)
        hang_up(server, 0, false);
    return NULL;
}

struct fake_server *fake_server_start(fake_answer *answer, void *context)
{
    struct fake_server *server = xcalloc(1, sizeof(*server));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);

    server->answer = answer;
    server->context = context;
    pthread_mutex_init(&server->lock, NULL);
    server->stop = eventfd(0, EFD_CLOEXEC);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(server->stop >= 0 && server->listener >= 0, "fake_server: socket");
    require(bind(server->listener, (struct sockaddr *)&address, length) == 0, "fake_server: bind");
    require(listen(server->listener, CONNECTIONS_MAX) == 0, "fake_server: listen");
    require(getsockname(server->listener, (struct sockaddr *)&address, &length) == 0,
            "fake_server: getsockname");
    snprintf(server->url, sizeof(server->url), "http://127.0.0.1:%u", ntohs(address.sin_port));
    require(pthread_create(&server->thread, NULL, run, server) == 0, "fake_server: thread");
    return server;
}

void fake_server_stop(struct fake_server *server)
{
    uint64_t one = 1;

    require(write(server->stop, &one, sizeof(one)) == sizeof(one), "fake_server: stop");
    pthread_join(server->thread, NULL);
    close(server->stop);
    close(server->listener);
    for (size_t i = 0; i < server->request_count; i++)
        free(server->requests[i]);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

const char *fake_server_url(const struct fake_server *server)
{
    return server->url;
}

size_t fake_server_requests(struct fake_server *server)
{
    pthread_mutex_lock(&server->lock);
    size_t count = server->request_count;
    pthread_mutex_unlock(&server->lock);
    return count;
}

size_t fake_server_connections(struct fake_server *server)
{
    pthread_mutex_lock(&server->lock);
    size_t count = server->connection_count;
    pthread_mutex_unlock(&server->lock);
    return count;
}

char *fake_server_request(struct fake_server *server, size_t index)
{
    pthread_mutex_lock(&server->lock);
    char *text = index < server->request_count ? xstrdup(server->requests[index]) : NULL;
    pthread_mutex_unlock(&server->lock);
    return text;
}

void fake_body(struct buffer *out, int status, const char *headers, const char *body)
{
    buffer_printf(out, "HTTP/1.1 %d Scripted\r\n%sContent-Length: %zu\r\n\r\n%s", status, headers,
                  strlen(body), body);
}

void fake_chunked(struct buffer *out)
{
    buffer_puts(out, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
}

void fake_chunk(struct buffer *out, const char *data, size_t size)
{
    if (size == 0)
        return;
    buffer_printf(out, "%zx\r\n", size);
    buffer_append(out, data, size);
    buffer_puts(out, "\r\n");
}

void fake_chunked_end(struct buffer *out)
{
    buffer_puts(out, "0\r\n\r\n");
}
