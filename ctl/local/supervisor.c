#include "ctl/local/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>

#include "base/memory.h"
#include "ctl/local/admin_page.h"
#include "ctl/local/listener.h"
#include "ctl/local/report.h"
#include "ctl/terminal.h"

/* What leftovers of a dead supervisor may take to end by themselves; they had its SIGTERM already.
 */
#define LEFTOVER_PATIENCE_NS (5 * NS_PER_S)

struct local_service *supervisor_find(struct supervisor *up, const char *name)
{
    for (size_t i = 0; i < up->service_count; i++)
        if (strcmp(up->services[i].plan->name, name) == 0)
            return &up->services[i];
    return NULL;
}

static unsigned count_state(const struct local_service *service, enum replica_state state)
{
    unsigned count = 0;
    for (size_t i = 0; i < service->replica_count; i++)
        count += service->replicas[i]->wanted && service->replicas[i]->state == state;
    return count;
}

unsigned supervisor_ready(const struct local_service *service)
{
    return count_state(service, REPLICA_READY);
}

unsigned supervisor_restarts(const struct local_service *service)
{
    unsigned count = service->restarts_gone;
    for (size_t i = 0; i < service->replica_count; i++)
        count += service->replicas[i]->restarts;
    return count;
}

static void sweep_stopped(struct local_service *service)
{
    size_t kept = 0;
    for (size_t i = 0; i < service->replica_count; i++) {
        struct replica *replica = service->replicas[i];
        if (replica->state == REPLICA_STOPPED) {
            service->restarts_gone += replica->restarts;
            replica_free(replica);
        } else {
            service->replicas[kept++] = replica;
        }
    }
    service->replica_count = kept;
}

static void become_running(struct supervisor *up)
{
    up->phase = PHASE_RUNNING;
    loop_timer_stop(up->loop, &up->ready_timer);
    json_auto_t *application = report_application(up);
    report_print(application, false, stdout);
    if (up->options->ready)
        up->options->ready(up->options->ready_context, &up->dir);
}

static void check_start(struct supervisor *up)
{
    unsigned ready = 0, desired = 0, failed = 0;
    for (size_t i = 0; i < up->service_count; i++) {
        ready += supervisor_ready(&up->services[i]);
        failed += count_state(&up->services[i], REPLICA_FAILED);
        desired += up->services[i].desired;
    }
    if (failed > 0) {
        up->status = STATUS_FAILED;
        supervisor_stop(up);
    } else if (ready == desired) {
        become_running(up);
    }
}

/* Looks at the whole after something changed: one place decides what follows from it. */
static void settle(void *context)
{
    struct supervisor *up = context;
    size_t left = 0;
    for (size_t i = 0; i < up->service_count; i++) {
        sweep_stopped(&up->services[i]);
        left += up->services[i].replica_count;
        if (up->phase == PHASE_RUNNING && count_state(&up->services[i], REPLICA_FAILED) > 0)
            up->status = STATUS_FAILED;
    }
    if (up->phase == PHASE_STARTING)
        check_start(up);
    if (up->page)
        admin_page_update(up->page, up);
    supervisor_wake(up);
    if (up->phase == PHASE_STOPPING && left == 0)
        loop_stop(up->loop);
}

static void settle_soon(struct supervisor *up)
{
    loop_timer_set(up->loop, &up->settle_timer, clock_monotonic_ns(), settle, up);
}

static void on_change(void *context, struct replica *replica)
{
    (void)replica;
    settle_soon(context);
}

static struct replica *find_replica(const struct local_service *service, unsigned index)
{
    for (size_t i = 0; i < service->replica_count; i++)
        if (service->replicas[i]->index == index)
            return service->replicas[i];
    return NULL;
}

/* Keeps the array in the order of the indexes. */
static void insert_replica(struct local_service *service, struct replica *replica)
{
    size_t count = service->replica_count++;
    service->replicas = xreallocarray(service->replicas, count + 1, sizeof(*service->replicas));
    while (count > 0 && service->replicas[count - 1]->index > replica->index) {
        service->replicas[count] = service->replicas[count - 1];
        count--;
    }
    service->replicas[count] = replica;
}

int supervisor_scale(struct supervisor *up, struct local_service *service, unsigned desired,
                     struct error **err)
{
    /* Make all that is missing before anything starts, so that a failure changes nothing. */
    for (unsigned i = 0; i < desired; i++) {
        struct replica *replica;
        if (find_replica(service, i))
            continue;
        int r = replica_new(&up->shared, service->plan, service->fds, i, &replica, err);
        if (r < 0) {
            for (size_t j = 0; j < service->replica_count; j++)
                if (service->replicas[j]->state == REPLICA_NEW)
                    service->replicas[j]->state = REPLICA_STOPPED;
            settle_soon(up);
            return error_prefix(err, r, "%s-%u", service->plan->name, i);
        }
        insert_replica(service, replica);
    }
    service->desired = desired;
    for (size_t i = 0; i < service->replica_count; i++) {
        struct replica *replica = service->replicas[i];
        if (replica->index < desired)
            replica_start(replica);
        else
            replica_stop(replica);
    }
    settle_soon(up);
    return 0;
}

void supervisor_stop(struct supervisor *up)
{
    if (up->phase == PHASE_STOPPING)
        return;
    up->phase = PHASE_STOPPING;
    loop_timer_stop(up->loop, &up->ready_timer);
    for (size_t i = 0; i < up->service_count; i++)
        for (size_t j = 0; j < up->services[i].replica_count; j++)
            replica_stop(up->services[i].replicas[j]);
    settle_soon(up);
}

static unsigned count_processes(const struct supervisor *up)
{
    unsigned count = 0;
    for (size_t i = 0; i < up->service_count; i++)
        for (size_t j = 0; j < up->services[i].replica_count; j++)
            count += up->services[i].replicas[j]->pid > 0;
    return count;
}

static void on_signal(void *context, uint32_t events)
{
    (void)events;
    struct supervisor *up = context;
    struct signalfd_siginfo info;
    if (read(up->signal_fd, &info, sizeof(info)) != sizeof(info))
        return;
    if (up->phase != PHASE_STOPPING) {
        unsigned count = count_processes(up);
        say("draining %u replica%s; Ctrl-C again kills %s at once", count, count == 1 ? "" : "s",
            count == 1 ? "it" : "them");
        return supervisor_stop(up);
    }
    /* Only a person's second request is impatience: init and job control may repeat SIGTERM. */
    if (info.ssi_signo != SIGINT)
        return;
    up->status = STATUS_KILLED;
    for (size_t i = 0; i < up->service_count; i++)
        for (size_t j = 0; j < up->services[i].replica_count; j++)
            replica_kill(up->services[i].replicas[j]);
}

static int watch_signals(struct supervisor *up, struct error **err)
{
    struct sigaction hangup;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    /* nohup(1) asked for a life after the terminal's; everybody else drains when it closes. */
    if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN)
        sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    up->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (up->signal_fd < 0)
        return error_make(err, errno, "cannot wait for signals: %s", strerror(errno));
    return loop_add(up->loop, &up->signal_source, up->signal_fd, EPOLLIN, on_signal, up, err);
}

static void on_ready_timeout(void *context)
{
    struct supervisor *up = context;
    for (size_t i = 0; i < up->service_count; i++)
        for (size_t j = 0; j < up->services[i].replica_count; j++) {
            struct replica *replica = up->services[i].replicas[j];
            if (replica->state == REPLICA_READY)
                continue;
            say("%s: not ready in time (%s)", replica->name, replica_state_name(replica->state));
            replica_show_log(replica, 10);
        }
    up->status = complain(STATUS_FAILED, "not everything is ready in time; stopping");
    supervisor_stop(up);
}

static int bind_all(struct supervisor *up, struct error **err)
{
    for (size_t i = 0; i < up->service_count; i++) {
        struct local_service *service = &up->services[i];
        for (size_t j = 0; j < service->plan->endpoint_count; j++) {
            struct plan_endpoint *endpoint = &service->plan->endpoints[j];
            int r = listener_open(&endpoint->address, &service->fds[j], err);
            if (r < 0)
                return error_prefix(err, r, "%s: %s%s", service->plan->name,
                                    plan_kind_name(endpoint->kind),
                                    endpoint->node_port ? " node port" : "");
        }
    }
    return 0;
}

/* Four descriptors a replica: 1000 of them pass the usual soft limit, which is there for select().
 */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int start(struct supervisor *up, struct error **err)
{
    const struct supervisor_options *options = up->options;
    raise_descriptor_limit();
    int r = loop_new(&up->loop, err);
    if (r == 0)
        r = rundir_create(options->name, LEFTOVER_PATIENCE_NS, &up->dir, err);
    if (r == 0)
        r = bind_all(up, err);
    if (r == 0)
        r = control_new(up->loop, &up->dir, supervisor_request, up, &up->control, err);
    if (r == 0)
        r = watch_signals(up, err);
    if (r == 0 && options->metrics)
        r = admin_page_new(options->metrics, up, &up->page, err);
    up->shared = (struct replica_shared){up->loop, &up->dir, options->agent, on_change, up};
    for (size_t i = 0; r == 0 && i < up->service_count; i++)
        r = supervisor_scale(up, &up->services[i], up->services[i].plan->replicas, err);
    if (r == 0 && options->ready_timeout_ns > 0)
        loop_timer_set(up->loop, &up->ready_timer, clock_monotonic_ns() + options->ready_timeout_ns,
                       on_ready_timeout, up);
    return r;
}

static void finish(struct supervisor *up)
{
    for (size_t i = 0; i < up->service_count; i++) {
        struct local_service *service = &up->services[i];
        for (size_t j = 0; j < service->plan->endpoint_count; j++)
            if (service->fds[j] >= 0)
                close(service->fds[j]);
        free(service->replicas);
    }
    free(up->services);
    while (up->waiters) {
        struct waiter *waiter = up->waiters;
        up->waiters = waiter->next;
        free(waiter);
    }
    admin_page_free(up->page);
    if (up->dir.fd >= 0)
        rundir_remove(&up->dir);
    control_free(up->control);
    if (up->signal_fd >= 0)
        close(up->signal_fd);
    loop_free(up->loop);
    /* The lock stays until the process is gone: `down` and the next `up` wait for it. */
    up->dir.lock_fd = -1;
    rundir_close(&up->dir);
}

int supervisor_run(const struct supervisor_options *options, struct error **err)
{
    struct supervisor up = {.options = options, .dir = RUNDIR_INIT, .signal_fd = -1};
    up.service_count = options->plan->service_count;
    up.services = xcalloc(up.service_count ? up.service_count : 1, sizeof(*up.services));
    for (size_t i = 0; i < up.service_count; i++) {
        up.services[i].plan = &options->plan->services[i];
        for (size_t j = 0; j < PLAN_ENDPOINTS_MAX; j++)
            up.services[i].fds[j] = -1;
    }
    int r = start(&up, err);
    if (r < 0) {
        /* Whatever runs already (a later service's admin socket may have failed) ends first. */
        up.status = STATUS_USAGE;
        if (up.loop && up.shared.loop)
            supervisor_stop(&up);
    }
    if (up.loop && up.shared.loop && loop_run(up.loop, r < 0 ? NULL : err) < 0)
        up.status = STATUS_FAILED;
    finish(&up);
    return up.status;
}
