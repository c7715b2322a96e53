#include "ctl/predict.h"

#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "ctl/local/supervisor.h"
#include "ctl/verb.h"
#include "spec/datapath.h"

static const char *const arrivals[] = {"paced", "poisson", NULL};
static const char *const modes[] = {"as-written", "direct", "sidecar", "dpu", NULL};
static const char *const egresses[] = {"as-written", "simulate", "forward", NULL};

/* With -f, of a request without a body and with few headers. */
static const double request_bytes = 128;

static const struct option_entry entries[] = {
    {'f', "file", OPTION_TO_LIST(struct predict_options, files), .argument = "FILE",
     .help =
         "Predict a whole application: a file of DpuServices, YAML or JSON; \"-\" reads standard "
         "input."},
    {0, "entry", OPTION_TO_STRING(struct predict_options, entry), .argument = "SERVICE",
     .help = "With -f: the service that is asked; by default the first."},
    {0, "mode", OPTION_TO_CHOICE(struct predict_options, mode), .argument = "MODE",
     .fallback = "as-written", .choices = modes,
     .help = "With -f: the data path of every service."},
    {0, "egress", OPTION_TO_CHOICE(struct predict_options, egress), .argument = "HOW",
     .fallback = "as-written", .choices = egresses,
     .help = "With -f: whether calls are simulated by a delay, and load nobody, or made, and "
             "answered by the callee."},
    {0, "digit-cost", OPTION_TO_STRING(struct predict_options, digit_cost),
     .argument = "DIGITS=TIME,...",
     .help = "With -f: CPU time of computing so many digits of pi, such as 100=15us,1000=1.2ms; by "
             "default it is measured on this machine."},
    {'p', "profile", OPTION_TO_STRING(struct predict_options, profile), .argument = "NAME|FILE",
     .help = "The data path: bluefield3-native, bluefield3-preload, envoy-permissive, "
             "envoy-strict, ideal, direct, or a file (docs/model.md)."},
    {0, "frame", OPTION_TO_SIZE(struct predict_options, frame_bytes), .argument = "SIZE",
     .fallback = "1KiB", .min = 1, .max = 16 << 20,
     .help = "Bytes of a message; with -f of a request, 128 when it is not given."},
    {0, "frames", OPTION_TO_STRING(struct predict_options, frames), .argument = "SIZE,...",
     .help = "Several sizes, one curve each."},
    {'r', "rate", OPTION_TO_DOUBLE(struct predict_options, rate_per_s), .argument = "N",
     .fallback = "0", .low = 0, .high = 1e12, .help = "Messages, or requests, offered a second."},
    {0, "sweep", OPTION_TO_STRING(struct predict_options, sweep), .argument = "rate=LIST",
     .help = "Several rates: 100000,200000 or 10000:100000:10 (from, to, how many) or 5%,50% of "
             "what the path can carry."},
    {'c', "connections", OPTION_TO_UNSIGNED(struct predict_options, connections), .argument = "N",
     .fallback = "8", .min = 1, .max = 1000000, .help = "Connections that the load comes over."},
    {0, "arrivals", OPTION_TO_CHOICE(struct predict_options, arrivals), .argument = "HOW",
     .fallback = "paced", .choices = arrivals,
     .help = "Messages come evenly apart, or at random as from many independent clients."},
    {'d', "duration", OPTION_TO_DURATION(struct predict_options, duration_ns), .argument = "TIME",
     .fallback = "10s", .min = 1000, .max = UINT64_C(3600) * 1000000000,
     .help = "Virtual time of each point."},
    {0, "sample", OPTION_TO_UINT64(struct predict_options, sample), .argument = "N",
     .fallback = "0",
     .help = "Stop a point after so many messages or requests; 0 simulates the whole duration."},
    {0, "seed", OPTION_TO_UINT64(struct predict_options, seed), .argument = "N", .fallback = "1",
     .max = UINT64_MAX / 4, .help = "Of all that is drawn; the same seed gives the same result."},
    {0, "policies", OPTION_TO_UNSIGNED(struct predict_options, policies), .argument = "N",
     .fallback = "0", .max = 1000,
     .help = "L7 policies that a message passes at the server's proxy, each at the profile's "
             "policyMessage; with -f the documents tell."},
    {0, "json", OPTION_TO_FLAG(struct predict_options, json),
     .help = "Print JSON: an object, of a sweep an array of them."},
    {0, "csv", OPTION_TO_FLAG(struct predict_options, csv),
     .help = "Print CSV: of a path in the columns that calibrate and validate read, of an "
             "application a line for each service."},
};

static const char *const description[] = {
    "Simulates a data path in virtual time: a client's core, the DPU, the wire, a server's core. "
    "Prints what it carries, what host and DPU spend, and how long messages take. Nothing is run "
    "or sent.",
    "With -f: simulates a whole application, each request through its services, their work and "
    "their calls, and prints how long requests take, and what each service spends.",
    NULL,
};

static const struct option_example examples[] = {
    {"dpumesh predict --profile bluefield3-native --frame 1024 --rate 100000", "one point"},
    {"dpumesh predict --profile envoy-strict --frames 64,1024,8192 --sweep rate=5%:105%:8",
     "three curves"},
    {"dpumesh predict -f app.yaml --rate 1000 --arrivals poisson --mode sidecar", "an application"},
};

static const struct option_status statuses[] = {
    {STATUS_OK, "predicted"},
    {STATUS_USAGE, "usage, or a bad profile or document; each problem is one line on standard "
                   "error"},
};

/* What goes with a path alone; 0, or -EINVAL and a sentence. */
static int check_path(const struct predict_options *predict, const struct options *given,
                      struct error **err)
{
    static const char *const with_files[] = {"entry", "mode", "egress", "digit-cost"};

    for (size_t i = 0; i < sizeof with_files / sizeof with_files[0]; i++)
        if (options_given(given, with_files[i]))
            return error_make(err, EINVAL, "--%s is about an application; add -f FILE",
                              with_files[i]);
    if (!predict->profile)
        return error_make(err, EINVAL,
                          "no profile is given; add --profile NAME, or -f FILE for an application");
    return 0;
}

/* What goes with an application; 0, or -EINVAL and a sentence. */
static int check_application(const struct predict_options *predict, struct error **err)
{
    if (predict->policies > 0)
        return error_make(
            err, EINVAL,
            "--policies is for a path alone; with -f the documents say which policies "
            "there are");
    if (predict->frames)
        return error_make(err, EINVAL,
                          "--frames is for a path alone; with -f the documents say how large "
                          "answers are, and --frame how large a request");
    if (predict->sweep && strchr(predict->sweep, '%'))
        return error_make(err, EINVAL,
                          "--sweep %s: what an application carries is not known; give requests a "
                          "second",
                          predict->sweep);
    if (predict->profile && predict->mode == 1 + DATAPATH_DIRECT)
        return error_make(err, EINVAL, "mode direct has no profile; remove one of the two");
    return 0;
}

/* Which frames and rates; 0, or -EINVAL and a sentence. */
static int plan(const struct predict_options *predict, struct predict_values *frames,
                struct predict_values *rates, struct error **err)
{
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
    struct predict_options predict;
    cleanup_options struct options options = OPTIONS_INIT;
    cleanup_error struct error *err = NULL;
    cleanup_free struct predict_values *frames = xcalloc(1, sizeof *frames);
    cleanup_free struct predict_values *rates = xcalloc(1, sizeof *rates);

    int r = options_parse(command, argc, argv, &predict, &options, &err);
    cleanup_option_list struct option_list files = predict.files;
    if (r == 0)
        r = files.count > 0 ? check_application(&predict, &err)
                            : check_path(&predict, &options, &err);
    if (r == 0)
        r = plan(&predict, frames, rates, &err);
    if (r != 0)
        return options_exit(command, r, err);
    if (files.count == 0)
        return predict_path(&predict, frames, rates);
    bool sized = options_given(&options, "frame");
    return predict_application(&predict, rates, sized ? frames->value[0] : request_bytes);
}

const struct option_command verb_predict = {
    .name = "predict",
    .parent = "dpumesh",
    .summary = "predict cores and latency of a data path or an application",
    .description = description,
    OPTION_ENTRIES(entries),
    OPTION_EXAMPLES(examples),
    OPTION_STATUSES(statuses),
    .run = run,
};
