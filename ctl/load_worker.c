#include "ctl/load_worker.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"

enum {
    EVENTS_MAX = 512,
    CONNECTING_MAX = 256, /* kept connections being made at once: a listen queue is short */
    TICK_MS = 20,         /* how often timeouts and retries are looked at */
    LINGER_MS = 100,      /* how long surplus answers are waited for at the end */
    CLOSE_MS = 1000       /* how long an answered one-shot connection may stay open */
};

/* An arrival nearer than this is waited for without sleeping: a wake-up takes about as long. */
#define SPIN_NS (100 * NS_PER_US)

/* This thread's part of a total that is dealt out evenly. */
static uint64_t share(uint64_t total, unsigned parts, unsigned index)
{
    return total / parts + (index < total % parts);
}

struct load_worker *load_worker_new(const struct load_plan *plan, unsigned index,
                                    const struct load_observer *observer)
{
    struct load_worker *worker = xcalloc(1, sizeof(*worker));
    worker->plan = plan;
    worker->observer = observer;
    worker->index = index;
    worker->stats = load_stats_new();
    worker->conn_count = (unsigned)share(plan->concurrency, plan->threads, index);
    worker->conns = xcalloc(worker->conn_count, sizeof(*worker->conns));
    worker->stamps = xcalloc((size_t)worker->conn_count * plan->depth, sizeof(*worker->stamps));
    worker->ready = xcalloc(worker->conn_count, sizeof(*worker->ready));
    worker->input = xmalloc(LOAD_INPUT_BYTES);
    worker->budget = plan->requests ? share(plan->requests, plan->threads, index) : UINT64_MAX;
    worker->stop_ns = UINT64_MAX;
    worker->epoll = worker->wake = -1;
    for (unsigned i = 0; i < worker->conn_count; i++) {
        struct load_conn *conn = &worker->conns[i];
        conn->fd = -1;
        conn->client = index + i * plan->threads;
        conn->stamps = &worker->stamps[(size_t)i * plan->depth];
        load_reader_init(&conn->reader, plan->answers);
        conn->reader.no_body = plan->head_request;
        load_worker_offer(worker, conn);
    }
    return worker;
}

void load_worker_free(struct load_worker *worker)
{
    if (!worker)
        return;
    for (unsigned i = 0; i < worker->conn_count; i++) {
        if (worker->conns[i].fd >= 0)
            close(worker->conns[i].fd);
        load_reader_free(&worker->conns[i].reader);
    }
    if (worker->epoll >= 0)
        close(worker->epoll);
    if (worker->wake >= 0)
        close(worker->wake);
    load_stats_free(worker->stats);
    free(worker->conns);
    free(worker->stamps);
    free(worker->ready);
    free(worker->input);
    free(worker);
}

void load_worker_offer(struct load_worker *worker, struct load_conn *conn)
{
    if (conn->queued)
        return;
    unsigned slot = worker->ready_head + worker->ready_count++;
    if (slot >= worker->conn_count)
        slot -= worker->conn_count;
    worker->ready[slot] = (uint32_t)(conn - worker->conns);
    conn->queued = true;
}

static struct load_conn *take_ready(struct load_worker *worker)
{
    struct load_conn *conn = &worker->conns[worker->ready[worker->ready_head]];
    if (++worker->ready_head == worker->conn_count)
        worker->ready_head = 0;
    worker->ready_count--;
    conn->queued = false;
    return conn;
}

uint64_t load_worker_allowance(const struct load_worker *worker)
{
    if (worker->closing)
        return 0;
    /* An open loop still starts, once, what fell due just before its end. */
    if (worker->plan->rate > 0 ? worker->over : worker->now_ns >= worker->stop_ns)
        return 0;
    return worker->budget;
}

/* The connections are up: the clock starts. */
static void begin(struct load_worker *worker)
{
    const struct load_plan *plan = worker->plan;
    worker->now_ns = clock_monotonic_ns();
    worker->begun = true;
    worker->count_from_ns = worker->now_ns + plan->warmup_ns;
    worker->stats->first_ns = worker->count_from_ns;
    if (plan->duration_ns)
        worker->stop_ns = worker->count_from_ns + plan->duration_ns;
    if (plan->rate > 0)
        load_arrival_begin(&worker->arrival, plan, worker->index, worker->now_ns);
    for (unsigned i = 0; i < worker->conn_count; i++)
        if (load_conn_can_take(worker, &worker->conns[i]))
            load_worker_offer(worker, &worker->conns[i]);
}

/* Starts as many requests as the connection takes (closed loop). */
static void fill(struct load_worker *worker, struct load_conn *conn, uint64_t allowed)
{
    unsigned room = worker->plan->keep_alive ? worker->plan->depth - conn->in_flight : 1;
    for (; room > 0 && allowed > 0; room--, allowed--)
        load_conn_start(worker, conn, worker->now_ns);
}

/* Opens kept connections that are closed, and gives work to those that are ready. */
static void dispatch_closed(struct load_worker *worker)
{
    while (worker->ready_count > 0) {
        uint64_t allowed = load_worker_allowance(worker);
        if (allowed == 0 || (worker->plan->keep_alive && worker->connecting >= CONNECTING_MAX))
            return;
        struct load_conn *conn = take_ready(worker);
        if (!load_conn_can_take(worker, conn))
            continue;
        bool closed = conn->state == LOAD_CONN_CLOSED;
        if (!closed || !worker->plan->keep_alive)
            fill(worker, conn, allowed);
        if (closed)
            load_conn_open(worker, conn);
        else
            load_conn_flush(worker, conn);
    }
}

/* Starts what is due on whatever connection has waited longest. */
static void dispatch_open(struct load_worker *worker)
{
    const bool keep = worker->plan->keep_alive;
    while (worker->ready_count > 0) {
        uint64_t due = worker->begun ? load_arrival_due(&worker->arrival) : UINT64_MAX;
        struct load_conn *conn = &worker->conns[worker->ready[worker->ready_head]];
        bool closed = conn->state == LOAD_CONN_CLOSED;
        bool reopen = closed && keep; /* needs no arrival */
        if (!load_conn_can_take(worker, conn)) {
            take_ready(worker);
            continue;
        }
        if (load_worker_allowance(worker) == 0 ||
            (reopen && worker->connecting >= CONNECTING_MAX) ||
            (!reopen && (due > worker->now_ns || due >= worker->stop_ns)))
            return;
        take_ready(worker);
        if (!reopen) {
            load_conn_start(worker, conn, due);
            load_arrival_advance(&worker->arrival);
        }
        if (closed)
            load_conn_open(worker, conn);
        else
            load_conn_flush(worker, conn);
        if (load_conn_can_take(worker, conn))
            load_worker_offer(worker, conn);
    }
}

static void sweep_one(struct load_worker *worker, struct load_conn *conn)
{
    const uint64_t timeout = worker->plan->timeout_ns;
    uint64_t now = worker->now_ns;
    switch ((enum load_conn_state)conn->state) {
    case LOAD_CONN_CLOSED:
        break;
    case LOAD_CONN_WAITING:
        if (now >= conn->retry_ns) {
            conn->state = LOAD_CONN_CLOSED;
            load_worker_offer(worker, conn);
        }
        break;
    case LOAD_CONN_CONNECTING:
        if (now - conn->since_ns > timeout)
            load_conn_fail(worker, conn, LOAD_TIMEOUT, LOAD_TIMEOUT, ETIMEDOUT);
        break;
    case LOAD_CONN_OPEN:
        if (conn->in_flight > 0) {
            if (now - conn->stamps[conn->oldest].sent_ns > timeout)
                load_conn_fail(worker, conn, LOAD_TIMEOUT, LOAD_TIMEOUT, ETIMEDOUT);
        } else if ((!worker->plan->keep_alive || conn->reader.close) &&
                   now - conn->since_ns > CLOSE_MS * NS_PER_MS) {
            load_conn_close(worker, conn);
        }
        break;
    }
}

static void sweep(struct load_worker *worker)
{
    for (unsigned i = 0; i < worker->conn_count; i++)
        sweep_one(worker, &worker->conns[i]);
}

static void wait_events(struct load_worker *worker, uint64_t until_ns)
{
    struct epoll_event events[EVENTS_MAX];
    struct timespec timeout = {0};
    if (until_ns > worker->now_ns) {
        uint64_t wait = until_ns - worker->now_ns;
        timeout.tv_sec = (time_t)(wait / NS_PER_S);
        timeout.tv_nsec = (long)(wait % NS_PER_S);
    }
    int count = epoll_pwait2(worker->epoll, events, EVENTS_MAX, &timeout, NULL);
    if (count < 0 && errno == ENOSYS) /* before Linux 5.11: whole milliseconds */
        count = epoll_wait(worker->epoll, events, EVENTS_MAX,
                           (int)(timeout.tv_sec * 1000 + timeout.tv_nsec / 1000000));
    worker->now_ns = clock_monotonic_ns();
    for (int i = 0; i < count; i++)
        if (events[i].data.ptr)
            load_conn_event(worker, events[i].data.ptr, events[i].events);
}

/* Up to when the worker may sleep. */
static uint64_t next_wake(const struct load_worker *worker, uint64_t tick_ns)
{
    if (!worker->begun || worker->plan->rate == 0 || load_worker_allowance(worker) == 0)
        return tick_ns;
    uint64_t due = load_arrival_due(&worker->arrival);
    /* With every connection busy an arrival waits for an answer, not for the clock. */
    if (due <= worker->now_ns && worker->ready_count == 0)
        return tick_ns;
    if (due > worker->stop_ns)
        due = worker->stop_ns;
    if (due < worker->now_ns + SPIN_NS)
        return worker->now_ns;
    return due - SPIN_NS < tick_ns ? due - SPIN_NS : tick_ns;
}

/* Nothing more will be started, and nothing is awaited. */
static bool finished(const struct load_worker *worker)
{
    if (worker->stats->connections == 0 && worker->connects_failed >= worker->conn_count)
        return true; /* nobody there */
    return worker->in_flight == 0 && load_worker_allowance(worker) == 0;
}

/* Half-closes what is left and reads on for a moment: an answer that comes now is one too many. */
static void linger(struct load_worker *worker)
{
    unsigned open = 0;
    worker->closing = true;
    for (unsigned i = 0; i < worker->conn_count; i++) {
        struct load_conn *conn = &worker->conns[i];
        if (conn->state == LOAD_CONN_OPEN)
            open += shutdown(conn->fd, SHUT_WR) == 0;
    }
    worker->now_ns = clock_monotonic_ns();
    const uint64_t end = worker->now_ns + LINGER_MS * NS_PER_MS;
    while (open > 0 && worker->now_ns < end && !__atomic_load_n(&worker->stop, __ATOMIC_RELAXED)) {
        wait_events(worker, end);
        open = 0;
        for (unsigned i = 0; i < worker->conn_count; i++)
            open += worker->conns[i].state == LOAD_CONN_OPEN;
    }
}

/* The arrivals that were due and never sent. */
static void count_unsent(struct load_worker *worker)
{
    if (worker->plan->rate == 0 || !worker->begun || worker->stop_ns == UINT64_MAX)
        return;
    uint64_t end = worker->now_ns < worker->stop_ns ? worker->now_ns : worker->stop_ns;
    for (; load_arrival_due(&worker->arrival) < end && worker->budget > 0;
         load_arrival_advance(&worker->arrival)) {
        worker->stats->unsent += load_arrival_due(&worker->arrival) >= worker->count_from_ns;
    }
}

static void run(struct load_worker *worker)
{
    uint64_t tick_ns = 0;
    worker->now_ns = clock_monotonic_ns();
    worker->stats->first_ns = worker->now_ns;
    if (!worker->plan->keep_alive)
        begin(worker);
    while (!__atomic_load_n(&worker->stop, __ATOMIC_RELAXED)) {
        if (worker->now_ns >= tick_ns) {
            sweep(worker);
            tick_ns = worker->now_ns + TICK_MS * NS_PER_MS;
        }
        if (worker->plan->rate > 0)
            dispatch_open(worker);
        else
            dispatch_closed(worker);
        worker->over |= worker->now_ns >= worker->stop_ns;
        if (!worker->begun && worker->connecting == 0 && worker->stats->connections > 0) {
            begin(worker);
            continue;
        }
        if (finished(worker))
            break;
        wait_events(worker, next_wake(worker, tick_ns));
    }
    worker->stats->unfinished += worker->in_flight;
    count_unsent(worker);
    if (worker->plan->keep_alive && worker->in_flight == 0)
        linger(worker);
}

static void *thread_main(void *argument)
{
    struct load_worker *worker = argument;
    const uint64_t one = 1;
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); /* ns; the default of 50 us blurs arrivals */
    run(worker);
    if (worker->observer->done_fd >= 0 && write(worker->observer->done_fd, &one, sizeof(one)) < 0)
        return NULL; /* an eventfd only fails past 2^64 - 2 */
    return NULL;
}

int load_worker_start(struct load_worker *worker, struct error **err)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
    sigset_t all, old;
    worker->epoll = epoll_create1(EPOLL_CLOEXEC);
    worker->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (worker->epoll < 0 || worker->wake < 0 ||
        epoll_ctl(worker->epoll, EPOLL_CTL_ADD, worker->wake, &event) < 0)
        return error_make(err, errno, "can't set up epoll: %s", strerror(errno));
    /* Signals are the main thread's business. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int r = pthread_create(&worker->thread, NULL, thread_main, worker);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (r != 0)
        return error_make(err, r, "can't start a thread: %s", strerror(r));
    worker->running = true;
    return 0;
}

void load_worker_stop(struct load_worker *worker)
{
    const uint64_t one = 1;
    __atomic_store_n(&worker->stop, true, __ATOMIC_RELAXED);
    if (worker->wake >= 0 && write(worker->wake, &one, sizeof(one)) < 0)
        return; /* full: the wake-up is on its way */
}

void load_worker_join(struct load_worker *worker)
{
    if (worker->running)
        pthread_join(worker->thread, NULL);
    worker->running = false;
}
