#include "ctl/csv.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static const char blanks[] = " \t";

char *csv_next_line(char **rest)
{
    char *line = *rest;

    if (!line)
        return NULL;
    char *end = line + strcspn(line, "\r\n");
    *rest = *end == '\0' ? NULL : end + (strncmp(end, "\r\n", 2) == 0 ? 2 : 1);
    *end = '\0';
    return line;
}

/* Puts the text of a quoted cell where the cell begins; what follows its last quote, or NULL when
 * there is none. */
static char *unquote(char *cell)
{
    char *to = cell;

    for (char *from = cell + 1; *from; from++) {
        if (*from == '"' && *++from != '"') {
            *to = '\0';
            return from;
        }
        *to++ = *from;
    }
    return NULL;
}

/* Cuts one cell off: where the next begins, or NULL after the last; *cell moves past blanks.
 * *ret_ok is false when its quotes are wrong. */
static char *cut(char **cell, bool *ret_ok)
{
    char *begin = *cell + strspn(*cell, blanks), *end = begin;

    *cell = begin;
    if (*begin == '"') {
        end = unquote(begin);
        if (end)
            end += strspn(end, blanks);
        *ret_ok = end && (*end == ',' || *end == '\0');
        return *ret_ok && *end == ',' ? end + 1 : NULL;
    }
    end += strcspn(end, ",");
    char *next = *end == ',' ? end + 1 : NULL;
    while (end > begin && strchr(blanks, end[-1]))
        end--;
    *end = '\0';
    return next;
}

unsigned csv_split(char *line, char **cells, unsigned max)
{
    unsigned count = 0;
    bool ok = true;

    for (char *cell = line, *next; cell; cell = next, count++) {
        next = cut(&cell, &ok);
        if (!ok)
            return 0;
        if (count < max)
            cells[count] = cell;
    }
    return count;
}
