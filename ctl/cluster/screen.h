/*
 * A whole terminal for a page that is painted again and again, as top(1) has it: the alternate
 * screen, no cursor, and keys as they are typed. Standard output must be a terminal; one thread.
 *
 *     screen_open(&screen);
 *     screen_paint(text);          from the top; what does not fit is left out
 *     screen_close(&screen);       always: the terminal stays as it is otherwise
 */
#ifndef DPUMESH_CTL_CLUSTER_SCREEN_H
#define DPUMESH_CTL_CLUSTER_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <termios.h>

#include "base/buffer.h"

struct screen {
    bool open, typed; /* typed: standard input's settings are to be put back */
    struct termios before;
};

/* Whether standard output is a terminal on which a page can be painted. */
bool screen_possible(void);

void screen_open(struct screen *screen);
void screen_close(struct screen *screen);

/* Paints lines of plain text; line number `title` (from 0) is in bold. */
void screen_paint(const char *text, unsigned title);

/* What screen_paint() writes for a terminal of so many rows and columns. 0 or -ENOBUFS. */
int screen_compose(const char *text, unsigned title, unsigned rows, unsigned columns,
                   struct buffer *out);

#endif
