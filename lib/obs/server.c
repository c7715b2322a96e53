#include "obs/server.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/memory.h"

enum {
    BACKLOG = 128,
    UPLOAD_MAX = 64 << 10,       /* bytes of a request's body that are read and dropped */
    CONNECTION_MEMORY = 16 << 10 /* request line and headers; more is a 431 */
};

struct server {
    struct MHD_Daemon *daemon;
    const struct answer_hooks *hooks;
    size_t body_bytes;
    char *address;
};

/*
 * Splits "host:port", "[host]:port" or ":port". 0 and two strings (host NULL: every address), or
 * -EINVAL and a sentence.
 */
static int address_split(const char *address, char **ret_host, char **ret_port, struct error **err)
{
    const char *colon = strrchr(address, ':');
    size_t length = colon ? (size_t)(colon - address) : 0;
    bool bracketed = length >= 2 && address[0] == '[' && colon[-1] == ']';
    if (!colon || colon[1] == '\0' || (!bracketed && memchr(address, ':', length)))
        return error_make(err, EINVAL,
                          "\"%s\" is no address to listen on; give HOST:PORT, such as "
                          "127.0.0.1:9090 or [::1]:9090",
                          address);
    *ret_host = length == 0 ? NULL
                : bracketed ? xstrndup(address + 1, length - 2)
                            : xstrndup(address, length);
    *ret_port = xstrdup(colon + 1);
    return 0;
}

static int bind_fail(struct error **err, const char *address, int number)
{
    if (number == EADDRINUSE)
        return error_make(err, number,
                          "can't listen on %s: another program has this port; stop it or give "
                          "another port",
                          address);
    if (number == EADDRNOTAVAIL)
        return error_make(err, number, "can't listen on %s: this machine has no such address",
                          address);
    if (number == EACCES)
        return error_make(err, number,
                          "can't listen on %s: ports below 1024 need privileges; give a higher one",
                          address);
    return error_make(err, number, "can't listen on %s: %s", address, strerror(number));
}

/* 0 and a listening socket, or a negative errno without a sentence. */
static int listen_at(const struct addrinfo *info, int *ret_fd)
{
    int on = 1;
    cleanup_close int fd = socket(info->ai_family, info->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                                  info->ai_protocol);
    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(fd, info->ai_addr, info->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0)
        return -errno;
    *ret_fd = STEAL_FD(fd);
    return 0;
}

static int listen_on(const char *address, int *ret_fd, struct error **err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *list = NULL;
    cleanup_free char *host = NULL, *port = NULL;
    int ret = address_split(address, &host, &port, err);
    if (ret < 0)
        return ret;
    int status = getaddrinfo(host, port, &hints, &list);
    if (status != 0)
        return error_make(err, EINVAL, "can't listen on %s: %s", address, gai_strerror(status));
    ret = -EADDRNOTAVAIL;
    for (const struct addrinfo *info = list; info && ret < 0; info = info->ai_next)
        ret = listen_at(info, ret_fd);
    freeaddrinfo(list);
    return ret < 0 ? bind_fail(err, address, -ret) : 0;
}

static char *address_text(int fd)
{
    struct sockaddr_storage name;
    socklen_t size = sizeof(name);
    char host[NI_MAXHOST], port[NI_MAXSERV];
    if (getsockname(fd, (struct sockaddr *)&name, &size) < 0 ||
        getnameinfo((struct sockaddr *)&name, size, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return xstrdup("?");
    return xasprintf(strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

/* Sends an answer whose body was made for this request and is handed over. */
static enum MHD_Result answer_queue(struct MHD_Connection *connection, const struct answer *answer,
                                    struct buffer *body)
{
    /* libmicrohttpd leaves the body of a HEAD away by itself, and sends its length. */
    struct MHD_Response *response =
        MHD_create_response_from_buffer(body->length, body->data, MHD_RESPMEM_MUST_FREE);
    if (!response)
        return MHD_NO; /* closes the connection; body is still ours */
    body->data = NULL;
    buffer_free(body);
    enum MHD_Result result =
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->content_type);
    if (answer->allow)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, answer->allow);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (result == MHD_YES)
        result = MHD_queue_response(connection, (unsigned)answer->status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **state)
{
    const struct server *server = context;
    cleanup_buffer struct buffer body = BUFFER_INIT(server->body_bytes);
    struct answer answer;
    (void)version;
    (void)upload;
    /*
     * The first call is for the headers alone. Nobody has to send a body here; a short one is read
     * and dropped, because an answer before it was read could be lost in a TCP reset. state counts.
     */
    uintptr_t received = (uintptr_t)*state;
    *state = (void *)(received + 1 + *upload_size);
    if (received > UPLOAD_MAX)
        return MHD_NO; /* closes the connection */
    if (received == 0 || *upload_size > 0) {
        *upload_size = 0;
        return MHD_YES;
    }
    const char *accept =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
    answer_request(server->hooks, method, url, accept, &answer, &body);
    return answer_queue(connection, &answer, &body);
}

/* The library would write its complaints to standard error. */
static void no_log(void *context, const char *format, va_list arguments)
{
    (void)context;
    (void)format;
    (void)arguments;
}

int server_start(const struct server_options *options, const struct answer_hooks *hooks,
                 struct server **ret_server, struct error **err)
{
    int own_fd = -1;
    if (options->listen_fd < 0) {
        int ret = listen_on(options->address, &own_fd, err);
        if (ret < 0)
            return ret;
    }
    cleanup_close int fd = own_fd; /* an inherited one stays open when starting fails */
    struct server *server = xcalloc(1, sizeof(*server));
    server->hooks = hooks;
    server->body_bytes = options->body_bytes;
    int listening = own_fd >= 0 ? own_fd : options->listen_fd;
    server->address = address_text(listening);
    server->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ERROR_LOG, 0, NULL, NULL, handle, server,
        /* first: the options behind it may already complain */
        MHD_OPTION_EXTERNAL_LOGGER, no_log, NULL, MHD_OPTION_LISTEN_SOCKET, listening,
        MHD_OPTION_CONNECTION_LIMIT, options->connections, MHD_OPTION_CONNECTION_TIMEOUT,
        options->timeout_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_END);
    if (!server->daemon) {
        int number = errno ? errno : EIO;
        error_make(err, number, "can't start the HTTP server on %s: %s", server->address,
                   strerror(number));
        free(server->address);
        free(server);
        return -number;
    }
    (void)STEAL_FD(fd);
    *ret_server = server;
    return 0;
}

const char *server_address(const struct server *server)
{
    return server->address;
}

void server_stop(struct server *server)
{
    if (!server)
        return;
    MHD_stop_daemon(server->daemon); /* closes the listening socket too */
    free(server->address);
    free(server);
}
