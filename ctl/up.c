#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "ctl/assign.h"
#include "ctl/documents.h"
#include "ctl/local/detach.h"
#include "ctl/local/supervisor.h"
#include "ctl/terminal.h"
#include "ctl/verb.h"
#include "spec/application.h"

struct up {
    struct option_list files;
    struct option_list replicas;
    const char *name;
    const char *address;
    const char *agent;
    const char *metrics;
    unsigned mode;
    const char *profile;
    uint64_t timeout_ns;
    bool detach;

    struct in_addr base;
    struct assignments overrides;
    struct datapath_override datapath;
};

static const struct option_entry entries[] = {
    {'f', "file", OPTION_TO_LIST(struct up, files), .argument = "FILE",
     .help = "A file of DpuServices, YAML or JSON, or a folder of such files; \"-\" reads "
             "standard input."},
    {'r', "replicas", OPTION_TO_LIST(struct up, replicas), .argument = "SERVICE=N",
     .help = "Run N replicas of a service, whatever the file says. Also as a list: s0=3,s1=2."},
    DOCUMENTS_OVERRIDE_ENTRIES(struct up),
    {'n', "name", OPTION_TO_STRING(struct up, name), .argument = "APP",
     .help = "The application's name; default: the first file's, without directory and ending."},
    {'a', "address", OPTION_TO_STRING(struct up, address), .argument = "IPV4",
     .fallback = "127.0.0.1",
     .help = "Where the first service and all node ports listen; each further service listens one "
             "address higher."},
    {0, "metrics", OPTION_TO_STRING(struct up, metrics), .argument = "ADDRESS:PORT",
     .fallback = "127.0.0.1:0",
     .help = "Where /metrics and /targets of the supervisor are; port 0 takes any free one, "
             "\"none\" leaves them out."},
    {0, "agent", OPTION_TO_STRING(struct up, agent), .argument = "PATH",
     .help = "The agent program; default: dpumesh-agent beside this program, then in PATH."},
    {0, "timeout", OPTION_TO_DURATION(struct up, timeout_ns), .argument = "TIME", .fallback = "60s",
     .help = "Give up when not all replicas are ready after this time; 0 waits without a limit."},
    {'d', "detach", OPTION_TO_FLAG(struct up, detach),
     .help = "Go to the background when all replicas are ready."},
};

static const char *const description[] = {
    "Runs the services of DpuService files as processes of this machine: the same objects that the "
    "operator would apply to a cluster. All replicas of a service share its ports; what dies is "
    "started again. Ctrl-C, SIGTERM, the end of the terminal or \"dpumesh down\" drain everything; "
    "a "
    "second Ctrl-C kills at once.",
    NULL,
};

static const struct option_example examples[] = {
    {"dpumesh up -f app.yaml", "runs it until Ctrl-C"},
    {"dpumesh up -f app.yaml -r s0=3 --detach", "three replicas of s0, in the background"},
    {"dpumesh up -f app.yaml --mode sidecar", "with a proxy on the host instead of a DPU"},
};

static const struct option_status statuses[] = {
    {STATUS_OK, "stopped as asked, everything has drained"},
    {STATUS_FAILED, "a replica failed for good, or was not ready in time"},
    {STATUS_USAGE, "usage, a bad document, a taken port, or the application runs already; nothing "
                   "was started"},
    {STATUS_KILLED, "a second Ctrl-C killed what had not drained"},
};

/* "path/My App.yaml" -> "my-app"; the caller frees it. */
static char *name_of_file(const char *path)
{
    const char *base = strrchr(path, '/');
    base = base ? base + 1 : path;
    const char *dot = strrchr(base, '.');
    char *name = xstrndup(base, dot && dot > base ? (size_t)(dot - base) : strlen(base));
    for (char *at = name; *at; at++)
        *at = isalnum((unsigned char)*at) ? (char)tolower((unsigned char)*at) : '-';
    if (rundir_name_valid(name))
        return name;
    free(name);
    return xstrdup("app");
}

static int override_replicas(const struct up *up, struct plan *plan, struct problems *problems)
{
    for (size_t i = 0; i < up->overrides.count; i++) {
        const struct assignment *item = &up->overrides.items[i];
        struct plan_service *service = plan_find(plan, item->service);
        if (service)
            service->replicas = item->replicas;
        else
            problem_add(problems, "--replicas: no service %s is in the files", item->service);
    }
    return problems->count > 0 ? -EINVAL : 0;
}

/* Local mode has no Secrets and ConfigMaps: a certificate is a file here. */
static void refuse_needed_objects(const struct dpuservice *service, struct problems *problems)
{
    cleanup_free char *needed = spec_needed_objects(service);
    struct source source = dpuservice_source(service);
    struct place root = PLACE_ROOT(&source);

    if (needed)
        place_problem(
            &root, problems,
            "needs %s, and local mode has neither Secrets nor ConfigMaps; name files with "
            "ca, certificate and key instead of caFrom and secretName",
            needed);
}

/* From files to the plan; all that is wrong goes to problems. */
static int make_plan(const struct up *up, struct plan **ret_plan, struct problems *problems)
{
    cleanup_application struct application application = APPLICATION_INIT;
    int r = application_load_with(up->files.items, up->files.count, &up->datapath, &application,
                                  problems);
    if (r < 0)
        return r;
    for (size_t i = 0; i < application.skipped.count && i < PROBLEMS_MAX; i++)
        say("left out: %s", application.skipped.texts[i]);

    cleanup_plan struct plan *plan = plan_new(up->base);
    for (size_t i = 0; i < application.count; i++) {
        cleanup_error struct error *err = NULL;
        cleanup_children struct children children = CHILDREN_INIT;
        spec_children(application.services[i], &children);
        refuse_needed_objects(application.services[i], problems);
        if (plan_add(plan, &children, &err) < 0)
            problem_add(problems, "%s", error_message(err));
    }
    r = override_replicas(up, plan, problems);
    if (r < 0)
        return r;
    plan_connect(plan);
    *ret_plan = STEAL_POINTER(plan);
    return 0;
}

/* For `dpumesh apply`: the problems as one text. */
static int read_again(void *context, struct plan **ret_plan, struct error **err)
{
    const struct up *up = context;
    for (size_t i = 0; i < up->files.count; i++)
        if (strcmp(up->files.items[i], "-") == 0)
            return error_make(err, EINVAL, "standard input can't be read again; start with a file");
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    int r = make_plan(up, ret_plan, &problems);
    if (r == 0)
        return 0;
    cleanup_buffer struct buffer text = BUFFER_INIT(1 << 20);
    for (size_t i = 0; i < problems.count && i < PROBLEMS_MAX; i++)
        buffer_printf(&text, "%s%s", i ? "\n" : "", problems.texts[i]);
    return error_make(err, -r, "%s", buffer_terminate(&text));
}

/* Whether a path can be run: 0, or an errno. A folder may be "executed" too. */
static int why_not_run(const char *path)
{
    struct stat there;
    if (stat(path, &there) < 0 || access(path, X_OK) < 0)
        return errno;
    return S_ISDIR(there.st_mode) ? EISDIR : 0;
}

/* Beside us first: a build's or an installation's programs belong together. */
static char *find_agent(const char *given, struct error **err)
{
    if (given) {
        int why = why_not_run(given);
        if (why == 0)
            return xstrdup(given);
        error_make(err, why, "--agent %s: %s", given, strerror(why));
        return NULL;
    }
    char self[4096];
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (length > 0) {
        self[length] = '\0';
        char *slash = strrchr(self, '/');
        cleanup_free char *beside =
            xasprintf("%.*s/dpumesh-agent", (int)(slash ? slash - self : 0), self);
        if (why_not_run(beside) == 0)
            return STEAL_POINTER(beside);
    }
    const char *at = getenv("PATH");
    while (at && *at) {
        size_t part = strcspn(at, ":");
        cleanup_free char *path = xasprintf("%.*s/dpumesh-agent", (int)part, at);
        if (part > 0 && why_not_run(path) == 0)
            return STEAL_POINTER(path);
        at += part + (at[part] == ':');
    }
    error_make(err, ENOENT,
               "dpumesh-agent is neither beside this program nor in PATH; name it with "
               "--agent");
    return NULL;
}

static int check(struct up *up, struct error **err)
{
    if (up->files.count == 0)
        return error_make(err, EINVAL, "no file is given; add -f FILE");
    if (up->name && !rundir_name_valid(up->name))
        return error_make(err, EINVAL,
                          "--name %s: give lower-case letters, digits and dashes, 63 at most",
                          up->name);
    if (inet_pton(AF_INET, up->address, &up->base) != 1)
        return error_make(err, EINVAL, "--address %s is not an IPv4 address such as 127.0.0.1",
                          up->address);
    for (size_t i = 0; i < up->replicas.count; i++) {
        int r = assignments_parse(up->replicas.items[i], PLAN_REPLICAS_MAX, &up->overrides, err);
        if (r < 0)
            return error_prefix(err, r, "--replicas");
    }
    return 0;
}

static int run_plan(struct up *up, struct plan *plan)
{
    cleanup_error struct error *err = NULL;
    cleanup_free char *name = up->name ? xstrdup(up->name) : name_of_file(up->files.items[0]);
    cleanup_free char *agent = find_agent(up->agent, &err);
    if (!agent)
        return complain(STATUS_USAGE, "%s", error_message(err));

    struct detach detach = DETACH_INIT;
    if (up->detach) {
        int status = detach_fork(&detach, &err);
        if (status >= 0)
            return status; /* the process that the user started: all is ready, or has ended */
        if (err)
            return complain(STATUS_USAGE, "%s", error_message(err));
    }
    struct supervisor_options options = {
        .name = name,
        .agent = agent,
        .metrics = strcmp(up->metrics, "none") == 0 ? NULL : up->metrics,
        .ready_timeout_ns = up->timeout_ns,
        .plan = plan,
        .read_plan = read_again,
        .read_context = up,
        .ready = up->detach ? detach_ready : NULL,
        .ready_context = &detach,
    };
    int status = supervisor_run(&options, &err);
    if (err)
        complain(status, "%s", error_message(err));
    return status;
}

static int run(const struct option_command *command, int argc, char **argv)
{
    struct up up = {.overrides = ASSIGNMENTS_INIT};
    cleanup_options struct options options = OPTIONS_INIT;
    cleanup_error struct error *err = NULL;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_plan struct plan *plan = NULL;
    int r = options_parse(command, argc, argv, &up, &options, &err);
    if (r == 0)
        r = check(&up, &err);
    if (r == 0)
        up.datapath = documents_override(&options, up.mode, up.profile);
    int status;
    if (r != 0) {
        status = options_exit(command, r, err);
    } else if (make_plan(&up, &plan, &problems) < 0) {
        problems_print(&problems, stderr, "dpumesh: ");
        status = STATUS_USAGE;
    } else {
        status = run_plan(&up, plan);
    }
    assignments_free(&up.overrides);
    option_list_free(&up.files);
    option_list_free(&up.replicas);
    return status;
}

const struct option_command verb_up = {
    .name = "up",
    .parent = "dpumesh",
    .summary = "run an application on this machine",
    .description = description,
    OPTION_ENTRIES(entries),
    OPTION_EXAMPLES(examples),
    OPTION_STATUSES(statuses),
    .run = run,
};
