#include "agent/control.h"

#include <errno.h>
#include <libgen.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

/* An editor or kubelet touches a file several times; it is read once that has settled. */
enum { REASONS_BYTES = 900 }; /* of reasons in one line of the log, which cuts values at 1024 */

#define SETTLE_NS (100 * NS_PER_MS)

static void fill_signals(sigset_t *signals)
{
    sigemptyset(signals);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGHUP);
}

int control_block_signals(struct error **err)
{
    sigset_t signals;
    fill_signals(&signals);
    if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
        return error_make(err, errno, "can't block signals: %s", strerror(errno));
    signal(SIGPIPE, SIG_IGN);
    return 0;
}

static void log_reasons(const char *path, struct buffer *reasons)
{
    log_error("configuration refused, the old one stays", LOG_STR("path", path),
              LOG_STR("reason", buffer_terminate(reasons)));
}

static void refuse(struct agent *agent, const char *path, const struct problems *problems)
{
    metric_add(agent->metrics.reloads_bad, 1);
    /* Several to a line: the log keeps ten lines a second of one place. */
    cleanup_buffer struct buffer reasons = BUFFER_INIT((size_t)1 << 20);
    for (size_t i = 0; i < problems->count && i < PROBLEMS_MAX; i++) {
        if (reasons.length > 0 && reasons.length + strlen(problems->texts[i]) > REASONS_BYTES) {
            log_reasons(path, &reasons);
            buffer_clear(&reasons);
        }
        buffer_printf(&reasons, "%s%s", reasons.length ? "; " : "", problems->texts[i]);
    }
    log_reasons(path, &reasons);
}

static void apply_log(const struct agent_config *config)
{
    enum log_level level;
    enum log_format format;
    if (log_level_parse(config->log.level, &level, NULL) == 0)
        log_set_level(level);
    if (log_format_parse(config->log.format, &format, NULL) == 0)
        log_set_format(format);
}

static bool is_running(const struct agent *agent, const struct agent_config *config)
{
    cleanup_free char *text = config_text(config);
    return strcmp(text, agent->running->text) == 0;
}

/* quiet: a file that is the same as before is not worth a line, and opens no plugin again. */
static void reload(struct agent *agent, const char *path, bool quiet)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_agent_config struct agent_config *config = NULL;
    struct config_ref *ref = NULL;
    plugin_reap();
    int result = agent_config_load(path, &config, &problems);
    if (result == 0 && quiet && is_running(agent, config))
        return;
    if (result < 0 || agent_config_reloadable(agent->running->config, config, &problems) < 0 ||
        config_ref_new(STEAL_POINTER(config), path, &ref, &problems) < 0) {
        refuse(agent, path, &problems);
        return;
    }
    apply_log(ref->config);
    agent_reconfigure(agent, ref);
    metric_add(agent->metrics.reloads_good, 1);
    log_info("configuration reloaded", LOG_STR("path", path));
}

static void drain(struct agent *agent, int signo)
{
    log_info("draining", LOG_STR("signal", signo == SIGTERM ? "SIGTERM" : "SIGINT"),
             LOG_DURATION("timeout", agent->running->config->limits.drain_timeout_ns));
    agent_drain(agent);
}

/*
 * The first SIGTERM: a cluster sends it while nodes are still told that this replica is no place
 * for connections any more. Those that come meanwhile are served. A socket that others accept from
 * as well needs no such time: what comes next is theirs.
 */
static void leave(struct agent *agent, uint64_t *drain_at_ns)
{
    uint64_t delay_ns = agent->running->config->limits.shutdown_delay_ns;
    if (agent->shares_sockets || delay_ns == 0) {
        drain(agent, SIGTERM);
        return;
    }
    log_info("leaving, and serving until then", LOG_DURATION("delay", delay_ns));
    agent_leave(agent);
    *drain_at_ns = clock_monotonic_ns() + delay_ns;
}

/* drain_at_ns: when to drain, 0 as long as that is not known. */
static void take_signal(struct agent *agent, int fd, const char *path, uint64_t *drain_at_ns)
{
    struct signalfd_siginfo info;
    if (read(fd, &info, sizeof info) != sizeof info)
        return;
    if (info.ssi_signo == SIGHUP) {
        reload(agent, path, false);
        return;
    }
    enum agent_phase phase = agent_phase(agent);
    if (phase == PHASE_SERVING && info.ssi_signo == SIGTERM) {
        leave(agent, drain_at_ns);
    } else if (phase < PHASE_DRAINING) {
        *drain_at_ns = 0;
        drain(agent, (int)info.ssi_signo);
    }
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return !a || (b && b < a) ? b : a;
}

/* How long to sleep until then, 0: for ever. */
static int poll_ms(uint64_t until_ns)
{
    uint64_t now_ns = clock_monotonic_ns();
    uint64_t wait_ms = until_ns <= now_ns ? 0 : (until_ns - now_ns) / NS_PER_MS + 1;
    return !until_ns ? -1 : (int)wait_ms;
}

/*
 * Watches the file's directory: editors and kubelet replace a file rather than write to it, and a
 * ConfigMap's file is a link behind a link (..data), which is replaced.
 */
static int watch_directory(const char *path)
{
    cleanup_free char *copy = xstrdup(path);
    cleanup_close int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (fd < 0 || inotify_add_watch(fd, dirname(copy),
                                    IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_ONLYDIR) < 0)
        return -1;
    return STEAL_FD(fd);
}

/* Empties the queue; true when the file, or a link that may lead to it, was among the changes. */
static bool take_changes(int fd, const char *path)
{
    cleanup_free char *copy = xstrdup(path);
    const char *name = basename(copy);
    char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    bool changed = false;
    for (ssize_t got; (got = read(fd, events, sizeof events)) > 0;)
        for (char *at = events; at < events + got;) {
            const struct inotify_event *event = (const struct inotify_event *)(void *)at;
            changed |= event->len &&
                       (strcmp(event->name, name) == 0 || strcmp(event->name, "..data") == 0);
            changed |= (event->mask & IN_Q_OVERFLOW) != 0;
            at += sizeof *event + event->len;
        }
    return changed;
}

/*
 * Whether the file is another than the one that was read at the start: nobody told us of changes
 * until the watch stood. It is not judged here: who replaces it just now is heard of by the watch,
 * and a file that is not there may come back as it was. What is no file, such as a pipe, can be
 * read but once.
 */
static bool changed_before_watch(const struct agent *agent, const char *path)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_agent_config struct agent_config *config = NULL;
    struct stat status;
    if (stat(path, &status) < 0 || !S_ISREG(status.st_mode))
        return false;
    return agent_config_load(path, &config, &problems) < 0 || !is_running(agent, config);
}

int control_run(struct agent *agent, const char *path, int ended_fd, struct error **err)
{
    sigset_t signals;
    fill_signals(&signals);
    cleanup_close int signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
    cleanup_close int file_fd = watch_directory(path);
    if (signal_fd < 0)
        return error_make(err, errno, "can't watch signals: %s", strerror(errno));
    if (file_fd < 0)
        log_warn("the configuration file can't be watched; send SIGHUP after a change",
                 LOG_STR("path", path), LOG_STR("error", strerror(errno)));
    struct pollfd polled[3] = {
        {.fd = ended_fd, .events = POLLIN},
        {.fd = signal_fd, .events = POLLIN},
        {.fd = file_fd, .events = POLLIN},
    };
    /* When a change is acted upon, 0: there was none. */
    uint64_t settled_ns = changed_before_watch(agent, path) ? clock_monotonic_ns() + SETTLE_NS : 0;
    uint64_t drain_at_ns = 0; /* when leaving is over, 0: it has not begun, or is over */
    for (;;) {
        int count = poll(polled, 3, poll_ms(sooner(settled_ns, drain_at_ns)));
        if (count < 0 && errno != EINTR)
            return error_make(err, errno, "can't wait for events: %s", strerror(errno));
        uint64_t now_ns = clock_monotonic_ns();
        if (settled_ns && now_ns >= settled_ns) {
            settled_ns = 0;
            if (agent_phase(agent) < PHASE_DRAINING)
                reload(agent, path, true);
        }
        if (drain_at_ns && now_ns >= drain_at_ns) {
            drain_at_ns = 0;
            drain(agent, SIGTERM);
        }
        if (count <= 0)
            continue;
        if (polled[0].revents)
            return 0;
        if (polled[1].revents)
            take_signal(agent, signal_fd, path, &drain_at_ns);
        if (polled[2].revents && take_changes(file_fd, path) && !settled_ns)
            settled_ns = clock_monotonic_ns() + SETTLE_NS;
    }
}
