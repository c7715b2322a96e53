#include "base/option.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

struct target {
    bool verbose, quiet;
    const char *config, *output;
    unsigned count, format;
    uint64_t seed, wait_ns;
    size_t bytes;
    double ratio, any;
    struct option_list labels;
};

static const char *const formats[] = {"text", "json", NULL};

static const struct option_entry entries[] = {
    {'v', "verbose", OPTION_TO_FLAG(struct target, verbose), .help = "More."},
    {'q', "quiet", OPTION_TO_FLAG(struct target, quiet), .help = "Less."},
    {'f', "config", OPTION_TO_STRING(struct target, config), .argument = "FILE", .help = "File."},
    {'O', "output", OPTION_TO_STRING(struct target, output), .argument = "FILE", .fallback = "-",
     .help = "File."},
    {'c', "count", OPTION_TO_UNSIGNED(struct target, count), .argument = "N", .fallback = "50",
     .min = 1, .max = 100, .help = "How many."},
    {0, "seed", OPTION_TO_UINT64(struct target, seed), .argument = "N", .help = "Seed."},
    {'w', "wait", OPTION_TO_DURATION(struct target, wait_ns), .argument = "TIME", .fallback = "10s",
     .min = 1000000, .max = UINT64_C(3600000000000), .help = "Time."},
    {'s', "size", OPTION_TO_SIZE(struct target, bytes), .argument = "BYTES", .fallback = "64K",
     .max = 1 << 20, .help = "Size."},
    {'r', "ratio", OPTION_TO_DOUBLE(struct target, ratio), .argument = "X", .fallback = "0.5",
     .high = 1, .help = "Part."},
    {0, "any", OPTION_TO_DOUBLE(struct target, any), .argument = "X", .help = "Any number."},
    {'o', "format", OPTION_TO_CHOICE(struct target, format), .argument = "FORM", .fallback = "json",
     .choices = formats, .help = "Form."},
    {'l', "label", OPTION_TO_LIST(struct target, labels), .argument = "NAME", .fallback = "base",
     .help = "Label."},
};

static const struct option_command command = {.name = "prog",
                                              .summary = "do things",
                                              OPTION_ENTRIES(entries),
                                              .operands = "[THING]...",
                                              .operands_max = 3};

enum { WORDS_MAX = 12 };

/* Splits words at spaces, in place, into an argv with a program's name. */
static int split(char *words, char **argv)
{
    int argc = 1;
    char *rest = words, *word;
    argv[0] = words + strlen(words);
    while ((word = strsep(&rest, " ")) && argc < WORDS_MAX)
        if (*word)
            argv[argc++] = word;
    argv[argc] = NULL;
    return argc;
}

static char line[500];

static int parse(const struct option_command *what, const char *words, struct target *target,
                 struct options *options, struct error **err)
{
    static char *argv[WORDS_MAX + 1];
    snprintf(line, sizeof(line), "%s", words);
    return options_parse(what, split(line, argv), argv, target, options, err);
}

Test(option, defaults_come_from_the_table)
{
    struct target target;
    memset(&target, 0xa5, sizeof(target));
    cleanup_options struct options options = OPTIONS_INIT;
    cr_assert_eq(parse(&command, "", &target, &options, NULL), 0);
    cr_assert_not(target.verbose);
    cr_assert_null(target.config);
    cr_assert_str_eq(target.output, "-");
    cr_assert_eq(target.count, 50);
    cr_assert_eq(target.seed, 0);
    cr_assert_eq(target.wait_ns, UINT64_C(10000000000));
    cr_assert_eq(target.bytes, 65536);
    cr_assert_eq(target.ratio, 0.5);
    cr_assert_eq(target.any, 0);
    cr_assert_eq(target.format, 1);
    cr_assert_eq(target.labels.count, 1);
    cr_assert_str_eq(target.labels.items[0], "base");
    cr_assert_not(options_given(&options, "count"));
    option_list_free(&target.labels);
}

Test(option, every_gnu_spelling)
{
    static const char *const spellings[] = {
        "-v -f x -c 7 -w 5ms -s 2K -r 0.25 -o text a b",
        "-vfx -c7 -w5ms -s2K -r0.25 -otext a b",
        "a --verbose --config=x --count=7 b --wait=5ms --size=2K --ratio=0.25 --format=text",
        "--verbose --config x --count 7 --wait 5ms --size 2K --ratio 0.25 --format text -- a b",
        "-vf x a -c 9 -c 7 --wait 5ms --size 2048 --ratio 2.5e-1 --format=text b",
    };
    for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++) {
        struct target target;
        cleanup_options struct options options = OPTIONS_INIT;
        cleanup_error struct error *err = NULL;
        char words[300];
        /* The second form has many words; all fit. */
        snprintf(words, sizeof(words), "%s", spellings[i]);
        char *argv[32];
        int argc = 1;
        argv[0] = words;
        for (char *rest = words, *word; (word = strsep(&rest, " "));)
            argv[argc++] = word;
        cr_assert_eq(options_parse(&command, argc, argv, &target, &options, &err), 0, "%s: %s",
                     spellings[i], error_message(err));
        cr_assert(target.verbose);
        cr_assert_str_eq(target.config, "x");
        cr_assert_eq(target.count, 7);
        cr_assert_eq(target.wait_ns, 5000000);
        cr_assert_eq(target.bytes, 2048);
        cr_assert_eq(target.ratio, 0.25);
        cr_assert_eq(target.format, 0);
        cr_assert_eq(options.operand_count, 2);
        cr_assert_str_eq(options.operands[0], "a");
        cr_assert_str_eq(options.operands[1], "b");
        cr_assert(options_given(&options, "count"));
        cr_assert_not(options_given(&options, "seed"));
        cr_assert_not(options_given(&options, "nonsense"));
        option_list_free(&target.labels);
    }
}

Test(option, corner_spellings)
{
    struct target target;
    cleanup_options struct options options = OPTIONS_INIT;
    cr_assert_eq(
        parse(&command, "-l one --label=two --label three -lfour", &target, &options, NULL), 0);
    cr_assert_eq(target.labels.count, 4, "what is given replaces the default");
    cr_assert_str_eq(target.labels.items[0], "one");
    cr_assert_str_eq(target.labels.items[3], "four");
    option_list_free(&target.labels);
    options_free(&options);

    cr_assert_eq(parse(&command, "--config= -f --verbose -- - -v --help", &target, &options, NULL),
                 0);
    cr_assert_str_eq(target.config, "--verbose", "a value may look like an option");
    cr_assert_not(target.verbose);
    cr_assert_eq(options.operand_count, 3);
    cr_assert_str_eq(options.operands[0], "-");
    cr_assert_str_eq(options.operands[1], "-v");
    option_list_free(&target.labels);
    options_free(&options);

    cr_assert_eq(parse(&command, "- --any=-5 --config=a=b", &target, &options, NULL), 0);
    cr_assert_eq(target.any, -5);
    cr_assert_str_eq(target.config, "a=b");
    cr_assert_str_eq(options.operands[0], "-");
    option_list_free(&target.labels);
    options_free(&options);

    /* No argv at all, as after a careless exec. */
    char *empty[] = {NULL};
    cr_assert_eq(options_parse(&command, 0, empty, &target, &options, NULL), 0);
    option_list_free(&target.labels);
}

Test(option, errors_are_sentences)
{
    static const struct {
        const char *words, *sentence;
    } cases[] = {
        {"--cuont=5", "unknown option --cuont; did you mean --count?"},
        {"--hlep", "unknown option --hlep; did you mean --help?"},
        {"--zzzzzzz", "unknown option --zzzzzzz"},
        {"--", NULL},
        {"--=x", "unknown option --"},
        {"-x", "unknown option -x"},
        {"-vx", "unknown option -x in -vx"},
        {"--verbose=yes", "option --verbose takes no value, but \"yes\" was given"},
        {"--count", "option --count needs a value: N"},
        {"-c", "option -c needs a value: N"},
        {"-vc", "option -c needs a value: N"},
        {"--count=x", "option --count: \"x\" is not a whole number; give 1 to 100"},
        {"-c0", "option -c: \"0\" is too small; give 1 to 100"},
        {"-c 101", "option -c: \"101\" is too large; give 1 to 100"},
        {"--count=", "option --count: \"\" is not a whole number; give 1 to 100"},
        {"--seed=-1", "option --seed: \"-1\" is not a whole number; give 0 or more"},
        {"--wait=5", "option --wait: duration \"5\" has no unit; write a number and a unit (ns, "
                     "us, ms, s, m, h), such as 50ms or 1.5s"},
        {"--wait=1us", "option --wait: \"1us\" is too short; give 1ms or more"},
        {"--wait=2h", "option --wait: \"2h\" is too long; give 1ms to 1h"},
        {"--size=2M", "option --size: \"2M\" is too large; give 0 to 1M"},
        {"--ratio=2", "option --ratio: \"2\" is too large; give 0 to 1"},
        {"--any=x", "option --any: \"x\" is not a number; give a decimal number such as 0.5"},
        {"--format=jsn", "option --format: \"jsn\" is no choice; did you mean json?"},
        {"--format=xml", "option --format: \"xml\" is no choice; give one of text, json"},
        {"a b c d", "unexpected operand \"d\""},
        {"--label=leaks? --count=x", "option --count: \"x\" is not a whole number; give 1 to 100"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct target target;
        cleanup_options struct options options = OPTIONS_INIT;
        cleanup_error struct error *err = NULL;
        int ret = parse(&command, cases[i].words, &target, &options, &err);
        if (!cases[i].sentence) {
            cr_assert_eq(ret, 0);
            option_list_free(&target.labels);
            continue;
        }
        cr_assert_eq(ret, -EINVAL, "%s", cases[i].words);
        cr_assert_str_eq(error_message(err), cases[i].sentence);
        cr_assert_null(target.labels.items);
        cr_assert_null(options.operands, "outputs stay untouched");
    }
}

static const struct option_command sub = {.name = "go",
                                          .parent = "prog",
                                          .summary = "go",
                                          .operands = "THING",
                                          .operands_min = 1,
                                          .operands_max = 1};
static const struct option_command hidden = {
    .name = "goo", .parent = "prog", .summary = "hidden", .hidden = true};
static const struct option_command *const subs[] = {&sub, &hidden, NULL};
static const struct option_command program = {
    .name = "prog", .summary = "do things", OPTION_ENTRIES(entries), .commands = subs};

Test(option, subcommands)
{
    struct target target;
    cleanup_options struct options options = OPTIONS_INIT;
    cleanup_error struct error *err = NULL;
    cr_assert_eq(parse(&program, "-c3 go -c x --help", &target, &options, &err), 0);
    cr_assert_eq(target.count, 3);
    cr_assert_eq(options.command, &sub);
    cr_assert_eq(options.argc, 4, "what follows the name is not looked at");
    cr_assert_str_eq(options.argv[0], "go");
    cr_assert_str_eq(options.argv[3], "--help");
    option_list_free(&target.labels);

    struct options inner = OPTIONS_INIT;
    cr_assert_eq(parse(&sub, "", &target, &inner, &err), -EINVAL);
    cr_assert_str_eq(error_message(err), "an operand is missing; give THING");
    cr_assert_eq(parse(&program, "gox", &target, &inner, &err), -EINVAL);
    cr_assert_str_eq(error_message(err), "unknown command gox; did you mean go?");
    cr_assert_eq(parse(&program, "-v", &target, &inner, &err), -EINVAL);
    cr_assert_str_eq(error_message(err), "a command is missing");
}

Test(option, help_is_wrapped_and_complete)
{
    cleanup_buffer struct buffer help = BUFFER_INIT(1 << 16);
    cr_assert_eq(option_print_help(&command, &help), 0);
    cr_assert_str_eq(buffer_terminate(&help),
                     "Usage: prog [OPTION]... [THING]...\n"
                     "\n"
                     "Do things.\n"
                     "\n"
                     "Options:\n"
                     "  -v, --verbose      More.\n"
                     "  -q, --quiet        Less.\n"
                     "  -f, --config=FILE  File.\n"
                     "  -O, --output=FILE  File. (default: -)\n"
                     "  -c, --count=N      How many. (1 to 100; default: 50)\n"
                     "      --seed=N       Seed.\n"
                     "  -w, --wait=TIME    Time. (1ms to 1h; default: 10s)\n"
                     "  -s, --size=BYTES   Size. (0 to 1M; default: 64K)\n"
                     "  -r, --ratio=X      Part. (0 to 1; default: 0.5)\n"
                     "      --any=X        Any number.\n"
                     "  -o, --format=FORM  Form. (text, json; default: json)\n"
                     "  -l, --label=NAME   Label. (default: base) May be given several times.\n"
                     "  -h, --help         Print this help and exit.\n"
                     "      --version      Print the version and exit.\n");
    /* A cap that is too small: nothing, rather than half of it. */
    cleanup_buffer struct buffer small = BUFFER_INIT(100);
    cr_assert_eq(option_print_help(&command, &small), -ENOBUFS);
    cr_assert_eq(option_print_man(&command, &small), -ENOBUFS);
    cr_assert_eq(option_print_completion(&command, OPTION_SHELL_ZSH, &small), -ENOBUFS);
    cr_assert_eq(small.length, 0);
}
