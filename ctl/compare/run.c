#include "ctl/compare/run.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/memory.h"
#include "ctl/compare/app.h"
#include "ctl/compare/figures.h"
#include "ctl/load_report.h"
#include "ctl/load_team.h"
#include "ctl/terminal.h"

enum {
    PIPELINE = 128,         /* requests in flight a connection: as many as an agent reads */
    PADDING_NAME_BYTES = 20 /* of the header's name and its quotes */
};

/* What is watched while requests are under way. */
struct watched {
    const struct compare_app *app;
    bool busy; /* an agent said at some time that the host is too busy */
};

static int add_page(void *context, const char *text, size_t length, struct error **err)
{
    return compare_figures_add(context, text, length, err);
}

static int look_at_page(void *context, const char *text, size_t length, struct error **err)
{
    struct watched *watched = context;
    bool busy = false;
    int ret = compare_figures_busy(text, length, &busy, err);
    watched->busy |= busy;
    return ret;
}

/* A look that fails says nothing: the figures are read with errors before and after. */
static void look(void *context)
{
    struct watched *watched = context;
    cleanup_error struct error *err = NULL;
    compare_app_pages(watched->app, COMPARE_BUSY_QUERY, look_at_page, watched, &err);
}

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6 +
           (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / 1e6;
}

/* The plan of requests to the service's bridge, of the length that was asked for. */
static int make_plan(const struct compare_options *options, const char *target,
                     uint64_t duration_ns, struct load_plan **ret_plan, struct error **err)
{
    cleanup_free char *padding = NULL;
    struct load_options load = {.target = target,
                                .body = options->body,
                                .concurrency = options->connections,
                                .depth = PIPELINE,
                                .threads = options->threads,
                                .duration_ns = duration_ns,
                                .timeout_ns = options->timeout_ns,
                                .rate = options->rate,
                                .arrivals = options->arrivals,
                                .seed = options->seed,
                                .keep_alive = true};
    cleanup_load_plan struct load_plan *plan = NULL;
    int ret = load_plan_make(&load, &plan, err);
    if (ret < 0)
        return ret;
    if (options->request_bytes > plan->request_length + PADDING_NAME_BYTES) {
        size_t missing = options->request_bytes - plan->request_length - PADDING_NAME_BYTES;
        padding = xmalloc(missing + 1);
        memset(padding, 'x', missing);
        padding[missing] = '\0';
        cleanup_free char *header = xasprintf("x-padding: %s", padding);
        const char *headers[] = {header};
        load.headers = (struct option_list){.count = 1, .items = headers};
        load_plan_free(STEAL_POINTER(plan));
        ret = load_plan_make(&load, &plan, err);
    }
    if (ret < 0)
        return ret;
    *ret_plan = STEAL_POINTER(plan);
    return 0;
}

/* Sends for a while what nobody counts: connections, caches and the agents' threads are warm. */
static int warm_up(const struct compare_options *options, const char *target, struct error **err)
{
    cleanup_load_plan struct load_plan *plan = NULL;
    cleanup_load_stats struct load_stats *stats = load_stats_new();
    static const struct load_team_options quiet;
    if (options->warmup_ns == 0)
        return 0;
    int ret = make_plan(options, target, options->warmup_ns, &plan, err);
    return ret < 0 ? ret : load_team_run(plan, &quiet, stats, err);
}

static void set_number(json_t *run, const char *key, double value)
{
    json_object_set_new(run, key, json_real(value));
}

/* Means of a crossing in us, by direction. */
static json_t *mean_delay(const json_t *figures, const char *sum)
{
    json_t *means = json_object(), *value;
    const char *direction;
    json_object_foreach(json_object_get(figures, sum), direction, value)
    {
        double count = compare_figures_of(figures, "crossings", direction);
        if (count > 0)
            set_number(means, direction, json_number_value(value) / count * 1e6);
    }
    return means;
}

/* What the counters and the load say together. Owned by the caller. */
static json_t *describe(const char *mode, const json_t *service, const struct load_plan *plan,
                        const struct load_stats *stats, json_t *figures, double seconds)
{
    json_auto_t *load = load_report_json(plan, stats);
    double answered = (double)stats->answered;
    double host_s = compare_figures_sum(figures, "host_cpu_s");
    json_t *run =
        json_pack("{s:s, s:O, s:f, s:f, s:O, s:I, s:I, s:I, s:O}", "mode", mode, "profile",
                  json_object_get(service, "profile"), "seconds", seconds, "offered_per_s",
                  plan->rate, "achieved_per_s", json_object_get(load, "rate_per_s"), "requests",
                  (json_int_t)stats->started, "errors", (json_int_t)load_stats_bad(stats), "unsent",
                  (json_int_t)stats->unsent, "latency_us", json_object_get(load, "latency_us"));

    json_object_set_new(run, "delay_asked_us", mean_delay(figures, "delay_asked_s"));
    json_object_set_new(run, "delay_delivered_us", mean_delay(figures, "delay_delivered_s"));
    json_object_del(figures, "delay_asked_s");
    json_object_del(figures, "delay_delivered_s");
    json_object_del(figures, "requests"); /* the load knows better which are its own */
    json_object_update(run, figures);
    set_number(run, "host_cores", host_s / seconds);
    set_number(run, "host_us_per_request", answered > 0 ? host_s / answered * 1e6 : 0);
    set_number(run, "host_modelled_cores",
               compare_figures_sum(figures, "host_cpu_modelled_s") / seconds);
    set_number(run, "dpu_arm_cores", compare_figures_of(figures, "dpu_busy_s", "arm") / seconds);
    json_object_set(run, "load", load);
    return run;
}

/* The measured part: counters, load, counters. */
static int measure(const struct compare_options *options, const char *mode,
                   const struct compare_app *app, const json_t *service, const char *target,
                   json_t **ret_run, struct error **err)
{
    cleanup_load_plan struct load_plan *plan = NULL;
    cleanup_load_stats struct load_stats *stats = load_stats_new();
    struct watched watched = {.app = app};
    struct load_team_options team = {.tick = look, .context = &watched};
    json_auto_t *before = compare_figures_new();
    json_auto_t *figures = compare_figures_new();

    int ret = make_plan(options, target, options->duration_ns, &plan, err);
    if (ret < 0)
        return ret;
    ret = compare_app_pages(app, "/metrics", add_page, before, err);
    if (ret < 0)
        return ret;
    double client_s = cpu_seconds();
    uint64_t began_ns = clock_monotonic_ns();
    ret = load_team_run(plan, &team, stats, err);
    if (ret != 0)
        return ret < 0 ? ret : COMPARE_INTERRUPTED;
    client_s = cpu_seconds() - client_s;
    ret = compare_app_pages(app, "/metrics", add_page, figures, err);
    double seconds = (double)(clock_monotonic_ns() - began_ns) / 1e9;
    if (ret < 0)
        return ret;
    look(&watched);
    compare_figures_subtract(figures, before);
    *ret_run = describe(mode, service, plan, stats, figures, seconds);
    json_object_set_new(*ret_run, "host_busy", json_boolean(watched.busy || stats->host_busy > 0));
    set_number(*ret_run, "client_cpu_s", client_s);
    return 0;
}

int compare_run(const struct compare_options *options, const char *mode, json_t **ret_run,
                struct error **err)
{
    bool dpu = strcmp(mode, "dpu") == 0, sidecar = strcmp(mode, "sidecar") == 0;
    struct compare_app_options start = {.files = &options->files,
                                        .mode = mode,
                                        .profile = dpu       ? options->profile_dpu
                                                   : sidecar ? options->profile_sidecar
                                                             : NULL,
                                        .address = options->address,
                                        .agent = options->agent};
    cleanup_compare_app struct compare_app app = COMPARE_APP_INIT;
    int ret = compare_app_start(&start, &app, err);
    if (ret != 0)
        return ret;
    const json_t *service = compare_app_service(&app, options->service);
    const char *bridge = json_string_value(json_array_get(json_object_get(service, "bridge"), 0));
    cleanup_free char *target = xasprintf("tcp://%s", bridge ? bridge : "");
    ret = warm_up(options, target, err);
    if (ret > 0)
        return COMPARE_INTERRUPTED;
    return ret < 0 ? ret : measure(options, mode, &app, service, target, ret_run, err);
}
