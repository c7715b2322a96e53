#include "ctl/compare/app.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "ctl/local/control.h"
#include "ctl/local/fetch.h"
#include "ctl/local/process.h"
#include "ctl/local/supervisor.h"

enum {
    LOOK_MS = 20,
    PAGE_BYTES_MAX = 16 << 20,
    OUTPUT_BYTES_MAX = 64 << 10,
    FIXED_ARGUMENTS = 13,
};
#define PAGE_TIMEOUT_NS (10 * NS_PER_S)

static int spawn(const struct compare_app_options *options, struct compare_app *app,
                 struct error **err)
{
    cleanup_free const char **argv =
        xcalloc(2 * options->files->count + FIXED_ARGUMENTS + 1, sizeof(*argv));
    size_t count = 0;
    const char *const fixed[] = {"dpumesh",   "up",          "--name",    app->name,
                                 "--mode",    options->mode, "--address", options->address,
                                 "--metrics", "none"};

    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        argv[count++] = fixed[i];
    if (options->profile) {
        argv[count++] = "--profile";
        argv[count++] = options->profile;
    }
    cleanup_free char *agent = options->agent ? xasprintf("--agent=%s", options->agent) : NULL;
    if (agent)
        argv[count++] = agent;
    for (size_t i = 0; i < options->files->count; i++) {
        argv[count++] = "-f";
        argv[count++] = options->files->items[i];
    }
    struct process_spec spec = {
        .program = "/proc/self/exe", .argv = argv, .output_fd = app->output};
    return process_spawn(&spec, &app->pid, &app->pidfd, err);
}

/* Whether the process ended within the time; then *ret_code is its exit status. */
static bool has_ended(struct compare_app *app, int timeout_ms, int *ret_code)
{
    struct pollfd end = {.fd = app->pidfd, .events = POLLIN};
    int number = 0;

    if (poll(&end, 1, timeout_ms) != 1 || process_reap(app->pidfd, ret_code, &number) < 0)
        return false;
    close(STEAL_FD(app->pidfd));
    app->pid = 0;
    return true;
}

/* Asks it how it is; true when it runs, with app->state. */
static bool is_running(struct compare_app *app)
{
    cleanup_error struct error *err = NULL;
    json_auto_t *answer = NULL;

    if (!app->dir.path && rundir_open(app->name, &app->dir, &err) < 0)
        return false;
    if (control_call(&app->dir, json_pack("{s:s}", "verb", "ps"), CONTROL_TIMEOUT_NS, false,
                     &answer, &err) < 0)
        return false;
    json_t *application = json_object_get(answer, "application");
    const char *state = json_string_value(json_object_get(application, "state"));
    if (!state || strcmp(state, "running") != 0)
        return false;
    app->state = json_incref(application);
    return true;
}

static void tell_what_it_said(const struct compare_app *app)
{
    char text[OUTPUT_BYTES_MAX];
    ssize_t length = pread(app->output, text, sizeof text, 0);

    if (length > 0)
        fwrite(text, 1, (size_t)length, stderr);
}

int compare_app_start(const struct compare_app_options *options, struct compare_app *app,
                      struct error **err)
{
    int code = 0;

    app->name = xasprintf("compare-%d", (int)getpid());
    app->output = memfd_create("dpumesh-compare", MFD_CLOEXEC);
    if (app->output < 0)
        return error_make(err, errno, "can't make a file in memory: %s", strerror(errno));
    int ret = spawn(options, app, err);
    if (ret < 0)
        return ret;
    while (!has_ended(app, LOOK_MS, &code))
        if (is_running(app))
            return 0;
    tell_what_it_said(app);
    return code > 0 ? code : STATUS_FAILED;
}

const json_t *compare_app_service(const struct compare_app *app, const char *name)
{
    const json_t *services = json_object_get(app->state, "services"), *service;
    size_t i;

    json_array_foreach(services, i, service)
    {
        const char *its = json_string_value(json_object_get(service, "name"));
        if (!name || (its && strcmp(its, name) == 0))
            return service;
    }
    return NULL;
}

int compare_app_pages(const struct compare_app *app, const char *query,
                      int (*visit)(void *context, const char *text, size_t length,
                                   struct error **err),
                      void *context, struct error **err)
{
    const json_t *services = json_object_get(app->state, "services"), *service, *replica;
    cleanup_buffer struct buffer page = BUFFER_INIT(PAGE_BYTES_MAX);
    size_t i, j;

    json_array_foreach(services, i, service)
    {
        json_array_foreach(json_object_get(service, "replicas"), j, replica)
        {
            const char *admin = json_string_value(json_object_get(replica, "admin"));
            int ret = fetch_page(admin, query, PAGE_TIMEOUT_NS, NULL, &page, err);
            if (ret == 0)
                ret = visit(context, buffer_terminate(&page), page.length, err);
            if (ret < 0)
                return error_prefix(err, ret, "the metrics of a replica");
        }
    }
    return 0;
}

void compare_app_stop(struct compare_app *app)
{
    int code;

    if (app->pidfd >= 0) {
        kill(app->pid, SIGTERM);
        while (!has_ended(app, -1, &code))
            continue;
    }
    rundir_close(&app->dir);
    app->dir = (struct rundir)RUNDIR_INIT;
    json_decref(app->state);
    app->state = NULL;
    free(app->name);
    app->name = NULL;
    if (app->output >= 0)
        close(STEAL_FD(app->output));
}
