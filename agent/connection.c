/* One client's socket: opening, reading into requests, closing. */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/app.h"
#include "agent/io_private.h"
#include "base/clock.h"
#include "base/memory.h"

/* How long before a drain a connection may have come and still have its first request served. */
#define JUST_CAME_NS (5 * NS_PER_MS)

/* ---- opening and closing ---- */

void connection_mark(struct io *io, uint32_t index)
{
    struct connection *c = connection_at(io, index);
    if (c->dirty || c->stage == STAGE_CLOSED)
        return;
    c->dirty = true;
    c->next_dirty = io->dirty;
    io->dirty = index;
}

void connection_open(struct io *io, int fd, enum listener_kind kind, uint32_t source, bool refused)
{
    uint32_t index = pool_take(&io->connections);
    struct connection *c = connection_at(io, index);
    *c = (struct connection){.fd = fd,
                             .kind = (uint8_t)kind,
                             .mode = WIRE_UNKNOWN,
                             .deadline_list = DEADLINE_NONE,
                             .refused = refused,
                             .source = source,
                             .first = POOL_NONE,
                             .last = POOL_NONE,
                             .opened_ns = io->now_ns,
                             .active_ns = io->now_ns,
                             .idle_check_ns = io->now_ns + io_config(io)->limits.idle_timeout_ns};
    /* Edge-triggered and for good: a busy connection costs no further call to epoll_ctl(). */
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.u64 = index};
    if (epoll_ctl(io->epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
        close(fd);
        pool_give(&io->connections, index);
        return;
    }
    deadline_watch(io, index);
    if (refused)
        deadline_set(io, index, DEADLINE_FRAME); /* it holds a spare place, and not for long */
    metric_add(io->agent->metrics.connections_total[kind], 1);
}

static void free_input(struct io *io, struct connection *c)
{
    io->buffered_in -= c->in_capacity;
    free(c->in);
    c->in = NULL;
    c->in_length = c->in_capacity = 0;
}

void connection_close(struct io *io, uint32_t index)
{
    struct connection *c = connection_at(io, index);
    if (c->stage == STAGE_CLOSED)
        return;
    deadline_forget(io, index);
    for (uint32_t at = c->first; at != POOL_NONE;) {
        struct exchange *e = exchange_at(io, at);
        uint32_t next = e->next;
        e->connection = POOL_NONE;
        if (e->flags & EXCHANGE_READY)
            exchange_free(io, at);
        at = next;
    }
    c->first = c->last = POOL_NONE;
    free_input(io, c);
    connection_free_output(io, c);
    close(c->fd);
    c->fd = -1;
    c->stage = STAGE_CLOSED;
    metric_add(io->agent->metrics.connections_closed[c->kind], 1);
    if (!c->dirty) {
        c->next_dirty = io->closed;
        io->closed = index;
    }
}

void connection_free_closed(struct io *io)
{
    while (io->closed != POOL_NONE) {
        uint32_t index = io->closed;
        io->closed = connection_at(io, index)->next_dirty;
        pool_give(&io->connections, index);
    }
}

/* Everything is answered and written: closes so that the answer arrives. */
static void hang_up(struct io *io, uint32_t index)
{
    struct connection *c = connection_at(io, index);
    if (c->ended) {
        connection_close(io, index);
        return;
    }
    shutdown(c->fd, SHUT_WR);
    c->stage = STAGE_LINGER;
    free_input(io, c);
    deadline_set(io, index, DEADLINE_LINGER);
}

/* ---- reading ---- */

bool connection_may_read(const struct io *io, const struct connection *c)
{
    return !c->closing && c->out_length == 0 && c->pending < io_config(io)->limits.pipeline;
}

/* Keeps what is no whole request yet. False when it may not grow: then it is told so. */
static bool keep_input(struct io *io, struct connection *c, const char *data, size_t length)
{
    if (c->in == data || length == 0) {
        c->in_length = (uint32_t)length;
        return true;
    }
    if (length > c->in_capacity) {
        size_t capacity = length < 512 ? 512 : length;
        if (io->buffered_in - c->in_capacity + capacity > io_config(io)->limits.arena_bytes)
            return false;
        io->buffered_in += capacity - c->in_capacity;
        c->in = xreallocarray(c->in, capacity, 1);
        c->in_capacity = (uint32_t)capacity;
    }
    memmove(c->in, data, length);
    c->in_length = (uint32_t)length;
    return true;
}

/* Takes requests out of data, which may be c->in itself, and keeps the rest. */
static void take_input(struct io *io, uint32_t index, char *data, size_t length)
{
    struct connection *c = connection_at(io, index);
    size_t taken = 0;
    if (c->closing)
        length = 0; /* what comes behind the last request is thrown away */
    else
        taken = c->kind == LISTEN_HTTP ? front_http(io, index, data, length)
                                       : front_bridge(io, index, data, length);
    if (c->stage != STAGE_OPEN)
        return;
    c->stalled = taken < length && !c->closing && (c->starved || !connection_may_read(io, c));
    size_t left = c->closing ? 0 : length - taken;
    if (c->in == data) {
        memmove(c->in, data + taken, left);
        c->in_length = (uint32_t)left;
    } else if (!keep_input(io, c, data + taken, left)) {
        uint32_t exchange = exchange_new(io, index, 0);
        c->closing = true;
        c->in_length = 0;
        if (exchange != POOL_NONE)
            exchange_refuse(io, exchange, REJECT_MEMORY_FULL, NULL);
    }
    if (c->in && c->in_length == 0)
        free_input(io, c);
    bool incomplete = (c->in_length > 0 || c->refused) && !c->stalled && !c->ended && !c->closing;
    if (taken > 0 && c->deadline_list == DEADLINE_FRAME && !c->refused)
        deadline_set(io, index, DEADLINE_NONE);
    if (c->deadline_list != DEADLINE_WRITE)
        deadline_set(io, index, incomplete ? DEADLINE_FRAME : DEADLINE_NONE);
    connection_mark(io, index);
}

/* The peer closed its side. What is left over is a request that was cut off. */
static void input_ended(struct io *io, uint32_t index)
{
    struct connection *c = connection_at(io, index);
    c->ended = true;
    if (c->stage == STAGE_LINGER) {
        connection_close(io, index);
        return;
    }
    if (!c->stalled && c->in_length > 0)
        take_input(io, index, c->in, c->in_length);
    connection_mark(io, index);
}

/* Makes room for more behind what is kept; false when the cap on all input is met. */
static bool grow_input(struct io *io, struct connection *c)
{
    if (c->in_capacity - c->in_length >= 4096)
        return true;
    /* Doubling keeps the copies few; the reader refuses what passes its cap, so this ends. */
    size_t capacity = (size_t)c->in_capacity * 2 < SCRATCH ? SCRATCH : (size_t)c->in_capacity * 2;
    if (io->buffered_in - c->in_capacity + capacity > io_config(io)->limits.arena_bytes)
        return false;
    io->buffered_in += capacity - c->in_capacity;
    c->in = xreallocarray(c->in, capacity, 1);
    c->in_capacity = (uint32_t)capacity;
    return true;
}

static void no_memory(struct io *io, uint32_t index)
{
    struct connection *c = connection_at(io, index);
    uint32_t exchange = exchange_new(io, index, 0);
    c->closing = true;
    free_input(io, c);
    deadline_set(io, index, DEADLINE_NONE);
    if (exchange == POOL_NONE)
        connection_close(io, index);
    else
        exchange_refuse(io, exchange, REJECT_MEMORY_FULL, NULL);
}

static bool nearly_full(struct ring *sq)
{
    uint32_t reserve = ring_capacity(sq) / 4;
    return ring_room(sq, reserve) < reserve;
}

bool connection_throttled(struct io *io)
{
    /* Back-pressure comes before 503: that is for a client whose one burst is more than fits. */
    struct agent *agent = io->agent;
    if (crossing_nearly_full(io))
        return true;
    if (!nearly_full(&agent->ingress_sq))
        return false;
    if (!agent->guest)
        return true;
    /* The application is this very thread: it makes room now. To put the connection off and come
     * back to it, when it lies in no cache any more, costs a seventh of all that a request does. */
    app_work(agent->guest);
    io->now_ns = clock_monotonic_ns();
    egress_work(io);
    return nearly_full(&agent->ingress_sq);
}

/* Whether what the socket holds is wanted now. */
static bool wants_input(const struct io *io, const struct connection *c)
{
    if (c->ended || c->stage == STAGE_CLOSED)
        return false;
    if (c->stage == STAGE_LINGER)
        return true;
    if (c->closing)
        return c->pending == 0 && c->out_length == 0;
    return !c->stalled && connection_may_read(io, c);
}

/*
 * One read. Events come once for all that arrived (edge-triggered), so `readable` stays until the
 * socket is known to be empty: a read that got less than it had room for says so, unless the peer
 * has closed its side, which the next read tells.
 */
static void read_socket(struct io *io, uint32_t index)
{
    struct connection *c = connection_at(io, index);
    bool keep = c->stage == STAGE_OPEN && c->in_length > 0;
    if (keep && !grow_input(io, c)) {
        no_memory(io, index);
        return;
    }
    char *into = keep ? c->in + c->in_length : io->scratch;
    size_t room = keep ? c->in_capacity - c->in_length : SCRATCH;
    ssize_t got = recv(c->fd, into, room, 0);
    if (got < 0) {
        c->readable = errno == EINTR;
        if (errno != EAGAIN && errno != EINTR)
            connection_close(io, index);
        return;
    }
    if (got == 0) {
        c->readable = false;
        input_ended(io, index);
        return;
    }
    c->readable = (size_t)got == room || c->hung_up;
    if (c->stage == STAGE_LINGER) {
        connection_mark(io, index); /* thrown away; there may be more */
        return;
    }
    metric_add(io->agent->metrics.wire_bytes[0], (double)got);
    if (keep)
        take_input(io, index, c->in, c->in_length + (size_t)got);
    else
        take_input(io, index, io->scratch, (size_t)got);
}

/* ---- after reading and writing ---- */

/* Whether nothing more will be asked on this connection. */
static bool is_over(const struct connection *c)
{
    if (c->pending > 0 || c->out_length > 0)
        return false;
    return c->closing || c->ended || (c->mode == WIRE_ONE_SHOT && c->answered && c->in_length == 0);
}

/* Writes what is ready, reads on where it had stalled, closes what is over. */
static void flush(struct io *io, uint32_t index)
{
    struct connection *c = connection_at(io, index);
    if (!connection_write(io, index)) {
        connection_close(io, index);
        return;
    }
    if (c->stage == STAGE_OPEN && c->stalled && !c->starved && connection_may_read(io, c)) {
        c->stalled = false;
        take_input(io, index, c->in, c->in_length); /* marks it again */
        if (c->stage != STAGE_OPEN)
            return;
    }
    if (c->kind == LISTEN_HTTP && c->stage == STAGE_OPEN)
        front_http_continue(io, c);
    if (c->stage == STAGE_OPEN && !c->stalled && is_over(c))
        hang_up(io, index);
    if (c->stage == STAGE_CLOSED)
        return;
    /* A deadline for writing took the place of the one for the rest of a request. */
    if (c->deadline_list == DEADLINE_NONE && c->in_length > 0 && !c->stalled && !c->ended)
        deadline_set(io, index, DEADLINE_FRAME);
    if (c->readable && !c->dirty && wants_input(io, c)) {
        c->next_dirty = io->again;
        c->dirty = true;
        io->again = index;
    }
}

/* The next one of a list lies in no cache when there are thousands; its turn comes soon. */
static void prefetch_connection(const struct io *io, uint32_t index)
{
    if (index != POOL_NONE)
        __builtin_prefetch(connection_at(io, index), 1);
}

void connection_flush_all(struct io *io)
{
    while (io->dirty != POOL_NONE) {
        uint32_t index = io->dirty;
        struct connection *c = connection_at(io, index);
        io->dirty = c->next_dirty;
        c->dirty = false;
        prefetch_connection(io, io->dirty);
        if (c->stage == STAGE_CLOSED) {
            c->next_dirty = io->closed;
            io->closed = index;
            continue;
        }
        flush(io, index);
    }
    /* An answer of many megabytes must not keep its memory for ever. */
    if (io->out.capacity > (1u << 20))
        buffer_free(&io->out);
}

void connection_feed_starved(struct io *io)
{
    /* Ends: each round takes a request, or finds that none is left to take. */
    while (io->starving.first != POOL_NONE && io->exchanges.used < io->exchanges.capacity) {
        uint32_t index = io->starving.first;
        connection_sated(io, index);
        connection_mark(io, index);
        connection_flush_all(io);
    }
}

void connection_event(struct io *io, uint32_t index, uint32_t events)
{
    struct connection *c = connection_at(io, index);
    if (c->stage == STAGE_CLOSED)
        return;
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        c->readable = true;
    if (events & EPOLLRDHUP)
        c->hung_up = true;
    if (wants_input(io, c)) {
        if (connection_throttled(io))
            connection_mark(io, index); /* read in another turn */
        else
            read_socket(io, index);
    } else if (events & (EPOLLHUP | EPOLLERR)) {
        connection_close(io, index); /* nobody is there to be answered */
    }
    if (events & EPOLLOUT && c->out_length > 0)
        connection_mark(io, index);
}

void connection_read_again(struct io *io)
{
    uint32_t index = io->again;
    io->again = POOL_NONE;
    while (index != POOL_NONE) {
        struct connection *c = connection_at(io, index);
        uint32_t next = c->next_dirty;
        prefetch_connection(io, next);
        /* It stays in the list of those to be flushed, whatever the read does. */
        c->next_dirty = io->dirty;
        io->dirty = index;
        if (c->readable && wants_input(io, c) && !connection_throttled(io))
            read_socket(io, index);
        index = next;
    }
}

/* A request that never ends: 408, and nothing more is read. */
void connection_time_out(struct io *io, uint32_t index)
{
    struct connection *c = connection_at(io, index);
    deadline_set(io, index, DEADLINE_NONE);
    uint32_t exchange = exchange_new(io, index, 0);
    c->closing = true;
    free_input(io, c);
    if (exchange == POOL_NONE)
        connection_close(io, index);
    else
        exchange_refuse(io, exchange,
                        c->refused ? REJECT_TOO_MANY_CONNECTIONS : REJECT_FRAME_TIMEOUT, NULL);
    if (c->stage != STAGE_CLOSED)
        connection_mark(io, index);
}

bool connection_just_came(const struct io *io, const struct connection *c)
{
    return !c->answered && c->opened_ns <= io->drain_began_ns &&
           c->opened_ns + JUST_CAME_NS > io->drain_began_ns;
}

void connection_read_all(struct io *io)
{
    for (uint32_t at = io->idle.first, next; at != POOL_NONE; at = next) {
        next = connection_at(io, at)->idle.next;
        if (wants_input(io, connection_at(io, at)))
            read_socket(io, at);
    }
}

/* Answers what is half received, for nobody will read the rest, and closes so that answers arrive.
 */
void connection_end_all(struct io *io)
{
    for (uint32_t at = io->idle.first; at != POOL_NONE; at = connection_at(io, at)->idle.next) {
        struct connection *c = connection_at(io, at);
        if (c->stage != STAGE_OPEN || c->in_length == 0 || c->closing)
            continue;
        uint32_t exchange = exchange_new(io, at, 0);
        c->closing = true;
        c->stalled = false;
        free_input(io, c);
        if (exchange != POOL_NONE)
            exchange_refuse(io, exchange, REJECT_DRAINING, NULL);
    }
    connection_flush_all(io);
    while (io->idle.first != POOL_NONE) {
        struct connection *c = connection_at(io, io->idle.first);
        shutdown(c->fd, SHUT_WR);
        /* Bytes that stay unread would turn the close into a reset, which may overtake the answer.
         */
        for (int i = 0; i < 16 && recv(c->fd, io->scratch, SCRATCH, 0) == SCRATCH; i++)
            ;
        connection_close(io, io->idle.first);
    }
}
