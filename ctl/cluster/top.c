/* `dpumesh top`: what each service does right now, here or in a cluster. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "ctl/cluster/screen.h"
#include "ctl/cluster/top_local.h"
#include "ctl/cluster/top_print.h"
#include "ctl/cluster/top_remote.h"
#include "ctl/cluster/top_watch.h"
#include "ctl/cluster/verbs.h"
#include "ctl/local/supervisor.h"
#include "ctl/terminal.h"
#include "ctl/verb.h"

enum output { OUTPUT_TABLE, OUTPUT_JSON };

static const char *const output_names[] = {[OUTPUT_TABLE] = "table", [OUTPUT_JSON] = "json", NULL};

struct top {
    struct cluster_options cluster;
    const char *name;
    bool in_cluster, all_namespaces, watch, once;
    uint64_t interval_ns, timeout_ns;
    unsigned output;
};

static const struct option_entry entries[] = {
    CLUSTER_ENTRIES(struct top, cluster),
    {'n', "namespace", OPTION_TO_STRING(struct top, cluster.namespace), .argument = "NAME",
     .help = "The DpuServices of this namespace. Default: the context's."},
    {'A', "all-namespaces", OPTION_TO_FLAG(struct top, all_namespaces),
     .help = "Those of all namespaces."},
    {0, "cluster", OPTION_TO_FLAG(struct top, in_cluster),
     .help =
         "Look at the cluster, as \"kubectl dpumesh top\" always does. So do the options above; "
         "otherwise \"dpumesh top\" looks at what \"dpumesh up\" runs."},
    {0, "name", OPTION_TO_STRING(struct top, name), .argument = "APP",
     .help = "Which application of \"dpumesh up\", when several run."},
    {'i', "interval", OPTION_TO_DURATION(struct top, interval_ns), .argument = "TIME",
     .fallback = "2s", .min = 100 * NS_PER_MS, .max = 3600 * NS_PER_S,
     .help = "Between two looks; rates and quantiles are of the time between them."},
    {0, "timeout", OPTION_TO_DURATION(struct top, timeout_ns), .argument = "TIME", .fallback = "2s",
     .min = 10 * NS_PER_MS, .max = 60 * NS_PER_S,
     .help = "How long a replica may take to answer; then it counts as unknown."},
    {'w', "watch", OPTION_TO_FLAG(struct top, watch),
     .help = "Go on until Ctrl-C also where standard output is no terminal."},
    {0, "once", OPTION_TO_FLAG(struct top, once),
     .help = "Print one table, after two looks. The default where standard output is no terminal."},
    {'o', "output", OPTION_TO_CHOICE(struct top, output), .argument = "FORM", .fallback = "table",
     .choices = output_names, .help = "table, or json: one object a look, on a line."},
};

static const char *const description[] = {
    "Shows for each service how many replicas are ready, requests a second, latency, requests in "
    "flight, descriptors in the submission queue and its capacity, and the processor time that the "
    "DPU's part and the host's part take, in thousandths of a processor. NAME... chooses services.",
    "On a terminal the page is painted anew until q or Ctrl-C. \"-\" is what the agents do not "
    "tell "
    "(or not yet), \"?\" a replica that does not answer, and \"12?\" the sum over those that do.",
    "P50 and P99 come from the histogram of the requests between two looks, with straight lines "
    "between its bounds, as Prometheus' histogram_quantile() does it. The bounds are muBench's: "
    "0.5, 1, 10, 100, 1000 and 10000 ms.",
    "In a cluster the pages of pods are read through the API server (pods/proxy), eight at a time.",
    NULL,
};

static const struct option_example examples[] = {
    {"kubectl dpumesh top -A", "all services of the cluster"},
    {"dpumesh top", "what \"dpumesh up\" runs"},
    {"kubectl dpumesh top -n shop -o json --watch", "a line of JSON every two seconds"},
};

static const struct option_status statuses[] = {
    {STATUS_OK, "shown until it was ended"},
    {STATUS_FAILED, "the cluster refused or was not reached, or there is no such service"},
    {STATUS_USAGE, "usage, or no cluster is configured"},
    {STATUS_NOT_RUNNING, "no application runs on this machine, and no cluster was asked for"},
};

/* What is shown where. */
struct view {
    const struct top *top;
    const char *what; /* of the head line */
    bool namespaces, forever;
    unsigned shown;
    int status; /* the exit status, when the view ended itself */
    char *told; /* what was said last of replicas that do not answer; or NULL */
};

static char *page_text(const struct view *view, const struct top_sight *sight)
{
    char *text = NULL, clock[16] = "", interval[DURATION_TEXT_MAX];
    size_t size = 0;
    time_t now = time(NULL);
    struct tm local;
    FILE *file = open_memstream(&text, &size);
    if (!file)
        return NULL;
    if (localtime_r(&now, &local))
        strftime(clock, sizeof clock, "%H:%M:%S", &local);
    fprintf(file, "%s  %s, every %s  (q quits)\n", clock, view->what,
            duration_format(view->top->interval_ns, interval));
    cleanup_free char *silence = top_round_silence(sight->now);
    fprintf(file, "%s\n", sight->problem ? sight->problem : silence ? silence : "");
    top_print_table(sight->now, sight->before, view->namespaces, file);
    if (sight->now->count == 0)
        fputs("no DpuService is there\n", file);
    fclose(file);
    return text;
}

static bool show_painted(void *context, const struct top_sight *sight)
{
    const struct view *view = context;
    cleanup_free char *text = page_text(view, sight);
    if (text)
        screen_paint(text, 2);
    return true;
}

/* Says which replicas do not answer, when that is news. */
static void tell_silence(struct view *view, const struct top_round *round)
{
    char *silence = top_round_silence(round);
    if (silence && (!view->told || strcmp(silence, view->told) != 0))
        say("%s", silence);
    free(view->told);
    view->told = silence;
}

static bool show_plain(void *context, const struct top_sight *sight)
{
    struct view *view = context;
    if (sight->problem && !view->forever) {
        view->status = complain(STATUS_FAILED, "%s", sight->problem);
        return false;
    }
    if (sight->problem)
        say("%s", sight->problem);
    if (sight->problem || !sight->before)
        return true;
    tell_silence(view, sight->now);
    if (view->top->output == OUTPUT_JSON) {
        json_auto_t *object = top_print_json(sight->now, sight->before, sight->elapsed_s);
        json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
        putchar('\n');
    } else {
        if (view->shown > 0)
            putchar('\n');
        top_print_table(sight->now, sight->before, view->namespaces, stdout);
    }
    fflush(stdout);
    view->shown++;
    return view->forever && !ferror(stdout);
}

static int look_on(const struct top *top, const struct top_source *source, struct view *view)
{
    cleanup_error struct error *err = NULL;
    struct screen screen = {.open = false};
    bool painted = screen_possible() && !top->once && top->output == OUTPUT_TABLE;
    view->forever = top->watch || (screen_possible() && !top->once);
    struct top_viewer viewer = {
        .show = painted ? show_painted : show_plain, .context = view, .keys = painted};
    if (painted)
        screen_open(&screen);
    int r = top_watch(source, top->interval_ns, &viewer, &err);
    screen_close(&screen);
    free(view->told);
    return r < 0 ? complain(STATUS_FAILED, "%s", error_message(err)) : view->status;
}

static int run_local(const struct top *top, const struct options *options)
{
    cleanup_error struct error *err = NULL;
    struct top_source source;
    struct top_local local = {.dir = RUNDIR_INIT,
                              .names = options->operands,
                              .name_count = options->operand_count,
                              .timeout_ns = top->timeout_ns};
    int status = top_local_open(top->name, &local, &source, &err);
    if (status == STATUS_NOT_RUNNING && !top->name)
        status = complain(status, "%s; --cluster looks at the cluster of your kubeconfig",
                          error_message(err));
    else if (status != STATUS_OK)
        status = complain(status, "%s", error_message(err));
    if (status == STATUS_OK) {
        struct view view = {.top = top, .what = local.dir.name};
        status = look_on(top, &source, &view);
    }
    rundir_close(&local.dir);
    return status;
}

static int run_remote(const struct top *top, const struct options *options)
{
    cleanup_error struct error *err = NULL;
    struct top_source source;
    struct top_remote remote = {.lists = CLUSTER_INIT,
                                .pages = CLUSTER_INIT,
                                .names = options->operands,
                                .name_count = options->operand_count};
    int status = STATUS_OK;
    if (top_remote_open(&top->cluster, top->all_namespaces, top->timeout_ns, &remote, &source,
                        &err) < 0) {
        status = complain(STATUS_USAGE, "%s", error_message(err));
    } else {
        struct view view = {.top = top,
                            .what = remote.namespace ? remote.namespace : "all namespaces",
                            .namespaces = top->all_namespaces};
        status = look_on(top, &source, &view);
    }
    top_remote_close(&remote);
    return status;
}

/* Whether the cluster is meant. */
static bool is_remote(const struct top *top)
{
    return verb_is_plugin || top->in_cluster || top->all_namespaces || top->cluster.kubeconfig ||
           top->cluster.context || top->cluster.namespace;
}

static int run(const struct option_command *command, int argc, char **argv)
{
    struct top top;
    cleanup_options struct options options = OPTIONS_INIT;
    cleanup_error struct error *err = NULL;
    int r = options_parse(command, argc, argv, &top, &options, &err);
    if (r == 0 && top.watch && top.once)
        r = error_make(&err, EINVAL, "--watch and --once are opposites; give one of them");
    if (r == 0 && top.name && is_remote(&top))
        r = error_make(&err, EINVAL,
                       "--name is of \"dpumesh up\" on this machine; in a cluster "
                       "NAME... says which DpuServices");
    if (r != 0)
        return options_exit(command, r, err);
    return is_remote(&top) ? run_remote(&top, &options) : run_local(&top, &options);
}

const struct option_command verb_top = {
    .name = "top",
    .parent = "dpumesh",
    .summary = "show what each service does, again and again",
    .description = description,
    OPTION_ENTRIES(entries),
    .operands = "[NAME]...",
    .operands_max = OPERANDS_ANY,
    OPTION_EXAMPLES(examples),
    OPTION_STATUSES(statuses),
    .run = run,
};
