/*
 * The admin HTTP server of programs that have no HTTP front of their own: libmicrohttpd on one
 * thread that sleeps in epoll. What it says comes from obs/answer.h; queries are not looked at, so
 * /metrics has all families always.
 *
 *     struct server_options options = SERVER_OPTIONS_DEFAULT;
 *     options.address = "127.0.0.1:9090";
 *     struct server *server = NULL;
 *     if (server_start(&options, &hooks, &server, &err) < 0)
 *         ...
 *     server_stop(server);
 *
 * The hooks run on the server's thread. Start and stop from any one thread.
 */
#ifndef DPUMESH_OBS_SERVER_H
#define DPUMESH_OBS_SERVER_H

#include <stdint.h>

#include "base/error.h"
#include "obs/answer.h"

struct server_options {
    const char *address;  /* "127.0.0.1:9090", "[::1]:9090", ":9090" (every address); port 0: any
                             free one. Not read when listen_fd is given */
    int listen_fd;        /* an inherited listening socket, or -1 */
    unsigned connections; /* held at once; further ones wait in the backlog */
    unsigned timeout_s;   /* an idle or slow connection is closed after it */
    size_t body_bytes;    /* cap on a page */
};

#define SERVER_OPTIONS_DEFAULT                                                                     \
    {                                                                                              \
        .address = "127.0.0.1:0", .listen_fd = -1, .connections = 64, .timeout_s = 10,             \
        .body_bytes = ANSWER_BODY_MAX                                                              \
    }

struct server;

/*
 * Binds and starts. hooks (and what they point to) must outlive the server. On success listen_fd
 * belongs to the server. 0 and *ret_server (owned by the caller, give to server_stop()); -EINVAL
 * for an address that is none; what socket(), bind() or listen() said, with a sentence that tells
 * who might hold the port.
 */
int server_start(const struct server_options *options, const struct answer_hooks *hooks,
                 struct server **ret_server, struct error **err);

/* Where it listens, as "127.0.0.1:9090"; valid until server_stop(). */
const char *server_address(const struct server *server);

/* Closes the socket and all connections, and ends the thread. NULL is fine. */
void server_stop(struct server *server);

#endif
