#include "base/option.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/option_private.h"
#include "base/text.h"

enum builtin { BUILTIN_HELP, BUILTIN_VERSION, BUILTIN_MAN, BUILTIN_COMPLETION };

static const char *const shells[] = {"bash", "zsh", "fish", NULL};

const struct option_entry option_builtins[] = {
    [BUILTIN_HELP] = {'h', "help", OPTION_FLAG, .help = "Print this help and exit."},
    [BUILTIN_VERSION] = {0, "version", OPTION_FLAG, .help = "Print the version and exit."},
    [BUILTIN_MAN] = {0, "print-man", OPTION_FLAG, .help = "Print the man page.", .hidden = true},
    [BUILTIN_COMPLETION] = {0, "print-completion", OPTION_CHOICE, .argument = "SHELL",
                            .help = "Print a completion script.", .choices = shells,
                            .hidden = true},
};
const size_t option_builtin_count = sizeof(option_builtins) / sizeof(option_builtins[0]);

/* One run of options_parse(). */
struct parser {
    const struct option_command *command;
    void *destination;
    struct options *options;
    struct error **err;
    char **rest; /* arguments not looked at yet, NULL at the end */
    int rest_count;
};

static const struct option_entry *letter_find(const struct option_command *command, char letter)
{
    for (size_t i = 0; i < command->entry_count; i++)
        if (command->entries[i].letter == letter)
            return &command->entries[i];
    for (size_t i = 0; i < option_builtin_count; i++)
        if (option_builtins[i].letter == letter)
            return &option_builtins[i];
    return NULL;
}

static bool name_is(const char *name, const char *text, size_t length)
{
    return strlen(name) == length && memcmp(name, text, length) == 0;
}

static const struct option_entry *name_find(const struct option_command *command, const char *text,
                                            size_t length)
{
    for (size_t i = 0; i < command->entry_count; i++)
        if (name_is(command->entries[i].name, text, length))
            return &command->entries[i];
    for (size_t i = 0; i < option_builtin_count; i++)
        if (name_is(option_builtins[i].name, text, length))
            return &option_builtins[i];
    return NULL;
}

bool option_visit(const struct option_command *command, size_t index,
                  struct option_entry *ret_entry)
{
    if (index < command->entry_count) {
        *ret_entry = command->entries[index];
        return true;
    }
    index -= command->entry_count;
    if (index >= option_builtin_count)
        return false;
    *ret_entry = option_builtins[index];
    if (ret_entry->letter && letter_find(command, ret_entry->letter) != &option_builtins[index])
        ret_entry->letter = 0;
    return true;
}

static int unknown_option(struct parser *parser, const char *name)
{
    struct text_nearest search = TEXT_NEAREST_INIT(name);
    struct option_entry entry;
    for (size_t i = 0; option_visit(parser->command, i, &entry); i++)
        if (!entry.hidden)
            text_nearest_offer(&search, entry.name);
    if (search.best)
        return error_make(parser->err, EINVAL, "unknown option --%s; did you mean --%s?", name,
                          search.best);
    return error_make(parser->err, EINVAL, "unknown option --%s", name);
}

/* Everything to standard output; a full disk must not look like success. */
static int print_out(const struct buffer *out, struct error **err)
{
    for (size_t at = 0; at < out->length;) {
        ssize_t put = write(STDOUT_FILENO, out->data + at, out->length - at);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0) {
            int number = errno;
            return error_make(err, number, "can't write to standard output: %s", strerror(number));
        }
        at += (size_t)put;
    }
    return OPTIONS_DONE;
}

static int builtin_run(struct parser *parser, enum builtin builtin, const char *value)
{
    cleanup_buffer struct buffer out = BUFFER_INIT(OPTION_PRINT_MAX);
    struct {
        unsigned shell;
    } choice;
    int ret;
    switch (builtin) {
    case BUILTIN_HELP:
        option_print_help(parser->command, &out);
        break;
    case BUILTIN_VERSION:
        option_append_name(parser->command, ' ', &out);
        buffer_printf(&out, " (muBench-DPU) %s\n", DPUMESH_VERSION);
        break;
    case BUILTIN_MAN:
        option_print_man(parser->command, &out);
        break;
    case BUILTIN_COMPLETION:
        ret = option_value_set(&option_builtins[builtin], &choice, value, false, parser->err);
        if (ret < 0)
            return error_prefix(parser->err, ret, "option --print-completion");
        option_print_completion(parser->command, (enum option_shell)choice.shell, &out);
        break;
    }
    return print_out(&out, parser->err);
}

static bool is_builtin(const struct option_entry *entry)
{
    return entry >= option_builtins && entry < option_builtins + option_builtin_count;
}

/* Takes one option whose value (NULL for a flag) is known. shown: as it was written, for messages.
 */
static int option_take(struct parser *parser, const struct option_entry *entry, const char *shown,
                       const char *value)
{
    if (is_builtin(entry))
        return builtin_run(parser, (enum builtin)(entry - option_builtins), value);
    bool *given = &parser->options->given[entry - parser->command->entries];
    int ret =
        option_value_set(entry, parser->destination, value ? value : "true", *given, parser->err);
    if (ret < 0)
        return error_prefix(parser->err, ret, "option %s", shown);
    *given = true;
    return 0;
}

/* The value of an option that needs one: what is attached to it, or else the next argument. */
static int value_get(struct parser *parser, const struct option_entry *entry, const char *shown,
                     const char *attached, const char **ret_value)
{
    if (attached) {
        *ret_value = attached;
        return 0;
    }
    if (parser->rest_count == 0)
        return error_make(parser->err, EINVAL, "option %s needs a value: %s", shown,
                          entry->argument ? entry->argument : "VALUE");
    *ret_value = *parser->rest++;
    parser->rest_count--;
    return 0;
}

static int long_option(struct parser *parser, const char *argument)
{
    const char *name = argument + 2, *equals = strchr(name, '=');
    size_t length = equals ? (size_t)(equals - name) : strlen(name);
    const struct option_entry *entry = name_find(parser->command, name, length);
    cleanup_free char *shown = xstrndup(argument, length + 2);
    const char *value = NULL;
    if (!entry)
        return unknown_option(parser, shown + 2);
    if (entry->kind == OPTION_FLAG && equals)
        return error_make(parser->err, EINVAL, "option %s takes no value, but \"%s\" was given",
                          shown, equals + 1);
    if (entry->kind != OPTION_FLAG) {
        int ret = value_get(parser, entry, shown, equals ? equals + 1 : NULL, &value);
        if (ret < 0)
            return ret;
    }
    return option_take(parser, entry, shown, value);
}

static int short_options(struct parser *parser, const char *argument)
{
    for (const char *letter = argument + 1; *letter; letter++) {
        const char shown[] = {'-', *letter, '\0'};
        const struct option_entry *entry = letter_find(parser->command, *letter);
        const char *value = NULL;
        if (!entry && argument[2])
            return error_make(parser->err, EINVAL, "unknown option %s in %s", shown, argument);
        if (!entry)
            return error_make(parser->err, EINVAL, "unknown option %s", shown);
        if (entry->kind != OPTION_FLAG) {
            int ret = value_get(parser, entry, shown, letter[1] ? letter + 1 : NULL, &value);
            if (ret < 0)
                return ret;
        }
        int ret = option_take(parser, entry, shown, value);
        if (ret != 0 || value)
            return ret;
    }
    return 0;
}

/* A subcommand's name: what follows is its own. */
static int subcommand_take(struct parser *parser, char **argument)
{
    struct text_nearest search = TEXT_NEAREST_INIT(*argument);
    for (const struct option_command *const *at = parser->command->commands; *at; at++) {
        if (strcmp((*at)->name, *argument) == 0) {
            parser->options->command = *at;
            parser->options->argc = parser->rest_count + 1;
            parser->options->argv = argument;
            parser->rest_count = 0;
            return 0;
        }
        if (!(*at)->hidden)
            text_nearest_offer(&search, (*at)->name);
    }
    if (search.best)
        return error_make(parser->err, EINVAL, "unknown command %s; did you mean %s?", *argument,
                          search.best);
    return error_make(parser->err, EINVAL, "unknown command %s", *argument);
}

static int operand_take(struct parser *parser, char *argument)
{
    struct options *options = parser->options;
    if (options->operand_count >= parser->command->operands_max)
        return error_make(parser->err, EINVAL, "unexpected operand \"%s\"", argument);
    options->operands =
        xreallocarray(options->operands, options->operand_count + 1, sizeof(char *));
    options->operands[options->operand_count++] = argument;
    return 0;
}

static int arguments_parse(struct parser *parser)
{
    bool only_operands = false;
    while (parser->rest_count > 0) {
        char **argument = parser->rest++;
        int ret = 0;
        parser->rest_count--;
        if (only_operands || (*argument)[0] != '-' || (*argument)[1] == '\0')
            ret = parser->command->commands ? subcommand_take(parser, argument)
                                            : operand_take(parser, *argument);
        else if (strcmp(*argument, "--") == 0)
            only_operands = true;
        else if ((*argument)[1] == '-')
            ret = long_option(parser, *argument);
        else
            ret = short_options(parser, *argument);
        if (ret != 0)
            return ret;
    }
    if (parser->command->commands && !parser->options->command)
        return error_make(parser->err, EINVAL, "a command is missing");
    if (parser->options->operand_count < parser->command->operands_min)
        return error_make(parser->err, EINVAL, "an operand is missing; give %s",
                          parser->command->operands);
    return 0;
}

int options_parse(const struct option_command *command, int argc, char **argv, void *destination,
                  struct options *ret_options, struct error **err)
{
    struct options options = {.parsed = command,
                              .given = xcalloc(command->entry_count, sizeof(bool))};
    struct parser parser = {.command = command,
                            .destination = destination,
                            .options = &options,
                            .err = err,
                            .rest = argv + (argc > 0),
                            .rest_count = argc - (argc > 0)};
    for (size_t i = 0; i < command->entry_count; i++)
        option_value_default(&command->entries[i], destination);
    int ret = arguments_parse(&parser);
    if (ret == 0) {
        *ret_options = options;
        return 0;
    }
    for (size_t i = 0; i < command->entry_count; i++)
        option_value_free(&command->entries[i], destination);
    options_free(&options);
    return ret;
}

bool options_given(const struct options *options, const char *name)
{
    for (size_t i = 0; i < options->parsed->entry_count; i++)
        if (strcmp(options->parsed->entries[i].name, name) == 0)
            return options->given[i];
    return false;
}

int options_exit(const struct option_command *command, int ret, const struct error *err)
{
    if (ret == OPTIONS_DONE)
        return 0;
    cleanup_buffer struct buffer name = BUFFER_INIT(OPTION_PRINT_MAX);
    option_append_name(command, ' ', &name);
    buffer_terminate(&name);
    fprintf(stderr, "%s: %s\nTry '%s --help'.\n", name.data, error_message(err), name.data);
    return 2;
}

void options_free(struct options *options)
{
    free(options->operands);
    free(options->given);
    *options = (struct options)OPTIONS_INIT;
}
