/* `dpumesh predict --profile`: one data path, from a client to a server. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>

#include "base/memory.h"
#include "ctl/local/supervisor.h"
#include "ctl/predict.h"
#include "ctl/table.h"
#include "spec/profile.h"

/* What is printed of a point. */
struct point {
    struct path_load load;
    struct path_result result;
};

static json_t *point_json(const struct profile *profile, const struct point *point)
{
    const struct path_result *result = &point->result;

    return json_pack(
        "{s:s, s:f, s:f, s:f, s:{s:f, s:f}, s:f, s:f, s:{s:f, s:f, s:f, s:f, s:f}, s:f, s:b, s:I, "
        "s:f}",
        "profile", profile->name, "frame_bytes", point->load.frame_bytes, "offered_per_s",
        point->load.rate_per_s, "achieved_per_s", result->achieved_per_s, "host_cores", "client",
        result->client_cores, "server", result->server_cores, "dpu_cores", result->dpu_cores,
        "dma_units_busy", result->dma_busy, "latency_us", "mean", result->mean_us, "p50",
        result->p50_us, "p90", result->p90_us, "p99", result->p99_us, "p999", result->p999_us,
        "drop_fraction", result->drop_fraction, "clean", predict_clean(&point->load, result),
        "messages", (json_int_t)result->messages, "simulated_s", result->simulated_s);
}

static void print_json(const struct profile *profile, const struct point *points, size_t count,
                       bool array)
{
    json_auto_t *list = json_array();

    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, point_json(profile, &points[i]));
    cleanup_free char *text =
        json_dumps(array ? list : json_array_get(list, 0), JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    puts(text);
}

static void print_csv(const struct profile *profile, const struct point *points, size_t count)
{
    puts("config,frame,offered,achieved,client,server,p99,drop,clean,p50,p90,p999,dpu");
    for (size_t i = 0; i < count; i++) {
        const struct path_result *result = &points[i].result;
        printf("%s,%.0f,%.10g,%.10g,%.6f,%.6f,%.3f,%.6f,%d,%.3f,%.3f,%.3f,%.6f\n", profile->name,
               points[i].load.frame_bytes, points[i].load.rate_per_s, result->achieved_per_s,
               result->client_cores, result->server_cores, result->p99_us, result->drop_fraction,
               predict_clean(&points[i].load, result), result->p50_us, result->p90_us,
               result->p999_us, result->dpu_cores);
    }
}

/* Messages a second, also less than one. */
static void rate_cell(struct table *table, double per_s)
{
    table_cell(table, per_s < 10 ? "%.3g" : "%.0f", per_s);
}

static void print_text(const struct profile *profile, const struct point *points, size_t count)
{
    static const char *const titles[] = {">FRAME",  ">OFFERED/S", ">ACHIEVED/S", ">CLIENT",
                                         ">SERVER", ">DPU CORES", ">P50 US",     ">P90 US",
                                         ">P99 US", ">P99.9 US",  ">DROPPED"};
    cleanup_table struct table table = TABLE_INIT;
    bool sampled = false;

    for (size_t i = 0; i < sizeof titles / sizeof titles[0]; i++)
        table_column(&table, titles[i]);
    for (size_t i = 0; i < count; i++) {
        const struct path_result *result = &points[i].result;
        table_cell(&table, "%.0f", points[i].load.frame_bytes);
        rate_cell(&table, points[i].load.rate_per_s);
        rate_cell(&table, result->achieved_per_s);
        table_cell(&table, "%.3f", result->client_cores);
        table_cell(&table, "%.3f", result->server_cores);
        table_cell(&table, "%.2f", result->dpu_cores);
        table_cell(&table, "%.1f", result->p50_us);
        table_cell(&table, "%.1f", result->p90_us);
        table_cell(&table, "%.1f", result->p99_us);
        table_cell(&table, "%.1f", result->p999_us);
        table_cell(&table, "%.3f%%", 100 * result->drop_fraction);
        if (result->simulated_s < 0.999 * points[i].load.duration_s)
            sampled = true;
    }
    printf("%s: cores of one client, one server and their DPUs\n", profile->name);
    table_print(&table, stdout);
    if (sampled)
        printf("sampled: up to %lu messages a point, not the whole duration\n",
               (unsigned long)points[0].load.messages_max);
}

/* More messages than this take minutes, and a path without a ceiling would not say no. */
static const double messages_max = 1e10;

/* Whether a load can be simulated at all; else a sentence on standard error. */
static bool possible(const struct profile *profile, const struct path_load *load)
{
    struct path_means means;

    path_estimate(profile, load->frame_bytes, fmin(load->rate_per_s, 1e12), &means);
    if (isinf(load->rate_per_s)) {
        fprintf(stderr,
                "dpumesh: --sweep: profile %s has no ceiling for frames of %.0f B to take "
                "a percentage of; give messages a second\n",
                profile->name, load->frame_bytes);
        return false;
    }
    if (load->rate_per_s * load->duration_s < 1) {
        fprintf(stderr,
                "dpumesh: %g messages a second for %g s are less than one message; lengthen "
                "--duration\n",
                load->rate_per_s, load->duration_s);
        return false;
    }
    double messages = fmin(load->rate_per_s, 2 * means.ceiling_per_s) * load->duration_s;
    if (load->messages_max > 0 || messages <= messages_max)
        return true;
    fprintf(stderr,
            "dpumesh: %g messages a second for %g s are %g messages, of which at most %g "
            "can be simulated; shorten --duration, or stop at --sample N\n",
            load->rate_per_s, load->duration_s, messages, messages_max);
    return false;
}

/* One sentence for each frame of which more is offered than the path carries, or its memory holds.
 */
static void say_full(const struct profile *profile, const struct point *points, size_t count)
{
    double said_bytes = 0;

    for (size_t i = 0; i < count; i++) {
        const struct path_load *load = &points[i].load;
        struct path_means means;
        path_estimate(profile, load->frame_bytes, load->rate_per_s, &means);
        bool beyond = load->rate_per_s > means.ceiling_per_s;
        if (load->frame_bytes == said_bytes || !(beyond || points[i].result.drop_fraction > 0.001))
            continue;
        said_bytes = load->frame_bytes;
        if (!beyond)
            fprintf(
                stderr,
                "dpumesh: of %.6g messages of %.0f B a second %.2g %% are refused: %s could carry "
                "%.6g, but has memory for too few at a time (parameter buffer)\n",
                load->rate_per_s, load->frame_bytes, 100 * points[i].result.drop_fraction,
                profile->name, means.ceiling_per_s);
        else
            fprintf(
                stderr,
                "dpumesh: %.0f messages of %.0f B a second are beyond the %.0f that %s carries; "
                "the rest is refused, and latency is that of full memory\n",
                load->rate_per_s, load->frame_bytes, means.ceiling_per_s, profile->name);
    }
}

int predict_path(const struct predict_options *options, const struct predict_values *frames,
                 const struct predict_values *rates)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    size_t count = frames->count * rates->count;
    cleanup_free struct point *points = xcalloc(count, sizeof *points);
    struct profile profile;

    if (profile_load(options->profile, &profile, &problems) < 0) {
        problems_print(&problems, stderr, "dpumesh: ");
        return STATUS_USAGE;
    }
    for (size_t i = 0; i < count; i++) {
        double frame_bytes = frames->value[i / rates->count];
        points[i].load = (struct path_load){
            .frame_bytes = frame_bytes,
            .rate_per_s = predict_rate(&profile, rates, i % rates->count, frame_bytes),
            .connections = options->connections,
            .poisson = options->arrivals == 1,
            .duration_s = (double)options->duration_ns / 1e9,
            .messages_max = options->sample,
            .seed = options->seed,
            .policies = options->policies};
        if (!possible(&profile, &points[i].load))
            return STATUS_USAGE;
    }
    for (size_t i = 0; i < count; i++)
        path_simulate(&profile, &points[i].load, &points[i].result);
    if (options->json)
        print_json(&profile, points, count, options->sweep || options->frames);
    else if (options->csv)
        print_csv(&profile, points, count);
    else
        print_text(&profile, points, count);
    say_full(&profile, points, count);
    return STATUS_OK;
}
