/*
 * Option tables. A program (or one of its subcommands) is described once, by a struct
 * option_command with an array of entries; from it come the parsing, --help, the man page and the
 * shells' completions.
 *
 *     struct load { unsigned concurrency; uint64_t duration_ns; bool json; };
 *
 *     static const struct option_entry entries[] = {
 *         {'c', "concurrency", OPTION_TO_UNSIGNED(struct load, concurrency), .argument = "N",
 *          .fallback = "50", .min = 1, .max = 100000, .help = "Requests in flight at once."},
 *         {'d', "duration", OPTION_TO_DURATION(struct load, duration_ns), .argument = "TIME",
 *          .fallback = "10s", .help = "How long to send."},
 *         {0, "json", OPTION_TO_FLAG(struct load, json), .help = "Print one JSON object."},
 *     };
 *     static const struct option_command command = {
 *         .name = "load", .parent = "dpumesh", .summary = "send requests and measure",
 *         OPTION_ENTRIES(entries), .operands = "URL", .operands_min = 1, .operands_max = 1};
 *
 *     struct load load;
 *     cleanup_options struct options options = OPTIONS_INIT;
 *     cleanup_error struct error *err = NULL;
 *     int ret = options_parse(&command, argc, argv, &load, &options, &err);
 *     if (ret != 0)
 *         return options_exit(&command, ret, err);
 *
 * GNU style: --name=value, --name value, -n value, -nvalue, -abc for flags, "--" ends the options,
 * options and operands mix (but behind a subcommand's name everything is the subcommand's). The
 * environment is not read. Every command also takes -h, --help and --version, and, hidden,
 * --print-man and --print-completion=bash|zsh|fish for the build (cmake/DpumeshInstall.cmake).
 *
 * Strings that the parser hands out point into argv or the tables. Any thread.
 */
#ifndef DPUMESH_BASE_OPTION_H
#define DPUMESH_BASE_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

enum option_kind {
    OPTION_FLAG,     /* bool; true when given */
    OPTION_STRING,   /* const char *; NULL without a fallback */
    OPTION_UNSIGNED, /* unsigned, min to max */
    OPTION_UINT64,   /* uint64_t, min to max */
    OPTION_DURATION, /* uint64_t nanoseconds as duration_parse() reads them, min to max */
    OPTION_SIZE,     /* size_t bytes as text_parse_size() reads them, min to max */
    OPTION_DOUBLE,   /* double, low to high */
    OPTION_CHOICE,   /* unsigned: index into choices */
    OPTION_LIST      /* struct option_list; may be given again and again */
};

/* The values of an OPTION_LIST in the order given; items is freed with option_list_free(). */
struct option_list {
    size_t count;
    const char **items;
};

struct option_entry {
    char letter;      /* 'c' for -c, 0 for none */
    const char *name; /* "concurrency" for --concurrency */
    enum option_kind kind;
    size_t offset;              /* of the destination; with kind from an OPTION_TO_ macro */
    const char *argument;       /* "N", for everything but flags */
    const char *fallback;       /* the default as a user would write it; NULL: zero bytes */
    const char *help;           /* sentences */
    uint64_t min, max;          /* max 0: no upper bound; durations in ns, sizes in bytes */
    double low, high;           /* both 0: no bounds */
    const char *const *choices; /* NULL at the end */
    bool hidden;                /* in no help, man page or completion */
};

/* offsetof() that refuses a member of another type. */
#define OPTION_OFFSET(type, member, wanted)                                                        \
    (offsetof(type, member) + 0 * sizeof((wanted *)0 == &((type *)0)->member))
#define OPTION_TO_FLAG(type, member)                                                               \
    .kind = OPTION_FLAG, .offset = OPTION_OFFSET(type, member, bool)
#define OPTION_TO_STRING(type, member)                                                             \
    .kind = OPTION_STRING, .offset = OPTION_OFFSET(type, member, const char *)
#define OPTION_TO_UNSIGNED(type, member)                                                           \
    .kind = OPTION_UNSIGNED, .offset = OPTION_OFFSET(type, member, unsigned)
#define OPTION_TO_UINT64(type, member)                                                             \
    .kind = OPTION_UINT64, .offset = OPTION_OFFSET(type, member, uint64_t)
#define OPTION_TO_DURATION(type, member)                                                           \
    .kind = OPTION_DURATION, .offset = OPTION_OFFSET(type, member, uint64_t)
#define OPTION_TO_SIZE(type, member)                                                               \
    .kind = OPTION_SIZE, .offset = OPTION_OFFSET(type, member, size_t)
#define OPTION_TO_DOUBLE(type, member)                                                             \
    .kind = OPTION_DOUBLE, .offset = OPTION_OFFSET(type, member, double)
#define OPTION_TO_CHOICE(type, member)                                                             \
    .kind = OPTION_CHOICE, .offset = OPTION_OFFSET(type, member, unsigned)
#define OPTION_TO_LIST(type, member)                                                               \
    .kind = OPTION_LIST, .offset = OPTION_OFFSET(type, member, struct option_list)

struct option_example {
    const char *command; /* "dpumesh load tcp://127.0.0.1:5005" */
    const char *meaning; /* a sentence */
};

struct option_status {
    int status;
    const char *meaning;
};

/* A program, or one of its subcommands. */
struct option_command {
    const char *name;               /* "dpumesh" or "load" */
    const char *parent;             /* the program of a subcommand, or NULL */
    const char *summary;            /* one line in lower case without a full stop */
    const char *const *description; /* paragraphs, NULL at the end; may be NULL */
    const struct option_entry *entries;
    size_t entry_count;
    const char *operands;                /* "URL" or "[SERVICE]..." for the synopsis; NULL: none */
    unsigned operands_min, operands_max; /* max OPERANDS_ANY: no limit */
    const struct option_example *examples;
    size_t example_count;
    const struct option_status *statuses;
    size_t status_count;
    const struct option_command *const *commands; /* subcommands, NULL at the end; or NULL */
    bool hidden;                                  /* a subcommand that no help shows */
    /* What runs a subcommand; for the program's own use: argv[0] is the subcommand's name. */
    int (*run)(const struct option_command *command, int argc, char **argv);
};

enum { OPERANDS_ANY = 1 << 30 };

#define OPTION_ENTRIES(array) .entries = (array), .entry_count = sizeof(array) / sizeof((array)[0])
#define OPTION_EXAMPLES(array)                                                                     \
    .examples = (array), .example_count = sizeof(array) / sizeof((array)[0])
#define OPTION_STATUSES(array)                                                                     \
    .statuses = (array), .status_count = sizeof(array) / sizeof((array)[0])

/* What options_parse() found beside the options. */
struct options {
    size_t operand_count;
    char **operands; /* in order; the array is freed by options_free(), the texts are argv's */
    const struct option_command *command; /* the subcommand named, or NULL */
    int argc;                             /* for command->run: what begins with its name */
    char **argv;
    const struct option_command *parsed; /* private: whose entries `given` counts */
    bool *given;                         /* private */
};

#define OPTIONS_INIT                                                                               \
    {                                                                                              \
        .operand_count = 0                                                                         \
    }

enum { OPTIONS_DONE = 1 };

/*
 * Parses argv (argv[0] is skipped and not used). destination: the structure that the entries point
 * into; every entry's destination is set, from argv or the fallback. A list that was given replaces
 * its fallback.
 * 0: go on. OPTIONS_DONE: help, version, man page or completion was printed to standard output,
 * exit with 0. -EINVAL and a sentence; then lists in destination are empty.
 */
int options_parse(const struct option_command *command, int argc, char **argv, void *destination,
                  struct options *ret_options, struct error **err);

/* Whether this option (its long name) was given, not defaulted. */
bool options_given(const struct options *options, const char *name);

/*
 * The exit status after options_parse() returned ret: 0 when it is OPTIONS_DONE; else prints err's
 * sentence and where to find help to standard error, and gives 2. Also for a program's own
 * complaints about a combination of options.
 */
int options_exit(const struct option_command *command, int ret, const struct error *err);

/* Frees what options_parse() made beside the destination's lists. */
void options_free(struct options *options);
#define cleanup_options CLEANUP(options_free)

/* Frees items; the list is empty again. */
void option_list_free(struct option_list *list);
#define cleanup_option_list CLEANUP(option_list_free)

enum option_shell { OPTION_SHELL_BASH, OPTION_SHELL_ZSH, OPTION_SHELL_FISH };

/* Append --help's text (80 columns), the man page (man(7) macros) and a completion script. A
 * program's completion holds its subcommands'. 0 or -ENOBUFS. */
int option_print_help(const struct option_command *command, struct buffer *out);
int option_print_man(const struct option_command *command, struct buffer *out);
int option_print_completion(const struct option_command *command, enum option_shell shell,
                            struct buffer *out);

#endif
