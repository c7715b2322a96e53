#include "ctl/local/fetch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "ctl/local/probe.h"

enum { READ_BYTES = 64 << 10 };
#define LOOK_NS (100 * NS_PER_MS)

struct fetch {
    const char *url;
    int fd;
    uint64_t deadline_ns;
    const bool *stop;
};

static int parse_url(const char *url, struct sockaddr_in *ret_address, struct error **err)
{
    static const char scheme[] = "http://";
    size_t skip = sizeof scheme - 1;
    const char *colon = strrchr(url, ':');
    uint64_t port;
    if (strncmp(url, scheme, skip) != 0 || colon < url + skip)
        return error_make(err, EINVAL, "%s is no address of a replica", url);
    cleanup_free char *host = xstrndup(url + skip, (size_t)(colon - url) - skip);
    *ret_address = (struct sockaddr_in){.sin_family = AF_INET};
    if (inet_pton(AF_INET, host, &ret_address->sin_addr) != 1 ||
        text_parse_unsigned(colon + 1, 1, 65535, &port, NULL) < 0)
        return error_make(err, EINVAL, "%s is no address of a replica", url);
    ret_address->sin_port = htons((uint16_t)port);
    return 0;
}

/* Waits until the socket is ready for events. 0, or -ETIMEDOUT or -ECANCELED and a sentence. */
static int wait_for(const struct fetch *fetch, short events, struct error **err)
{
    struct pollfd poller = {.fd = fetch->fd, .events = events};
    for (;;) {
        uint64_t now_ns = clock_monotonic_ns();
        if (fetch->stop && __atomic_load_n(fetch->stop, __ATOMIC_ACQUIRE))
            return error_make(err, ECANCELED, "%s: canceled", fetch->url);
        if (now_ns >= fetch->deadline_ns)
            return error_make(err, ETIMEDOUT, "%s does not answer in time", fetch->url);
        uint64_t left_ns = fetch->deadline_ns - now_ns;
        uint64_t wait_ns = left_ns < LOOK_NS ? left_ns : LOOK_NS;
        if (poll(&poller, 1, (int)(wait_ns / NS_PER_MS) + 1) > 0)
            return 0;
    }
}

static int begin(const struct fetch *fetch, const struct sockaddr_in *address, struct error **err)
{
    int number = 0;
    socklen_t size = sizeof number;
    if (connect(fetch->fd, (const struct sockaddr *)address, sizeof *address) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return error_make(err, errno, "%s: %s", fetch->url, strerror(errno));
    int r = wait_for(fetch, POLLOUT, err);
    if (r < 0)
        return r;
    getsockopt(fetch->fd, SOL_SOCKET, SO_ERROR, &number, &size);
    return number ? error_make(err, number, "%s: %s", fetch->url, strerror(number)) : 0;
}

static int read_all(const struct fetch *fetch, struct buffer *out, struct error **err)
{
    cleanup_free char *part = xmalloc(READ_BYTES);
    for (;;) {
        ssize_t length = recv(fetch->fd, part, READ_BYTES, 0);
        if (length == 0)
            return 0;
        if (length < 0 && errno != EAGAIN && errno != EINTR)
            return error_make(err, errno, "%s: %s", fetch->url, strerror(errno));
        if (length > 0 && buffer_append(out, part, (size_t)length) < 0)
            return error_make(err, EPROTO, "%s: the page has more than %zu bytes", fetch->url,
                              out->max);
        int r = length < 0 ? wait_for(fetch, POLLIN, err) : 0;
        if (r < 0)
            return r;
    }
}

/* The value of a header line in the head (which ends in NUL), or NULL. */
static const char *header_of(const char *head, const char *name)
{
    size_t length = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, name, length) == 0 && line[2 + length] == ':')
            return line + 3 + length + strspn(line + 3 + length, " ");
    return NULL;
}

/* Leaves the body alone in out. */
static int take_body(const struct fetch *fetch, struct buffer *out, struct error **err)
{
    char *head = buffer_terminate(out), *end = strstr(head, "\r\n\r\n");
    int status = probe_parse_status(head, out->length);
    if (!end || status <= 0)
        return error_make(err, EPROTO, "%s: what came is no answer", fetch->url);
    if (status != 200)
        return error_make(err, EPROTO, "%s: status %d", fetch->url, status);
    *end = '\0';
    size_t head_length = (size_t)(end - head) + 4, body_length = out->length - head_length;
    const char *length = header_of(head, "Content-Length");
    if (!length || strtoull(length, NULL, 10) != body_length)
        return error_make(err, EPROTO, "%s: the page broke off", fetch->url);
    buffer_consume(out, head_length);
    return 0;
}

int fetch_page(const char *url, const char *path, uint64_t timeout_ns, const bool *stop,
               struct buffer *out, struct error **err)
{
    struct sockaddr_in address;
    int r = parse_url(url, &address, err);
    if (r < 0)
        return r;
    cleanup_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_make(err, errno, "%s: %s", url, strerror(errno));
    struct fetch fetch = {
        .url = url, .fd = fd, .deadline_ns = clock_monotonic_ns() + timeout_ns, .stop = stop};
    cleanup_free char *request =
        xasprintf("GET %s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: "
                  "dpumesh/" DPUMESH_VERSION "\r\nConnection: close\r\n\r\n",
                  path);
    buffer_clear(out);
    r = begin(&fetch, &address, err);
    if (r < 0)
        return r;
    if (send(fd, request, strlen(request), MSG_NOSIGNAL) != (ssize_t)strlen(request))
        return error_make(err, errno, "%s: %s", url, strerror(errno));
    r = read_all(&fetch, out, err);
    return r < 0 ? r : take_body(&fetch, out, err);
}
