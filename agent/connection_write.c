/* A connection's answers on their way out: encoded in their order, sent, and kept while the socket
 * takes no more. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/io_private.h"
#include "base/memory.h"

/* A client that takes less than this of its answers within limits.writeTimeout does not read. */
enum { WRITE_PROGRESS = 16 * 1024 };

void connection_free_output(struct io *io, struct connection *c)
{
    io->buffered_out -= c->out_length;
    io->unsent -= c->out_length > 0;
    free(c->out);
    c->out = NULL;
    c->out_length = c->out_sent = c->out_deadline_sent = 0;
}

/* Asks the socket to take bytes; returns how many it took, or -1 when the connection is lost. */
static ssize_t send_some(struct io *io, struct connection *c, const char *data, size_t length)
{
    ssize_t sent = send(c->fd, data, length, MSG_NOSIGNAL);
    if (sent < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    metric_add(io->agent->metrics.wire_bytes[1], (double)sent);
    return sent;
}

/* Encodes ready answers, in order, up to OUT_HIGH bytes. */
static void encode_ready(struct io *io, struct connection *c)
{
    /* Clients are to go elsewhere with their next request. */
    bool leaving = io->draining || agent_phase(io->agent) == PHASE_LEAVING;
    io->out.length = 0;
    while (c->first != POOL_NONE && io->out.length < OUT_HIGH) {
        uint32_t at = c->first;
        const struct exchange *e = exchange_at(io, at);
        /* Only the last answer of an HTTP connection says that it is closed. */
        bool last = e->next == POOL_NONE && (c->closing || (leaving && c->in_length == 0));
        bool keep_alive = e->flags & EXCHANGE_KEEP_ALIVE && !last;
        if (!(e->flags & EXCHANGE_READY) || exchange_encode(io, c, e, keep_alive) < 0)
            break;
        if (c->kind == LISTEN_HTTP && !keep_alive)
            c->closing = true;
        c->answered = true;
        c->first = e->next;
        if (c->first == POOL_NONE)
            c->last = POOL_NONE;
        c->pending--;
        exchange_free(io, at);
    }
    if (io->out.length)
        c->active_ns = io->now_ns;
}

/* Sends what was encoded; the rest is kept for when the socket takes more. False: it is lost. */
static bool send_encoded(struct io *io, uint32_t index)
{
    struct connection *c = connection_at(io, index);
    ssize_t sent = send_some(io, c, io->out.data, io->out.length);
    if (sent < 0)
        return false;
    size_t left = io->out.length - (size_t)sent;
    if (left == 0)
        return true;
    /* Nobody reads these answers: past the cap the connection goes, not the process. */
    if (io->buffered_out + left > io_config(io)->limits.arena_bytes)
        return false;
    c->out = xmalloc(left);
    memcpy(c->out, io->out.data + sent, left);
    c->out_length = (uint32_t)left;
    c->out_sent = 0;
    io->buffered_out += left;
    io->unsent++;
    deadline_set(io, index, DEADLINE_WRITE);
    return true;
}

/* Sends what was kept. False: the connection is lost. */
static bool send_kept(struct io *io, uint32_t index)
{
    struct connection *c = connection_at(io, index);
    ssize_t sent = send_some(io, c, c->out + c->out_sent, c->out_length - c->out_sent);
    if (sent < 0)
        return false;
    c->out_sent += (uint32_t)sent;
    if (c->out_sent == c->out_length) {
        connection_free_output(io, c);
        deadline_set(io, index, DEADLINE_NONE);
    } else if (c->out_sent - c->out_deadline_sent >= WRITE_PROGRESS) {
        /* A byte now and then is no reading. */
        c->out_deadline_sent = c->out_sent;
        deadline_set(io, index, DEADLINE_NONE);
        deadline_set(io, index, DEADLINE_WRITE);
    }
    return true;
}

bool connection_write(struct io *io, uint32_t index)
{
    struct connection *c = connection_at(io, index);
    if (c->out_length > 0 && !send_kept(io, index))
        return false;
    while (c->out_length == 0 && c->first != POOL_NONE) {
        encode_ready(io, c);
        if (io->out.length == 0)
            break;
        if (!send_encoded(io, index))
            return false;
    }
    return true;
}
