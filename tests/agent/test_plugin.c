#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/job.h"
#include "agent/plugin.h"
#include "base/clock.h"
#include "base/memory.h"

static struct plugin *opened(const char *function, json_t *params)
{
    static char path[] = PLUGINS "/sample.so";
    cleanup_free char *name = xstrdup(function);
    struct internal_service internal = {.kind = INTERNAL_PLUGIN,
                                        .plugin_path = path,
                                        .plugin_function = name,
                                        .plugin_params = params};
    cleanup_error struct error *err = NULL;
    struct plugin *plugin = NULL;
    cr_assert_eq(plugin_open(&internal, &plugin, &err), 0, "%s", error_message(err));
    json_decref(params);
    return plugin;
}

/* file: of PLUGINS, or with a way of its own. */
static void refused(const char *file, const char *function, json_t *params, int result,
                    const char *sentence)
{
    cleanup_free char *path = file[0] == '/' ? xstrdup(file) : xasprintf("%s/%s", PLUGINS, file);
    cleanup_free char *name = xstrdup(function);
    struct internal_service internal = {.kind = INTERNAL_PLUGIN,
                                        .plugin_path = path,
                                        .plugin_function = name,
                                        .plugin_params = params};
    cleanup_error struct error *err = NULL;
    struct plugin *plugin = NULL;
    cr_assert_eq(plugin_open(&internal, &plugin, &err), result, "%s", file);
    cr_assert_null(plugin);
    cr_assert_not_null(strstr(error_message(err), sentence), "%s", error_message(err));
    cr_assert_eq(strncmp(error_message(err), path, strlen(path)), 0, "%s", error_message(err));
    json_decref(params);
}

Test(plugin, what_is_none_is_refused)
{
    refused("nowhere.so", "echo", NULL, -ENOENT, "can't be loaded: cannot open shared object");
    refused("/etc/passwd", "echo", NULL, -ENOENT, "can't be loaded: ");
    refused("/tmp", "echo", NULL, -ENOENT, "can't be loaded: ");
    refused("no_plugin.so", "echo", NULL, -ENOEXEC, "it is no plugin: it has no symbol");
    refused("other_api.so", "echo", NULL, -ENOEXEC,
            "it was built for plugin API 999, and this agent has API 1; build it with");
    refused("sample.so", "ecko", NULL, -ENOENT,
            "it has no function \"ecko\"; it has echo, nothing");
    refused("sample.so", "note", NULL, -EINVAL, "function note refuses its params: params.file");
}

static struct request_message *message_new(const char *query, const char *body)
{
    struct request_draft draft = {.method = METHOD_POST,
                                  .path = {.data = "/p", .length = 2},
                                  .query = {.data = query, .length = strlen(query)},
                                  .body = {.data = body, .length = strlen(body)}};
    struct request_message *message = xmalloc(draft_length(&draft));
    draft_write(&draft, 0, message);
    return message;
}

static struct plugin_job *run(struct plugin *plugin, size_t answer_max, uint64_t timeout_ns)
{
    static const bool stop = false;
    cleanup_free struct request_message *message = message_new("a=%20&b", "some \"words\"");
    struct plugin_job *job =
        plugin_job_new(7, plugin, "s0", message, answer_max, clock_monotonic_ns() + timeout_ns);
    job->job.run(&job->job, &stop);
    return job;
}

static void finished(struct plugin_job *job, struct plugin *plugin)
{
    job->job.free(&job->job);
    plugin_drop(plugin);
    plugin_reap();
}

Test(plugin, a_function_is_told_the_request)
{
    struct plugin *plugin = opened("echo", json_pack("{s:[i, s]}", "x", 1, "y"));
    struct plugin_job *job = run(plugin, 5000, NS_PER_S);
    cr_assert_eq(job->result, 0);
    cr_assert_str_eq(buffer_terminate(&job->answer),
                     "service=s0\nmethod=POST\npath=/p\nquery=a=%20&b\nbody=some \"words\"\n"
                     "params={\"x\":[1,\"y\"]}\nnumbers=12 5000\n");
    finished(job, plugin);
    plugin = opened("echo", NULL);
    job = run(plugin, 5000, NS_PER_S);
    cr_assert_not_null(strstr(buffer_terminate(&job->answer), "\nparams={}\n"));
    finished(job, plugin);
}

Test(plugin, results)
{
    static const struct {
        const char *function;
        int result;
        size_t length; /* SIZE_MAX: any */
    } cases[] = {
        {"nothing", 0, 0},
        {"fail", -EPERM, SIZE_MAX},
        {"not_utf8", -EILSEQ, SIZE_MAX},
        {"fill", 0, 12345},
        {"take_and_fail", -ENOBUFS, SIZE_MAX},
        {"patient", 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct plugin *plugin = opened(cases[i].function, NULL);
        uint64_t begun_ns = clock_monotonic_ns();
        struct plugin_job *job = run(plugin, 12345, 30 * NS_PER_MS);
        cr_assert_eq(job->result, cases[i].result, "%s: %d", cases[i].function, job->result);
        cr_assert(cases[i].length == SIZE_MAX || job->answer.length == cases[i].length, "%s",
                  cases[i].function);
        if (strcmp(cases[i].function, "patient") == 0)
            cr_assert_geq(clock_monotonic_ns() - begun_ns, 30 * NS_PER_MS);
        finished(job, plugin);
    }
}

static size_t lines_of(const char *path, char text[256])
{
    FILE *file = fopen(path, "r");
    size_t length = file ? fread(text, 1, 255, file) : 0;
    text[length] = '\0';
    if (file)
        fclose(file);
    return length;
}

/* close() comes with the last reference, and from plugin_reap() alone. */
Test(plugin, is_closed_when_nobody_runs_it)
{
    char path[] = "/tmp/dpumesh-plugin-XXXXXX", text[256];
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
    struct plugin *plugin = opened("note", json_pack("{s:s}", "file", path));
    struct plugin_job *job = run(plugin, 100, NS_PER_S);
    plugin_drop(plugin);
    plugin_reap();
    lines_of(path, text);
    cr_assert_str_eq(text, "run\n", "a job holds a reference");
    job->job.free(&job->job);
    lines_of(path, text);
    cr_assert_str_eq(text, "run\n");
    plugin_reap();
    lines_of(path, text);
    cr_assert_str_eq(text, "run\nclose\n");
    plugin_reap();
    unlink(path);
}

/* Who is first: the application that waits no longer, or the function that returns. */
Test(plugin, is_abandoned_only_while_it_runs)
{
    struct plugin *plugin = opened("nothing", NULL);
    uint32_t late = 0;
    struct plugin_job *job = run(plugin, 100, NS_PER_S);
    cr_assert_not(plugin_job_abandon(job, &late));
    cr_assert_eq(late, 0);
    job->state = PLUGIN_RUNS;
    cr_assert(plugin_job_abandon(job, &late));
    cr_assert_eq(late, 1);
    cr_assert(job->call.stopped(&job->call));
    static const bool stop = false;
    job->job.run(&job->job, &stop);
    cr_assert_eq(late, 0);
    finished(job, plugin);
}
