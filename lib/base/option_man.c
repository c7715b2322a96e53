/* The man page, with the macros of man(7). */
#include <ctype.h>
#include <string.h>

#include "base/option_private.h"

enum { PARAGRAPH_MAX = 1 << 16 };

/* Appends text so that troff prints it as it is. at_line_start: a control character there would
 * make a macro of the line. */
static void append_plain(const char *text, size_t length, bool at_line_start, struct buffer *out)
{
    if (at_line_start && length > 0 && (text[0] == '.' || text[0] == '\''))
        buffer_puts(out, "\\&");
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\\')
            buffer_puts(out, "\\e");
        else if (text[i] == '-')
            buffer_puts(out, "\\-"); /* a minus that can be copied, not a hyphen */
        else if (text[i] == '\'')
            buffer_puts(out, "\\(aq");
        else
            buffer_append(out, text + i, 1);
    }
}

static void append_words(const char *text, struct buffer *out)
{
    append_plain(text, strlen(text), false, out);
}

/* A paragraph. */
static void append_paragraph(const char *text, struct buffer *out)
{
    cleanup_buffer struct buffer lines = BUFFER_INIT(PARAGRAPH_MAX);
    option_append_wrapped(text, 0, 0, OPTION_MAN_COLUMNS, &lines);
    for (const char *line = buffer_terminate(&lines); *line;) {
        size_t length = strcspn(line, "\n");
        append_plain(line, length, true, out);
        buffer_puts(out, "\n");
        line += length + (line[length] == '\n');
    }
}

static void append_section(const char *title, struct buffer *out)
{
    buffer_printf(out, ".SH %s\n", title);
}

static void append_bold(const char *text, struct buffer *out)
{
    buffer_puts(out, "\\fB");
    append_words(text, out);
    buffer_puts(out, "\\fR");
}

/* Words in capitals are placeholders, as in --help, and set in italics. */
static void append_placeholders(const char *text, struct buffer *out)
{
    while (*text) {
        size_t length = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");
        if (length > 0) {
            buffer_puts(out, "\\fI");
            append_plain(text, length, false, out);
            buffer_puts(out, "\\fR");
        } else {
            length = strcspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");
            append_plain(text, length, false, out);
        }
        text += length;
    }
}

static void append_head(const struct option_command *command, struct buffer *out)
{
    cleanup_buffer struct buffer name = BUFFER_INIT(PARAGRAPH_MAX);
    cleanup_buffer struct buffer title = BUFFER_INIT(PARAGRAPH_MAX);
    option_append_name(command, '-', &name);
    buffer_terminate(&name);
    for (size_t i = 0; i < name.length; i++)
        buffer_append(&title, (const char[]){(char)toupper((unsigned char)name.data[i])}, 1);
    buffer_puts(out, ".\\\" Printed from the program's option table; do not edit.\n.TH ");
    append_words(buffer_terminate(&title), out);
    buffer_puts(out, " 1 \"\" \"muBench\\-DPU " DPUMESH_VERSION "\" \"User Commands\"\n");
    append_section("NAME", out);
    append_words(name.data, out);
    buffer_puts(out, " \\- ");
    append_words(command->summary, out);
    buffer_puts(out, "\n");
}

static void append_synopsis(const struct option_command *command, struct buffer *out)
{
    cleanup_buffer struct buffer name = BUFFER_INIT(PARAGRAPH_MAX);
    option_append_name(command, ' ', &name);
    append_section("SYNOPSIS", out);
    append_bold(buffer_terminate(&name), out);
    buffer_puts(out, "\n");
    append_placeholders("[OPTION]...", out);
    if (command->commands || command->operands) {
        buffer_puts(out, "\n");
        append_placeholders(command->commands ? "COMMAND [ARGUMENT]..." : command->operands, out);
    }
    buffer_puts(out, "\n");
}

static void append_description(const struct option_command *command, struct buffer *out)
{
    if (!command->description || !command->description[0])
        return;
    append_section("DESCRIPTION", out);
    for (size_t i = 0; command->description[i]; i++) {
        if (i > 0)
            buffer_puts(out, ".PP\n");
        append_paragraph(command->description[i], out);
    }
}

static void append_options(const struct option_command *command, struct buffer *out)
{
    struct option_entry entry;
    append_section("OPTIONS", out);
    for (size_t i = 0; option_visit(command, i, &entry); i++) {
        cleanup_buffer struct buffer words = BUFFER_INIT(PARAGRAPH_MAX);
        if (entry.hidden)
            continue;
        buffer_puts(out, ".TP\n");
        if (entry.letter)
            buffer_printf(out, "\\fB\\-%c\\fR, ", entry.letter);
        buffer_puts(out, "\\fB\\-\\-");
        append_words(entry.name, out);
        buffer_puts(out, "\\fR");
        if (entry.kind != OPTION_FLAG) {
            buffer_puts(out, "=\\fI");
            append_words(entry.argument, out);
            buffer_puts(out, "\\fR");
        }
        buffer_puts(out, "\n");
        buffer_puts(&words, entry.help);
        option_append_details(&entry, &words);
        append_paragraph(buffer_terminate(&words), out);
    }
}

static void append_commands(const struct option_command *command, struct buffer *out)
{
    append_section("COMMANDS", out);
    for (size_t i = 0; command->commands[i]; i++) {
        cleanup_buffer struct buffer words = BUFFER_INIT(PARAGRAPH_MAX);
        const struct option_command *sub = command->commands[i];
        if (sub->hidden)
            continue;
        buffer_puts(out, ".TP\n");
        append_bold(sub->name, out);
        buffer_puts(out, "\n");
        buffer_printf(&words, "%s; see %s-%s(1).", sub->summary, command->name, sub->name);
        append_paragraph(buffer_terminate(&words), out);
    }
}

static void append_examples(const struct option_command *command, struct buffer *out)
{
    append_section("EXAMPLES", out);
    for (size_t i = 0; i < command->example_count; i++) {
        if (i > 0)
            buffer_puts(out, ".PP\n");
        append_paragraph(command->examples[i].meaning, out);
        buffer_puts(out, ".PP\n.RS 4\n.nf\n");
        const char *text = command->examples[i].command;
        append_plain(text, strlen(text), true, out);
        buffer_puts(out, "\n.fi\n.RE\n");
    }
}

static void append_statuses(const struct option_command *command, struct buffer *out)
{
    append_section("EXIT STATUS", out);
    for (size_t i = 0; i < command->status_count; i++) {
        buffer_printf(out, ".TP\n.B %d\n", command->statuses[i].status);
        append_paragraph(command->statuses[i].meaning, out);
    }
}

static void append_see_also(const struct option_command *command, struct buffer *out)
{
    const char *separator = "";
    append_section("SEE ALSO", out);
    if (command->parent) {
        buffer_puts(out, ".BR ");
        append_words(command->parent, out);
        buffer_puts(out, " (1)\n");
    }
    for (size_t i = 0; command->commands && command->commands[i]; i++) {
        if (command->commands[i]->hidden)
            continue;
        buffer_printf(out, "%s.BR ", separator);
        append_words(command->name, out);
        buffer_puts(out, "\\-");
        append_words(command->commands[i]->name, out);
        buffer_puts(out, " (1)");
        separator = ",\n";
    }
    if (*separator)
        buffer_puts(out, "\n");
}

static void print_man(const struct option_command *command, struct buffer *out)
{
    append_head(command, out);
    append_synopsis(command, out);
    append_description(command, out);
    if (command->commands)
        append_commands(command, out);
    append_options(command, out);
    if (command->status_count)
        append_statuses(command, out);
    if (command->example_count)
        append_examples(command, out);
    if (command->parent || command->commands)
        append_see_also(command, out);
}

int option_print_man(const struct option_command *command, struct buffer *out)
{
    cleanup_buffer struct buffer text = BUFFER_INIT(OPTION_PRINT_MAX);
    print_man(command, &text);
    return buffer_append(out, text.data, text.length);
}
