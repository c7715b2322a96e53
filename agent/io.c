#include "agent/io.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "agent/app.h"
#include "agent/io_private.h"
#include "agent/thread.h"
#include "base/clock.h"
#include "base/memory.h"

enum { IO_STACK = 256 * 1024, IO_EVENTS = 256 };

/* How long nothing may happen while draining before the thread ends: requests that were under way
 * to us when the drain began are still answered. */
#define QUIET_NS (50 * NS_PER_MS)

static void take_config(struct io *io)
{
    if (!__atomic_load_n(&io->agent->io_next, __ATOMIC_RELAXED))
        return;
    struct config_ref *next = __atomic_exchange_n(&io->agent->io_next, NULL, __ATOMIC_ACQ_REL);
    if (!next)
        return;
    struct config_ref *old = io->config;
    io->config = next;
    if (next->config->egress.seed != old->config->egress.seed)
        egress_seed(io);
    crossing_configure(io);
    policy_configure(io);
    egress_configure(io);
    trace_configure(io);
    config_ref_drop(old);
}

/* Tells the application: of work, or of what it waited for: room in a queue, or to know that there
 * will be none soon. */
static void ring_application(struct io *io, bool news)
{
    struct agent *agent = io->agent;
    bool ring = io->submitted;
    io->submitted = false;
    /* The fence's other half is in still_waits() of app.c. */
    if (news) {
        doorbell_fence(&agent->app_waits);
        if (__atomic_load_n(&agent->app_waits, __ATOMIC_RELAXED)) {
            __atomic_store_n(&agent->app_waits, 0, __ATOMIC_RELAXED);
            ring = true;
        }
    }
    if (ring && doorbell_ring(&agent->app_bell))
        metric_add(agent->metrics.doorbells[SIDE_APPLICATION], 1);
}

static void handle_events(struct io *io, const struct epoll_event *events, int count)
{
    for (int i = 0; i < count; i++) {
        uint64_t what = events[i].data.u64;
        if (what == IO_EVENT_BELL)
            metric_add(io->agent->metrics.wakes[SIDE_IO], 1);
        else if (what & FORWARD_EVENT)
            egress_event(io, what, events[i].events);
        else if (what & IO_EVENT_LISTENER)
            listener_accept(io, &io->listeners[(uint32_t)what]);
        else
            connection_event(io, (uint32_t)what, events[i].events);
    }
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return b && b < a ? b : a;
}

/* When the thread must wake by itself. */
static uint64_t next_deadline(struct io *io)
{
    uint64_t next = egress_next_ns(io), other = deadline_next_ns(io);
    next = other < next ? other : next;
    other = crossing_next_ns(io);
    next = other < next ? other : next;
    other = policy_next_ns(io);
    next = other < next ? other : next;
    next = earlier(next, io->accept_again_ns);
    if (io->agent->guest)
        next = earlier(next, app_next_ns(io->agent->guest));
    if (io->draining) {
        next = earlier(next, io->drain_deadline_ns);
        next = earlier(next, io->quiet_since_ns ? io->quiet_since_ns + QUIET_NS : 0);
    }
    return next;
}

static bool has_work(struct io *io)
{
    const struct agent *agent = io->agent;
    return (agent->guest && app_has_work(agent->guest)) || ring_peek(&io->agent->ingress_cq) ||
           egress_can_take(io) || crossing_has_work(io) ||
           (io->egress.done_first != POOL_NONE && ring_room(&io->agent->egress_cq, 1)) ||
           __atomic_load_n(&agent->io_next, __ATOMIC_RELAXED) ||
           (!io->draining && agent_phase(agent) == PHASE_DRAINING);
}

/* Woken by nothing but the simulation of a proxy: its thread, or the network before it. */
static bool woke_to_take(struct io *io, const struct epoll_event *events, int count, bool timed)
{
    if (count != 1 || events->data.u64 != IO_EVENT_BELL)
        return count == 0 && timed;
    return crossing_has_work(io) && !ring_peek(&io->agent->ingress_cq) && !egress_can_take(io);
}

static int wait_for_events(struct io *io, struct epoll_event *events, bool worked)
{
    struct doorbell *bell = &io->agent->io_bell;
    struct timespec timeout = {0, 0};
    if (worked)
        return epoll_wait(io->epoll, events, IO_EVENTS, 0);
    doorbell_arm(bell);
    if (!has_work(io)) {
        uint64_t crossing = crossing_wake_ns(io), next = next_deadline(io);
        uint64_t cpu = crossing_hands_over(io) ? clock_thread_cpu_ns() : 0;
        uint64_t now = clock_monotonic_ns(), until = crossing < next ? crossing : next;
        uint64_t wait = until <= now ? 0 : until - now;
        next = until;
        timeout.tv_sec = (time_t)(wait / NS_PER_S);
        timeout.tv_nsec = (long)(wait % NS_PER_S);
        int count =
            epoll_pwait2(io->epoll, events, IO_EVENTS, next == UINT64_MAX ? NULL : &timeout, NULL);
        if (count < 0 && (errno == ENOSYS || errno == EPERM)) {
            /* An old kernel or a strict sandbox: milliseconds, rounded up, have to do. */
            uint64_t ms = wait / NS_PER_MS + (wait % NS_PER_MS > 0);
            count = epoll_wait(io->epoll, events, IO_EVENTS,
                               next == UINT64_MAX ? -1 : (int)(ms > 60000 ? 60000 : ms));
        }
        doorbell_disarm(bell);
        uint64_t woke = clock_monotonic_ns();
        if (io->agent->guest)
            cpu_blocked(&io->agent->cpu, woke - now);
        if (count == 0 && wait > 0 && until == crossing)
            crossing_woke(io, woke - until);
        if (count == 1)
            crossing_woke_alone(io);
        if (cpu && woke_to_take(io, events, count, until == crossing))
            crossing_woke_to_take(io, clock_thread_cpu_ns() - cpu);
        return count;
    }
    doorbell_disarm(bell);
    return epoll_wait(io->epoll, events, IO_EVENTS, 0);
}

static void begin_drain(struct io *io)
{
    /* What has reached us is no new work. */
    connection_read_all(io);
    io->draining = true;
    io->drain_began_ns = io->now_ns;
    io->drain_deadline_ns = io->now_ns + io_config(io)->limits.drain_timeout_ns;
    /* Other replicas go on accepting from a shared socket: nothing waits in vain. */
    listener_close_all(io, true);
}

/* Whether the thread may end. */
static bool drained(struct io *io)
{
    if (!io->draining)
        return false;
    if (io->now_ns >= io->drain_deadline_ns) {
        io->given_up = io->exchanges.used + io->unsent;
        return true;
    }
    if (io->exchanges.used > 0 || io->buffered_out > 0) {
        io->quiet_since_ns = 0;
        return false;
    }
    if (!io->quiet_since_ns)
        io->quiet_since_ns = io->now_ns;
    return io->now_ns - io->quiet_since_ns >= QUIET_NS;
}

/* One turn after waiting; true when the queues held anything. */
static bool turn(struct io *io)
{
    struct agent *agent = io->agent;
    take_config(io);
    if (!io->draining && agent_phase(io->agent) == PHASE_DRAINING)
        begin_drain(io);
    if (io->accept_again_ns && io->now_ns >= io->accept_again_ns)
        listener_resume(io);
    deadline_expire(io);
    ring_application(io, false);
    bool released = false, guest_worked = false, crossed = policy_work(io);
    crossed |= crossing_work(io);
    ring_application(io, false);
    if (agent->guest) {
        /* What is due goes in and its answer comes out in one turn. */
        released = egress_work(io);
        guest_worked = app_work(agent->guest);
    }
    released |= exchange_complete_all(io);
    released |= egress_work(io);
    crossed |= crossing_work(io);
    crossing_end_turn(io);
    ring_application(io, released || __atomic_load_n(&io->agent->egress_capped, __ATOMIC_RELAXED));
    connection_flush_all(io);
    connection_feed_starved(io);
    arena_return(&io->agent->reverse, &io->spent);
    if (io->trace)
        trace_turn(io->trace);
    connection_free_closed(io);
    ring_application(io, false);
    return released || guest_worked || crossed;
}

static void *run(void *argument)
{
    struct io *io = argument;
    struct epoll_event events[IO_EVENTS];
    struct cpu_thread self;
    uint64_t last_work_ns = 0;
    /* Timers are asked for in nanoseconds; the default slack is 50 us. */
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    metrics_thread_attach(io->agent->registry);
    cpu_enter(&io->agent->cpu, &self, CPU_IO);
    crossing_configure(io);
    policy_configure(io);
    trace_configure(io);
    bool worked = false;
    for (;;) {
        int count = wait_for_events(io, events, worked);
        io->now_ns = clock_monotonic_ns();
        handle_events(io, events, count);
        connection_read_again(io);
        worked = turn(io) || io->again != POOL_NONE;
        /* The application is behind, perhaps on this very core: it goes first. */
        if (connection_throttled(io))
            sched_yield();
        if (drained(io))
            break;
        if (worked || count > 0)
            last_work_ns = io->now_ns;
        else
            worked = io->now_ns - last_work_ns < io_config(io)->queues.poll_ns;
    }
    connection_end_all(io);
    listener_close_all(io, false);
    cpu_leave(&io->agent->cpu, &self);
    metrics_thread_detach();
    __atomic_store_n(&io->agent->phase, PHASE_DRAINED, __ATOMIC_RELEASE);
    eventfd_write(io->ended_fd, 1);
    return NULL;
}

/* ---- pages ---- */

static bool page_ready(void *context, struct buffer *reason)
{
    const struct io *io = context;
    enum agent_phase phase = agent_phase(io->agent);
    if (phase == PHASE_SERVING)
        return true;
    buffer_puts(reason, phase == PHASE_STARTING  ? "starting"
                        : phase == PHASE_LEAVING ? "leaving after SIGTERM"
                                                 : "draining after SIGTERM");
    return false;
}

static int page_config(void *context, struct buffer *body)
{
    const struct io *io = context;
    return buffer_puts(body, io->config->text);
}

/* ---- life ---- */

static void io_free(struct io *io)
{
    agent_metrics_detach_datapath(io->agent);
    trace_destroy(io);
    crossing_destroy(io);
    policy_destroy(io);
    egress_destroy(io); /* its sockets leave the epoll set */
    if (io->epoll >= 0)
        close(io->epoll);
    if (io->ended_fd >= 0)
        close(io->ended_fd);
    pool_destroy(&io->connections);
    pool_destroy(&io->exchanges);
    buffer_free(&io->out);
    config_ref_drop(io->config);
    free(io->source_addresses);
    free(io->scratch);
    free(io);
}

static int watch(struct io *io, int fd, uint32_t what, uint64_t data, struct error **err)
{
    struct epoll_event event = {.events = what, .data.u64 = data};
    if (epoll_ctl(io->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        return error_make(err, errno, "can't watch a descriptor: %s", strerror(errno));
    return 0;
}

static int make_all(struct io *io, const struct listener *listeners, size_t count,
                    struct error **err)
{
    const struct limit_settings *limits = &io_config(io)->limits;
    io->epoll = epoll_create1(EPOLL_CLOEXEC);
    io->ended_fd = eventfd(0, EFD_CLOEXEC);
    if (io->epoll < 0 || io->ended_fd < 0)
        return error_make(err, errno, "can't make an epoll set: %s", strerror(errno));
    int result = pool_init(&io->connections, sizeof(struct connection),
                           limits->connections + SPARE_CONNECTIONS, err);
    if (result == 0)
        result = pool_init(&io->exchanges, sizeof(struct exchange),
                           2 * limits->requests + SPARE_EXCHANGES, err);
    if (result == 0)
        result = egress_init(io, err);
    if (result == 0)
        result = watch(io, io->agent->io_bell.fd, EPOLLIN | EPOLLET, IO_EVENT_BELL, err);
    for (size_t i = 0; result == 0 && i < count; i++) {
        io->listeners[i] = listeners[i];
        result = watch(io, listeners[i].fd, EPOLLIN, IO_EVENT_LISTENER | i, err);
    }
    io->listener_count = count;
    return result;
}

static int start_thread(struct io *io, struct error **err)
{
    int failed = thread_start(&io->thread, IO_STACK, run, io);
    return failed ? error_make(err, failed, "can't start the I/O thread: %s", strerror(failed)) : 0;
}

int io_start(struct agent *agent, const struct listener *listeners, size_t count,
             struct io **ret_io, struct error **err)
{
    if (count > LISTENERS_MAX)
        return error_make(err, EINVAL, "%zu listening sockets; at most %d are possible", count,
                          LISTENERS_MAX);
    struct io *io = xcalloc(1, sizeof *io);
    io->agent = agent;
    io->config = agent->running;
    config_ref_take(io->config);
    io->idle = (struct connection_list){POOL_NONE, POOL_NONE};
    for (unsigned i = 0; i < DEADLINE_LISTS; i++)
        io->deadlines[i] = (struct connection_list){POOL_NONE, POOL_NONE};
    io->starving = (struct connection_list){POOL_NONE, POOL_NONE};
    io->dirty = io->closed = io->again = POOL_NONE;
    io->spent = (struct arena_chain)ARENA_CHAIN_INIT;
    io->out = (struct buffer)BUFFER_INIT((size_t)1 << 30);
    io->scratch = xmalloc(SCRATCH);
    io->types[TYPE_PLAIN] = "text/plain; charset=utf-8";
    io->types[TYPE_JSON] = "application/json";
    io->type_count = 2;
    io->source_addresses = xcalloc(io_config(io)->limits.sources + 1, sizeof *io->source_addresses);
    io->source_limit = io_config(io)->limits.sources;
    agent->pages.ready = page_ready;
    agent->pages.config = page_config;
    agent->pages.context = io;
    agent_metrics_attach_datapath(agent, io);
    int result = make_all(io, listeners, count, err);
    if (result == 0)
        result = start_thread(io, err);
    if (result < 0) {
        io_free(io);
        return result;
    }
    *ret_io = io;
    return 0;
}

int io_ended_fd(const struct io *io)
{
    return io->ended_fd;
}

unsigned io_join(struct io *io)
{
    pthread_join(io->thread, NULL);
    unsigned given_up = io->given_up;
    io_free(io);
    return given_up;
}
