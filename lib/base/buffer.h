/*
 * A growing byte buffer that declares its cap when it is made. Whatever the network can grow lies
 * in one of these. The data is not NUL-terminated unless buffer_terminate() was called.
 *
 *     cleanup_buffer struct buffer out = BUFFER_INIT(1 << 20);
 *     if (buffer_printf(&out, "%s\n", line) < 0)
 *         return error_make(err, ENOBUFS, "...");
 *
 * One thread at a time. A buffer owns its memory; buffer_free() gives it back.
 */
#ifndef DPUMESH_BASE_BUFFER_H
#define DPUMESH_BASE_BUFFER_H

#include <stdarg.h>
#include <stddef.h>

#include "base/cleanup.h"

struct buffer {
    char *data;
    size_t length;   /* bytes in use */
    size_t capacity; /* bytes allocated */
    size_t max;      /* cap on length, bytes */
};

#define BUFFER_INIT(max_bytes)                                                                     \
    {                                                                                              \
        .data = NULL, .length = 0, .capacity = 0, .max = (max_bytes)                               \
    }

/* Makes room for `more` bytes after length. 0, or -ENOBUFS when that would pass max (nothing done).
 */
int buffer_reserve(struct buffer *buffer, size_t more);

/* Appends size bytes. 0 or -ENOBUFS (nothing appended). */
int buffer_append(struct buffer *buffer, const void *data, size_t size);

/* Appends a NUL-terminated string without its NUL. 0 or -ENOBUFS. */
int buffer_puts(struct buffer *buffer, const char *text);

/* Appends formatted text. 0 or -ENOBUFS (nothing appended). */
int buffer_printf(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
int buffer_vprintf(struct buffer *buffer, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

/* Puts a NUL after the data (not counted in length) and returns data; never NULL. */
char *buffer_terminate(struct buffer *buffer);

/* Drops the first size bytes (at most length) and moves the rest to the front. */
void buffer_consume(struct buffer *buffer, size_t size);

/* Empties it and keeps the memory. */
void buffer_clear(struct buffer *buffer);

/* Frees the memory; the buffer is empty and usable again with the same max. */
void buffer_free(struct buffer *buffer);

#define cleanup_buffer CLEANUP(buffer_free)

#endif
