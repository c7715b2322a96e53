#include "ctl/load_answer.h"

#include <errno.h>
#include <string.h>

#include "ctl/load_http.h"

void load_reader_init(struct load_reader *reader, enum load_answer_kind kind)
{
    struct buffer carry =
        BUFFER_INIT(kind == LOAD_ANSWER_HTTP ? LOAD_ANSWER_HEAD_MAX : LOAD_ANSWER_BYTES_MAX);
    memset(reader, 0, sizeof(*reader));
    reader->kind = kind;
    reader->carry = carry;
}

void load_reader_reset(struct load_reader *reader)
{
    reader->close = false;
    reader->state = 0;
    reader->remaining = 0;
    buffer_clear(&reader->carry);
}

void load_reader_free(struct load_reader *reader)
{
    buffer_free(&reader->carry);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static size_t skip_spaces(const char *text, size_t length, size_t at)
{
    while (at < length && is_space(text[at]))
        at++;
    return at;
}

/* Past the string whose opening quote is at `at`; 0 when it does not end. */
static size_t skip_string(const char *text, size_t length, size_t at)
{
    const size_t first = at + 1;
    for (size_t from = first; from < length;) {
        const char *quote = memchr(text + from, '"', length - from);
        if (!quote)
            return 0;
        size_t end = (size_t)(quote - text), backslashes = 0;
        while (end - backslashes > first && text[end - backslashes - 1] == '\\')
            backslashes++;
        if (backslashes % 2 == 0)
            return end + 1;
        from = end + 1;
    }
    return 0;
}

/* Past the value at `at`; 0 when it does not end or does not begin like one. */
static size_t skip_value(const char *text, size_t length, size_t at)
{
    size_t depth = 0, start = at;
    while (at < length) {
        char c = text[at];
        if (c == '"') {
            if ((at = skip_string(text, length, at)) == 0)
                return 0;
        } else if (c == '{' || c == '[') {
            depth++;
            at++;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
            at++;
        } else if (depth > 0) {
            at++;
            continue;
        } else {
            while (at < length && !is_space(text[at]) && !strchr(",:{}[]\"", text[at]))
                at++;
            return at < length && at > start ? at : 0;
        }
        if (depth == 0)
            return at;
    }
    return 0;
}

/* Digits at `at`; moves it past them. False when there is none or the number is past 18 digits. */
static bool read_number(const char *text, size_t length, size_t *at, int64_t *ret)
{
    size_t i = *at;
    int64_t value = 0;
    while (i < length && text[i] >= '0' && text[i] <= '9' && i - *at < 18)
        value = value * 10 + (text[i++] - '0');
    if (i == *at || (i < length && text[i] >= '0' && text[i] <= '9'))
        return false;
    *at = i;
    *ret = value;
    return true;
}

/* The header that an agent adds while its host is too busy for the model (agent/crossing.h). */
static bool says_busy(const char *headers, size_t length)
{
    static const char name[] = "\"X-Dpumesh-Host-Busy\":";
    return memmem(headers, length, name, sizeof(name) - 1) != NULL;
}

static void read_member(const char *key, size_t key_length, const char *value, size_t length,
                        struct load_answer *answer)
{
    size_t at = 0;
    int64_t number;
    if (key_length == 6 && memcmp(key, "status", 6) == 0) {
        answer->status = 0; /* of two, the last one counts, as in most JSON readers */
        if (read_number(value, length, &at, &number) && at == length && number >= 100 &&
            number <= 999)
            answer->status = (int)number;
    } else if (key_length == 6 && memcmp(key, "req_id", 6) == 0) {
        if (read_number(value, length, &at, &number) && at == length)
            answer->req_id = number;
    } else if (key_length == 7 && memcmp(key, "headers", 7) == 0) {
        answer->host_busy = says_busy(value, length);
    }
}

size_t load_object_read(const char *text, size_t length, struct load_answer *ret)
{
    struct load_answer answer = {.status = 0, .req_id = -1};
    size_t at = skip_spaces(text, length, 0);
    if (at == length || text[at] != '{')
        return 0;
    at = skip_spaces(text, length, at + 1);
    while (at < length && text[at] == '"') {
        size_t key = at + 1, end = skip_string(text, length, at);
        if (!end)
            return 0;
        at = skip_spaces(text, length, end);
        if (at == length || text[at] != ':')
            return 0;
        size_t value = skip_spaces(text, length, at + 1);
        if (!(at = skip_value(text, length, value)))
            return 0;
        read_member(text + key, end - 1 - key, text + value, at - value, &answer);
        at = skip_spaces(text, length, at);
        if (at == length || (text[at] != ',' && text[at] != '}'))
            return 0;
        if (text[at] == '}')
            break;
        at = skip_spaces(text, length, at + 1);
        if (at == length || text[at] != '"')
            return 0; /* a comma and no member */
    }
    if (at == length || text[at] != '}' || answer.status == 0)
        return 0;
    *ret = answer;
    return at + 1;
}

/* How far into a frame the agent's own headers reach. */
enum { FAST_HEADERS = 160 };

/* The front as our agent and the original write it; false sends the caller the slow way. */
static bool frame_fast(const char *text, size_t length, struct load_answer *ret)
{
    static const char id[] = "{\"req_id\": ", status[] = ", \"status\": ";
    size_t at = sizeof(id) - 1;
    int64_t req_id, number;
    if (length < 32 || text[length - 1] != '}' || memcmp(text, id, at) != 0 ||
        !read_number(text, length, &at, &req_id) || length - at < sizeof(status) ||
        memcmp(text + at, status, sizeof(status) - 1) != 0)
        return false;
    at += sizeof(status) - 1;
    if (!read_number(text, length, &at, &number) || number < 100 || number > 999)
        return false;
    ret->status = (int)number;
    ret->req_id = req_id;
    /* Among the headers, which come first; a body can't hold a bare quote. */
    ret->host_busy = says_busy(text + at, length - at < FAST_HEADERS ? length - at : FAST_HEADERS);
    return true;
}

/* One line without its newline. 1, 0 for an empty one, or -EPROTO. */
static int read_line(enum load_answer_kind kind, const char *text, size_t length,
                     struct load_answer *ret)
{
    while (length && is_space(text[length - 1]))
        length--;
    if (length == 0)
        return 0;
    ret->surplus = 0;
    ret->host_busy = false;
    if (kind == LOAD_ANSWER_ANY) {
        ret->status = 0;
        ret->req_id = -1;
        return 1;
    }
    if (frame_fast(text, length, ret))
        return 1;
    return load_object_read(text, length, ret) == length ? 1 : -EPROTO;
}

static int next_line(struct load_reader *reader, const char **data, size_t *length,
                     struct load_answer *ret)
{
    int r = 0;
    while (r == 0 && *length > 0) {
        const char *newline = memchr(*data, '\n', *length);
        size_t size = newline ? (size_t)(newline - *data) : *length;
        if (reader->carry.length > 0 || !newline) {
            if (buffer_append(&reader->carry, *data, size) < 0)
                return -EPROTO;
            if (newline) {
                r = read_line(reader->kind, reader->carry.data, reader->carry.length, ret);
                buffer_clear(&reader->carry);
            }
        } else {
            r = read_line(reader->kind, *data, size, ret);
        }
        *data += size + (newline != NULL);
        *length -= size + (newline != NULL);
    }
    return r;
}

int load_reader_next(struct load_reader *reader, const char **data, size_t *length,
                     struct load_answer *ret)
{
    switch (reader->kind) {
    case LOAD_ANSWER_HTTP:
        return load_http_next(reader, data, length, ret);
    case LOAD_ANSWER_OBJECT:
        if (buffer_append(&reader->carry, *data, *length) < 0)
            return -EPROTO;
        *data += *length;
        *length = 0;
        return 0;
    case LOAD_ANSWER_FRAMES:
    case LOAD_ANSWER_ANY:
        break;
    }
    return next_line(reader, data, length, ret);
}

static int end_object(struct load_reader *reader, struct load_answer *ret)
{
    const char *text = reader->carry.data;
    size_t length = reader->carry.length;
    struct load_answer first, more;

    size_t at = length ? skip_spaces(text, length, 0) : 0;
    if (at == length)
        return 0;
    size_t end = load_object_read(text + at, length - at, &first);
    if (end == 0)
        return -EPROTO;
    first.surplus = 0;
    for (at = skip_spaces(text, length, at + end); at < length;
         at = skip_spaces(text, length, at + end)) {
        if ((end = load_object_read(text + at, length - at, &more)) == 0)
            return -EPROTO;
        first.surplus++;
    }
    *ret = first;
    return 1;
}

int load_reader_end(struct load_reader *reader, struct load_answer *ret)
{
    switch (reader->kind) {
    case LOAD_ANSWER_HTTP:
        return load_http_end(reader, ret);
    case LOAD_ANSWER_OBJECT:
        return end_object(reader, ret);
    case LOAD_ANSWER_FRAMES:
    case LOAD_ANSWER_ANY:
        break;
    }
    if (reader->carry.length == 0)
        return 0;
    /* A last line may lack its newline, but then it must be whole. */
    if (reader->kind == LOAD_ANSWER_ANY)
        return -EPROTO;
    return read_line(reader->kind, reader->carry.data, reader->carry.length, ret);
}
