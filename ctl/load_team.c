#include "ctl/load_team.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "ctl/load_report.h"

enum { PROGRESS_MS = 500 };

/* The workers of one test, and what the main thread waits for. */
struct team {
    const struct load_plan *plan;
    struct load_worker **workers;
    unsigned count;
    struct load_observer observer;
    int signals; /* signalfd of SIGINT and SIGTERM */
    sigset_t old_signals;
    const struct load_team_options *options;
};

static int team_make(struct team *team, const struct load_plan *plan, struct error **err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    team->plan = plan;
    team->count = plan->threads;
    team->workers = xcalloc(team->count, sizeof(struct load_worker *));
    sigprocmask(SIG_BLOCK, &set, &team->old_signals);
    team->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    team->observer.done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (team->signals < 0 || team->observer.done_fd < 0)
        return error_make(err, errno, "can't make descriptors: %s", strerror(errno));
    for (unsigned i = 0; i < team->count; i++)
        team->workers[i] = load_worker_new(plan, i, &team->observer);
    for (unsigned i = 0; i < team->count; i++) {
        int r = load_worker_start(team->workers[i], err);
        if (r < 0)
            return r;
    }
    return 0;
}

static void team_stop(struct team *team)
{
    for (unsigned i = 0; i < team->count; i++)
        if (team->workers[i])
            load_worker_stop(team->workers[i]);
}

static void team_free(struct team *team)
{
    team_stop(team);
    for (unsigned i = 0; i < team->count; i++) {
        if (team->workers[i])
            load_worker_join(team->workers[i]);
        load_worker_free(team->workers[i]);
    }
    free(team->workers);
    if (team->observer.done_fd >= 0)
        close(team->observer.done_fd);
    if (team->signals >= 0)
        close(team->signals);
    sigprocmask(SIG_SETMASK, &team->old_signals, NULL);
}

static void show_progress(const struct team *team, uint64_t start_ns, uint64_t *last_ns,
                          uint64_t *last_answered)
{
    uint64_t answered = 0, failed = 0, now = clock_monotonic_ns();
    for (unsigned i = 0; i < team->count; i++) {
        answered += load_stats_peek(&team->workers[i]->stats->answered);
        failed += load_stats_peek(&team->workers[i]->stats->failed);
    }
    load_report_progress(stderr, answered, failed, (double)(now - start_ns) / 1e9,
                         (double)(answered - *last_answered) * 1e9 / (double)(now - *last_ns));
    *last_ns = now;
    *last_answered = answered;
}

/* Every half of a second, or every second. */
static void tick(const struct team *team, uint64_t start_ns, uint64_t *last_ns,
                 uint64_t *last_answered)
{
    if (team->options->progress)
        show_progress(team, start_ns, last_ns, last_answered);
    if (team->options->tick)
        team->options->tick(team->options->context);
}

/* Waits for the workers; the first signal stops them (true), the second one ends the program. */
static bool team_wait(struct team *team)
{
    uint64_t start = clock_monotonic_ns(), last = start, answered = 0, ended = 0, more;
    struct pollfd fds[2] = {{.fd = team->observer.done_fd, .events = POLLIN},
                            {.fd = team->signals, .events = POLLIN}};
    struct signalfd_siginfo signal;
    bool stopped = false, ticks = team->options->progress || team->options->tick;
    while (ended < team->count) {
        int n = poll(fds, 2, ticks ? PROGRESS_MS : -1);
        if (n == 0)
            tick(team, start, &last, &answered);
        if (fds[0].revents && read(fds[0].fd, &more, sizeof(more)) == sizeof(more))
            ended += more;
        if (fds[1].revents && read(fds[1].fd, &signal, sizeof(signal)) == sizeof(signal)) {
            if (stopped)
                _exit(128 + (int)signal.ssi_signo);
            stopped = true;
            team_stop(team);
        }
    }
    if (team->options->progress)
        load_report_progress_end(stderr);
    for (unsigned i = 0; i < team->count; i++)
        load_worker_join(team->workers[i]);
    return stopped;
}

int load_team_run(const struct load_plan *plan, const struct load_team_options *options,
                  struct load_stats *ret_total, struct error **err)
{
    __attribute__((cleanup(team_free))) struct team team = {
        .signals = -1, .options = options, .observer = options->observer};
    team.observer.done_fd = -1;
    int r = team_make(&team, plan, err);
    if (r < 0)
        return r;
    bool stopped = team_wait(&team);
    for (unsigned i = 0; i < team.count; i++)
        load_stats_merge(ret_total, team.workers[i]->stats);
    return stopped ? 1 : 0;
}
