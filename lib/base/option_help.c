/* --help and the man page. */
#include <stdio.h>
#include <string.h>

#include "base/option_private.h"

enum {
    HELP_MAX = 1 << 16,   /* of one paragraph */
    HELP_COLUMN_MAX = 30, /* where help begins at most; longer names get a line of their own */
};

void option_append_name(const struct option_command *command, char separator, struct buffer *out)
{
    if (command->parent)
        buffer_printf(out, "%s%c", command->parent, separator);
    buffer_puts(out, command->name);
}

static void append_spaces(size_t count, struct buffer *out)
{
    buffer_printf(out, "%*s", (int)count, "");
}

void option_append_wrapped(const char *text, size_t column, size_t indent, size_t width,
                           struct buffer *out)
{
    bool first = true;
    for (text += strspn(text, " "); *text; text += strspn(text, " ")) {
        size_t length = strcspn(text, " ");
        if (!first && column + 1 + length >= width) {
            buffer_puts(out, "\n");
            append_spaces(indent, out);
            column = indent;
            first = true;
        }
        if (!first) {
            buffer_puts(out, " ");
            column++;
        }
        buffer_append(out, text, length);
        column += length;
        text += length;
        first = false;
    }
    buffer_puts(out, "\n");
}

/* "  -c, --concurrency=N", left-hand column of an option. */
static void append_option_name(const struct option_entry *entry, struct buffer *out)
{
    if (entry->letter)
        buffer_printf(out, "  -%c, --%s", entry->letter, entry->name);
    else
        buffer_printf(out, "      --%s", entry->name);
    if (entry->kind != OPTION_FLAG)
        buffer_printf(out, "=%s", entry->argument);
}

/* Pads the line that began at `begin` to `column`, or starts a new one there. */
static void append_to_column(size_t begin, size_t column, struct buffer *out)
{
    size_t used = out->length - begin;
    if (used + 2 > column) {
        buffer_puts(out, "\n");
        used = 0;
    }
    append_spaces(column - used, out);
}

/* Where the right-hand column begins: two behind the longest name that is not overlong. */
static size_t help_column(const struct option_command *command)
{
    struct option_entry entry;
    size_t column = 0;
    for (size_t i = 0; option_visit(command, i, &entry); i++) {
        cleanup_buffer struct buffer name = BUFFER_INIT(HELP_MAX);
        append_option_name(&entry, &name);
        if (!entry.hidden && name.length + 2 > column && name.length + 2 <= HELP_COLUMN_MAX)
            column = name.length + 2;
    }
    for (size_t i = 0; command->commands && command->commands[i]; i++) {
        size_t width = strlen(command->commands[i]->name) + 4;
        if (!command->commands[i]->hidden && width > column && width <= HELP_COLUMN_MAX)
            column = width;
    }
    return column;
}

/* The sentence about an option, with its bounds and default. */
static const char *option_words(const struct option_entry *entry, struct buffer *words)
{
    buffer_clear(words);
    buffer_puts(words, entry->help);
    option_append_details(entry, words);
    return buffer_terminate(words);
}

static void append_usage(const struct option_command *command, struct buffer *out)
{
    buffer_puts(out, "Usage: ");
    option_append_name(command, ' ', out);
    buffer_puts(out, " [OPTION]...");
    if (command->commands)
        buffer_puts(out, " COMMAND [ARGUMENT]...");
    else if (command->operands)
        buffer_printf(out, " %s", command->operands);
    buffer_puts(out, "\n\n");
}

static void append_options(const struct option_command *command, size_t column, struct buffer *out)
{
    cleanup_buffer struct buffer words = BUFFER_INIT(HELP_MAX);
    struct option_entry entry;
    buffer_puts(out, "\nOptions:\n");
    for (size_t i = 0; option_visit(command, i, &entry); i++) {
        size_t begin = out->length;
        if (entry.hidden)
            continue;
        append_option_name(&entry, out);
        append_to_column(begin, column, out);
        option_append_wrapped(option_words(&entry, &words), column, column, OPTION_HELP_COLUMNS,
                              out);
    }
}

static void append_commands(const struct option_command *command, size_t column, struct buffer *out)
{
    buffer_puts(out, "\nCommands:\n");
    for (size_t i = 0; command->commands[i]; i++) {
        size_t begin = out->length;
        if (command->commands[i]->hidden)
            continue;
        buffer_printf(out, "  %s", command->commands[i]->name);
        append_to_column(begin, column, out);
        option_append_wrapped(command->commands[i]->summary, column, column, OPTION_HELP_COLUMNS,
                              out);
    }
}

/* The summary as a sentence: first letter large, full stop. */
static void append_summary(const struct option_command *command, struct buffer *out)
{
    cleanup_buffer struct buffer sentence = BUFFER_INIT(HELP_MAX);
    buffer_printf(&sentence, "%s.", command->summary);
    buffer_terminate(&sentence);
    if (sentence.data[0] >= 'a' && sentence.data[0] <= 'z')
        sentence.data[0] = (char)(sentence.data[0] - 'a' + 'A');
    option_append_wrapped(sentence.data, 0, 0, OPTION_HELP_COLUMNS, out);
}

static void print_help(const struct option_command *command, struct buffer *out)
{
    size_t column = help_column(command);
    append_usage(command, out);
    append_summary(command, out);
    for (size_t i = 0; command->description && command->description[i]; i++) {
        buffer_puts(out, "\n");
        option_append_wrapped(command->description[i], 0, 0, OPTION_HELP_COLUMNS, out);
    }
    if (command->commands)
        append_commands(command, column, out);
    append_options(command, column, out);
    for (size_t i = 0; i < command->example_count; i++) {
        buffer_printf(out, "%s  %s\n      ", i == 0 ? "\nExamples:\n" : "",
                      command->examples[i].command);
        option_append_wrapped(command->examples[i].meaning, 6, 6, OPTION_HELP_COLUMNS, out);
    }
    for (size_t i = 0; i < command->status_count; i++) {
        buffer_printf(out, "%s  %-4d", i == 0 ? "\nExit status:\n" : "",
                      command->statuses[i].status);
        option_append_wrapped(command->statuses[i].meaning, 6, 6, OPTION_HELP_COLUMNS, out);
    }
    if (command->commands) {
        cleanup_buffer struct buffer hint = BUFFER_INIT(HELP_MAX);
        buffer_printf(&hint, "'%s COMMAND --help' tells about a command.", command->name);
        buffer_puts(out, "\n");
        option_append_wrapped(buffer_terminate(&hint), 0, 0, OPTION_HELP_COLUMNS, out);
    }
}

int option_print_help(const struct option_command *command, struct buffer *out)
{
    cleanup_buffer struct buffer text = BUFFER_INIT(OPTION_PRINT_MAX);
    print_help(command, &text);
    return buffer_append(out, text.data, text.length);
}
