/* Runs a credential plugin. */
#include "kube/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

#include "base/memory.h"
#include "kube/config.h"
#include "kube/secret.h"

enum {
    LOOK_MS = 50 /* a plugin that left its output to a child of its own is seen to have ended */
};

struct plugin {
    const struct kube_exec *exec;
    pid_t pid;
    bool ended;
    int status; /* as waitpid() gives it */
    uint64_t deadline_ns;
    uint64_t timeout_ns;
};

/* ---- the beginning ---- */

/* Whether a variable of ours is replaced by one of the plugin's. */
static bool is_replaced(const char *ours, char *const *theirs)
{
    size_t name = strcspn(ours, "=") + 1;
    for (; *theirs; theirs++)
        if (strncmp(ours, *theirs, name) == 0)
            return true;
    return strncmp(ours, "KUBERNETES_EXEC_INFO=", name) == 0;
}

/* Our environment, the plugin's and info; the list is the caller's, the texts are borrowed. */
static char **environment_of(const struct kube_exec *exec, char *info)
{
    size_t ours = 0, theirs = 0, count = 0;
    while (environ[ours])
        ours++;
    while (exec->environment[theirs])
        theirs++;
    char **list = xcalloc(ours + theirs + 2, sizeof(*list));
    for (size_t i = 0; i < ours; i++)
        if (!is_replaced(environ[i], exec->environment))
            list[count++] = environ[i];
    for (size_t i = 0; i < theirs; i++)
        list[count++] = exec->environment[i];
    list[count] = info;
    return list;
}

static int not_started(const struct kube_exec *exec, int number, struct error **err)
{
    if (number != ENOENT)
        return error_make(err, number, "%s can't be run: %s", exec->where, strerror(number));
    return error_make(err, ENOENT, "%s is not installed; install it, or put it in PATH%s%s",
                      exec->where, exec->install_hint ? ": " : "",
                      exec->install_hint ? exec->install_hint : "");
}

/*
 * Standard input is empty, standard output the pipe, standard error ours, and nothing else is open.
 * A group of its own, so that what it starts ends with it; signals as a new process expects them.
 */
static int spawn(const struct kube_exec *exec, int output, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    cleanup_secret char *info = xasprintf("KUBERNETES_EXEC_INFO=%s", exec->info);
    cleanup_free char **environment = environment_of(exec, info);

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    int number = posix_spawnp(ret_pid, exec->arguments[0], &actions, &attributes, exec->arguments,
                              environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return number;
}

/* ---- the course ---- */

static void look(struct plugin *plugin, int flags)
{
    pid_t pid;
    if (plugin->ended)
        return;
    do
        pid = waitpid(plugin->pid, &plugin->status, flags);
    while (pid < 0 && errno == EINTR);
    /* Where SIGCHLD is ignored there is no status to have; what it printed is to tell. */
    if (pid < 0)
        plugin->status = 0;
    plugin->ended = pid != 0;
}

static void stop(struct plugin *plugin)
{
    if (!plugin->ended)
        kill(-plugin->pid, SIGKILL); /* its number is taken until it was waited for */
    look(plugin, 0);
}

static int too_late(const struct plugin *plugin, struct error **err)
{
    char limit[DURATION_TEXT_MAX];
    return error_make(err, ETIMEDOUT, "%s did not end within %s and was stopped",
                      plugin->exec->where, duration_format(plugin->timeout_ns, limit));
}

/* Waits for output or LOOK_MS. 1: something to read; 0: nothing yet; or -errno. */
static int wait_output(struct plugin *plugin, int output, struct error **err)
{
    struct pollfd wait = {.fd = output, .events = POLLIN};
    int ready = poll(&wait, 1, plugin->ended ? 0 : LOOK_MS);
    if (ready < 0 && errno != EINTR)
        return error_make(err, errno, "%s: poll: %s", plugin->exec->where, strerror(errno));
    if (ready > 0)
        return 1;
    if (clock_monotonic_ns() >= plugin->deadline_ns)
        return too_late(plugin, err);
    return 0;
}

/* Reads once. 1: there may be more; 0: the end; or -errno. */
static int read_output(const struct plugin *plugin, int output, struct buffer *out,
                       struct error **err)
{
    size_t room = out->max - out->length;
    char beyond;
    ssize_t got =
        room ? read(output, out->data + out->length, room) : read(output, &beyond, sizeof(beyond));
    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return 1;
    if (got < 0)
        return error_make(err, errno, "%s: read: %s", plugin->exec->where, strerror(errno));
    if (got > 0 && room == 0)
        return error_make(err, EPROTO, "%s printed more than %d KiB; an ExecCredential is short",
                          plugin->exec->where, KUBE_EXEC_OUTPUT_MAX >> 10);
    out->length += (size_t)got;
    return got > 0;
}

/*
 * Reads what the plugin prints until it closes its output, or has ended and nothing more is there:
 * what it left running may keep the output open for ever.
 */
static int collect(struct plugin *plugin, int output, struct buffer *out, struct error **err)
{
    for (;;) {
        bool ended = plugin->ended;
        int ret = wait_output(plugin, output, err);
        if (ret < 0)
            return ret;
        if (ret == 0 && ended)
            return 0;
        if (ret > 0) {
            ret = read_output(plugin, output, out, err);
            if (ret <= 0)
                return ret;
            if (clock_monotonic_ns() >= plugin->deadline_ns)
                return too_late(plugin, err);
        }
        look(plugin, WNOHANG);
    }
}

static int wait_end(struct plugin *plugin, struct error **err)
{
    const struct timespec pause = {.tv_nsec = 2 * NS_PER_MS};
    for (;;) {
        look(plugin, WNOHANG);
        if (plugin->ended)
            break;
        if (clock_monotonic_ns() >= plugin->deadline_ns)
            return too_late(plugin, err);
        nanosleep(&pause, NULL);
    }
    const char *where = plugin->exec->where;
    if (WIFSIGNALED(plugin->status))
        return error_make(err, EPROTO, "%s was ended by signal %d", where,
                          WTERMSIG(plugin->status));
    if (WEXITSTATUS(plugin->status) != 0)
        return error_make(err, EPROTO, "%s failed with status %d; its own messages say why", where,
                          WEXITSTATUS(plugin->status));
    return 0;
}

static int run(const struct kube_exec *exec, uint64_t timeout_ns, struct buffer *out,
               struct error **err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_make(err, errno, "%s: pipe: %s", exec->where, strerror(errno));
    cleanup_close int output = ends[0], input = ends[1];
    struct plugin plugin = {
        .exec = exec, .timeout_ns = timeout_ns, .deadline_ns = clock_monotonic_ns() + timeout_ns};
    int number = spawn(exec, input, &plugin.pid);
    if (number != 0)
        return not_started(exec, number, err);
    close(STEAL_FD(input)); /* else the end would never come */
    int ret = collect(&plugin, output, out, err);
    if (ret == 0)
        ret = wait_end(&plugin, err);
    stop(&plugin);
    return ret;
}

int kube_exec_run(const struct kube_exec *exec, uint64_t timeout_ns,
                  struct kube_exec_answer *ret_answer, struct error **err)
{
    cleanup_secret_buffer struct buffer out = BUFFER_INIT(KUBE_EXEC_OUTPUT_MAX);
    buffer_reserve(&out, out.max); /* once, so that growing leaves no copies of a secret */
    int ret = run(exec, timeout_ns, &out, err);
    return ret < 0 ? ret
                   : kube_exec_parse(exec, buffer_terminate(&out), out.length, ret_answer, err);
}
