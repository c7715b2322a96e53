#include "ctl/local/fetch.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"

/* Answers one connection with these bytes, in two pieces. */
struct server {
    int fd;
    char url[64];
    const char *answer; /* NULL: nothing, until the client goes */
    char request[1024];
    pthread_t thread;
};

static void *serve(void *context)
{
    struct server *server = context;
    int fd = accept(server->fd, NULL, NULL);
    ssize_t length = recv(fd, server->request, sizeof server->request - 1, 0);
    server->request[length > 0 ? length : 0] = '\0';
    if (server->answer) {
        size_t size = strlen(server->answer), half = size / 2;
        send(fd, server->answer, half, MSG_NOSIGNAL);
        send(fd, server->answer + half, size - half, MSG_NOSIGNAL);
    } else {
        recv(fd, server->request, 1, 0);
    }
    close(fd);
    return NULL;
}

static void start(struct server *server, const char *answer)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    server->answer = answer;
    server->fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(server->fd, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(server->fd, 1), 0);
    getsockname(server->fd, (struct sockaddr *)&address, &size);
    snprintf(server->url, sizeof server->url, "http://127.0.0.1:%u", ntohs(address.sin_port));
    pthread_create(&server->thread, NULL, serve, server);
}

static void stop(struct server *server)
{
    pthread_join(server->thread, NULL);
    close(server->fd);
}

Test(fetch, gives_the_body_alone)
{
    struct server server;
    cleanup_buffer struct buffer page = BUFFER_INIT(1000);
    buffer_puts(&page, "old");
    start(&server, "HTTP/1.1 200 OK\r\ncontent-length:  4\r\nX: y\r\n\r\na 1\n");
    cr_assert_eq(fetch_page(server.url, "/metrics", NS_PER_S, NULL, &page, NULL), 0);
    stop(&server);
    cr_assert_str_eq(buffer_terminate(&page), "a 1\n");
    cr_assert(strstr(server.request, "GET /metrics HTTP/1.1\r\n"));
    cr_assert(strstr(server.request, "Connection: close\r\n"));
}

static void expect(const char *answer, size_t cap, int number, const char *sentence)
{
    struct server server;
    struct buffer page = BUFFER_INIT(cap);
    cleanup_error struct error *err = NULL;
    start(&server, answer);
    int r = fetch_page(server.url, "/metrics", 300 * NS_PER_MS, NULL, &page, &err);
    stop(&server);
    cr_assert_eq(r, -number, "%d: %s", r, error_message(err));
    cr_assert(strstr(error_message(err), sentence), "%s", error_message(err));
    buffer_free(&page);
}

Test(fetch, refuses_what_is_no_whole_page)
{
    expect("HTTP/1.1 503 no\r\nContent-Length: 0\r\n\r\n", 1000, EPROTO, "status 503");
    expect("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\na 1\n", 1000, EPROTO, "broke off");
    expect("HTTP/1.1 200 OK\r\n\r\na 1\n", 1000, EPROTO, "broke off");
    expect("HTTP/1.1 200 OK\r\nContent-Le", 1000, EPROTO, "is no answer");
    expect("hello\r\n\r\n", 1000, EPROTO, "is no answer");
    expect("", 1000, EPROTO, "is no answer");
    expect("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\na 1\n", 20, EPROTO, "more than 20 bytes");
    expect(NULL, 1000, ETIMEDOUT, "does not answer in time");
}

Test(fetch, ends_when_told_and_knows_its_own_addresses)
{
    static const bool stop_now = true;
    struct server server;
    cleanup_buffer struct buffer page = BUFFER_INIT(1000);
    start(&server, NULL);
    uint64_t begun_ns = clock_monotonic_ns();
    cr_assert_eq(fetch_page(server.url, "/", 20 * NS_PER_S, &stop_now, &page, NULL), -ECANCELED);
    cr_assert_lt(clock_monotonic_ns() - begun_ns, 5 * NS_PER_S);
    stop(&server);
    cr_assert_eq(fetch_page("http://127.0.0.1:1", "/", NS_PER_S, NULL, &page, NULL), -ECONNREFUSED);
    cr_assert_eq(fetch_page("https://127.0.0.1:1", "/", NS_PER_S, NULL, &page, NULL), -EINVAL);
    cr_assert_eq(fetch_page("http://localhost:1", "/", NS_PER_S, NULL, &page, NULL), -EINVAL);
    cr_assert_eq(fetch_page("http://127.0.0.1:0", "/", NS_PER_S, NULL, &page, NULL), -EINVAL);
}
