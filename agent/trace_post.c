#include "agent/trace_post.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/http_answer.h"
#include "agent/resolver.h"
#include "agent/tls.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/memory.h"
#include "spec/url.h"

enum {
    ANSWER_BYTES_MAX = 1024 * 1024, /* of a body; what an answer says stands at its beginning */
    KEPT_BYTES_MAX = 64 * 1024
};

static const char traces_path[] = "/v1/traces";

struct trace_post {
    const struct trace_stop *stop;
    char *endpoint, *ca;
    struct url url; /* of endpoint */
    struct tls *tls;
    struct tls_session *session;
    int fd;
    bool reused; /* the connection has carried an answer */
    uint64_t deadline_ns;
    union resolver_address addresses[RESOLVER_ADDRESSES_MAX];
    size_t address_count;
    const char *lookup_failed; /* static; NULL: it has not */
    struct buffer kept;        /* the front of the answer */
};

int trace_stop_init(struct trace_stop *stop, struct error **err)
{
    stop->deadline_ns = 0;
    stop->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return stop->fd < 0 ? error_make(err, errno, "can't make an eventfd: %s", strerror(errno)) : 0;
}

void trace_stop_set(struct trace_stop *stop, uint64_t deadline_ns)
{
    __atomic_store_n(&stop->deadline_ns, deadline_ns ? deadline_ns : 1, __ATOMIC_RELEASE);
    eventfd_write(stop->fd, 1);
}

uint64_t trace_stop_deadline_ns(const struct trace_stop *stop)
{
    uint64_t deadline_ns = __atomic_load_n(&stop->deadline_ns, __ATOMIC_ACQUIRE);
    return deadline_ns ? deadline_ns : UINT64_MAX;
}

struct trace_post *trace_post_new(const struct trace_stop *stop)
{
    struct trace_post *post = xcalloc(1, sizeof *post);
    post->stop = stop;
    post->fd = -1;
    post->tls = tls_new("tracing");
    post->kept = (struct buffer)BUFFER_INIT(KEPT_BYTES_MAX + 1);
    return post;
}

static void hang_up(struct trace_post *post)
{
    tls_close(post->session);
    post->session = NULL;
    if (post->fd >= 0)
        close(post->fd);
    post->fd = -1;
    post->reused = false;
}

void trace_post_free(struct trace_post *post)
{
    if (!post)
        return;
    hang_up(post);
    tls_free(post->tls);
    buffer_free(&post->kept);
    free(post->endpoint);
    free(post->ca);
    free(post);
}

void trace_post_set(struct trace_post *post, const struct tracing_settings *settings)
{
    if (post->endpoint && strcmp(post->endpoint, settings->endpoint) != 0)
        hang_up(post);
    free(post->endpoint);
    free(post->ca);
    post->endpoint = xstrdup(settings->endpoint);
    post->ca = settings->ca ? xstrdup(settings->ca) : NULL;
    /* What the configuration's table lets through is a URL. */
    if (!url_parse(post->endpoint, &post->url))
        abort();
    tls_files(post->tls, post->ca, NULL, NULL);
}

/* ---- waiting ---- */

/* Until fd is ready, for at most wait_ns; 0 when it is or that has passed, or -ETIMEDOUT. */
static int await(struct trace_post *post, int fd, short events, uint64_t wait_ns)
{
    uint64_t now_ns = clock_monotonic_ns(), stop_ns = trace_stop_deadline_ns(post->stop);
    uint64_t until_ns = post->deadline_ns < stop_ns ? post->deadline_ns : stop_ns;
    if (now_ns >= until_ns)
        return -ETIMEDOUT;
    uint64_t left_ns = until_ns - now_ns < wait_ns ? until_ns - now_ns : wait_ns;
    struct timespec timeout = {(time_t)(left_ns / NS_PER_S), (long)(left_ns % NS_PER_S)};
    /* Being told to stop only shortens the wait. */
    struct pollfd polled[2] = {{.fd = fd, .events = events},
                               {.fd = post->stop->fd, .events = POLLIN}};
    if (ppoll(polled, stop_ns == UINT64_MAX ? 2 : 1, &timeout, NULL) < 0 && errno != EINTR)
        return -errno;
    return 0;
}

/* ---- connecting ---- */

static void looked_up(void *context, uint32_t owner, const char *reason,
                      const union resolver_address *addresses, size_t count, unsigned ttl_s)
{
    struct trace_post *post = context;
    (void)owner;
    (void)ttl_s;
    post->lookup_failed = reason;
    post->address_count = count;
    if (count > 0)
        memcpy(post->addresses, addresses, count * sizeof *addresses);
}

static int look_up_on(struct trace_post *post, int epoll, const char *host, struct error **err)
{
    struct resolver *resolver;
    int result = resolver_new(epoll, 0, looked_up, post, &resolver, err);
    if (result < 0)
        return result;
    resolver_lookup(resolver, host, 0);
    while (result == 0 && !post->lookup_failed && post->address_count == 0) {
        struct epoll_event events[4];
        result = await(post, epoll, POLLIN, resolver_wait_ns(resolver));
        int count = epoll_wait(epoll, events, 4, 0);
        for (int i = 0; i < count; i++)
            resolver_event(resolver, (int)(uint32_t)events[i].data.u64, events[i].events);
        resolver_expire(resolver);
    }
    resolver_free(resolver);
    if (result == 0 && post->lookup_failed)
        return error_make(err, EHOSTUNREACH, "%s: %s", host, post->lookup_failed);
    return result < 0 ? error_make(err, -result, "%s: its name was not looked up in time", host)
                      : 0;
}

static int look_up(struct trace_post *post, struct error **err)
{
    cleanup_free char *host = xstrndup(post->url.host, post->url.host_length);
    post->lookup_failed = NULL;
    post->address_count = (size_t)resolver_literal(host, &post->addresses[0]);
    if (post->address_count > 0)
        return 0;
    cleanup_close int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        return error_make(err, errno, "can't make an epoll set: %s", strerror(errno));
    return look_up_on(post, epoll, host, err);
}

/* Connects to one address; 0 or -errno. */
static int connect_to(struct trace_post *post, union resolver_address *address)
{
    bool v6 = address->any.sa_family == AF_INET6;
    *(v6 ? &address->v6.sin6_port : &address->v4.sin_port) = htons((uint16_t)post->url.port);
    cleanup_close int fd =
        socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    int failed = 0;
    socklen_t size = sizeof failed;
    if (connect(fd, &address->any, v6 ? sizeof address->v6 : sizeof address->v4) < 0) {
        struct pollfd done = {.fd = fd, .events = POLLOUT};
        if (errno != EINPROGRESS)
            return -errno;
        while (poll(&done, 1, 0) == 0) {
            int result = await(post, fd, POLLOUT, UINT64_MAX);
            if (result < 0)
                return result;
        }
    }
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &size);
    if (failed)
        return -failed;
    post->fd = STEAL_FD(fd);
    return 0;
}

static int shake_hands(struct trace_post *post, struct error **err)
{
    cleanup_free char *host = xstrndup(post->url.host, post->url.host_length);
    int writable = 0;
    int result = tls_open(post->tls, post->fd, host, clock_monotonic_ns(), &post->session, err);
    if (result < 0)
        return result;
    while ((result = tls_handshake(post->session, &writable, err)) == -EAGAIN) {
        result = await(post, post->fd, writable ? POLLOUT : POLLIN, UINT64_MAX);
        if (result < 0)
            return error_make(err, -result, "%s: no TLS handshake in time", post->endpoint);
    }
    return result;
}

static int hook_up(struct trace_post *post, struct error **err)
{
    int result = look_up(post, err);
    if (result < 0)
        return result;
    for (size_t i = 0; i < post->address_count; i++)
        if ((result = connect_to(post, &post->addresses[i])) == 0)
            break;
    if (result < 0)
        return error_make(err, -result, "%s: can't connect: %s", post->endpoint, strerror(-result));
    return post->url.tls ? shake_hands(post, err) : 0;
}

/* ---- a request and its answer ---- */

static int write_all(struct trace_post *post, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t sent = post->session ? tls_write(post->session, data, length)
                                     : send(post->fd, data, length, MSG_NOSIGNAL);
        if (sent < 0 && !post->session)
            sent = -errno;
        if (sent == -EAGAIN)
            sent = await(post, post->fd, POLLOUT, UINT64_MAX);
        if (sent < 0)
            return (int)sent;
        data += sent;
        length -= (size_t)sent;
    }
    return 0;
}

static ssize_t read_some(struct trace_post *post, char *data, size_t size)
{
    for (;;) {
        ssize_t got =
            post->session ? tls_read(post->session, data, size) : recv(post->fd, data, size, 0);
        if (got < 0 && !post->session)
            got = -errno;
        if (got != -EAGAIN)
            return got;
        got = await(post, post->fd, POLLIN, UINT64_MAX);
        if (got < 0)
            return got;
    }
}

static void keep(struct trace_post *post, const char *data, size_t length)
{
    size_t room = KEPT_BYTES_MAX - post->kept.length;
    buffer_append(&post->kept, data, length < room ? length : room);
}

/* Reads until the answer is whole; 0 or -errno. */
static int read_answer(struct trace_post *post, struct http_answer *answer)
{
    char data[4096];
    buffer_clear(&post->kept);
    for (;;) {
        ssize_t got = read_some(post, data, sizeof data);
        if (got < 0)
            return (int)got;
        size_t taken;
        enum http_answer_state state =
            got == 0 ? http_answer_end(answer)
                     : http_answer_feed(answer, data, (size_t)got, ANSWER_BYTES_MAX, &taken);
        keep(post, data, (size_t)got);
        if (state == HTTP_ANSWER_DONE)
            return 0;
        if (state == HTTP_ANSWER_MORE && got == 0)
            return -ECONNRESET;
        if (state != HTTP_ANSWER_MORE)
            return -EBADMSG;
    }
}

static int exchange(struct trace_post *post, const char *body, size_t length,
                    struct http_answer *answer)
{
    cleanup_buffer struct buffer head = BUFFER_INIT(4096);
    const char *path = post->url.path;
    buffer_printf(&head,
                  "POST %s HTTP/1.1\r\nHost: %.*s\r\nContent-Type: application/json\r\n"
                  "User-Agent: dpumesh-agent/" DPUMESH_VERSION "\r\nContent-Length: %zu\r\n\r\n",
                  strcmp(path, "/") == 0 ? traces_path : path, (int)post->url.authority_length,
                  post->url.authority, length);
    int result = write_all(post, head.data, head.length);
    if (result == 0)
        result = write_all(post, body, length);
    return result == 0 ? read_answer(post, answer) : result;
}

/* The number behind a word in text, past blanks, colons and quotes; 0: there is none. */
static uint64_t number_behind(const char *text, const char *word)
{
    const char *at = strcasestr(text, word);
    return at ? strtoull(at + strlen(word) + strspn(at + strlen(word), " \t\":"), NULL, 10) : 0;
}

void trace_post_read(const char *answer, struct trace_post_result *result)
{
    const char *body = strstr(answer, "\r\n\r\n");
    size_t head_length = body ? (size_t)(body - answer) : 0;
    cleanup_free char *head = xstrndup(answer, head_length);
    uint64_t seconds = number_behind(head, "\r\nretry-after:");
    result->retry_after_s = seconds < 3600 ? (unsigned)seconds : 3600;
    /* ExportTracePartialSuccess: { "rejectedSpans": "3", "errorMessage": ... } */
    result->rejected = body ? number_behind(body, "\"rejectedSpans\"") : 0;
}

static int attempt(struct trace_post *post, const char *body, size_t length,
                   struct trace_post_result *ret_result, struct error **err)
{
    struct http_answer answer = {0};
    int result = post->fd < 0 ? hook_up(post, err) : 0;
    if (result < 0) {
        hang_up(post);
        return result;
    }
    result = exchange(post, body, length, &answer);
    if (result == 0) {
        *ret_result = (struct trace_post_result){.status = answer.status};
        trace_post_read(buffer_terminate(&post->kept), ret_result);
        post->reused = true;
    }
    if (result < 0 || !answer.keep_alive)
        hang_up(post);
    http_answer_reset(&answer);
    return result < 0 ? error_make(err, -result, "%s: no answer: %s", post->endpoint,
                                   result == -EBADMSG ? "what came is no HTTP" : strerror(-result))
                      : 0;
}

int trace_post_send(struct trace_post *post, const char *body, size_t length, uint64_t deadline_ns,
                    struct trace_post_result *ret_result, struct error **err)
{
    post->deadline_ns = deadline_ns;
    if (post->session && !tls_current(post->tls, post->session, clock_monotonic_ns()))
        hang_up(post);
    bool kept = post->reused;
    cleanup_error struct error *first = NULL;
    int result = attempt(post, body, length, ret_result, kept ? &first : err);
    /* The collector may have closed it just before. */
    if (kept && result == -ETIMEDOUT)
        return error_make(err, ETIMEDOUT, "%s", error_message(first));
    return kept && result < 0 ? attempt(post, body, length, ret_result, err) : result;
}
