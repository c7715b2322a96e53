/*
 * What people read on the terminal. Colours and bold only where the file is a terminal, NO_COLOR is
 * unset or empty (no-color.org) and TERM is not "dumb": no escape codes in pipes. Any thread.
 */
#ifndef DPUMESH_CTL_TERMINAL_H
#define DPUMESH_CTL_TERMINAL_H

#include <stdio.h>

enum terminal_style {
    STYLE_NONE, /* back to normal */
    STYLE_BOLD,
    STYLE_RED,
    STYLE_GREEN,
    STYLE_YELLOW,
    STYLE_DIM,
};

/* The escape sequence that begins a style on this file, or "" where styles don't belong; static. */
const char *terminal_style(FILE *file, enum terminal_style style);

/* Prints "dpumesh: sentence" on standard error, one write. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same in red for what ends the command; returns status, for `return complain(2, ...)`. */
int complain(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * From now on standard error is a file of our own, opened for appending: say() empties it when it
 * has passed TERMINAL_FILE_MAX bytes. Call it before there are other threads that print.
 */
enum { TERMINAL_FILE_MAX = 1 << 20 };
void terminal_own_file(void);

#endif
