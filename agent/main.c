/* dpumesh-agent: one replica of a service, with its simulated DPU sidecar. */
#include <errno.h>
#include <malloc.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/app.h"
#include "agent/burn.h"
#include "agent/control.h"
#include "agent/io.h"
#include "agent/sockets.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/option.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_REFUSED = 2, LISTENERS = 64 };

struct arguments {
    const char *config;
    bool check;
};

static const struct option_entry entries[] = {
    {'c', "config", OPTION_TO_STRING(struct arguments, config), .argument = "FILE",
     .help =
         "The configuration, one JSON document (see docs/agent-config.md). It is read again when "
         "it changes and on SIGHUP."},
    {0, "check", OPTION_TO_FLAG(struct arguments, check),
     .help = "Check the configuration, print what is in force with all defaults, and exit."},
};

static const struct option_example examples[] = {
    {"dpumesh-agent --config s0.json", "Serve until SIGTERM, then drain and exit 0."},
    {"dpumesh-agent --config s0.json --check", "Print the configuration with its defaults."},
};

static const struct option_status statuses[] = {
    {EXIT_OK, "drained and ended as asked, or the configuration is fine (--check)"},
    {EXIT_FAILED, "something failed at run time, or requests were unanswered when the drain "
                  "timeout had passed"},
    {EXIT_REFUSED, "wrong usage, a configuration that is refused, or a port that is taken"},
};

static const char *const description[] = {
    "Answers the TCP bridge (port 5005) and HTTP (port 8080) through simulated submission and "
    "completion queues, calls other services through a simulated egress, and serves /metrics, "
    "/healthz, /readyz and /config on the HTTP port.",
    "Listening sockets may be inherited by systemd's protocol (LISTEN_FDS, LISTEN_PID, "
    "LISTEN_FDNAMES with the names bridge, http and admin); the addresses of the configuration are "
    "not used then.",
    NULL,
};

static const struct option_command command = {
    .name = "dpumesh-agent",
    .summary = "one replica of a service behind a simulated DPU",
    .description = description,
    OPTION_ENTRIES(entries),
    OPTION_EXAMPLES(examples),
    OPTION_STATUSES(statuses),
};

static int refused(const struct problems *problems)
{
    problems_print(problems, stderr, "dpumesh-agent: ");
    return EXIT_REFUSED;
}

static int failed(const struct error *err, int status)
{
    log_error("can't go on", LOG_ERROR(err));
    log_flush();
    return status;
}

/* As many descriptors as the system lets us have without asking anybody. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void set_up_log(const struct agent_config *config)
{
    enum log_level level;
    enum log_format format;
    if (log_level_parse(config->log.level, &level, NULL) == 0)
        log_set_level(level);
    if (log_format_parse(config->log.format, &format, NULL) == 0)
        log_set_format(format);
}

/* Whether two threads can run at once. */
static bool has_processors(void)
{
    cpu_set_t processors;
    return sched_getaffinity(0, sizeof processors, &processors) < 0 || CPU_COUNT(&processors) > 1;
}

/* Whether a plugin's function still runs whose request was answered, also after it had a moment to
 * notice. */
static bool plugin_stays(const struct agent *agent)
{
    const struct timespec moment = {.tv_nsec = 10 * 1000 * 1000};
    for (unsigned i = 0; i < 100; i++) {
        if (__atomic_load_n(&agent->plugins_late, __ATOMIC_RELAXED) == 0)
            return false;
        nanosleep(&moment, NULL);
    }
    return true;
}

/* Serves until it is told to end; the sockets are taken over. */
static int serve(struct agent *agent, const char *path, const struct listener *listeners,
                 size_t count)
{
    cleanup_error struct error *err = NULL;
    const struct agent_config *config = agent->running->config;
    struct app *app = NULL;
    struct io *io = NULL;
    /* Before the threads: a reload may replace the names at any time after. */
    log_info("starting", LOG_STR("service", config->service), LOG_STR("replica", config->replica),
             LOG_U64("listeners", count), LOG_STR("version", DPUMESH_VERSION));
    burn_calibrate();
    bool own_thread = has_processors();
    if (app_start(agent, own_thread, &app, &err) < 0)
        return failed(err, EXIT_FAILED);
    agent->guest = own_thread ? NULL : app;
    for (size_t i = 0; i < count; i++)
        agent->shares_sockets |= listeners[i].shared;
    if (io_start(agent, listeners, count, &io, &err) < 0) {
        app_stop(app);
        return failed(err, EXIT_FAILED);
    }
    metrics_thread_attach(agent->registry);
    __atomic_store_n(&agent->phase, PHASE_SERVING, __ATOMIC_RELEASE);
    memory_trim(); /* of what only loading OpenSSL and starting needed */
    int result = control_run(agent, path, io_ended_fd(io), &err);
    if (result < 0)
        agent_drain(agent);
    unsigned given_up = io_join(io);
    if (given_up > 0) {
        log_error("the drain timeout has passed", LOG_U64("unanswered_requests", given_up));
        log_flush();
        /* A worker may compute for minutes still; whoever waits for our end must not. */
        _exit(EXIT_FAILED);
    }
    if (plugin_stays(agent)) {
        log_warn("a plugin's function does not return; it is given up with the process");
        log_flush();
        _exit(result < 0 ? EXIT_FAILED : EXIT_OK);
    }
    app_stop(app);
    metrics_thread_detach();
    if (result < 0)
        return failed(err, EXIT_FAILED);
    log_info("drained");
    log_flush();
    return EXIT_OK;
}

/* ref is taken over. */
static int run(struct config_ref *ref, const char *path)
{
    cleanup_error struct error *err = NULL;
    const struct agent_config *config = ref->config;
    struct listener listeners[LISTENERS];
    size_t count = 0;
    struct agent agent;
    set_up_log(config);
    int result = sockets_open(config, listeners, LISTENERS, &count, &err);
    if (result < 0) {
        config_ref_drop(ref);
        plugin_reap();
        return failed(err, EXIT_REFUSED);
    }
    if (agent_init(&agent, ref, &err) < 0) {
        agent_destroy(&agent);
        return failed(err, EXIT_FAILED);
    }
    int status = serve(&agent, path, listeners, count);
    agent_destroy(&agent);
    return status;
}

int main(int argc, char **argv)
{
    struct arguments arguments;
    cleanup_options struct options options = OPTIONS_INIT;
    cleanup_error struct error *err = NULL;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    struct agent_config *config = NULL;
    struct config_ref *ref = NULL;
    int ret = options_parse(&command, argc, argv, &arguments, &options, &err);
    if (ret != 0)
        return options_exit(&command, ret, err);
    if (!arguments.config) {
        fprintf(stderr, "dpumesh-agent: --config FILE is needed; see dpumesh-agent --help\n");
        return EXIT_REFUSED;
    }
    /* One heap for all threads: they allocate little, and an idle heap is memory too. */
    mallopt(M_ARENA_MAX, 1);
    /* First of all: a SIGTERM while we start is a drain too, and exit 0. */
    if (!arguments.check && control_block_signals(&err) < 0)
        return failed(err, EXIT_FAILED);
    if (agent_config_load(arguments.config, &config, &problems) < 0 ||
        config_ref_new(config, arguments.config, &ref, &problems) < 0)
        return refused(&problems);
    if (arguments.check) {
        puts(ref->text);
        config_ref_drop(ref);
        plugin_reap();
        return EXIT_OK;
    }
    raise_descriptor_limit();
    return run(ref, arguments.config);
}
