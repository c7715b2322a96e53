#include "ctl/local/replica.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/random.h>

#include "base/memory.h"
#include "ctl/local/listener.h"
#include "ctl/local/process.h"
#include "ctl/terminal.h"

/* The agent's exit status for a configuration that it refuses, and for a port that is taken. */
enum { EXIT_REFUSED = 2, SHOWN_LINES = 10, READ_BYTES = 65536, SHOWN_BYTES = 65536 };

const char *replica_state_name(enum replica_state state)
{
    static const char *const names[] = {
        [REPLICA_NEW] = "new",         [REPLICA_STARTING] = "starting",
        [REPLICA_READY] = "ready",     [REPLICA_DRAINING] = "draining",
        [REPLICA_BACKOFF] = "backoff", [REPLICA_FAILED] = "failed",
        [REPLICA_STOPPED] = "stopped",
    };
    return names[state];
}

/* The last thing that a handler does with a replica. */
static void enter(struct replica *replica, enum replica_state state)
{
    replica->state = state;
    replica->shared->changed(replica->shared->context, replica);
}

int replica_new(const struct replica_shared *shared, const struct plan_service *service,
                const int *service_fds, unsigned index, struct replica **ret_replica,
                struct error **err)
{
    struct replica *replica = xcalloc(1, sizeof(*replica));
    replica->shared = shared;
    replica->service = service;
    replica->service_fds = service_fds;
    replica->index = index;
    replica->name = xasprintf("%s-%u", service->name, index);
    replica->admin_fd = replica->pidfd = replica->output_fd = replica->log.fd = -1;
    replica->admin =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    cleanup_free char *log_path = rundir_file(shared->dir, "logs", replica->name, ".log");
    int r = listener_open(&replica->admin, &replica->admin_fd, err);
    if (r == 0)
        r = logfile_open(&replica->log, log_path, LOGFILE_MAX_BYTES, err);
    if (r < 0) {
        replica_free(replica);
        return r;
    }
    *ret_replica = replica;
    return 0;
}

void replica_show_log(const struct replica *replica, size_t lines)
{
    cleanup_buffer struct buffer text = BUFFER_INIT(SHOWN_BYTES);
    if (logfile_tail(replica->log.path, lines, &text, NULL) < 0 || text.length == 0)
        return;
    char *line = buffer_terminate(&text), *end;
    for (; line && *line; line = end ? end + 1 : NULL) {
        end = strchr(line, '\n');
        if (end)
            *end = '\0';
        fprintf(stderr, "  %s | %s\n", replica->name, line);
    }
}

int replica_configure(struct replica *replica, struct error **err)
{
    char admin[LISTENER_TEXT_MAX];
    listener_format(&replica->admin, admin);
    cleanup_free char *text = plan_agent_config(replica->service, replica->name, admin);
    return rundir_write(replica->shared->dir, "config", replica->name, ".json", text, strlen(text),
                        err);
}

/* Returns whether more may come. */
static bool read_output(struct replica *replica)
{
    cleanup_free char *bytes = xmalloc(READ_BYTES);
    ssize_t length = read(replica->output_fd, bytes, READ_BYTES);
    if (length > 0)
        logfile_write(&replica->log, bytes, (size_t)length);
    return length > 0 || (length < 0 && errno == EINTR);
}

static void close_output(struct replica *replica)
{
    if (replica->output_fd < 0)
        return;
    loop_remove(replica->shared->loop, &replica->output_source);
    close(STEAL_FD(replica->output_fd));
}

static void on_output(void *context, uint32_t events)
{
    struct replica *replica = context;
    if (!read_output(replica) && (events & EPOLLHUP))
        close_output(replica);
}

static void on_ready(void *context)
{
    struct replica *replica = context;
    enter(replica, REPLICA_READY);
}

static double random_fraction(void)
{
    uint32_t bits = 0;
    if (getrandom(&bits, sizeof(bits), GRND_NONBLOCK) < 0)
        bits = (uint32_t)clock_monotonic_ns();
    return bits / 4294967296.0;
}

static void launch(struct replica *replica);

static void on_backoff_over(void *context)
{
    struct replica *replica = context;
    replica->restarts++;
    launch(replica);
}

static void back_off(struct replica *replica, uint64_t lived_ns)
{
    uint64_t delay_ns = backoff_next_ns(&replica->backoff, lived_ns, random_fraction());
    char delay[DURATION_TEXT_MAX];
    say("%s: %s; starting it again in %s", replica->name, replica->last_end,
        duration_format(delay_ns / NS_PER_MS * NS_PER_MS, delay));
    if (!replica->told || lived_ns >= BACKOFF_RESET_NS) {
        replica->told = true;
        replica_show_log(replica, SHOWN_LINES);
    }
    loop_timer_set(replica->shared->loop, &replica->timer, clock_monotonic_ns() + delay_ns,
                   on_backoff_over, replica);
    enter(replica, REPLICA_BACKOFF);
}

static void fail(struct replica *replica, const char *why)
{
    complain(1, "%s: %s; not starting it again", replica->name, why);
    replica_show_log(replica, SHOWN_LINES);
    enter(replica, REPLICA_FAILED);
}

static void remember_end(struct replica *replica, char *text)
{
    free(replica->last_end);
    replica->last_end = text;
}

static void forget_process(struct replica *replica)
{
    struct loop *loop = replica->shared->loop;
    loop_remove(loop, &replica->exit_source);
    loop_timer_stop(loop, &replica->timer);
    probe_stop(&replica->probe);
    close(STEAL_FD(replica->pidfd));
    /* What it printed last is in the pipe; a grandchild that holds the other end does not matter.
     */
    while (replica->output_fd >= 0 && read_output(replica))
        continue;
    close_output(replica);
    replica->pid = 0;
    rundir_record_pid(replica->shared->dir, replica->name, 0);
}

static void on_exit_event(void *context, uint32_t events)
{
    (void)events;
    struct replica *replica = context;
    int code, signal_number;
    if (process_reap(replica->pidfd, &code, &signal_number) < 0)
        return;
    enum replica_state before = replica->state;
    uint64_t lived_ns = clock_monotonic_ns() - replica->started_ns;
    forget_process(replica);
    remember_end(replica, process_describe_end(code, signal_number));

    if (before == REPLICA_DRAINING) {
        /* SIGTERM may meet an agent that has not yet set its handler: nothing was lost. */
        if (code != 0 && signal_number != SIGTERM)
            say("%s: %s while draining", replica->name, replica->last_end);
        if (replica->wanted)
            return launch(replica);
        return enter(replica, REPLICA_STOPPED);
    }
    if (before == REPLICA_STARTING && code == EXIT_REFUSED)
        return fail(replica, "the agent refuses to start (exit status 2)");
    back_off(replica, lived_ns);
}

static int spawn(struct replica *replica, struct error **err)
{
    cleanup_free char *config = rundir_file(replica->shared->dir, "config", replica->name, ".json");
    int fds[PLAN_ENDPOINTS_MAX + 1];
    const char *names[PLAN_ENDPOINTS_MAX + 1];
    size_t count = replica->service->endpoint_count;
    for (size_t i = 0; i < count; i++) {
        fds[i] = replica->service_fds[i];
        names[i] = plan_kind_name(replica->service->endpoints[i].kind);
    }
    fds[count] = replica->admin_fd;
    names[count] = "admin";

    int pipe_fds[2];
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return error_make(err, errno, "cannot make a pipe: %s", strerror(errno));
    cleanup_close int read_fd = pipe_fds[0];
    cleanup_close int write_fd = pipe_fds[1];
    fcntl(read_fd, F_SETFL, O_NONBLOCK);

    const char *const argv[] = {replica->shared->agent, "--config", config, NULL};
    struct process_spec spec = {replica->shared->agent, argv, fds, names, count + 1, write_fd};
    int r = process_spawn(&spec, &replica->pid, &replica->pidfd, err);
    if (r == 0)
        replica->output_fd = STEAL_FD(read_fd);
    return r;
}

static void launch(struct replica *replica)
{
    struct loop *loop = replica->shared->loop;
    cleanup_error struct error *err = NULL;
    replica->started_ns = clock_monotonic_ns();
    replica->started_at = time(NULL);
    int r = replica_configure(replica, &err);
    if (r == 0)
        r = spawn(replica, &err);
    if (r < 0) {
        remember_end(replica, xstrdup(error_message(err)));
        /* No memory, processes or descriptors now: later perhaps. The rest does not mend itself. */
        if (r == -EAGAIN || r == -ENOMEM || r == -EMFILE || r == -ENFILE || r == -ENOSPC)
            return back_off(replica, 0);
        return fail(replica, error_message(err));
    }
    rundir_record_pid(replica->shared->dir, replica->name, replica->pid);
    if (loop_add(loop, &replica->exit_source, replica->pidfd, EPOLLIN, on_exit_event, replica,
                 &err) < 0 ||
        loop_add(loop, &replica->output_source, replica->output_fd, EPOLLIN, on_output, replica,
                 &err) < 0) {
        /* A child that nobody watches is worse than none. */
        kill(replica->pid, SIGKILL);
        int code, signal_number;
        while (process_reap(replica->pidfd, &code, &signal_number) == -EAGAIN)
            usleep(1000);
        forget_process(replica);
        return fail(replica, error_message(err));
    }
    probe_start(&replica->probe, loop, &replica->admin, on_ready, replica);
    enter(replica, REPLICA_STARTING);
}

void replica_start(struct replica *replica)
{
    replica->wanted = true;
    if (replica->state == REPLICA_NEW || replica->state == REPLICA_FAILED ||
        replica->state == REPLICA_STOPPED)
        launch(replica);
}

static void on_drain_expired(void *context)
{
    struct replica *replica = context;
    say("%s: has not drained in time; killing it", replica->name);
    replica_kill(replica);
}

void replica_stop(struct replica *replica)
{
    struct loop *loop = replica->shared->loop;
    replica->wanted = false;
    if (replica->state == REPLICA_DRAINING || replica->state == REPLICA_STOPPED)
        return;
    if (replica->pid == 0) {
        loop_timer_stop(loop, &replica->timer);
        return enter(replica, REPLICA_STOPPED);
    }
    probe_stop(&replica->probe);
    pidfd_send_signal(replica->pidfd, SIGTERM, NULL, 0);
    loop_timer_set(loop, &replica->timer,
                   clock_monotonic_ns() + replica->service->drain_ns + REPLICA_DRAIN_MARGIN_NS,
                   on_drain_expired, replica);
    enter(replica, REPLICA_DRAINING);
}

void replica_kill(struct replica *replica)
{
    if (replica->pid > 0)
        pidfd_send_signal(replica->pidfd, SIGKILL, NULL, 0);
}

void replica_free(struct replica *replica)
{
    if (!replica)
        return;
    loop_timer_stop(replica->shared->loop, &replica->timer);
    if (replica->admin_fd >= 0)
        close(replica->admin_fd);
    logfile_close(&replica->log);
    free(replica->last_end);
    free(replica->name);
    free(replica);
}
