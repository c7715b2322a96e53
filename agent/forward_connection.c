/* Connections to callees: connect, keep, close. One carries one call at a time. */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/forward_private.h"
#include "base/log.h"
#include "base/memory.h"

/* ---- the lists of idle ones ---- */

static void list_push(struct forward *f, struct forward_list *list, uint32_t index, bool front,
                      size_t offset)
{
#define LINKS(i) ((struct forward_links *)(void *)((char *)link_at(f, (i)) + offset))
    uint32_t neighbour = front ? list->first : list->last;
    LINKS(index)->next = front ? neighbour : POOL_NONE;
    LINKS(index)->previous = front ? POOL_NONE : neighbour;
    if (neighbour == POOL_NONE)
        list->first = list->last = index;
    else if (front)
        LINKS(neighbour)->previous = index;
    else
        LINKS(neighbour)->next = index;
    if (front)
        list->first = index;
    else
        list->last = index;
}

static void list_remove(struct forward *f, struct forward_list *list, uint32_t index, size_t offset)
{
    struct forward_links links = *LINKS(index);
    if (links.previous == POOL_NONE)
        list->first = links.next;
    else
        LINKS(links.previous)->next = links.next;
    if (links.next == POOL_NONE)
        list->last = links.previous;
    else
        LINKS(links.next)->previous = links.previous;
#undef LINKS
}

void link_keep(struct forward *f, uint32_t index)
{
    struct link *l = link_at(f, index);
    l->stage = LINK_IDLE;
    l->reused = true;
    l->idle_ns = f->now_ns;
    list_push(f, &link_destination(f, l)->idle, index, true, offsetof(struct link, idle));
    list_push(f, &f->aging, index, false, offsetof(struct link, age));
}

static void leave_idle(struct forward *f, uint32_t index)
{
    list_remove(f, &link_destination(f, link_at(f, index))->idle, index,
                offsetof(struct link, idle));
    list_remove(f, &f->aging, index, offsetof(struct link, age));
}

/* ---- closing ---- */

void link_close(struct forward *f, uint32_t index)
{
    struct link *l = link_at(f, index);
    struct destination *d = link_destination(f, l);
    if (l->stage == LINK_IDLE)
        leave_idle(f, index);
    tls_close(l->tls);
    if (l->fd >= 0)
        close(l->fd);
    free(l->out);
    http_answer_reset(&l->answer);
    l->tls = NULL;
    l->out = NULL;
    l->fd = -1;
    l->stage = LINK_CLOSED;
    l->next_closed = f->closed; /* events of this turn may still name it */
    f->closed = index;
    d->addresses[l->address].links--;
    d->links--;
    metric_add(f->setup.metrics->connections, -1);
}

void link_free_closed(struct forward *f)
{
    while (f->closed != POOL_NONE) {
        uint32_t index = f->closed;
        f->closed = link_at(f, index)->next_closed;
        pool_give(&f->links, index);
    }
}

void link_close_idle(struct forward *f, struct destination *d, bool all)
{
    for (uint32_t index = d->idle.first; index != POOL_NONE;) {
        uint32_t next = link_at(f, index)->idle.next;
        if (all || !destination_keeps(f, d, link_at(f, index)))
            link_close(f, index);
        index = next;
    }
}

bool link_current(const struct forward *f, const struct link *l)
{
    return !l->tls || tls_current(f->tls, l->tls, f->now_ns);
}

void link_expire(struct forward *f)
{
    while (link_next_ns(f) <= f->now_ns)
        link_close(f, f->aging.first);
}

uint64_t link_next_ns(const struct forward *f)
{
    return f->aging.first == POOL_NONE
               ? UINT64_MAX
               : link_at(f, f->aging.first)->idle_ns + settings_of(f)->idle_timeout_ns;
}

/* The attempt that this connection carries failed. */
void link_fail(struct forward *f, uint32_t index, enum forward_outcome outcome, unsigned causes)
{
    struct link *l = link_at(f, index);
    struct destination *d = link_destination(f, l);
    uint32_t call = l->call;
    bool lost = outcome == FORWARD_RESET || outcome == FORWARD_CUT;
    bool stale = lost && l->reused && !l->answer.begun && !call_at(f, call)->fresh;
    unsigned address = l->address;
    link_close(f, index);
    if (stale) {
        call_again(f, call);
    } else {
        destination_failed(f, d, address);
        call_failed(f, call, outcome, causes);
    }
    destination_pump(f, d);
}

enum forward_outcome link_outcome(int error)
{
    switch (error) {
    case ECONNREFUSED:
        return FORWARD_REFUSED;
    case ECONNRESET:
    case EPIPE:
        return FORWARD_RESET;
    case ETIMEDOUT:
        return FORWARD_CONNECT_TIMEOUT;
    default:
        return FORWARD_UNREACHABLE;
    }
}

void link_watch(struct forward *f, uint32_t index, bool writable)
{
    struct link *l = link_at(f, index);
    if (l->writable == writable)
        return;
    l->writable = writable;
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | (writable ? EPOLLOUT : 0u),
                                .data.u64 = FORWARD_EVENT | index};
    epoll_ctl(f->setup.epoll, EPOLL_CTL_MOD, l->fd, &event);
}

/* ---- connecting ---- */

static void handshake(struct forward *f, uint32_t index)
{
    struct link *l = link_at(f, index);
    cleanup_error struct error *err = NULL;
    int writable = 0, result = tls_handshake(l->tls, &writable, &err);
    if (result == 0) {
        link_send(f, index);
    } else if (result == -EAGAIN) {
        link_watch(f, index, writable);
    } else {
        log_warn("no TLS with a callee", LOG_STR("host", link_destination(f, l)->host),
                 LOG_STR("reason", error_message(err)));
        link_fail(f, index, FORWARD_TLS, RETRY_CONNECT);
    }
}

static void connected(struct forward *f, uint32_t index)
{
    struct link *l = link_at(f, index);
    struct destination *d = link_destination(f, l);
    if (!d->url.tls) {
        link_send(f, index);
        return;
    }
    cleanup_error struct error *err = NULL;
    if (!f->tls) {
        f->tls = tls_new("egress.forward.tls");
        tls_files(f->tls, settings_of(f)->tls.ca, settings_of(f)->tls.certificate,
                  settings_of(f)->tls.key);
    }
    if (tls_open(f->tls, l->fd, d->host, f->now_ns, &l->tls, &err) < 0) {
        log_warn("no TLS with a callee", LOG_STR("host", d->host),
                 LOG_STR("reason", error_message(err)));
        link_fail(f, index, FORWARD_TLS, RETRY_CONNECT);
        return;
    }
    l->stage = LINK_HANDSHAKE;
    handshake(f, index);
}

/* A socket that connects, in the epoll set; 0 when it has already, -EINPROGRESS, or -errno. */
static int start_connecting(struct forward *f, uint32_t index, const union resolver_address *to)
{
    struct link *l = link_at(f, index);
    int one = 1;
    l->fd = socket(to->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0)
        return -errno;
    setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLOUT,
                                .data.u64 = FORWARD_EVENT | index};
    l->writable = true;
    socklen_t length = to->any.sa_family == AF_INET6 ? sizeof to->v6 : sizeof to->v4;
    int result = connect(l->fd, &to->any, length) < 0 ? -errno : 0;
    if (result < 0 && result != -EINPROGRESS)
        return result;
    return epoll_ctl(f->setup.epoll, EPOLL_CTL_ADD, l->fd, &event) < 0 ? -errno : result;
}

void link_open(struct forward *f, struct destination *d, unsigned address, uint32_t call)
{
    uint32_t index = pool_take(&f->links);
    if (index == POOL_NONE) {
        call_failed(f, call, FORWARD_UNREACHABLE, RETRY_CONNECT);
        return;
    }
    struct link *l = link_at(f, index);
    *l = (struct link){.fd = -1,
                       .stage = LINK_CONNECTING,
                       .address = (uint8_t)address,
                       .target = d->target,
                       .generation = d->generation,
                       .call = call};
    d->links++;
    d->addresses[address].links++;
    metric_add(f->setup.metrics->connections, 1);
    metric_add(f->setup.metrics->connections_total, 1);
    call_at(f, call)->connection = index;
    call_timer(f, call, f->now_ns + settings_of(f)->connect_timeout_ns);
    int result = start_connecting(f, index, &d->addresses[address].socket);
    if (result == 0)
        connected(f, index);
    else if (result != -EINPROGRESS)
        link_fail(f, index, link_outcome(-result), RETRY_CONNECT);
}

bool link_reuse(struct forward *f, struct destination *d, uint32_t call)
{
    uint32_t index = d->idle.first;
    if (index != POOL_NONE && !link_current(f, link_at(f, index))) {
        /* Those behind it were used before, so they are no newer. */
        link_close_idle(f, d, false);
        index = d->idle.first;
    }
    if (index == POOL_NONE)
        return false;
    leave_idle(f, index);
    struct link *l = link_at(f, index);
    l->call = call;
    call_at(f, call)->connection = index;
    link_send(f, index);
    return true;
}

static void finish_connecting(struct forward *f, uint32_t index)
{
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(link_at(f, index)->fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error)
        link_fail(f, index, link_outcome(error), RETRY_CONNECT);
    else
        connected(f, index);
}

void link_event(struct forward *f, uint32_t index, uint32_t events)
{
    switch ((enum link_stage)link_at(f, index)->stage) {
    case LINK_CONNECTING:
        finish_connecting(f, index);
        break;
    case LINK_HANDSHAKE:
        handshake(f, index);
        break;
    case LINK_BUSY:
        if ((events & EPOLLOUT) && link_at(f, index)->out && !link_flush(f, index))
            break;
        if (events & ~(uint32_t)EPOLLOUT)
            link_read(f, index);
        break;
    case LINK_IDLE:
        link_check_idle(f, index);
        break;
    case LINK_CLOSED:
        break;
    }
}
