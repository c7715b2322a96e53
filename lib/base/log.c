#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/text.h"

enum {
    FIELDS_MAX = 4,
    READER_WAIT_MS = 1000, /* for who reads the log, before lines are lost */
    TAIL_BYTES = 32        /* kept free for truncated=true and the end of the line */
};

const char *const log_level_names[] = {"debug", "info", "warn", "error", NULL};
const char *const log_format_names[] = {"logfmt", "json", NULL};

_Atomic int log_threshold = LOG_LEVEL_INFO;

static _Atomic int log_form = LOG_FORMAT_LOGFMT;
static _Atomic int log_fd = STDERR_FILENO;
static struct log_field common_fields[FIELDS_MAX + 1];

/* Guards every struct log_site and the list of those that hold something back. */
static pthread_mutex_t sites_lock = PTHREAD_MUTEX_INITIALIZER;
static struct log_site *held_back;
static _Atomic bool any_held_back;

static int name_parse(const char *what, const char *const *names, const char *text,
                      struct error **err)
{
    struct text_nearest search = TEXT_NEAREST_INIT(text);
    for (int i = 0; names[i]; i++) {
        if (strcmp(names[i], text) == 0)
            return i;
        text_nearest_offer(&search, names[i]);
    }
    if (search.best)
        return error_make(err, EINVAL, "unknown log %s \"%s\"; did you mean %s?", what, text,
                          search.best);
    return error_make(err, EINVAL, "unknown log %s \"%s\"; give %s", what, text,
                      names == log_level_names ? "debug, info, warn or error" : "logfmt or json");
}

int log_level_parse(const char *text, enum log_level *ret, struct error **err)
{
    int level = name_parse("level", log_level_names, text, err);
    if (level < 0)
        return level;
    *ret = (enum log_level)level;
    return 0;
}

int log_format_parse(const char *text, enum log_format *ret, struct error **err)
{
    int format = name_parse("format", log_format_names, text, err);
    if (format < 0)
        return format;
    *ret = (enum log_format)format;
    return 0;
}

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&log_threshold, (int)level, memory_order_relaxed);
}

void log_set_format(enum log_format format)
{
    atomic_store_explicit(&log_form, (int)format, memory_order_relaxed);
}

void log_set_fd(int fd)
{
    atomic_store_explicit(&log_fd, fd, memory_order_relaxed);
}

void log_set_field(const char *key, const char *value)
{
    size_t i = 0;
    while (i < FIELDS_MAX && common_fields[i].key && strcmp(common_fields[i].key, key) != 0)
        i++;
    if (i < FIELDS_MAX)
        common_fields[i] = LOG_STR(key, value);
}

/* Whether logfmt readers take the value without quotes. */
static bool is_bare(const char *data, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)data[i];
        if (byte <= ' ' || byte == '=' || byte == '"' || byte == '\\' || byte >= 0x7f)
            return false;
    }
    return length > 0;
}

/* One character as both formats escape it: a terminal must never see control characters (C1 too).
 */
static void put_character(struct buffer *line, const char *data, size_t length, uint32_t code)
{
    if (length == 0)
        buffer_puts(line, "\xef\xbf\xbd"); /* U+FFFD */
    else if (code == '"' || code == '\\')
        buffer_printf(line, "\\%c", (char)code);
    else if (code == '\n' || code == '\r' || code == '\t')
        buffer_printf(line, "\\%c", code == '\n' ? 'n' : code == '\r' ? 'r' : 't');
    else if (code < 0x20 || (code >= 0x7f && code < 0xa0))
        buffer_printf(line, "\\u%04x", (unsigned)code);
    else
        buffer_append(line, data, length);
}

static void put_quoted(struct buffer *line, const char *data, size_t length)
{
    static const char cut[] = "...\"";
    size_t end = line->length + LOG_VALUE_MAX - sizeof(cut) - 6; /* the longest escape */
    buffer_puts(line, "\"");
    for (size_t at = 0; at < length;) {
        uint32_t code = 0;
        size_t size = text_utf8_decode(data + at, length - at, &code);
        if (line->length > end) {
            buffer_puts(line, cut);
            return;
        }
        put_character(line, data + at, size, code);
        at += size ? size : 1;
    }
    buffer_puts(line, "\"");
}

static void put_string(struct buffer *line, int format, const char *data, size_t length)
{
    if (format == LOG_FORMAT_LOGFMT && length < LOG_VALUE_MAX && is_bare(data, length))
        buffer_append(line, data, length);
    else
        put_quoted(line, data, length);
}

static void put_value(struct buffer *line, int format, const struct log_field *field)
{
    char duration[DURATION_TEXT_MAX];
    switch (field->kind) {
    case LOG_KIND_STRING:
        put_string(line, format, field->value.text.data, field->value.text.length);
        break;
    case LOG_KIND_SIGNED:
        buffer_printf(line, "%" PRId64, field->value.number_signed);
        break;
    case LOG_KIND_UNSIGNED:
        buffer_printf(line, "%" PRIu64, field->value.number_unsigned);
        break;
    case LOG_KIND_DOUBLE:
        if (format == LOG_FORMAT_JSON && !isfinite(field->value.number_double))
            buffer_puts(line, "null");
        else
            buffer_printf(line, "%.15g", field->value.number_double);
        break;
    case LOG_KIND_BOOL:
        buffer_puts(line, field->value.truth ? "true" : "false");
        break;
    case LOG_KIND_DURATION:
        duration_format(field->value.number_unsigned, duration);
        put_string(line, format, duration, strlen(duration));
        break;
    }
}

/* Puts a field, or takes it back and returns false when the line is full. */
static bool put_field(struct buffer *line, int format, const struct log_field *field)
{
    size_t begin = line->length;
    bool json = format == LOG_FORMAT_JSON, first = begin == (json ? 1 : 0);
    if (json)
        buffer_printf(line, "%s\"%s\":", first ? "" : ",", field->key);
    else
        buffer_printf(line, "%s%s=", first ? "" : " ", field->key);
    put_value(line, format, field);
    /* A failed append leaves room for less than what was refused, so a full line shows here. */
    if (line->length <= LOG_LINE_MAX - TAIL_BYTES)
        return true;
    line->length = begin;
    return false;
}

/* RFC 3339 in UTC with milliseconds. */
static struct log_field timestamp(char text[32])
{
    struct timespec now;
    struct tm parts;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    size_t size = strftime(text, 32, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text + size, 32 - size, ".%03ldZ", now.tv_nsec / 1000000);
    return LOG_STR("ts", text);
}

/* In one write(2). Who reads a full pipe gets a second to go on; then lines are lost until there is
 * room again, whether or not the pipe would block: the program matters more than its log. */
static void line_write(const char *data, size_t size)
{
    static _Atomic bool unread;
    int fd = atomic_load_explicit(&log_fd, memory_order_relaxed);
    struct pollfd room = {.fd = fd, .events = POLLOUT};
    bool lost = poll(&room, 1, atomic_load(&unread) ? 0 : READER_WAIT_MS) == 0;
    atomic_store(&unread, lost);
    if (lost)
        return;
    while (size > 0) {
        ssize_t put = write(fd, data, size);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return;
        data += put;
        size -= (size_t)put;
    }
}

static void line_emit(enum log_level level, const char *message, const struct log_field *fields)
{
    /* Twice what is written: a field is put whole, then taken back when it does not fit. */
    cleanup_buffer struct buffer line = BUFFER_INIT(2 * LOG_LINE_MAX);
    int format = atomic_load_explicit(&log_form, memory_order_relaxed);
    bool complete = true;
    char text[32];
    const struct log_field head[] = {timestamp(text),
                                     LOG_STR("level", log_level_names[level]),
                                     LOG_STR("msg", message),
                                     {.key = NULL}};
    const struct log_field *const lists[] = {head, common_fields, fields};
    if (format == LOG_FORMAT_JSON)
        buffer_puts(&line, "{");
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        for (const struct log_field *field = lists[i]; field->key; field++)
            complete = put_field(&line, format, field) && complete;
    if (!complete)
        buffer_puts(&line, format == LOG_FORMAT_JSON ? ",\"truncated\":true" : " truncated=true");
    buffer_puts(&line, format == LOG_FORMAT_JSON ? "}\n" : "\n");
    line_write(line.data, line.length);
}

/* Says what a site held back. */
static void suppressed_emit(const char *message, uint64_t suppressed)
{
    line_emit(LOG_LEVEL_WARN, "log lines suppressed",
              (const struct log_field[]){
                  LOG_STR("of", message), LOG_U64("count", suppressed), {.key = NULL}});
}

/* Reports the sites whose second is over by now_ns. */
static void held_back_report(uint64_t now_ns)
{
    pthread_mutex_lock(&sites_lock);
    struct log_site **link = &held_back;
    while (*link) {
        struct log_site *site = *link;
        if (now_ns < site->window_ns + NS_PER_S) {
            link = &site->next;
            continue;
        }
        suppressed_emit(site->message, site->suppressed);
        *link = site->next;
        site->next = NULL;
        site->suppressed = 0;
    }
    atomic_store_explicit(&any_held_back, held_back != NULL, memory_order_relaxed);
    pthread_mutex_unlock(&sites_lock);
}

/* Whether the site may write a line now; counts it either way. */
static bool site_admit(struct log_site *site, const char *message, uint64_t now_ns)
{
    pthread_mutex_lock(&sites_lock);
    if (site->window_ns == 0 || now_ns >= site->window_ns + NS_PER_S) {
        site->window_ns = now_ns;
        site->lines = 0;
    }
    bool admitted = site->lines < LOG_SITE_BURST;
    if (admitted) {
        site->lines++;
    } else if (site->suppressed++ == 0) {
        site->message = message;
        site->next = held_back;
        held_back = site;
        atomic_store_explicit(&any_held_back, true, memory_order_relaxed);
    }
    pthread_mutex_unlock(&sites_lock);
    return admitted;
}

void log_write(struct log_site *site, enum log_level level, const char *message,
               const struct log_field *fields)
{
    int number = errno;
    uint64_t now_ns = clock_monotonic_ns();
    /* First: the site's own second may be over, and its window is about to be moved. */
    if (atomic_load_explicit(&any_held_back, memory_order_relaxed))
        held_back_report(now_ns);
    if (site_admit(site, message, now_ns))
        line_emit(level, message, fields);
    errno = number;
}

void log_flush(void)
{
    held_back_report(UINT64_MAX);
}
