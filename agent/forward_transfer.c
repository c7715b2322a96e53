/* What goes over a connection to a callee: a request out, an answer in. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "agent/forward_private.h"
#include "base/log.h"
#include "base/memory.h"

/* Reads of one event, so that a huge answer does not keep the others waiting. */
enum { READS_MAX = 4 };

/* ---- sending ---- */

/* Bytes taken, -EAGAIN: none now, or another -errno. */
static ssize_t write_some(struct link *l, const char *data, size_t length)
{
    if (l->tls)
        return tls_write(l->tls, data, length);
    ssize_t sent = send(l->fd, data, length, MSG_NOSIGNAL);
    return sent < 0 ? -errno : sent;
}

/* Sends what is left of the request. False: the attempt failed. */
bool link_flush(struct forward *f, uint32_t index)
{
    struct link *l = link_at(f, index);
    while (l->out_sent < l->out_length) {
        ssize_t sent = write_some(l, l->out + l->out_sent, l->out_length - l->out_sent);
        if (sent == -EAGAIN)
            break;
        if (sent < 0) {
            link_fail(f, index, link_outcome((int)-sent), RETRY_RESET);
            return false;
        }
        metric_add(f->setup.metrics->sent_bytes, (double)sent);
        l->out_sent += (uint32_t)sent;
    }
    bool rest = l->out_sent < l->out_length;
    if (!rest) {
        free(l->out);
        l->out = NULL;
        l->out_length = l->out_sent = 0;
        metric_add(link_destination(f, l)->requests, 1);
    }
    link_watch(f, index, rest);
    return true;
}

/* The connection stands: sends the request of its call. */
void link_send(struct forward *f, uint32_t index)
{
    struct link *l = link_at(f, index);
    struct call *call = call_at(f, l->call);
    l->stage = LINK_BUSY;
    call_timer(f, l->call, UINT64_MAX);
    if (request_encode(f, link_destination(f, l), &call->asked) < 0) {
        link_fail(f, index, FORWARD_TOO_LARGE, 0);
        return;
    }
    call->sent_bytes = (uint32_t)f->out.length;
    ssize_t sent = write_some(l, f->out.data, f->out.length);
    if (sent < 0 && sent != -EAGAIN) {
        link_fail(f, index, link_outcome((int)-sent), RETRY_RESET);
        return;
    }
    size_t taken = sent > 0 ? (size_t)sent : 0;
    metric_add(f->setup.metrics->sent_bytes, (double)taken);
    if (taken == f->out.length) {
        metric_add(link_destination(f, l)->requests, 1);
        link_watch(f, index, false);
        return;
    }
    l->out_length = (uint32_t)(f->out.length - taken);
    l->out = xmalloc(l->out_length);
    memcpy(l->out, f->out.data + taken, l->out_length);
    link_watch(f, index, true);
}

/* ---- reading ---- */

/* The answer is whole, or will never be better. */
static void answered(struct forward *f, uint32_t index, enum forward_outcome outcome, bool keep)
{
    struct link *l = link_at(f, index);
    struct destination *d = link_destination(f, l);
    uint32_t call = l->call;
    unsigned status = l->answer.status;
    uint64_t body_bytes = l->answer.body_bytes;
    if (outcome == FORWARD_OK || (outcome == FORWARD_STATUS && status < 500))
        destination_served(d, l->address);
    else
        destination_failed(f, d, l->address);
    http_answer_reset(&l->answer);
    l->call = POOL_NONE;
    /* Not kept while the request is not all out: what came was an answer to half of it. */
    if (keep && !l->out && d->real && destination_keeps(f, d, l))
        link_keep(f, index);
    else
        link_close(f, index);
    call_answered(f, call, outcome, status, body_bytes);
    destination_pump(f, d);
}

static ssize_t read_some(const struct forward *f, struct link *l)
{
    if (l->tls)
        return tls_read(l->tls, f->setup.scratch, f->setup.scratch_size);
    ssize_t got = recv(l->fd, f->setup.scratch, f->setup.scratch_size, 0);
    return got < 0 ? -errno : got;
}

/* Feeds what was read; true when more of this answer is to come. */
static bool feed(struct forward *f, uint32_t index, size_t length)
{
    struct link *l = link_at(f, index);
    size_t taken;
    metric_add(f->setup.metrics->received_bytes, (double)length);
    switch (http_answer_feed(&l->answer, f->setup.scratch, length, settings_of(f)->answer_bytes,
                             &taken)) {
    case HTTP_ANSWER_MORE:
        return true;
    case HTTP_ANSWER_DONE:
        /* More than one answer to one request: whose it is nobody knows. */
        answered(f, index, l->answer.status == 200 ? FORWARD_OK : FORWARD_STATUS,
                 l->answer.keep_alive && taken == length);
        return false;
    case HTTP_ANSWER_TOO_LARGE:
        answered(f, index, FORWARD_TOO_LARGE, false);
        return false;
    case HTTP_ANSWER_MALFORMED:
        break;
    }
    answered(f, index, FORWARD_MALFORMED, false);
    return false;
}

static void ended(struct forward *f, uint32_t index)
{
    struct link *l = link_at(f, index);
    if (http_answer_end(&l->answer) == HTTP_ANSWER_DONE)
        answered(f, index, l->answer.status == 200 ? FORWARD_OK : FORWARD_STATUS, false);
    else
        link_fail(f, index, FORWARD_CUT, RETRY_RESET);
}

void link_read(struct forward *f, uint32_t index)
{
    struct link *l = link_at(f, index);
    for (unsigned i = 0; i < READS_MAX; i++) {
        ssize_t got = read_some(f, l);
        if (got == -EAGAIN)
            return;
        if (got == 0) {
            ended(f, index);
            return;
        }
        if (got == -EPROTO)
            log_warn("no TLS with a callee", LOG_STR("host", link_destination(f, l)->host),
                     LOG_STR("reason", tls_reason()));
        if (got < 0) {
            link_fail(f, index, got == -EPROTO ? FORWARD_TLS : FORWARD_RESET, RETRY_RESET);
            return;
        }
        if (!feed(f, index, (size_t)got))
            return;
        /* TLS may hold decrypted bytes that the socket does not know of. */
        if (!l->tls && (size_t)got < f->setup.scratch_size)
            return;
    }
}

/* An idle connection has events: the callee closed it, or speaks unasked. */
void link_check_idle(struct forward *f, uint32_t index)
{
    struct link *l = link_at(f, index);
    ssize_t got = read_some(f, l);
    if (got != -EAGAIN)
        link_close(f, index);
}
