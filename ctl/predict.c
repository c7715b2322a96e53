#include "ctl/predict.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "ctl/local/supervisor.h"
#include "ctl/table.h"
#include "ctl/verb.h"
#include "spec/profile.h"

struct predict {
    const char *profile;
    size_t frame_bytes;
    const char *frames;
    double rate_per_s;
    const char *sweep;
    unsigned connections;
    unsigned arrivals;
    uint64_t duration_ns;
    uint64_t sample;
    uint64_t seed;
    bool json, csv;
};

static const char *const arrivals[] = {"paced", "poisson", NULL};

static const struct option_entry entries[] = {
    {'p', "profile", OPTION_TO_STRING(struct predict, profile), .argument = "NAME|FILE",
     .help = "The data path: bluefield3-native, bluefield3-preload, envoy-permissive, "
             "envoy-strict, ideal, direct, or a file (docs/model.md)."},
    {0, "frame", OPTION_TO_SIZE(struct predict, frame_bytes), .argument = "SIZE",
     .fallback = "1KiB", .min = 1, .max = 16 << 20, .help = "Bytes of a message."},
    {0, "frames", OPTION_TO_STRING(struct predict, frames), .argument = "SIZE,...",
     .help = "Several sizes, one curve each."},
    {'r', "rate", OPTION_TO_DOUBLE(struct predict, rate_per_s), .argument = "N", .fallback = "0",
     .low = 0, .high = 1e12, .help = "Messages offered a second."},
    {0, "sweep", OPTION_TO_STRING(struct predict, sweep), .argument = "rate=LIST",
     .help = "Several rates: 100000,200000 or 10000:100000:10 (from, to, how many) or 5%,50% of "
             "what the path can carry."},
    {'c', "connections", OPTION_TO_UNSIGNED(struct predict, connections), .argument = "N",
     .fallback = "8", .min = 1, .max = 1000000, .help = "Connections that the load comes over."},
    {0, "arrivals", OPTION_TO_CHOICE(struct predict, arrivals), .argument = "HOW",
     .fallback = "paced", .choices = arrivals,
     .help = "Messages come evenly apart, or at random as from many independent clients."},
    {'d', "duration", OPTION_TO_DURATION(struct predict, duration_ns), .argument = "TIME",
     .fallback = "10s", .min = 1000, .max = UINT64_C(3600) * 1000000000,
     .help = "Virtual time of each point."},
    {0, "sample", OPTION_TO_UINT64(struct predict, sample), .argument = "N", .fallback = "0",
     .help = "Stop a point after so many messages; 0 simulates the whole duration."},
    {0, "seed", OPTION_TO_UINT64(struct predict, seed), .argument = "N", .fallback = "1",
     .max = UINT64_MAX / 4,
     .help = "Of hold-offs, stalls and random arrivals; the same seed gives the same result."},
    {0, "json", OPTION_TO_FLAG(struct predict, json),
     .help = "Print JSON: an object, of a sweep an array of them."},
    {0, "csv", OPTION_TO_FLAG(struct predict, csv),
     .help = "Print CSV, in the columns that calibrate and validate read."},
};

static const char *const description[] = {
    "Simulates a data path in virtual time: a client's core, the DPU, the wire, a server's core. "
    "Prints what it carries, what host and DPU spend, and how long messages take. Nothing is run "
    "or sent.",
    NULL,
};

static const struct option_example examples[] = {
    {"dpumesh predict --profile bluefield3-native --frame 1024 --rate 100000", "one point"},
    {"dpumesh predict --profile envoy-strict --frames 64,1024,8192 --sweep rate=5%:105%:8",
     "three curves"},
};

static const struct option_status statuses[] = {
    {STATUS_OK, "predicted"},
    {STATUS_USAGE, "usage, or a bad profile; each problem is one line on standard error"},
};

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
        table_cell(&table, "%.0f", points[i].load.rate_per_s);
        table_cell(&table, "%.0f", result->achieved_per_s);
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

/* Which frames and rates; 0, or -EINVAL and a sentence. */
static int plan(const struct predict *predict, struct predict_values *frames,
                struct predict_values *rates, struct error **err)
{
    if (!predict->profile)
        return error_make(err, EINVAL, "no profile is given; add --profile NAME");
    if (predict->json && predict->csv)
        return error_make(err, EINVAL, "--json and --csv exclude each other");
    if ((predict->rate_per_s > 0) == (predict->sweep != NULL))
        return error_make(err, EINVAL,
                          predict->sweep ? "--rate and --sweep exclude each other"
                                         : "no rate is given; add --rate N (above 0) "
                                           "or --sweep rate=LIST");
    if (predict->sweep) {
        if (strncmp(predict->sweep, "rate=", 5) != 0)
            return error_make(err, EINVAL, "--sweep %s: only rates can be swept; give rate=LIST",
                              predict->sweep);
        if (predict_parse_rates(predict->sweep + 5, rates, err) < 0)
            return error_prefix(err, -EINVAL, "--sweep");
    } else {
        rates->count = 1;
        rates->value[0] = predict->rate_per_s;
    }
    if (predict->frames)
        return error_prefix(err, predict_parse_frames(predict->frames, frames, err), "--frames");
    frames->count = 1;
    frames->value[0] = (double)predict->frame_bytes;
    return 0;
}

static int run(const struct option_command *command, int argc, char **argv)
{
    struct predict predict;
    cleanup_options struct options options = OPTIONS_INIT;
    cleanup_error struct error *err = NULL;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_free struct predict_values *frames = xcalloc(1, sizeof *frames);
    cleanup_free struct predict_values *rates = xcalloc(1, sizeof *rates);
    struct profile profile;

    int r = options_parse(command, argc, argv, &predict, &options, &err);
    if (r == 0)
        r = plan(&predict, frames, rates, &err);
    if (r != 0)
        return options_exit(command, r, err);
    if (profile_load(predict.profile, &profile, &problems) < 0) {
        problems_print(&problems, stderr, "dpumesh: ");
        return STATUS_USAGE;
    }
    size_t count = frames->count * rates->count;
    cleanup_free struct point *points = xcalloc(count, sizeof *points);
    for (size_t i = 0; i < count; i++) {
        double frame_bytes = frames->value[i / rates->count];
        points[i].load = (struct path_load){
            .frame_bytes = frame_bytes,
            .rate_per_s = predict_rate(&profile, rates, i % rates->count, frame_bytes),
            .connections = predict.connections,
            .poisson = predict.arrivals == 1,
            .duration_s = (double)predict.duration_ns / 1e9,
            .messages_max = predict.sample,
            .seed = predict.seed};
        path_simulate(&profile, &points[i].load, &points[i].result);
    }
    if (predict.json)
        print_json(&profile, points, count, predict.sweep || predict.frames);
    else if (predict.csv)
        print_csv(&profile, points, count);
    else
        print_text(&profile, points, count);
    return STATUS_OK;
}

const struct option_command verb_predict = {
    .name = "predict",
    .parent = "dpumesh",
    .summary = "predict cores and latency of a data path without running it",
    .description = description,
    OPTION_ENTRIES(entries),
    OPTION_EXAMPLES(examples),
    OPTION_STATUSES(statuses),
    .run = run,
};
