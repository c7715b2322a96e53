/*
 * Allocation that does not fail: out of memory ends the process with one sentence and status 71
 * (EX_OSERR), as crun does; what the network can grow never comes here without a cap of its own.
 * Free with free(). Any thread.
 */
#ifndef DPUMESH_BASE_MEMORY_H
#define DPUMESH_BASE_MEMORY_H

#include <stdarg.h>
#include <stddef.h>

/* size bytes, uninitialised; size 0 gives a valid pointer. */
void *xmalloc(size_t size) __attribute__((malloc, returns_nonnull));

/* count * size zero bytes; an overflow of the product ends the process. */
void *xcalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));

/* Resizes to count * size bytes; an overflow of the product ends the process. */
void *xreallocarray(void *pointer, size_t count, size_t size) __attribute__((returns_nonnull));

/* A copy of text (text must not be NULL). */
char *xstrdup(const char *text) __attribute__((malloc, returns_nonnull, nonnull));

/* A copy of the first length bytes of text and a NUL. */
char *xstrndup(const char *text, size_t length) __attribute__((malloc, returns_nonnull, nonnull));

/* A new string printed from format. */
char *xasprintf(const char *format, ...) __attribute__((malloc, format(printf, 1, 2)));
char *xvasprintf(const char *format, va_list arguments) __attribute__((format(printf, 1, 0)));

/*
 * For a program that wants to be small while it waits: gives free heap back to the kernel, and lets
 * go of the code pages of the program and its libraries, most of which only starting needed (the
 * loader and the kernel's fault-around bring in whole stretches of them). They stay in the page
 * cache, and what runs again comes back by a minor fault of about a microsecond. Any thread, at any
 * time; not on a hot path.
 */
void memory_trim(void);

#endif
