#include "obs/server.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static struct answer_hooks hooks;
static struct server *server;

static int big_page(void *context, struct buffer *body)
{
    int ret = 0;
    (void)context;
    for (size_t i = 0; ret == 0 && i < 100000; i++)
        ret = buffer_puts(body, "0123456789");
    return ret;
}

static const struct answer_route routes[] = {{"/big", "application/octet-stream", big_page, NULL}};

static void setup(void)
{
    static const struct metric_spec spec = {"x_total", "X.", .kind = METRIC_COUNTER};
    cleanup_error struct error *err = NULL;
    hooks = (struct answer_hooks){.metrics = metrics_new(), .routes = routes, .route_count = 1};
    metric_series(metrics_family(hooks.metrics, &spec), NULL);
    struct server_options options = SERVER_OPTIONS_DEFAULT;
    options.connections = 20;
    options.timeout_s = 1;
    cr_assert_eq(server_start(&options, &hooks, &server, &err), 0, "%s", error_message(err));
}

static void teardown(void)
{
    server_stop(server);
    metrics_free(hooks.metrics);
}

TestSuite(server, .init = setup, .fini = teardown, .timeout = 60);

static int connect_to(const char *address)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {.tv_sec = 10};
    name.sin_port = htons((uint16_t)strtoul(strrchr(address, ':') + 1, NULL, 10));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(fd, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    cr_assert_eq(connect(fd, (struct sockaddr *)&name, sizeof(name)), 0);
    return fd;
}

static char reply[1 << 21];

/* Reads to the end of the connection; false when it ended in a reset or never ended. */
static bool read_to_end(int fd)
{
    size_t length = 0;
    ssize_t got;
    while ((got = recv(fd, reply + length, sizeof(reply) - 1 - length, 0)) > 0)
        length += (size_t)got;
    reply[length] = '\0';
    return got == 0;
}

/* Sends a request whose connection the server closes, and reads all of the answer. */
static const char *request(const char *text)
{
    cleanup_close int fd = connect_to(server_address(server));
    cr_assert_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
    cr_assert(read_to_end(fd));
    return reply;
}

static const char *get(const char *path)
{
    char text[1000];
    snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);
    return request(text);
}

static const char *body_of(const char *text)
{
    const char *end = strstr(text, "\r\n\r\n");
    cr_assert_not_null(end, "%s", text);
    return end + 4;
}

Test(server, answers)
{
    static const char page[] = "# HELP x_total X.\n# TYPE x_total counter\nx_total 0\n";
    cr_assert_eq(strncmp(get("/metrics"), "HTTP/1.1 200 OK\r\n", 17), 0);
    cr_assert_not_null(strstr(reply, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    cr_assert_not_null(strstr(reply, "Content-Length: 51\r\n"), "%s", reply);
    cr_assert_str_eq(body_of(reply), page);

    request("HEAD /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    cr_assert_not_null(strstr(reply, "Content-Length: 51\r\n"), "%s", reply);
    cr_assert_str_eq(body_of(reply), "");

    request("GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n\r\n");
    cr_assert_not_null(strstr(reply, "Content-Type: application/openmetrics-text; version=1.0.0"));
    cr_assert_not_null(strstr(body_of(reply), "x_total 0\n# EOF\n"));

    cr_assert_not_null(strstr(get("/nowhere"), "HTTP/1.1 404 "));
    cr_assert_str_eq(body_of(reply),
                     "there is no such page; try /metrics, /healthz, /readyz, /big\n");
    request("POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
            "Connection: close\r\n\r\nhello");
    cr_assert_not_null(strstr(reply, "HTTP/1.1 405 "));
    cr_assert_not_null(strstr(reply, "Allow: GET, HEAD\r\n"));
    cr_assert_not_null(strstr(get("/healthz?a=b"), "\r\n\r\nok\n"));
    cr_assert_eq(strlen(body_of(get("/big"))), 1000000);
}

Test(server, keeps_a_connection)
{
    static const char two[] = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
                              "GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    cleanup_close int fd = connect_to(server_address(server));
    /* A byte at a time, both requests in one connection. */
    for (size_t i = 0; i < sizeof(two) - 1; i++)
        cr_assert_eq(send(fd, two + i, 1, MSG_NOSIGNAL), 1);
    cr_assert(read_to_end(fd));
    const char *second = strstr(reply + 1, "HTTP/1.1 200 OK");
    cr_assert_not_null(second);
    cr_assert_not_null(strstr(second, "\r\n\r\nok\n"));
}

Test(server, survives_garbage)
{
    static const char *const garbage[] = {
        "\r\n\r\n\r\n",
        "GET\r\n\r\n",
        "\x16\x03\x01\x02\x01\x01\xfc\x03\x03",
        "GET /metrics\r\n\r\n",
        "GET /metrics HTTP/9.9\r\nHost: x\r\n\r\n",
        "{\"method\":\"GET\"}",
        "GET / HTTP/1.1\r\n:\r\n\r\n",
        "GET /%ff%00%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999999999999\r\n\r\n",
        "POST /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"};
    for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
        cleanup_close int fd = connect_to(server_address(server));
        cr_assert_gt(send(fd, garbage[i], strlen(garbage[i]), MSG_NOSIGNAL), 0);
        shutdown(fd, SHUT_WR);
        read_to_end(fd);
        cr_assert_null(strstr(reply, "HTTP/1.1 200"), "%s: %s", garbage[i], reply);
    }
    /* Headers without an end, and a body without one: refused, not collected. */
    for (int i = 0; i < 2; i++) {
        static char junk[4096];
        struct pollfd poll_fd = {.fd = connect_to(server_address(server)), .events = POLLOUT};
        const char *begin = i ? "POST /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
                                "chunked\r\n\r\nFFFFFFF\r\n"
                              : "GET / HTTP/1.1\r\nX: ";
        size_t sent = 0;
        memset(junk, 'j', sizeof(junk));
        cr_assert_gt(send(poll_fd.fd, begin, strlen(begin), MSG_NOSIGNAL), 0);
        while (sent < 64 << 20 && poll(&poll_fd, 1, 5000) == 1) {
            ssize_t put = send(poll_fd.fd, junk, sizeof(junk), MSG_NOSIGNAL | MSG_DONTWAIT);
            if (put < 0 && errno != EAGAIN)
                break;
            sent += put > 0 ? (size_t)put : 0;
        }
        cr_assert_lt(sent, 64 << 20, "it takes everything");
        close(poll_fd.fd);
    }
    cr_assert_not_null(strstr(get("/healthz"), "\r\n\r\nok\n"));
}

Test(server, holds_a_bounded_number_of_connections)
{
    /* More idle connections than it holds: they time out, and whoever waits is served. */
    int idle[30];
    for (size_t i = 0; i < 30; i++)
        idle[i] = connect_to(server_address(server));
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    cr_assert_not_null(strstr(get("/healthz"), "\r\n\r\nok\n"));
    clock_gettime(CLOCK_MONOTONIC, &end);
    cr_assert_lt(end.tv_sec - begin.tv_sec, 10);
    for (size_t i = 0; i < 30; i++)
        close(idle[i]);
    /* And one after another. */
    for (int i = 0; i < 200; i++)
        cr_assert_not_null(strstr(get("/healthz"), "\r\n\r\nok\n"));
}

Test(server, addresses)
{
    static const struct {
        const char *address, *sentence;
        int ret;
    } bad[] = {
        {"", "\"\" is no address to listen on; give HOST:PORT", -EINVAL},
        {"9090", "is no address to listen on", -EINVAL},
        {"127.0.0.1:", "is no address to listen on", -EINVAL},
        {"::1:9090", "is no address to listen on", -EINVAL},
        {"127.0.0.1:http-nonsense", "can't listen on 127.0.0.1:http-nonsense", -EINVAL},
        {"192.0.2.1:9090", "this machine has no such address", -EADDRNOTAVAIL},
    };
    struct server_options options = SERVER_OPTIONS_DEFAULT;
    struct server *second = NULL;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cleanup_error struct error *err = NULL;
        options.address = bad[i].address;
        cr_assert_eq(server_start(&options, &hooks, &second, &err), bad[i].ret, "%s",
                     bad[i].address);
        cr_assert_not_null(strstr(error_message(err), bad[i].sentence), "%s", error_message(err));
        cr_assert_null(second);
    }
    cleanup_error struct error *err = NULL;
    options.address = server_address(server);
    cr_assert_eq(strncmp(options.address, "127.0.0.1:", 10), 0);
    cr_assert_eq(server_start(&options, &hooks, &second, &err), -EADDRINUSE);
    cr_assert_not_null(strstr(error_message(err), "another program has this port"));

    options.address = "[::1]:0";
    if (server_start(&options, &hooks, &second, NULL) == 0) {
        cr_assert_eq(strncmp(server_address(second), "[::1]:", 6), 0);
        server_stop(second);
    }
    options.address = ":0";
    cr_assert_eq(server_start(&options, &hooks, &second, NULL), 0);
    cr_assert_not_null(strrchr(server_address(second), ':'));
    server_stop(second);
    server_stop(NULL);
}

Test(server, takes_an_inherited_socket)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct server_options options = SERVER_OPTIONS_DEFAULT;
    struct server *first = server, *second = NULL;
    options.listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    options.address = NULL;
    cr_assert_eq(bind(options.listen_fd, (struct sockaddr *)&name, sizeof(name)), 0);
    cr_assert_eq(listen(options.listen_fd, 10), 0);
    cr_assert_eq(server_start(&options, &hooks, &second, NULL), 0);
    server = second;
    cr_assert_not_null(strstr(get("/healthz"), "\r\n\r\nok\n"));
    server = first;
    server_stop(second);
    cr_assert_eq(close(options.listen_fd), -1, "the server closed it");
}
