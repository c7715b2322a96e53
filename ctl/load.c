#include "ctl/load.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "ctl/load_arguments.h"
#include "ctl/load_plan.h"
#include "ctl/load_report.h"
#include "ctl/load_team.h"

enum { EXIT_FINE, EXIT_FAILED, EXIT_USAGE, EXIT_UNREACHABLE, EXIT_INTERRUPTED = 128 + SIGINT };

static const char *const arrival_names[] = {
    [LOAD_ARRIVALS_PACED] = "paced", [LOAD_ARRIVALS_POISSON] = "poisson", NULL};

static const struct option_entry entries[] = {
    {'c', "concurrency", OPTION_TO_UNSIGNED(struct load_options, concurrency), .argument = "N",
     .fallback = "50", .min = 1, .max = LOAD_CONCURRENCY_MAX, .help = "Connections (clients)."},
    {'n', "requests", OPTION_TO_UINT64(struct load_options, requests), .argument = "N",
     .help = "Stop after so many requests. Without this and --duration each client sends one."},
    {'d', "duration", OPTION_TO_DURATION(struct load_options, duration_ns), .argument = "TIME",
     .help = "Stop sending after this time, such as 10s, and wait for the answers."},
    {'k', "keep-alive", OPTION_TO_FLAG(struct load_options, keep_alive),
     .help = "Keep connections and send many requests over each: newline-delimited frames to a "
             "bridge. The default for http."},
    {'1', "one-shot", OPTION_TO_FLAG(struct load_options, one_shot),
     .help = "A connection a request: send, read to the close. The default for tcp."},
    {'p', "depth", OPTION_TO_UNSIGNED(struct load_options, depth), .argument = "N", .fallback = "1",
     .min = 1, .max = LOAD_DEPTH_MAX,
     .help = "Requests in flight on each kept connection (pipelining)."},
    {'r', "rate", OPTION_TO_DOUBLE(struct load_options, rate), .argument = "N", .low = 0,
     .high = 1e8,
     .help = "Open loop: so many requests are due each second, whatever the answers do, and "
             "latency counts from when a request was due. 0: closed loop."},
    {0, "arrivals", OPTION_TO_CHOICE(struct load_options, arrivals), .argument = "KIND",
     .fallback = "paced", .choices = arrival_names,
     .help = "How an open loop's requests are spread: evenly, or as a Poisson process."},
    {0, "seed", OPTION_TO_UINT64(struct load_options, seed), .argument = "N", .fallback = "1",
     .help = "Seed of Poisson arrivals."},
    {'t', "threads", OPTION_TO_UNSIGNED(struct load_options, threads), .argument = "N",
     .max = LOAD_THREADS_MAX, .help = "Threads; 0: one a core."},
    {0, "timeout", OPTION_TO_DURATION(struct load_options, timeout_ns), .argument = "TIME",
     .fallback = "30s", .min = NS_PER_MS, .max = 3600 * NS_PER_S,
     .help = "How long to wait for a connection, and for each answer."},
    {0, "warmup", OPTION_TO_DURATION(struct load_options, warmup_ns), .argument = "TIME",
     .help = "Send this long before counting begins."},
    {'X', "method", OPTION_TO_STRING(struct load_options, method), .argument = "METHOD",
     .help = "The request's method; POST with --body, else GET."},
    {0, "path", OPTION_TO_STRING(struct load_options, path), .argument = "PATH",
     .help = "The request's path; the target's, or /api/v1."},
    {0, "query", OPTION_TO_STRING(struct load_options, query), .argument = "TEXT",
     .help = "The query string, without its question mark."},
    {'H', "header", OPTION_TO_LIST(struct load_options, headers), .argument = "NAME: VALUE",
     .help = "A header to send; may be given again."},
    {'b', "body", OPTION_TO_STRING(struct load_options, body), .argument = "TEXT|@FILE",
     .help = "The request's body, with Content-Type: application/json unless --header says "
             "otherwise."},
    {0, "any-answer", OPTION_TO_FLAG(struct load_options, any_answer),
     .help = "Count any line as an answer: for a raw echo server."},
    {0, "json", OPTION_TO_FLAG(struct load_options, json),
     .help = "Print the result as one JSON object and nothing else."},
    {'q', "quiet", OPTION_TO_FLAG(struct load_options, quiet),
     .help = "Print the result only, no line a client and no progress."},
    {0, "in-cluster", OPTION_TO_FLAG(struct load_options, cluster.in_cluster),
     .help = "Run in a pod of the cluster, where TARGET is a URL as pods see it. dpu/NAME always "
             "does."},
    {0, "namespace", OPTION_TO_STRING(struct load_options, cluster.namespace), .argument = "NAME",
     .help = "In the cluster: that of the DpuService and of the pod. Default: the context's."},
    {0, "image", OPTION_TO_STRING(struct load_options, cluster.image), .argument = "IMAGE",
     .help =
         "In the cluster: the agent's image, which holds dpumesh. Default: the DpuService's, or "
         "mubench-dpu-agent:latest."},
    {0, "kubeconfig", OPTION_TO_STRING(struct load_options, cluster.kubeconfig), .argument = "FILE",
     .help = "How to reach the cluster. Default: $KUBECONFIG, ~/.kube/config, or in a pod its "
             "service account."},
    {0, "context", OPTION_TO_STRING(struct load_options, cluster.context), .argument = "NAME",
     .help = "The kubeconfig's context to use."},
};

static const char *const description[] = {
    "Sends requests to TARGET and measures the answers. tcp://HOST:5005 is a service's bridge: by "
    "default each client connects, sends one JSON object and reads to the close. "
    "http://HOST:8080/path is HTTP/1.1 with kept connections.",
    "Each request is answered once or it is an error: refused, unreachable, reset, timeout, "
    "bad_answer, lost (the connection ended without the answer), doubled (an answer too many).",
    "dpu/NAME is the bridge of a DpuService: the test runs in the cluster, as a Job of one pod "
    "from "
    "the agent's image, prints here what it prints there, and is deleted at its end.",
    "Headers and a body of a test in the cluster stand in clear in the Job and its pod, where who "
    "may "
    "read these reads them: give no password or token that others there must not have.",
    "An interrupt (Ctrl-C) ends the test and prints the result so far.",
    NULL};

static const struct option_example examples[] = {
    {"dpumesh load tcp://127.0.0.1:30005", "50 clients, one request each, a line for each."},
    {"dpumesh load tcp://127.0.0.1:5005 -k -p 16 -c 100 -d 10s",
     "100 kept connections with 16 requests in flight on each, for ten seconds."},
    {"dpumesh load http://127.0.0.1:8080/api/v1 --rate 20000 -d 10s --json",
     "20,000 requests a second, whatever the answers do."},
    {"kubectl dpumesh load dpu/s0 --concurrency 50 --requests 50", "From a pod of the cluster."},
};

static const struct option_status statuses[] = {
    {EXIT_FINE, "Every request was answered with a status below 400."},
    {EXIT_FAILED,
     "At least one request failed, or was answered with 400 or more. For a test in the "
     "cluster also: the cluster refused or was not reached, or the pod did not run."},
    {EXIT_USAGE, "The command line is wrong, or no cluster is configured."},
    {EXIT_UNREACHABLE, "The target was never reached."},
    {EXIT_INTERRUPTED, "Interrupted before a test in the cluster had a result, or twice."},
};

int (*load_cluster_run)(const struct load_cluster_test *test);

static int load_run(const struct option_command *command, int argc, char **argv);

const struct option_command load_command = {
    .name = "load",
    .parent = "dpumesh",
    .summary = "send requests to a service and measure the answers",
    .description = description,
    OPTION_ENTRIES(entries),
    .operands = "TARGET",
    .operands_min = 1,
    .operands_max = 1,
    OPTION_EXAMPLES(examples),
    OPTION_STATUSES(statuses),
    .run = load_run,
};

static int report(const struct load_options *options, const struct load_plan *plan,
                  const struct load_stats *stats)
{
    if (stats->connections == 0 && stats->connect_errno != 0)
        fprintf(stderr, "dpumesh load: can't reach %s port %s: %s; is it running?\n", plan->host,
                plan->port, strerror(stats->connect_errno));
    if (options->json) {
        json_t *json = load_report_json(plan, stats);
        json_dumpf(json, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
        putchar('\n');
        json_decref(json);
    } else {
        load_report_text(stdout, plan, stats);
    }
    if (stats->connections == 0 && stats->connect_errno != 0)
        return EXIT_UNREACHABLE;
    return load_stats_bad(stats) ? EXIT_FAILED : EXIT_FINE;
}

static int run_test(const struct load_options *options, const struct load_plan *plan,
                    struct error **err)
{
    const bool lines = !options->json && !options->quiet;
    struct load_team_options team = {.progress = lines && isatty(STDERR_FILENO),
                                     .observer = {.first = lines ? load_report_first : NULL,
                                                  .context = stdout,
                                                  .clients = LOAD_REPORT_CLIENTS}};
    cleanup_load_stats struct load_stats *total = load_stats_new();
    if (lines)
        load_report_header(stdout, plan);
    int r = load_team_run(plan, &team, total, err);
    return r < 0 ? r : report(options, plan, total);
}

static void free_options(struct load_options *options)
{
    option_list_free(&options->headers);
}

static bool is_of_cluster(const struct load_options *load)
{
    return load->cluster.in_cluster || strncmp(load->target, "dpu/", 4) == 0;
}

/* What only a test in a cluster has. 0, or -EINVAL and a sentence. */
static int check_cluster(const struct load_options *load, struct error **err)
{
    const struct load_cluster_options *c = &load->cluster;
    if (is_of_cluster(load) && !load_cluster_run)
        return error_make(err, EINVAL, "this dpumesh was built without the verbs for a cluster");
    if (!is_of_cluster(load) && (c->kubeconfig || c->context || c->namespace || c->image))
        return error_make(err, EINVAL,
                          "--kubeconfig, --context, --namespace and --image are for a test in the "
                          "cluster; give dpu/NAME, or --in-cluster with a URL");
    return 0;
}

static int run_there(const struct load_options *load, const struct options *options,
                     struct error **err)
{
    json_auto_t *arguments = NULL;
    int r = load_arguments(&load_command, options, load, &arguments, err);
    if (r < 0)
        return r;
    struct load_cluster_test test = {
        .options = &load->cluster,
        .target = load->target,
        .arguments = arguments,
        .longest_ns =
            load->duration_ns ? load->duration_ns + load->warmup_ns + load->timeout_ns : 0};
    return load_cluster_run(&test);
}

static int load_run(const struct option_command *command, int argc, char **argv)
{
    __attribute__((cleanup(free_options))) struct load_options load = {0};
    cleanup_options struct options options = OPTIONS_INIT;
    cleanup_load_plan struct load_plan *plan = NULL;
    cleanup_error struct error *err = NULL;

    int r = options_parse(command, argc, argv, &load, &options, &err);
    if (r != 0)
        return options_exit(command, r, err);
    load.target = options.operands[0];
    r = check_cluster(&load, &err);
    if (r == 0 && is_of_cluster(&load))
        r = run_there(&load, &options, &err);
    else if (r == 0)
        r = load_plan_make(&load, &plan, &err);
    if (r == -EINVAL)
        return options_exit(command, r, err);
    /* Who reads it through a pipe or a pod's log wants each line when it is there. */
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (r == 0 && plan)
        r = run_test(&load, plan, &err);
    if (r >= 0)
        return r;
    fprintf(stderr, "dpumesh load: %s\n", error_message(err));
    return r == -EHOSTUNREACH ? EXIT_UNREACHABLE : EXIT_FAILED;
}

int load_main(int argc, char **argv)
{
    return load_run(&load_command, argc, argv);
}
