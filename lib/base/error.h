/*
 * Errors with a sentence. A function that can fail in a way its user must understand takes a last
 * parameter `struct error **err`, returns a negative errno value on failure and fills *err; on
 * success *err is left alone. Libraries never log: they return these.
 *
 *     cleanup_error struct error *err = NULL;
 *     if (thing_open(path, &thing, &err) < 0)
 *         return log_fatal(error_message(err));
 *
 * The caller of the outermost function owns *err. Any thread; an error belongs to one at a time.
 */
#ifndef DPUMESH_BASE_ERROR_H
#define DPUMESH_BASE_ERROR_H

#include "base/cleanup.h"

struct error;

/*
 * Makes an error and returns -number, so that `return error_make(err, EINVAL, ...)` reads well.
 * err: where to put it; NULL drops the sentence; an error already in *err is replaced.
 * number: a positive errno value. format: one sentence without a full stop: what, where, what would
 * be right; what it quotes is made safe for a terminal (text_one_line()).
 */
int error_make(struct error **err, int number, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * Puts "prefix: " before the sentence in *err (no effect when there is none) and returns ret, the
 * value that the failing call returned.
 */
int error_prefix(struct error **err, int ret, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The sentence; never NULL (a NULL error reads "no error"). Valid until error_free(). */
const char *error_message(const struct error *err);

/* The positive errno value; 0 for NULL. */
int error_number(const struct error *err);

/* Frees err; NULL is fine. */
void error_free(struct error *err);

static inline void error_cleanup_fn(struct error **err)
{
    error_free(*err);
}
#define cleanup_error CLEANUP(error_cleanup_fn)

#endif
