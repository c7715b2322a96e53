#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "ctl/compare/report.h"
#include "ctl/compare/run.h"
#include "ctl/load_plan.h"
#include "ctl/local/supervisor.h"
#include "ctl/terminal.h"
#include "ctl/verb.h"
#include "spec/application.h"

enum { PAGE_BYTES_MAX = 1 << 20, REQUEST_BYTES_MAX = 1 << 20 };

static const char *const arrival_names[] = {
    [LOAD_ARRIVALS_PACED] = "paced", [LOAD_ARRIVALS_POISSON] = "poisson", NULL};

static const struct option_entry entries[] = {
    {'f', "file", OPTION_TO_LIST(struct compare_options, files), .argument = "FILE",
     .help = "A file of DpuServices, YAML or JSON, or a folder of such files."},
    {'r', "rate", OPTION_TO_DOUBLE(struct compare_options, rate), .argument = "N",
     .fallback = "500", .low = 0.1, .high = 1e7,
     .help = "Requests that are due each second, whatever the answers do: an open loop."},
    {'d', "duration", OPTION_TO_DURATION(struct compare_options, duration_ns), .argument = "TIME",
     .fallback = "10s", .min = 100 * NS_PER_MS, .max = 86400 * NS_PER_S,
     .help = "How long each of the three is measured."},
    {0, "warmup", OPTION_TO_DURATION(struct compare_options, warmup_ns), .argument = "TIME",
     .fallback = "1s", .max = 3600 * NS_PER_S,
     .help = "How long each is loaded before that, uncounted."},
    {'c', "connections", OPTION_TO_UNSIGNED(struct compare_options, connections), .argument = "N",
     .fallback = "8", .min = 1, .max = LOAD_CONCURRENCY_MAX,
     .help = "Connections, which are kept; requests are pipelined on them."},
    {0, "arrivals", OPTION_TO_CHOICE(struct compare_options, arrivals), .argument = "KIND",
     .fallback = "poisson", .choices = arrival_names,
     .help = "How the requests are spread: as a Poisson process, or evenly."},
    {0, "seed", OPTION_TO_UINT64(struct compare_options, seed), .argument = "N", .fallback = "1",
     .help = "Seed of Poisson arrivals; all three get the same."},
    {'t', "threads", OPTION_TO_UNSIGNED(struct compare_options, threads), .argument = "N",
     .fallback = "1", .max = LOAD_THREADS_MAX, .help = "Threads of the load; 0: one a core."},
    {0, "timeout", OPTION_TO_DURATION(struct compare_options, timeout_ns), .argument = "TIME",
     .fallback = "30s", .min = NS_PER_MS, .max = 3600 * NS_PER_S,
     .help = "How long to wait for each answer."},
    {0, "request-bytes", OPTION_TO_SIZE(struct compare_options, request_bytes), .argument = "SIZE",
     .fallback = "1024", .max = REQUEST_BYTES_MAX,
     .help = "Length of a request's frame; a header makes up for what is missing. 0: as it comes."},
    {'b', "body", OPTION_TO_STRING(struct compare_options, body), .argument = "TEXT|@FILE",
     .help = "The body of each request, such as a trace; without it none."},
    {'s', "service", OPTION_TO_STRING(struct compare_options, service), .argument = "NAME",
     .help = "The service that is loaded; default: the first of the files."},
    {0, "profile-dpu", OPTION_TO_STRING(struct compare_options, profile_dpu),
     .argument = "NAME|FILE",
     .help = "The profile of mode dpu; default: what the files say, or bluefield3-native."},
    {0, "profile-sidecar", OPTION_TO_STRING(struct compare_options, profile_sidecar),
     .argument = "NAME|FILE",
     .help = "The profile of mode sidecar; default: what the files say, or envoy-permissive."},
    {'a', "address", OPTION_TO_STRING(struct compare_options, address), .argument = "IPV4",
     .fallback = "127.0.0.1", .help = "Where the first service listens, as with up."},
    {0, "agent", OPTION_TO_STRING(struct compare_options, agent), .argument = "PATH",
     .help = "The agent program; default: dpumesh-agent beside this program, then in PATH."},
    {0, "json", OPTION_TO_STRING(struct compare_options, json), .argument = "FILE",
     .help = "Write all figures as JSON; \"-\": to standard output, instead of the table."},
    {0, "html", OPTION_TO_STRING(struct compare_options, html), .argument = "FILE",
     .help = "Write a page for a browser, which needs nothing beside it."},
};

static const char *const description[] = {
    "Runs the same application three times on this machine, one data path after the other, under "
    "the same load: direct (no proxy), sidecar (a proxy whose work the host does), dpu (a proxy on "
    "a modelled DPU). Prints what each achieved and what it cost the host, side by side. All "
    "figures are of this run: what the load saw, and what the agents counted meanwhile.",
    NULL};

static const struct option_example examples[] = {
    {"dpumesh compare -f examples/compare", "the example, half a minute"},
    {"dpumesh compare -f app.yaml --rate 2000 --duration 30s --html report.html",
     "another application at another load, also as a page"},
};

static const struct option_status statuses[] = {
    {STATUS_OK, "all three ran, and every request was answered below 400"},
    {STATUS_FAILED, "a request was not, a replica failed, or a report could not be written"},
    {STATUS_USAGE, "usage, a bad document or profile, or a taken port"},
    {COMPARE_INTERRUPTED, "interrupted"},
};

static int check(const struct compare_options *options, struct error **err)
{
    if (options->files.count == 0)
        return error_make(err, EINVAL, "no file is given; add -f FILE");
    for (size_t i = 0; i < options->files.count; i++)
        if (strcmp(options->files.items[i], "-") == 0)
            return error_make(err, EINVAL, "standard input can't be read three times; give a file");
    return 0;
}

/* Whether all three could be started, before any is: what up would say of the files and the
 * profiles. 0, or the exit status after saying it. */
static int check_files(const struct compare_options *options)
{
    const struct datapath_override tried[] = {
        {.mode_given = true, .mode = DATAPATH_DIRECT},
        {.mode_given = true, .mode = DATAPATH_SIDECAR, .profile = options->profile_sidecar},
        {.mode_given = true, .mode = DATAPATH_DPU, .profile = options->profile_dpu}};
    for (size_t i = 0; i < sizeof tried / sizeof tried[0]; i++) {
        cleanup_application struct application application = APPLICATION_INIT;
        cleanup_problems struct problems problems = PROBLEMS_INIT;
        if (application_load_with(options->files.items, options->files.count, &tried[i],
                                  &application, &problems) < 0) {
            problems_print(&problems, stderr, "dpumesh: ");
            return STATUS_USAGE;
        }
        if (options->service && !application_find(&application, options->service))
            return complain(STATUS_USAGE, "--service %s: no such service in the files",
                            options->service);
    }
    return STATUS_OK;
}

static json_t *what_was_asked(const struct compare_options *options)
{
    json_t *files = json_array();
    for (size_t i = 0; i < options->files.count; i++)
        json_array_append_new(files, json_string(options->files.items[i]));
    return json_pack("{s:s, s:o, s:f, s:f, s:f, s:I, s:s, s:I, s:I, s:I}", "apiVersion",
                     "dpumesh.io/compare/v1alpha1", "files", files, "rate_per_s", options->rate,
                     "duration_s", (double)options->duration_ns / 1e9, "warmup_s",
                     (double)options->warmup_ns / 1e9, "connections",
                     (json_int_t)options->connections, "arrivals", arrival_names[options->arrivals],
                     "seed", (json_int_t)options->seed, "request_bytes",
                     (json_int_t)options->request_bytes, "machine_cores",
                     (json_int_t)sysconf(_SC_NPROCESSORS_ONLN));
}

/* Runs all three; 0 or the exit status, and why was told. */
static int run_all(const struct compare_options *options, json_t *runs)
{
    static const char *const modes[] = {"direct", "sidecar", "dpu"};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        cleanup_error struct error *err = NULL;
        json_t *run = NULL;
        say("%s: %g/s for %g s ...", modes[i], options->rate,
            (double)(options->warmup_ns + options->duration_ns) / 1e9);
        int ret = compare_run(options, modes[i], &run, &err);
        if (ret < 0)
            return complain(ret == -ENOENT || ret == -EINVAL ? STATUS_USAGE : STATUS_FAILED, "%s",
                            error_message(err));
        if (ret > 0)
            return ret;
        json_array_append_new(runs, run);
    }
    return STATUS_OK;
}

static int write_text(const char *path, const char *text, size_t length)
{
    cleanup_error struct error *err = NULL;
    if (strcmp(path, "-") == 0)
        return fwrite(text, 1, length, stdout) == length ? STATUS_OK : STATUS_FAILED;
    if (file_write(path, text, length, 0644, &err) < 0)
        return complain(STATUS_FAILED, "%s", error_message(err));
    return STATUS_OK;
}

/* The table and the reports; the exit status. */
static int report(const struct compare_options *options, const json_t *comparison)
{
    int status = STATUS_OK;
    if (options->json) {
        cleanup_free char *text = json_dumps(comparison, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
        cleanup_free char *line = xasprintf("%s\n", text);
        status = write_text(options->json, line, strlen(line));
    }
    if (options->html) {
        cleanup_buffer struct buffer page = BUFFER_INIT(PAGE_BYTES_MAX);
        int written =
            compare_page(comparison, &page) < 0
                ? complain(STATUS_FAILED, "the page is larger than %d bytes", PAGE_BYTES_MAX)
                : write_text(options->html, page.data, page.length);
        status = status ? status : written;
    }
    if (!options->json || strcmp(options->json, "-") != 0)
        compare_print(comparison, stdout);
    return status;
}

static bool all_answered(const json_t *runs)
{
    size_t i;
    json_t *run;
    json_array_foreach(runs, i, run) if (json_integer_value(json_object_get(run, "errors")) >
                                         0) return false;
    return true;
}

static int compare(const struct compare_options *options)
{
    int status = check_files(options);
    if (status != STATUS_OK)
        return status;
    json_auto_t *comparison = what_was_asked(options);
    json_t *runs = json_array();
    json_object_set_new(comparison, "runs", runs);
    status = run_all(options, runs);
    if (status != STATUS_OK)
        return status;
    json_object_set_new(comparison, "saving", compare_saving(runs));
    status = report(options, comparison);
    return status == STATUS_OK && !all_answered(runs) ? STATUS_FAILED : status;
}

static int run(const struct option_command *command, int argc, char **argv)
{
    struct compare_options compared;
    cleanup_options struct options options = OPTIONS_INIT;
    cleanup_error struct error *err = NULL;
    int r = options_parse(command, argc, argv, &compared, &options, &err);
    if (r == 0)
        r = check(&compared, &err);
    int status = r != 0 ? options_exit(command, r, err) : compare(&compared);
    option_list_free(&compared.files);
    return status;
}

const struct option_command verb_compare = {
    .name = "compare",
    .parent = "dpumesh",
    .summary = "measure an application without a proxy, with a sidecar and with a DPU",
    .description = description,
    OPTION_ENTRIES(entries),
    OPTION_EXAMPLES(examples),
    OPTION_STATUSES(statuses),
    .run = run,
};
