#include "agent/http_answer.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"

enum answer_stage {
    STAGE_HEAD,
    STAGE_BODY,       /* `left` bytes of it */
    STAGE_TO_END,     /* a body that ends with the stream */
    STAGE_CHUNK_SIZE, /* the line with a chunk's size */
    STAGE_CHUNK,      /* `left` bytes of a chunk */
    STAGE_CHUNK_END,  /* the line end behind it */
    STAGE_TRAILER     /* lines after the last chunk, up to an empty one */
};

enum { LINE_MAX_BYTES = 4096 };

/* What a head says. */
struct answer_head {
    bool chunked, sized, close, keep, http10;
    uint64_t length;
};

struct text {
    const char *at;
    size_t length;
};

static bool is_word(struct text text, const char *word)
{
    return text.length == strlen(word) && strncasecmp(text.at, word, text.length) == 0;
}

/* Whether a comma-separated list holds a word. */
static bool has_word(struct text list, const char *word)
{
    const char *end = list.at + list.length;
    for (const char *at = list.at; at < end;) {
        const char *comma = memchr(at, ',', (size_t)(end - at)), *stop = comma ? comma : end;
        struct text item = {at, (size_t)(stop - at)};
        while (item.length && (*item.at == ' ' || *item.at == '\t'))
            item.at++, item.length--;
        while (item.length && (item.at[item.length - 1] == ' ' || item.at[item.length - 1] == '\t'))
            item.length--;
        if (is_word(item, word))
            return true;
        at = stop + 1;
    }
    return false;
}

static bool decimal(struct text text, uint64_t *ret)
{
    uint64_t value = 0;
    if (text.length == 0 || text.length > 18)
        return false;
    for (size_t i = 0; i < text.length; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(text.at[i] - '0');
    }
    *ret = value;
    return true;
}

static bool status_line(struct text line, struct http_answer *answer, struct answer_head *head)
{
    uint64_t status;
    if (line.length < 12 || memcmp(line.at, "HTTP/1.", 7) != 0 ||
        (line.at[7] != '0' && line.at[7] != '1') || line.at[8] != ' ' ||
        !decimal((struct text){line.at + 9, 3}, &status) || status < 100 ||
        (line.length > 12 && line.at[12] != ' '))
        return false;
    head->http10 = line.at[7] == '0';
    answer->status = (unsigned)status;
    return true;
}

static bool header_line(struct text line, struct answer_head *head)
{
    const char *colon = memchr(line.at, ':', line.length);
    if (!colon || colon == line.at || colon[-1] == ' ' || colon[-1] == '\t' || *line.at == ' ' ||
        *line.at == '\t')
        return false;
    struct text name = {line.at, (size_t)(colon - line.at)};
    struct text value = {colon + 1, line.length - name.length - 1};
    while (value.length && (*value.at == ' ' || *value.at == '\t'))
        value.at++, value.length--;
    while (value.length &&
           (value.at[value.length - 1] == ' ' || value.at[value.length - 1] == '\t'))
        value.length--;
    /* Few names matter: a look at the first letter spares the comparisons. */
    char first = *name.at | 0x20;
    if (first == 'c' && is_word(name, "content-length")) {
        uint64_t length;
        if (!decimal(value, &length) || (head->sized && length != head->length))
            return false;
        head->sized = true;
        head->length = length;
    } else if (first == 'c' && is_word(name, "connection")) {
        head->close |= has_word(value, "close");
        head->keep |= has_word(value, "keep-alive");
    } else if (first == 't' && is_word(name, "transfer-encoding")) {
        if (head->chunked || !is_word(value, "chunked"))
            return false;
        head->chunked = true;
    }
    return true;
}

/* Reads a whole head, its empty line included. */
static bool read_lines(struct http_answer *answer, struct text text, struct answer_head *head)
{
    const char *end = text.at + text.length;
    for (const char *at = text.at; at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        struct text line = {at, (size_t)(newline - at)};
        if (line.length && line.at[line.length - 1] == '\r')
            line.length--;
        bool right = at == text.at ? status_line(line, answer, head)
                                   : line.length == 0 || header_line(line, head);
        if (!right)
            return false;
        at = newline + 1;
    }
    return true;
}

static enum http_answer_state read_head(struct http_answer *answer, struct text text,
                                        uint64_t body_max)
{
    struct answer_head head = {0};
    if (!read_lines(answer, text, &head) || (head.chunked && head.sized))
        return HTTP_ANSWER_MALFORMED;
    if (answer->status < 200) { /* an interim response answers nothing */
        bool switches = answer->status == 101;
        answer->status = 0;
        answer->beside += (uint32_t)text.length;
        if (answer->beside > HTTP_ANSWER_HEAD_MAX)
            return HTTP_ANSWER_TOO_LARGE;
        return switches ? HTTP_ANSWER_MALFORMED : HTTP_ANSWER_MORE;
    }
    answer->keep_alive = !head.close && (!head.http10 || head.keep);
    if (answer->status == 204 || answer->status == 304)
        return HTTP_ANSWER_DONE;
    if (head.chunked) {
        answer->stage = STAGE_CHUNK_SIZE;
        return HTTP_ANSWER_MORE;
    }
    if (!head.sized) {
        answer->stage = STAGE_TO_END;
        return HTTP_ANSWER_MORE;
    }
    if (head.length > body_max)
        return HTTP_ANSWER_TOO_LARGE;
    answer->stage = STAGE_BODY;
    answer->left = head.length;
    return head.length ? HTTP_ANSWER_MORE : HTTP_ANSWER_DONE;
}

/* The length of a head that ends within text, or 0. */
static size_t head_length(struct text text)
{
    const char *at = text.at, *end = text.at + text.length;
    while ((at = memchr(at, '\n', (size_t)(end - at)))) {
        at++;
        if (at < end && *at == '\n')
            return (size_t)(at + 1 - text.at);
        if (end - at > 1 && at[0] == '\r' && at[1] == '\n')
            return (size_t)(at + 2 - text.at);
    }
    return 0;
}

/* Whether text that ends in a line end ends a head: its last line is empty. What lies before was
 * looked at when it came. */
static bool ends_head(struct text text)
{
    const char *end = text.at + text.length;
    return text.length > 2 && end[-1] == '\n' &&
           (end[-2] == '\n' || (end[-2] == '\r' && end[-3] == '\n'));
}

/* Whether text is, or may become, a status line: what speaks another protocol is told at once, and
 * not when it has sent no line end for long enough. */
static bool may_be_http(struct text text)
{
    static const char begin[] = "HTTP/1.";
    size_t length = text.length < sizeof begin - 1 ? text.length : sizeof begin - 1;
    return memcmp(text.at, begin, length) == 0;
}

/* Keeps bytes for later; false: over the cap. */
static bool hold(struct http_answer *answer, struct text text, size_t max)
{
    if (answer->held + text.length > max)
        return false;
    answer->hold = xreallocarray(answer->hold, 1, answer->held + text.length);
    memcpy(answer->hold + answer->held, text.at, text.length);
    answer->held += (uint32_t)text.length;
    return true;
}

static void drop_held(struct http_answer *answer)
{
    free(answer->hold);
    answer->hold = NULL;
    answer->held = 0;
}

static void step(struct text *text, size_t length)
{
    text->at += length;
    text->length -= length;
}

static enum http_answer_state feed_head(struct http_answer *answer, struct text *in,
                                        uint64_t body_max)
{
    size_t length = answer->held ? 0 : head_length(*in);
    if (length) {
        struct text head = {in->at, length};
        step(in, length);
        return length > HTTP_ANSWER_HEAD_MAX ? HTTP_ANSWER_TOO_LARGE
                                             : read_head(answer, head, body_max);
    }
    /* At most up to a line end, which may be the last one, so that no body is held. */
    const char *newline = memchr(in->at, '\n', in->length);
    struct text part = {in->at,
                        newline && answer->held ? (size_t)(newline + 1 - in->at) : in->length};
    if (!hold(answer, part, HTTP_ANSWER_HEAD_MAX))
        return HTTP_ANSWER_TOO_LARGE;
    step(in, part.length);
    struct text held = {answer->hold, answer->held};
    if (!ends_head(held))
        return may_be_http(held) ? HTTP_ANSWER_MORE : HTTP_ANSWER_MALFORMED;
    enum http_answer_state state = read_head(answer, held, body_max);
    drop_held(answer);
    return state;
}

static bool count_body(struct http_answer *answer, size_t length, uint64_t body_max)
{
    answer->body_bytes += length;
    return answer->body_bytes <= body_max;
}

/* Takes bytes of a body whose length is known; true when none is left. */
static bool take_known(struct http_answer *answer, struct text *in)
{
    size_t length = in->length < answer->left ? in->length : (size_t)answer->left;
    answer->left -= length;
    answer->body_bytes += length;
    step(in, length);
    return answer->left == 0;
}

/* Whether the line begins with a chunk's size, in hexadecimal, and what may follow it. */
static bool chunk_size(struct text line, uint64_t *ret_size)
{
    uint64_t size = 0;
    size_t i = 0;
    for (; i < line.length && i < 15; i++) {
        unsigned char c = (unsigned char)line.at[i], low = c | 0x20;
        if (c >= '0' && c <= '9')
            size = size * 16 + (c - '0');
        else if (low >= 'a' && low <= 'f')
            size = size * 16 + (low - 'a' + 10u);
        else
            break;
    }
    *ret_size = size;
    return i > 0 && (i == line.length || memchr("; \t", line.at[i], 3));
}

/* A line behind a chunk, or with its size, or a trailer; without its end. */
static enum http_answer_state read_line(struct http_answer *answer, struct text line,
                                        uint64_t body_max)
{
    switch ((enum answer_stage)answer->stage) {
    case STAGE_CHUNK_END:
        answer->stage = STAGE_CHUNK_SIZE;
        return line.length ? HTTP_ANSWER_MALFORMED : HTTP_ANSWER_MORE;
    case STAGE_CHUNK_SIZE:
        if (!chunk_size(line, &answer->left))
            return HTTP_ANSWER_MALFORMED;
        answer->stage = answer->left ? STAGE_CHUNK : STAGE_TRAILER;
        return answer->left > body_max || answer->body_bytes + answer->left > body_max
                   ? HTTP_ANSWER_TOO_LARGE
                   : HTTP_ANSWER_MORE;
    default:
        answer->beside += (uint32_t)line.length;
        if (answer->beside > HTTP_ANSWER_HEAD_MAX)
            return HTTP_ANSWER_TOO_LARGE;
        return line.length ? HTTP_ANSWER_MORE : HTTP_ANSWER_DONE;
    }
}

static enum http_answer_state feed_line(struct http_answer *answer, struct text *in,
                                        uint64_t body_max)
{
    const char *newline = memchr(in->at, '\n', in->length);
    struct text part = {in->at, newline ? (size_t)(newline + 1 - in->at) : in->length};
    step(in, part.length);
    if (!newline || answer->held) {
        if (!hold(answer, part, LINE_MAX_BYTES))
            return HTTP_ANSWER_MALFORMED;
        if (!newline)
            return HTTP_ANSWER_MORE;
        part = (struct text){answer->hold, answer->held};
    }
    enum http_answer_state state = HTTP_ANSWER_MALFORMED;
    if (part.length >= 2 && part.at[part.length - 2] == '\r')
        state = read_line(answer, (struct text){part.at, part.length - 2}, body_max);
    drop_held(answer);
    return state;
}

static enum http_answer_state feed_one(struct http_answer *answer, struct text *in,
                                       uint64_t body_max)
{
    switch ((enum answer_stage)answer->stage) {
    case STAGE_HEAD:
        return feed_head(answer, in, body_max);
    case STAGE_BODY:
        return take_known(answer, in) ? HTTP_ANSWER_DONE : HTTP_ANSWER_MORE;
    case STAGE_CHUNK:
        if (take_known(answer, in))
            answer->stage = STAGE_CHUNK_END;
        return HTTP_ANSWER_MORE;
    case STAGE_TO_END:
        answer->keep_alive = false;
        if (!count_body(answer, in->length, body_max))
            return HTTP_ANSWER_TOO_LARGE;
        step(in, in->length);
        return HTTP_ANSWER_MORE;
    case STAGE_CHUNK_SIZE:
    case STAGE_CHUNK_END:
    case STAGE_TRAILER:
        break;
    }
    return feed_line(answer, in, body_max);
}

enum http_answer_state http_answer_feed(struct http_answer *answer, const char *data, size_t length,
                                        uint64_t body_max, size_t *ret_taken)
{
    struct text in = {data, length};
    enum http_answer_state state = HTTP_ANSWER_MORE;
    answer->begun |= length > 0;
    while (state == HTTP_ANSWER_MORE && in.length > 0)
        state = feed_one(answer, &in, body_max);
    *ret_taken = length - in.length;
    return state;
}

enum http_answer_state http_answer_end(struct http_answer *answer)
{
    if (answer->stage != STAGE_TO_END)
        return HTTP_ANSWER_MORE;
    answer->keep_alive = false;
    return HTTP_ANSWER_DONE;
}

void http_answer_reset(struct http_answer *answer)
{
    free(answer->hold);
    *answer = (struct http_answer){0};
}
