/* A program with every kind of option and two subcommands, for test_option_*. Prints what it got.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/option.h"

struct sample {
    bool verbose, secret;
    const char *config;
    unsigned count, format;
    uint64_t seed, wait_ns;
    size_t bytes;
    double ratio;
    struct option_list labels;
};

static const char *const formats[] = {"text", "json", "yaml", NULL};

static const struct option_entry load_entries[] = {
    {'v', "verbose", OPTION_TO_FLAG(struct sample, verbose), .help = "Say more: it's [all] \\o/."},
    {'f', "config", OPTION_TO_STRING(struct sample, config), .argument = "FILE",
     .help =
         "The file to read. It is read once, before anything else happens, and must be readable."},
    {'c', "count", OPTION_TO_UNSIGNED(struct sample, count), .argument = "N", .fallback = "50",
     .min = 1, .max = 100, .help = "How many at once."},
    {0, "seed", OPTION_TO_UINT64(struct sample, seed), .argument = "N", .help = "The seed."},
    {'w', "wait", OPTION_TO_DURATION(struct sample, wait_ns), .argument = "TIME", .fallback = "10s",
     .min = 1000000, .max = UINT64_C(3600000000000), .help = "How long."},
    {'s', "size", OPTION_TO_SIZE(struct sample, bytes), .argument = "BYTES", .fallback = "64K",
     .max = 1 << 20, .help = "How large."},
    {'r', "ratio", OPTION_TO_DOUBLE(struct sample, ratio), .argument = "X", .fallback = "0.5",
     .high = 1, .help = "What part."},
    {'o', "format", OPTION_TO_CHOICE(struct sample, format), .argument = "FORM", .fallback = "text",
     .choices = formats, .help = "How to print."},
    {'l', "label", OPTION_TO_LIST(struct sample, labels), .argument = "NAME=VALUE",
     .help = "A label to add."},
    {0, "secret", OPTION_TO_FLAG(struct sample, secret), .help = "Not shown.", .hidden = true},
};

static const char *const description[] = {
    "Sends requests to URL and measures. What's in a paragraph is wrapped so that it fits on the "
    "usual 80 columns, whatever the length of its words may be.",
    ".A second paragraph that begins like a macro, with a back\\slash and --an-option.", NULL};

static const struct option_example examples[] = {
    {"sample load --count=5 tcp://127.0.0.1:5005", "Sends to the bridge, five at once."},
    {"sample load -o json http://127.0.0.1:8080/", "The same over HTTP, printed as JSON."},
};

static const struct option_status statuses[] = {
    {0, "All requests were answered with 200."},
    {1, "A request failed."},
    {2, "The command line was wrong."},
};

static int run_load(const struct option_command *command, int argc, char **argv)
{
    struct sample sample;
    cleanup_options struct options options = OPTIONS_INIT;
    cleanup_error struct error *err = NULL;
    int ret = options_parse(command, argc, argv, &sample, &options, &err);
    if (ret != 0)
        return options_exit(command, ret, err);
    cleanup_option_list struct option_list labels = sample.labels;
    printf("verbose=%d secret=%d config=%s count=%u seed=%" PRIu64 " wait=%" PRIu64
           " size=%zu ratio=%g format=%u labels=%zu operands=%zu\n",
           sample.verbose, sample.secret, sample.config ? sample.config : "(none)", sample.count,
           sample.seed, sample.wait_ns, sample.bytes, sample.ratio, sample.format, labels.count,
           options.operand_count);
    return 0;
}

static const struct option_command load_command = {
    .name = "load",
    .parent = "sample",
    .summary = "send requests and measure",
    .description = description,
    OPTION_ENTRIES(load_entries),
    .operands = "URL",
    .operands_min = 1,
    .operands_max = 1,
    OPTION_EXAMPLES(examples),
    OPTION_STATUSES(statuses),
    .run = run_load,
};

static const struct option_command check_command = {
    .name = "check",
    .parent = "sample",
    .summary = "read documents and say what's wrong: all of it",
    .operands = "FILE...",
    .operands_min = 1,
    .operands_max = OPERANDS_ANY,
    .run = run_load,
};

static const struct option_command internal_command = {
    .name = "internal",
    .parent = "sample",
    .summary = "not shown",
    .hidden = true,
    .run = run_load,
};

static const struct option_command *const commands[] = {&load_command, &check_command,
                                                        &internal_command, NULL};

static const struct option_command sample_command = {
    .name = "sample", .summary = "show what option tables can do", .commands = commands};

int main(int argc, char **argv)
{
    cleanup_options struct options options = OPTIONS_INIT;
    cleanup_error struct error *err = NULL;
    int ret = options_parse(&sample_command, argc, argv, NULL, &options, &err);
    if (ret != 0)
        return options_exit(&sample_command, ret, err);
    return options.command->run(options.command, options.argc, options.argv);
}
