#include "ctl/load_conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "ctl/load_worker.h"

enum { BACKOFF_FIRST_MS = 10, BACKOFF_DOUBLINGS = 7 };

bool load_conn_can_take(const struct load_worker *worker, const struct load_conn *conn)
{
    if (conn->state == LOAD_CONN_CLOSED)
        return true;
    return conn->state == LOAD_CONN_OPEN && worker->plan->keep_alive && !conn->reader.close &&
           conn->in_flight < worker->plan->depth;
}

void load_conn_start(struct load_worker *worker, struct load_conn *conn, uint64_t intended_ns)
{
    unsigned depth = worker->plan->depth, slot = conn->oldest + conn->in_flight;
    conn->stamps[slot < depth ? slot : slot - depth] =
        (struct load_stamp){intended_ns, worker->now_ns};
    conn->in_flight++;
    conn->unsent++;
    worker->in_flight++;
    if (intended_ns < worker->count_from_ns) {
        worker->stats->warmup++;
    } else {
        worker->stats->started++;
        if (worker->budget != UINT64_MAX)
            worker->budget--;
    }
}

static struct load_stamp take_oldest(struct load_worker *worker, struct load_conn *conn)
{
    struct load_stamp stamp = conn->stamps[conn->oldest];
    if (++conn->oldest == worker->plan->depth)
        conn->oldest = 0;
    conn->in_flight--;
    worker->in_flight--;
    return stamp;
}

static uint64_t latency_of(const struct load_worker *worker, const struct load_stamp *stamp)
{
    return worker->now_ns > stamp->intended_ns ? worker->now_ns - stamp->intended_ns : 0;
}

static void report_first(struct load_worker *worker, struct load_conn *conn,
                         const struct load_answer *answer, uint64_t latency_ns,
                         enum load_failure failure, int number)
{
    const struct load_observer *observer = worker->observer;
    conn->reported = true;
    if (observer->first && conn->client < observer->clients)
        observer->first(observer->context, conn->client, answer, latency_ns, failure, number);
}

static void request_failed(struct load_worker *worker, struct load_conn *conn,
                           enum load_failure failure, int number)
{
    struct load_stats *stats = worker->stats;
    struct load_stamp stamp = take_oldest(worker, conn);
    if (stamp.intended_ns < worker->count_from_ns) {
        stats->warmup_failed++;
    } else {
        load_stats_count(&stats->failed, 1);
        stats->failures[failure]++;
        stats->last_ns = worker->now_ns;
    }
    if (!conn->reported)
        report_first(worker, conn, NULL, latency_of(worker, &stamp), failure, number);
}

static void request_answered(struct load_worker *worker, struct load_conn *conn,
                             const struct load_answer *answer)
{
    struct load_stats *stats = worker->stats;
    if (conn->in_flight == 0) {
        stats->failures[LOAD_DOUBLED]++;
        return;
    }
    struct load_stamp stamp = take_oldest(worker, conn);
    uint64_t latency = latency_of(worker, &stamp);
    conn->answered = true;
    conn->backoff = 0;
    conn->since_ns = worker->now_ns;
    if (stamp.intended_ns < worker->count_from_ns) {
        stats->warmup_failed += answer->status >= 400;
    } else {
        load_stats_count(&stats->answered, 1);
        stats->status[answer->status]++;
        stats->host_busy += answer->host_busy;
        stats->last_ns = worker->now_ns;
        histogram_record(stats->latency, latency);
    }
    if (!conn->reported)
        report_first(worker, conn, answer, latency, LOAD_FAILURES, 0);
}

void load_conn_close(struct load_worker *worker, struct load_conn *conn)
{
    if (conn->fd >= 0)
        close(conn->fd); /* which also takes it out of the epoll set */
    if (conn->state == LOAD_CONN_CONNECTING)
        worker->connecting--;
    conn->fd = -1;
    conn->unsent = 0;
    conn->sent_offset = 0;
    conn->oldest = 0;
    conn->state = LOAD_CONN_CLOSED;
    load_reader_reset(&conn->reader);
    if (!worker->closing)
        load_worker_offer(worker, conn);
}

/* A server that takes no connections, or takes them and says nothing, is not hammered. */
static void wait_before_retry(struct load_worker *worker, struct load_conn *conn)
{
    conn->state = LOAD_CONN_WAITING;
    conn->retry_ns = worker->now_ns + ((uint64_t)BACKOFF_FIRST_MS << conn->backoff) * NS_PER_MS;
    if (conn->backoff < BACKOFF_DOUBLINGS)
        conn->backoff++;
}

void load_conn_fail(struct load_worker *worker, struct load_conn *conn, enum load_failure failure,
                    enum load_failure others, int number)
{
    bool connecting = conn->state != LOAD_CONN_OPEN;
    bool retry = !conn->answered && (connecting || worker->plan->keep_alive);
    if (connecting) {
        worker->connects_failed++;
        worker->stats->connect_errno = number;
        /* A connection that can't be made is a request that failed, so that the test ends. */
        if (conn->in_flight == 0 && load_worker_allowance(worker) > 0)
            load_conn_start(worker, conn, worker->now_ns);
    }
    for (enum load_failure kind = failure; conn->in_flight > 0; kind = others)
        request_failed(worker, conn, kind, number);
    if (retry) {
        bool queued = conn->queued;
        conn->queued = true; /* keeps load_conn_close() from offering it now */
        load_conn_close(worker, conn);
        conn->queued = queued;
        wait_before_retry(worker, conn);
    } else {
        load_conn_close(worker, conn);
    }
}

static enum load_failure failure_of(int number, bool connecting)
{
    switch (number) {
    case ECONNREFUSED:
        return LOAD_REFUSED;
    case ETIMEDOUT:
        return LOAD_TIMEOUT;
    case ECONNRESET:
    case EPIPE:
        return LOAD_RESET;
    default:
        return connecting ? LOAD_UNREACHABLE : LOAD_RESET;
    }
}

static void fail_errno(struct load_worker *worker, struct load_conn *conn, int number)
{
    enum load_failure failure = failure_of(number, conn->state == LOAD_CONN_CONNECTING);
    worker->now_ns = clock_monotonic_ns();
    load_conn_fail(worker, conn, failure, failure, number);
}

/* Tops a closed loop up, or tells the open loop that there is room. */
static void make_busy(struct load_worker *worker, struct load_conn *conn)
{
    if (!worker->begun || worker->closing || !load_conn_can_take(worker, conn))
        return;
    if (worker->plan->rate > 0) {
        load_worker_offer(worker, conn);
        return;
    }
    uint64_t allowed = load_worker_allowance(worker);
    for (unsigned n = worker->plan->depth - conn->in_flight; n > 0 && allowed > 0; n--, allowed--)
        load_conn_start(worker, conn, worker->now_ns);
    load_conn_flush(worker, conn);
}

static void connected(struct load_worker *worker, struct load_conn *conn)
{
    static const char preamble[] = LOAD_FRAMES_PREAMBLE;
    const struct load_plan *plan = worker->plan;
    conn->state = LOAD_CONN_OPEN;
    worker->connecting--;
    worker->stats->connections++;
    if (!plan->keep_alive)
        return;
    /* A new socket's buffer is empty: it takes these few bytes whole. */
    if (!plan->http &&
        send(conn->fd, preamble, sizeof(preamble) - 1, MSG_NOSIGNAL) != sizeof(preamble) - 1) {
        fail_errno(worker, conn, errno);
        return;
    }
    make_busy(worker, conn);
}

void load_conn_flush(struct load_worker *worker, struct load_conn *conn)
{
    const struct load_plan *plan = worker->plan;
    const size_t size = plan->request_length;
    while (conn->unsent > 0) {
        size_t count = conn->unsent < plan->block_count ? conn->unsent : plan->block_count;
        size_t length = count * size - conn->sent_offset;
        ssize_t sent = send(conn->fd, plan->block + conn->sent_offset, length, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno != EAGAIN && errno != EINTR)
                fail_errno(worker, conn, errno);
            return; /* EPOLLOUT comes */
        }
        if (conn->state == LOAD_CONN_CONNECTING)
            connected(worker, conn);
        size_t done = conn->sent_offset + (size_t)sent;
        conn->unsent -= (unsigned)(done / size);
        conn->sent_offset = done % size;
        worker->stats->bytes_sent += (uint64_t)sent;
        if ((size_t)sent < length)
            return;
    }
}

void load_conn_open(struct load_worker *worker, struct load_conn *conn)
{
    const struct load_plan *plan = worker->plan;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.ptr = conn};
    const int one = 1;
    conn->state = LOAD_CONN_CONNECTING;
    conn->since_ns = worker->now_ns;
    conn->answered = false;
    worker->connecting++;
    conn->fd = socket(plan->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (conn->fd < 0 ||
        (plan->keep_alive &&
         setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0) ||
        (connect(conn->fd, (const struct sockaddr *)&plan->address, plan->address_length) < 0 &&
         errno != EINPROGRESS) ||
        epoll_ctl(worker->epoll, EPOLL_CTL_ADD, conn->fd, &event) < 0) {
        fail_errno(worker, conn, errno);
        return;
    }
    /* On loopback the connection is already made, and this saves a turn through epoll. */
    if (conn->unsent > 0)
        load_conn_flush(worker, conn);
}

/* Gives each answer in the bytes its request. False when the connection is gone. */
static bool feed(struct load_worker *worker, struct load_conn *conn, size_t length)
{
    const char *data = worker->input;
    struct load_answer answer;
    int r;
    while ((r = load_reader_next(&conn->reader, &data, &length, &answer)) > 0)
        request_answered(worker, conn, &answer);
    if (r == 0)
        return true;
    if (conn->in_flight == 0)
        worker->stats->failures[LOAD_DOUBLED]++;
    load_conn_fail(worker, conn, LOAD_BAD_ANSWER, LOAD_LOST, 0);
    return false;
}

static void ended(struct load_worker *worker, struct load_conn *conn)
{
    struct load_answer answer;
    int r = load_reader_end(&conn->reader, &answer);
    if (r > 0) {
        request_answered(worker, conn, &answer);
        if (conn->reader.kind == LOAD_ANSWER_OBJECT)
            worker->stats->failures[LOAD_DOUBLED] += answer.surplus;
    }
    if (r < 0 && conn->in_flight == 0)
        worker->stats->failures[LOAD_DOUBLED]++;
    if (conn->in_flight > 0 || !(conn->answered || worker->closing))
        load_conn_fail(worker, conn, r < 0 ? LOAD_BAD_ANSWER : LOAD_LOST, LOAD_LOST, 0);
    else
        load_conn_close(worker, conn);
}

/* Reads until nothing is left. False when the connection is gone. */
static bool receive(struct load_worker *worker, struct load_conn *conn, uint32_t events)
{
    for (;;) {
        ssize_t size = recv(conn->fd, worker->input, LOAD_INPUT_BYTES, 0);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0 && errno == EAGAIN)
            return true;
        worker->now_ns = clock_monotonic_ns();
        if (size <= 0) {
            if (size == 0)
                ended(worker, conn);
            else
                fail_errno(worker, conn, errno);
            return false;
        }
        worker->stats->bytes_received += (uint64_t)size;
        if (!feed(worker, conn, (size_t)size))
            return false;
        /* A short read took all there was; only the end of the stream may be left. */
        if (size < LOAD_INPUT_BYTES && !(events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
            return true;
    }
}

void load_conn_event(struct load_worker *worker, struct load_conn *conn, uint32_t events)
{
    if (conn->state == LOAD_CONN_CONNECTING) {
        int number = 0;
        socklen_t size = sizeof(number);
        if (events & (EPOLLERR | EPOLLHUP))
            getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &number, &size);
        if (number != 0) {
            fail_errno(worker, conn, number);
            return;
        }
        if (!(events & EPOLLOUT))
            return;
        connected(worker, conn);
    }
    if (conn->state == LOAD_CONN_OPEN && (events & EPOLLOUT) && conn->unsent > 0)
        load_conn_flush(worker, conn);
    if (conn->state != LOAD_CONN_OPEN || !(events & ~(uint32_t)EPOLLOUT))
        return;
    if (receive(worker, conn, events))
        make_busy(worker, conn);
}
