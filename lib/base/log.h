/*
 * Leveled logging for programs (libraries return errors instead). One line an event, one write(2) a
 * line, so that lines of several threads and processes never interleave. Fields are typed:
 *
 *     log_info("config reloaded", LOG_STR("path", path), LOG_U64("generation", n));
 *
 *     ts=2024-05-01T10:00:00.123Z level=info msg="config reloaded" path=/etc/a.json generation=3
 *     {"ts":"2024-05-01T10:00:00.123Z","level":"info","msg":"config reloaded","path":"/etc/a.json",
 *      "generation":3}
 *
 * Each call site may write LOG_SITE_BURST lines a second; what comes on top is counted, and a line
 * tells how many (with the next line of any site once the second is over, or at log_flush()).
 * Values may come from the network: control characters are escaped and bytes that are not UTF-8
 * become U+FFFD. A line has at most LOG_LINE_MAX bytes: longer values end in "...", and fields that
 * no longer fit are left out, with truncated=true at the end.
 *
 * A pipe that is full gets a second to be read; then lines are lost until there is room again.
 *
 * Any thread; levels and formats may be switched while others log. Not between fork() and exec(),
 * and not in a signal handler.
 */
#ifndef DPUMESH_BASE_LOG_H
#define DPUMESH_BASE_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"

enum {
    LOG_LINE_MAX = 4096,  /* with its line feed: PIPE_BUF, up to which pipes keep writes whole */
    LOG_VALUE_MAX = 1024, /* of a message or value, escapes included */
    LOG_SITE_BURST = 10
};

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };

/* Names in the order of the enums, NULL at the end, for option tables. */
extern const char *const log_level_names[];
extern const char *const log_format_names[];

/* Reads a name. 0 and *ret, or -EINVAL and a sentence with the nearest one. */
int log_level_parse(const char *text, enum log_level *ret, struct error **err);
int log_format_parse(const char *text, enum log_format *ret, struct error **err);

/* What is in force; info and logfmt at the start. */
void log_set_level(enum log_level level);
void log_set_format(enum log_format format);

/* Where lines go; standard error at the start. The descriptor stays the caller's. */
void log_set_fd(int fd);

/* A field on every line, after msg, such as ("replica", "s0-1"); at most 4, the texts must stay.
 * Call before there are other threads. */
void log_set_field(const char *key, const char *value);

/* Writes how many lines were suppressed at each site; call before the program ends. */
void log_flush(void);

enum log_kind {
    LOG_KIND_STRING,
    LOG_KIND_SIGNED,
    LOG_KIND_UNSIGNED,
    LOG_KIND_DOUBLE,
    LOG_KIND_BOOL,
    LOG_KIND_DURATION
};

/* One field. key: [a-z0-9_]+, by convention; made by the functions below. */
struct log_field {
    const char *key; /* NULL ends a list */
    enum log_kind kind;
    union {
        struct {
            const char *data;
            size_t length;
        } text;
        int64_t number_signed;
        uint64_t number_unsigned;
        double number_double;
        bool truth;
    } value;
};

/* A string; NULL reads "". */
static inline struct log_field LOG_STR(const char *key, const char *value) {
    struct log_field field = {.key = key, .kind = LOG_KIND_STRING};
    field.value.text.data = value ? value : "";
    field.value.text.length = value ? strlen(value) : 0;
    return field;
}

/* length bytes that need not end in NUL. */
static inline struct log_field
LOG_SPAN(const char *key, const char *data, size_t length) {
    struct log_field field = {.key = key, .kind = LOG_KIND_STRING};
    field.value.text.data = data;
    field.value.text.length = length;
    return field;
}

static inline struct log_field
LOG_I64(const char *key, int64_t value) {
    struct log_field field = {.key = key, .kind = LOG_KIND_SIGNED};
    field.value.number_signed = value;
    return field;
}

static inline struct log_field
LOG_U64(const char *key, uint64_t value) {
    struct log_field field = {.key = key, .kind = LOG_KIND_UNSIGNED};
    field.value.number_unsigned = value;
    return field;
}

static inline struct log_field
LOG_DOUBLE(const char *key, double value) {
    struct log_field field = {.key = key, .kind = LOG_KIND_DOUBLE};
    field.value.number_double = value;
    return field;
}

static inline struct log_field
LOG_BOOL(const char *key, bool value) {
    struct log_field field = {.key = key, .kind = LOG_KIND_BOOL};
    field.value.truth = value;
    return field;
}

/* Nanoseconds, written as "50ms". */
static inline struct log_field
LOG_DURATION(const char *key, uint64_t value_ns) {
    struct log_field field = {.key = key, .kind = LOG_KIND_DURATION};
    field.value.number_unsigned = value_ns;
    return field;
}

/* error="the sentence of err". */
static inline struct log_field
LOG_ERROR(const struct error *err) {
    return LOG_STR("error", error_message(err));
}

/* The state of a call site; made by the macros below, guarded by the logger's lock. */
struct log_site {
    const char *message; /* what the site said last, for the line about suppressed ones */
    uint64_t window_ns;  /* begin of the current second */
    unsigned lines;      /* written in it */
    uint64_t suppressed;
    struct log_site *next; /* in the list of sites that suppressed something */
};

/* Private: what is in force, read without the lock by log_enabled(). */
extern _Atomic int log_threshold;

/* Whether lines of this level are written; guards work that only serves a log line. */
static inline bool log_enabled(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&log_threshold, memory_order_relaxed);
}

/* Private: writes a line. fields end with one whose key is NULL. errno is kept. */
void log_write(struct log_site *site, enum log_level level, const char *message,
               const struct log_field *fields);

#define LOG_AT(level, message, ...)                                                                \
    do {                                                                                           \
        static struct log_site log_site_;                                                          \
        if (log_enabled(level))                                                                    \
            log_write(&log_site_, level, message,                                                  \
                      (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){.key = NULL}});        \
    } while (0)

/* log_info("message", fields...): the message is a fixed text, what varies is a field. */
#define log_debug(message, ...) LOG_AT(LOG_LEVEL_DEBUG, message __VA_OPT__(, ) __VA_ARGS__)
#define log_info(message, ...)  LOG_AT(LOG_LEVEL_INFO, message __VA_OPT__(, ) __VA_ARGS__)
#define log_warn(message, ...)  LOG_AT(LOG_LEVEL_WARN, message __VA_OPT__(, ) __VA_ARGS__)
#define log_error(message, ...) LOG_AT(LOG_LEVEL_ERROR, message __VA_OPT__(, ) __VA_ARGS__)

#endif
