#include "ctl/local/probe.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"

#define PROBE_FIRST_NS (20 * NS_PER_MS)
#define PROBE_MAX_NS   (500 * NS_PER_MS)

static const char QUESTION[] = "GET /readyz HTTP/1.1\r\n"
                               "Host: localhost\r\n"
                               "User-Agent: dpumesh-up/" DPUMESH_VERSION "\r\n"
                               "Connection: close\r\n\r\n";

static void ask(void *context);

int probe_parse_status(const char *text, size_t length)
{
    static const char prefix[] = "HTTP/1.";
    size_t prefix_length = sizeof(prefix) - 1;
    size_t known = length < prefix_length ? length : prefix_length;
    if (memcmp(text, prefix, known) != 0)
        return -1;
    if (length < prefix_length + 5) /* "HTTP/1.1 200" */
        return 0;
    const char *digits = text + prefix_length + 2;
    int status = 0;
    for (int i = 0; i < 3; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return -1;
        status = status * 10 + (digits[i] - '0');
    }
    return digits[-1] == ' ' ? status : -1;
}

static void disconnect(struct probe *probe)
{
    if (probe->fd < 0)
        return;
    loop_remove(probe->loop, &probe->source);
    close(STEAL_FD(probe->fd));
}

static void ask_later(struct probe *probe)
{
    disconnect(probe);
    loop_timer_set(probe->loop, &probe->timer, clock_monotonic_ns() + probe->delay_ns, ask, probe);
    probe->delay_ns *= 2;
    if (probe->delay_ns > PROBE_MAX_NS)
        probe->delay_ns = PROBE_MAX_NS;
}

static void on_event(void *context, uint32_t events)
{
    struct probe *probe = context;
    if (!probe->sent) {
        if (!(events & EPOLLOUT) || send(probe->fd, QUESTION, sizeof(QUESTION) - 1, MSG_NOSIGNAL) !=
                                        (ssize_t)sizeof(QUESTION) - 1)
            return ask_later(probe);
        probe->sent = true;
        return loop_modify(probe->loop, &probe->source, EPOLLIN);
    }
    ssize_t length =
        recv(probe->fd, probe->answer + probe->length, sizeof(probe->answer) - probe->length, 0);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (length <= 0)
        return ask_later(probe);
    probe->length += (size_t)length;
    int status = probe_parse_status(probe->answer, probe->length);
    if (status == 0)
        return;
    if (status != 200)
        return ask_later(probe);
    disconnect(probe);
    probe->ready(probe->context);
}

static void ask(void *context)
{
    struct probe *probe = context;
    probe->sent = false;
    probe->length = 0;
    probe->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (probe->fd < 0)
        return ask_later(probe);
    if ((connect(probe->fd, (const struct sockaddr *)&probe->address, sizeof(probe->address)) < 0 &&
         errno != EINPROGRESS) ||
        loop_add(probe->loop, &probe->source, probe->fd, EPOLLOUT, on_event, probe, NULL) < 0)
        ask_later(probe);
}

void probe_start(struct probe *probe, struct loop *loop, const struct sockaddr_in *address,
                 loop_timer_fn *ready, void *context)
{
    *probe = (struct probe){.loop = loop,
                            .address = *address,
                            .fd = -1,
                            .delay_ns = PROBE_FIRST_NS,
                            .ready = ready,
                            .context = context};
    ask(probe);
}

void probe_stop(struct probe *probe)
{
    if (!probe->loop)
        return;
    disconnect(probe);
    loop_timer_stop(probe->loop, &probe->timer);
}
