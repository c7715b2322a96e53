/* What the files behind base/option.h share; private to lib/base. */
#ifndef DPUMESH_BASE_OPTION_PRIVATE_H
#define DPUMESH_BASE_OPTION_PRIVATE_H

#include "base/option.h"

enum {
    OPTION_HELP_COLUMNS = 80,
    OPTION_MAN_COLUMNS =
        70, /* of the source: escapes make lines longer, past 80 mandoc complains */
    OPTION_PRINT_MAX =
        1 << 20 /* bytes of a help text, man page or completion; no table comes near */
};

/* --help, --version, --print-man, --print-completion: what every command takes. */
extern const struct option_entry option_builtins[];
extern const size_t option_builtin_count;

/* Goes through the entries of a command, then the built-in ones; a built-in letter that the command
 * uses itself is not there. *entry is a copy. False past the end. */
bool option_visit(const struct option_command *command, size_t index,
                  struct option_entry *ret_entry);

/* Zeroes an entry's destination, then sets its fallback. A fallback that can't be read aborts. */
void option_value_default(const struct option_entry *entry, void *destination);

/* Sets an entry's destination from text. again: a list that was given before is appended to. 0, or
 * -EINVAL and a sentence without the option's name. */
int option_value_set(const struct option_entry *entry, void *destination, const char *text,
                     bool again, struct error **err);

/* Frees an entry's list; no effect on other kinds. */
void option_value_free(const struct option_entry *entry, void *destination);

/* Appends what --help says of the values, such as " (1 to 100; default: 50)", or nothing. */
void option_append_details(const struct option_entry *entry, struct buffer *out);

/* Appends "dpumesh load" or, with '-', "dpumesh-load". */
void option_append_name(const struct option_command *command, char separator, struct buffer *out);

/*
 * Appends text in lines of at most width - 1 characters. column: where the first word
 * goes; indent: where further lines begin. Ends with a line feed.
 */
void option_append_wrapped(const char *text, size_t column, size_t indent, size_t width,
                           struct buffer *out);

#endif
