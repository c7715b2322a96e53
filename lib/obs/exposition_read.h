/*
 * Reads what other processes expose: the Prometheus text format 0.0.4, sample by sample. Nothing is
 * allocated, and the locale has no say.
 *
 *     static int visit(void *context, const struct exposition_sample *sample)
 *     {
 *         if (exposition_is(sample, "process_cpu_seconds_total"))
 *             ...sample->value...
 *         return 0;
 *     }
 *     ret = exposition_read(text, length, visit, &what, &err);
 *
 * Strict, because a page that is wrong somewhere is not to be believed elsewhere: one malformed
 * line refuses the page. As Prometheus' own parser does it, a carriage return is such a line's
 * mistake, and so is a last line without its line feed, which is how a page looks that was cut off.
 * Comments are skipped unread: HELP, TYPE, and the "# EOF" of OpenMetrics. OpenMetrics' exemplars
 * and fractions in timestamps are refused.
 *
 * Source of the grammar: prometheus.io/docs/instrumenting/exposition_formats, "Text format
 * details". Pure; any thread.
 */
#ifndef DPUMESH_OBS_EXPOSITION_READ_H
#define DPUMESH_OBS_EXPOSITION_READ_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum {
    EXPOSITION_TEXT_MAX = 64 << 20, /* bytes of a page */
    EXPOSITION_LINE_MAX = 16 << 10, /* bytes of a line, comments too, without its line feed */
    EXPOSITION_LABELS_MAX = 32,     /* labels of a sample */
    EXPOSITION_NUMBER_MAX = 127,    /* bytes of a number */
};

/* A name or a value: length bytes, not NUL-terminated, UTF-8 without NUL. */
struct exposition_text {
    const char *data;
    size_t length;
};

struct exposition_label {
    struct exposition_text name;
    struct exposition_text value; /* escapes undone */
};

/* One line. All of it is valid during the visit only. A timestamp is read and dropped. */
struct exposition_sample {
    struct exposition_text name;
    const struct exposition_label *labels; /* in the order of the line; no name twice */
    size_t label_count;
    double value; /* NaN and infinities too */
};

/* Takes a sample. 0: go on; a negative value ends the reading and is its result. */
typedef int exposition_visit(void *context, const struct exposition_sample *sample);

/*
 * Reads length bytes and calls visit for each sample, in the order of the page. 0; what visit
 * returned; or -EINVAL and a sentence with the number of the line: it is malformed, or past one of
 * the limits above. Samples before the malformed line were visited.
 */
int exposition_read(const char *text, size_t length, exposition_visit *visit, void *context,
                    struct error **err);

/* Whether the sample has this name. */
bool exposition_is(const struct exposition_sample *sample, const char *name);

/* The value of a label; NULL: the sample does not have it. */
const struct exposition_text *exposition_label(const struct exposition_sample *sample,
                                               const char *name);

/* Whether a text is the same as a string. */
bool exposition_equal(const struct exposition_text *text, const char *string);

/*
 * Reads a number as the format has it: decimal with an optional exponent, or NaN, Inf, +Inf, -Inf
 * (Infinity too; case counts nothing, as in Go's ParseFloat). What is too large for a double is
 * refused, what is too small is 0. 0 and *ret_value, or -EINVAL. Also for the label "le".
 */
int exposition_number(const char *text, size_t length, double *ret_value);

#endif
