/* Completion scripts for bash, zsh and fish. */
#include <string.h>

#include "base/option_private.h"

/* A short text: the first sentence without its full stop. */
static size_t first_sentence(const char *text)
{
    const char *end = strstr(text, ". ");
    size_t length = end ? (size_t)(end - text) : strlen(text);
    return length > 0 && text[length - 1] == '.' ? length - 1 : length;
}

static bool takes_file(const struct option_entry *entry)
{
    return entry->argument && (strstr(entry->argument, "FILE") || strstr(entry->argument, "DIR") ||
                               strstr(entry->argument, "PATH"));
}

static bool operands_are_files(const struct option_command *command)
{
    return command->operands && strstr(command->operands, "FILE");
}

/* Appends text for single quotes; of `special`, each character gets a backslash before it. */
static void append_quoted(const char *text, size_t length, const char *special, struct buffer *out)
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\'') {
            buffer_puts(out, "'\\''");
            continue;
        }
        if (strchr(special, text[i]))
            buffer_puts(out, "\\");
        buffer_append(out, text + i, 1);
    }
}

/* Goes through the entries that a completion offers. */
static bool next_entry(const struct option_command *command, size_t *index,
                       struct option_entry *ret_entry)
{
    while (option_visit(command, (*index)++, ret_entry))
        if (!ret_entry->hidden)
            return true;
    return false;
}

/* The subcommand number *index that a completion offers, or NULL. */
static const struct option_command *next_command(const struct option_command *command,
                                                 size_t *index)
{
    while (command->commands && command->commands[*index]) {
        const struct option_command *sub = command->commands[(*index)++];
        if (!sub->hidden)
            return sub;
    }
    return NULL;
}

static void append_choices(const struct option_entry *entry, struct buffer *out)
{
    for (size_t i = 0; entry->choices[i]; i++)
        buffer_printf(out, "%s%s", i ? " " : "", entry->choices[i]);
}

/* bash: branches of `case "$command$option"` for options with values. */
static void bash_values(const struct option_command *command, const char *name, struct buffer *out)
{
    struct option_entry entry;
    for (size_t i = 0; next_entry(command, &i, &entry);) {
        if (entry.kind == OPTION_FLAG)
            continue;
        buffer_printf(out, "    %s--%s", name, entry.name);
        if (entry.letter)
            buffer_printf(out, " | %s-%c", name, entry.letter);
        if (entry.kind == OPTION_CHOICE) {
            buffer_puts(out, ") COMPREPLY=($(compgen -W '");
            append_choices(&entry, out);
            buffer_puts(out, "' -- \"$current\")); return ;;\n");
        } else if (takes_file(&entry)) {
            buffer_puts(out, ") COMPREPLY=($(compgen -f -- \"$current\")); return ;;\n");
        } else {
            buffer_puts(out, ") COMPREPLY=(); compopt +o default; return ;;\n");
        }
    }
}

/* bash: a branch of `case "$command"` with the words of one command. */
static void bash_words(const struct option_command *command, const char *name, struct buffer *out)
{
    struct option_entry entry;
    buffer_printf(out, "    '%s') options='", name);
    for (size_t i = 0; next_entry(command, &i, &entry);)
        buffer_printf(out, "%s--%s%s", i > 1 ? " " : "", entry.name,
                      entry.kind == OPTION_FLAG ? "" : "=");
    buffer_puts(out, "'; commands='");
    const struct option_command *sub;
    for (size_t i = 0; (sub = next_command(command, &i));)
        buffer_printf(out, "%s%s", i > 1 ? " " : "", sub->name);
    buffer_puts(out, "' ;;\n");
}

static void print_bash(const struct option_command *command, struct buffer *out)
{
    const struct option_command *sub;
    buffer_printf(out,
                  "# bash completion for %s; printed from its option tables.\n_%s()\n{\n"
                  "    local current=${COMP_WORDS[COMP_CWORD]} option='' command='' options='' "
                  "commands='' i\n"
                  "    # readline splits --name=value into three words\n"
                  "    if [[ $current == = ]]; then\n"
                  "        option=${COMP_WORDS[COMP_CWORD-1]} current=''\n"
                  "    elif [[ $COMP_CWORD -ge 2 && ${COMP_WORDS[COMP_CWORD-1]} == = ]]; then\n"
                  "        option=${COMP_WORDS[COMP_CWORD-2]}\n"
                  "    else\n"
                  "        option=${COMP_WORDS[COMP_CWORD-1]}\n"
                  "    fi\n",
                  command->name, command->name);
    if (command->commands) {
        buffer_puts(out, "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
                         "        case ${COMP_WORDS[i]} in\n        ");
        for (size_t i = 0; (sub = next_command(command, &i));)
            buffer_printf(out, "%s%s", i > 1 ? " | " : "", sub->name);
        buffer_puts(out, ") command=${COMP_WORDS[i]}; break ;;\n        esac\n    done\n");
    }
    buffer_puts(out, "    case \"$command$option\" in\n");
    bash_values(command, "", out);
    for (size_t i = 0; (sub = next_command(command, &i));)
        bash_values(sub, sub->name, out);
    buffer_puts(out, "    esac\n    case \"$command\" in\n");
    bash_words(command, "", out);
    for (size_t i = 0; (sub = next_command(command, &i));)
        bash_words(sub, sub->name, out);
    buffer_printf(out,
                  "    esac\n"
                  "    if [[ $current == -* ]]; then\n"
                  "        COMPREPLY=($(compgen -W \"$options\" -- \"$current\"))\n"
                  "        [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && "
                  "compopt -o nospace\n"
                  "    elif [[ -n $commands ]]; then\n"
                  "        COMPREPLY=($(compgen -W \"$commands\" -- \"$current\"))\n"
                  "        compopt +o default\n"
                  "    fi\n"
                  "} 2>/dev/null\ncomplete -o default -F _%s %s\n",
                  command->name, command->name);
}

/* zsh: one argument of _arguments. */
static void zsh_option(const struct option_entry *entry, struct buffer *out)
{
    static const char special[] = "[]:\\";
    bool value = entry->kind != OPTION_FLAG;
    buffer_puts(out, " \\\n        ");
    if (entry->kind == OPTION_LIST)
        buffer_puts(out, "'*'");
    else if (entry->letter)
        buffer_printf(out, "'(-%c --%s)'", entry->letter, entry->name);
    if (entry->letter)
        buffer_printf(out, "{-%c%s,--%s%s}", entry->letter, value ? "+" : "", entry->name,
                      value ? "=" : "");
    else
        buffer_printf(out, "--%s%s", entry->name, value ? "=" : "");
    buffer_puts(out, "'[");
    append_quoted(entry->help, first_sentence(entry->help), special, out);
    buffer_puts(out, "]");
    if (value) {
        buffer_puts(out, ":");
        append_quoted(entry->argument, strlen(entry->argument), special, out);
        buffer_puts(out, ":");
    }
    if (entry->kind == OPTION_CHOICE) {
        buffer_puts(out, "(");
        append_choices(entry, out);
        buffer_puts(out, ")");
    } else if (value && takes_file(entry)) {
        buffer_puts(out, "_files");
    }
    buffer_puts(out, "'");
}

static void zsh_options(const struct option_command *command, struct buffer *out)
{
    struct option_entry entry;
    for (size_t i = 0; next_entry(command, &i, &entry);)
        zsh_option(&entry, out);
    if (!command->commands && command->operands)
        buffer_printf(out, " \\\n        '*::operand:%s'",
                      operands_are_files(command) ? "_files" : "");
}

static void print_zsh(const struct option_command *command, struct buffer *out)
{
    const struct option_command *sub;
    buffer_printf(out,
                  "#compdef %s\n# Printed from the program's option tables.\n"
                  "_%s()\n{\n    local state line\n    _arguments -S -C",
                  command->name, command->name);
    zsh_options(command, out);
    if (!command->commands) {
        buffer_printf(out, "\n}\n_%s \"$@\"\n", command->name);
        return;
    }
    buffer_puts(out, " \\\n        '1:command:->command' '*::argument:->argument'\n"
                     "    case $state in\n    command)\n        local -a commands=(");
    for (size_t i = 0; (sub = next_command(command, &i));) {
        buffer_printf(out, "\n            '%s:", sub->name);
        append_quoted(sub->summary, strlen(sub->summary), ":\\", out);
        buffer_puts(out, "'");
    }
    buffer_puts(out, ")\n        _describe command commands ;;\n    argument)\n"
                     "        case $line[1] in\n");
    for (size_t i = 0; (sub = next_command(command, &i));) {
        buffer_printf(out, "        %s) _arguments -S", sub->name);
        zsh_options(sub, out);
        buffer_puts(out, " ;;\n");
    }
    buffer_printf(out, "        esac ;;\n    esac\n}\n_%s \"$@\"\n", command->name);
}

/* fish: the options of one command under a condition. */
static void fish_options(const struct option_command *command, const char *program,
                         const char *condition, struct buffer *out)
{
    struct option_entry entry;
    for (size_t i = 0; next_entry(command, &i, &entry);) {
        buffer_printf(out, "complete -c %s%s -l %s", program, condition, entry.name);
        if (entry.letter)
            buffer_printf(out, " -s %c", entry.letter);
        if (entry.kind == OPTION_CHOICE) {
            buffer_puts(out, " -x -a '");
            append_choices(&entry, out);
            buffer_puts(out, "'");
        } else if (entry.kind != OPTION_FLAG) {
            buffer_puts(out, takes_file(&entry) ? " -r -F" : " -x");
        }
        buffer_puts(out, " -d '");
        append_quoted(entry.help, first_sentence(entry.help), "\\", out);
        buffer_puts(out, "'\n");
    }
}

static void print_fish(const struct option_command *command, struct buffer *out)
{
    const struct option_command *sub;
    buffer_printf(out, "# fish completion for %s; printed from its option tables.\n",
                  command->name);
    if (!operands_are_files(command))
        buffer_printf(out, "complete -c %s -f\n", command->name);
    fish_options(command, command->name, command->commands ? " -n __fish_use_subcommand" : "", out);
    for (size_t i = 0; (sub = next_command(command, &i));) {
        cleanup_buffer struct buffer condition = BUFFER_INIT(OPTION_PRINT_MAX);
        buffer_printf(out, "complete -c %s -n __fish_use_subcommand -a %s -d '", command->name,
                      sub->name);
        append_quoted(sub->summary, strlen(sub->summary), "\\", out);
        buffer_puts(out, "'\n");
        buffer_printf(&condition, " -n '__fish_seen_subcommand_from %s'", sub->name);
        if (operands_are_files(sub))
            buffer_printf(out, "complete -c %s%s -F\n", command->name,
                          buffer_terminate(&condition));
        fish_options(sub, command->name, buffer_terminate(&condition), out);
    }
}

int option_print_completion(const struct option_command *command, enum option_shell shell,
                            struct buffer *out)
{
    cleanup_buffer struct buffer text = BUFFER_INIT(OPTION_PRINT_MAX);
    switch (shell) {
    case OPTION_SHELL_BASH:
        print_bash(command, &text);
        break;
    case OPTION_SHELL_ZSH:
        print_zsh(command, &text);
        break;
    case OPTION_SHELL_FISH:
        print_fish(command, &text);
        break;
    }
    return buffer_append(out, text.data, text.length);
}
