#include "ctl/local/control.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/buffer.h"
#include "base/memory.h"

struct client {
    struct client *next;
    struct control *control;
    uint64_t id;
    int fd;
    bool asked; /* its request went to the handler */
    struct loop_source source;
    struct loop_timer timer;
    struct buffer in, out;
};

struct control {
    struct loop *loop;
    int fd;
    struct loop_source source;
    control_request_fn *function;
    void *context;
    uint64_t last_id;
    size_t client_count;
    struct client *clients;
};

/* sun_path holds 108 bytes and run directories may be deeper: name the directory by descriptor. */
static void socket_address(const struct rundir *dir, struct sockaddr_un *address)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d/control.sock",
             dir->fd);
}

int control_parse(const char *line, size_t length, json_t **ret_request, struct error **err)
{
    json_error_t where;
    json_auto_t *request = json_loadb(line, length, JSON_REJECT_DUPLICATES, &where);
    if (!request)
        return error_make(err, EINVAL, "the request is not JSON: %s", where.text);
    if (!json_is_object(request) || !json_is_string(json_object_get(request, "verb")))
        return error_make(err, EINVAL, "the request has no \"verb\"; send {\"verb\":\"ps\"}");
    *ret_request = json_incref(request);
    return 0;
}

json_t *control_refusal(int status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    cleanup_free char *text = xvasprintf(format, arguments);
    va_end(arguments);
    return json_pack("{s:b, s:i, s:s}", "ok", 0, "status", status, "error", text);
}

static void client_close(struct client *client)
{
    struct control *control = client->control;
    struct client **at = &control->clients;
    while (*at != client)
        at = &(*at)->next;
    *at = client->next;
    control->client_count--;
    loop_remove(control->loop, &client->source);
    loop_timer_stop(control->loop, &client->timer);
    close(client->fd);
    buffer_free(&client->in);
    buffer_free(&client->out);
    free(client);
}

static void client_expired(void *context)
{
    client_close(context);
}

static void client_write(struct client *client)
{
    while (client->out.length > 0) {
        ssize_t sent = send(client->fd, client->out.data, client->out.length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN)
            return loop_modify(client->control->loop, &client->source, EPOLLOUT);
        if (sent < 0)
            break;
        buffer_consume(&client->out, (size_t)sent);
    }
    client_close(client);
}

static void client_answer(struct client *client, json_t *answer)
{
    cleanup_free char *text = json_dumps(answer, JSON_COMPACT);
    json_decref(answer);
    if (!text || buffer_puts(&client->out, text) < 0 || buffer_puts(&client->out, "\n") < 0)
        return client_close(client);
    /* A client that does not read its answer is not kept for ever either. */
    loop_timer_set(client->control->loop, &client->timer, clock_monotonic_ns() + CONTROL_TIMEOUT_NS,
                   client_expired, client);
    client_write(client);
}

static void client_ask(struct client *client, size_t length)
{
    struct control *control = client->control;
    cleanup_error struct error *err = NULL;
    json_auto_t *request = NULL;
    if (control_parse(client->in.data, length, &request, &err) < 0)
        return client_answer(client, control_refusal(2, "%s", error_message(err)));
    loop_timer_stop(control->loop, &client->timer);
    client->asked = true;
    control->function(control->context, client->id, request);
}

static void on_client(void *context, uint32_t events)
{
    struct client *client = context;
    if (client->out.length > 0)
        return client_write(client);
    if (client->asked) /* it has hung up, or sends more than one request */
        return client_close(client);
    if (buffer_reserve(&client->in, 4096) < 0)
        return client_answer(client,
                             control_refusal(2, "the request is over %d bytes", CONTROL_LINE_MAX));
    ssize_t length = recv(client->fd, client->in.data + client->in.length, 4096, 0);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (length <= 0)
        return client_close(client);
    (void)events;
    client->in.length += (size_t)length;
    char *end = memchr(client->in.data, '\n', client->in.length);
    if (end)
        client_ask(client, (size_t)(end - client->in.data));
}

static bool trusted(int fd)
{
    struct ucred peer;
    socklen_t length = sizeof(peer);
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
           (peer.uid == geteuid() || peer.uid == 0);
}

static void on_accept(void *context, uint32_t events)
{
    (void)events;
    struct control *control = context;
    cleanup_close int fd = accept4(control->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 || control->client_count >= CONTROL_CLIENTS_MAX || !trusted(fd))
        return;
    struct client *client = xcalloc(1, sizeof(*client));
    client->control = control;
    client->id = ++control->last_id;
    client->in = (struct buffer)BUFFER_INIT(CONTROL_LINE_MAX);
    client->out = (struct buffer)BUFFER_INIT(CONTROL_ANSWER_MAX);
    if (loop_add(control->loop, &client->source, fd, EPOLLIN, on_client, client, NULL) < 0) {
        free(client);
        return;
    }
    client->fd = STEAL_FD(fd);
    client->next = control->clients;
    control->clients = client;
    control->client_count++;
    loop_timer_set(control->loop, &client->timer, clock_monotonic_ns() + CONTROL_TIMEOUT_NS,
                   client_expired, client);
}

int control_new(struct loop *loop, const struct rundir *dir, control_request_fn *function,
                void *context, struct control **ret_control, struct error **err)
{
    struct sockaddr_un address;
    socket_address(dir, &address);
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(fd, CONTROL_CLIENTS_MAX) < 0)
        return error_make(err, errno, "%s/control.sock: cannot listen: %s", dir->path,
                          strerror(errno));
    struct control *control = xcalloc(1, sizeof(*control));
    int r = loop_add(loop, &control->source, fd, EPOLLIN, on_accept, control, err);
    if (r < 0) {
        free(control);
        return r;
    }
    control->loop = loop;
    control->fd = STEAL_FD(fd);
    control->function = function;
    control->context = context;
    *ret_control = control;
    return 0;
}

void control_answer(struct control *control, uint64_t id, json_t *answer)
{
    for (struct client *client = control->clients; client; client = client->next)
        if (client->id == id)
            return client_answer(client, answer);
    json_decref(answer);
}

void control_free(struct control *control)
{
    if (!control)
        return;
    for (struct client *client = control->clients, *next; client; client = next) {
        next = client->next;
        if (client->out.length > 0)
            send(client->fd, client->out.data, client->out.length, MSG_NOSIGNAL);
        client_close(client);
    }
    loop_remove(control->loop, &control->source);
    close(control->fd);
    free(control);
}

static int client_connect(const struct rundir *dir, int *ret_fd, struct error **err)
{
    struct sockaddr_un address;
    socket_address(dir, &address);
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return error_make(err, errno, "%s/control.sock: cannot connect: %s", dir->path,
                          strerror(errno));
    *ret_fd = STEAL_FD(fd);
    return 0;
}

/* Reads to the end of the connection, timeout_ns at most. */
static int client_receive(int fd, uint64_t timeout_ns, struct buffer *answer, struct error **err)
{
    struct timeval limit = {(time_t)(timeout_ns / NS_PER_S),
                            (suseconds_t)(timeout_ns % NS_PER_S / NS_PER_US)};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    for (;;) {
        int r = buffer_reserve(answer, 4096);
        if (r < 0)
            return error_make(err, -r, "the supervisor's answer is over %d bytes",
                              CONTROL_ANSWER_MAX);
        ssize_t length = recv(fd, answer->data + answer->length, 4096, 0);
        if (length < 0 && errno == EINTR)
            continue;
        if (length < 0 && errno == EAGAIN)
            return error_make(err, ETIMEDOUT, "no answer in time; it goes on without us");
        if (length < 0)
            return error_make(err, errno, "cannot read the answer: %s", strerror(errno));
        if (length == 0)
            return 0;
        answer->length += (size_t)length;
    }
}

int control_call(const struct rundir *dir, json_t *request, uint64_t timeout_ns, bool until_gone,
                 json_t **ret_answer, struct error **err)
{
    cleanup_free char *text = json_dumps(request, JSON_COMPACT);
    json_decref(request);
    cleanup_free char *line = xasprintf("%s\n", text);
    cleanup_close int fd = -1;
    cleanup_close int lock_fd = until_gone ? rundir_watch(dir) : -1;
    int r = client_connect(dir, &fd, err);
    if (r < 0)
        return r;
    if (send(fd, line, strlen(line), MSG_NOSIGNAL) != (ssize_t)strlen(line))
        return error_make(err, errno, "cannot send the request: %s", strerror(errno));

    cleanup_buffer struct buffer answer = BUFFER_INIT(CONTROL_ANSWER_MAX);
    r = client_receive(fd, timeout_ns, &answer, err);
    if (r < 0)
        return r;
    json_error_t where;
    json_auto_t *parsed = json_loadb(answer.data ? answer.data : "", answer.length, 0, &where);
    if (!parsed)
        return error_make(err, ECONNRESET, "application %s ended without an answer", dir->name);
    rundir_wait(lock_fd);
    *ret_answer = json_incref(parsed);
    return 0;
}
