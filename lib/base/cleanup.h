/*
 * Cleanup attributes: a local that owns something says so where it is declared, and every return
 * path frees it. To hand the thing on, steal it:
 *
 *     cleanup_free char *text = xstrdup("x");
 *     ...
 *     *ret_text = STEAL_POINTER(text);
 */
#ifndef DPUMESH_BASE_CLEANUP_H
#define DPUMESH_BASE_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free_fn(void *pointer)
{
    free(*(void **)pointer);
}

static inline void cleanup_close_fn(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static inline void cleanup_file_fn(FILE **file)
{
    if (*file)
        fclose(*file);
}

#define CLEANUP(function) __attribute__((cleanup(function)))
#define cleanup_free      CLEANUP(cleanup_free_fn)
#define cleanup_close     CLEANUP(cleanup_close_fn)
#define cleanup_file      CLEANUP(cleanup_file_fn)

/* Takes the value out of an owning pointer and leaves NULL, so that its cleanup does nothing. */
#define STEAL_POINTER(pointer)                                                                     \
    __extension__({                                                                                \
        __typeof__(pointer) stolen_ = (pointer);                                                   \
        (pointer) = NULL;                                                                          \
        stolen_;                                                                                   \
    })

/* The same for a file descriptor; -1 stays behind. */
#define STEAL_FD(fd)                                                                               \
    __extension__({                                                                                \
        int stolen_ = (fd);                                                                        \
        (fd) = -1;                                                                                 \
        stolen_;                                                                                   \
    })

#endif
