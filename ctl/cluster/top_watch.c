#include "ctl/cluster/top_watch.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"

/* A look: a round in a thread of its own. */
struct look {
    const struct top_source *source;
    pthread_t thread;
    bool running;
    int done_fd; /* eventfd */
    uint64_t begun_ns;
    int ret; /* valid once done, as what follows */
    struct top_round round;
    struct error *err;
};

struct watch {
    const struct top_viewer *viewer;
    struct look look;
    struct top_round now, before;
    uint64_t now_ns, before_ns; /* when each was begun; 0: not yet */
    char *problem;
    int signals;
    sigset_t old_signals;
    bool ended;
};

static void *look(void *context)
{
    struct look *l = context;
    uint64_t one = 1;
    l->ret = top_round_make(l->source, &l->round, &l->err);
    while (write(l->done_fd, &one, sizeof one) < 0 && errno == EINTR)
        continue;
    return NULL;
}

static int begin_look(struct look *l, struct error **err)
{
    l->begun_ns = clock_monotonic_ns();
    l->round = (struct top_round)TOP_ROUND_INIT;
    int number = pthread_create(&l->thread, NULL, look, l);
    if (number != 0)
        return error_make(err, number, "can't start a thread: %s", strerror(number));
    l->running = true;
    return 0;
}

static bool show(struct watch *w)
{
    struct top_sight sight = {.now = &w->now,
                              .before = w->before_ns ? &w->before : NULL,
                              .elapsed_s =
                                  w->before_ns ? (double)(w->now_ns - w->before_ns) / 1e9 : 0,
                              .problem = w->problem};
    return w->viewer->show(w->viewer->context, &sight);
}

/* The look has ended: what it saw is the present. A negative value ends the watch. */
static int take_look(struct watch *w, struct error **err)
{
    struct look *l = &w->look;
    pthread_join(l->thread, NULL);
    l->running = false;
    free(STEAL_POINTER(w->problem));
    cleanup_error struct error *failed = STEAL_POINTER(l->err);
    if (l->ret < 0 && !w->now_ns)
        return error_make(err, error_number(failed), "%s", error_message(failed));
    if (l->ret < 0) {
        w->problem = xstrdup(error_message(failed));
    } else {
        top_round_free(&w->before);
        w->before = w->now;
        w->before_ns = w->now_ns;
        w->now = l->round;
        w->now_ns = l->begun_ns;
    }
    w->ended = !show(w);
    return 0;
}

static void take_signal(struct watch *w)
{
    struct signalfd_siginfo info;
    if (read(w->signals, &info, sizeof info) != sizeof info)
        return;
    if (info.ssi_signo != SIGWINCH)
        w->ended = true;
    else if (w->now_ns)
        w->ended = !show(w);
}

/* A key, or the end of standard input. Returns whether there may be more. */
static bool take_key(struct watch *w)
{
    char key = 0;
    ssize_t length = read(STDIN_FILENO, &key, 1);
    if (length == 1 && (key == 'q' || key == 'Q'))
        w->ended = true;
    return length == 1;
}

static int timeout_ms(const struct watch *w, uint64_t next_ns)
{
    uint64_t now_ns = clock_monotonic_ns();
    if (w->look.running)
        return -1;
    return now_ns >= next_ns ? 0 : (int)((next_ns - now_ns) / NS_PER_MS) + 1;
}

static int run(struct watch *w, uint64_t interval_ns, struct error **err)
{
    uint64_t next_ns = 0, done;
    struct pollfd fds[3] = {{.fd = w->signals, .events = POLLIN},
                            {.fd = w->look.done_fd, .events = POLLIN},
                            {.fd = w->viewer->keys ? STDIN_FILENO : -1, .events = POLLIN}};
    int r = 0;
    while (r == 0 && !w->ended) {
        if (!w->look.running && clock_monotonic_ns() >= next_ns) {
            r = begin_look(&w->look, err);
            next_ns = w->look.begun_ns + interval_ns;
        }
        if (r < 0 || poll(fds, 3, timeout_ms(w, next_ns)) <= 0)
            continue;
        if (fds[0].revents)
            take_signal(w);
        if (fds[2].revents && !take_key(w))
            fds[2].fd = -1;
        if (fds[1].revents && read(w->look.done_fd, &done, sizeof done) == sizeof done && !w->ended)
            r = take_look(w, err);
    }
    return r;
}

static void end(struct watch *w)
{
    struct look *l = &w->look;
    if (l->running) {
        l->source->cancel(l->source->context);
        pthread_join(l->thread, NULL);
        top_round_free(&l->round);
        error_free(l->err);
    }
    top_round_free(&w->now);
    top_round_free(&w->before);
    free(w->problem);
    if (l->done_fd >= 0)
        close(l->done_fd);
    if (w->signals >= 0)
        close(w->signals);
    sigprocmask(SIG_SETMASK, &w->old_signals, NULL);
}

int top_watch(const struct top_source *source, uint64_t interval_ns,
              const struct top_viewer *viewer, struct error **err)
{
    struct watch w = {.viewer = viewer,
                      .look = {.source = source, .done_fd = eventfd(0, EFD_CLOEXEC)}};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGWINCH);
    sigprocmask(SIG_BLOCK, &set, &w.old_signals);
    w.signals = signalfd(-1, &set, SFD_CLOEXEC);
    int r = w.signals < 0 || w.look.done_fd < 0
                ? error_make(err, errno, "can't make descriptors: %s", strerror(errno))
                : run(&w, interval_ns, err);
    end(&w);
    return r;
}
