#include "agent/wire.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/trace_context.h"

enum wire_mode wire_mode_of(char first_byte)
{
    return first_byte == '\n' ? WIRE_LINES : first_byte == '\0' ? WIRE_PREFIXED : WIRE_ONE_SHOT;
}

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

static enum wire_state next_one_shot(const char *input, size_t length, size_t max,
                                     struct wire_progress *progress, struct wire_span *span)
{
    if (progress->seen == 0) {
        size_t blank = 0;
        while (blank < length && is_space(input[blank]))
            blank++;
        if (blank > 0) {
            *span = (struct wire_span){.taken = blank};
            return WIRE_BLANK;
        }
        if (length > 0 && input[0] != '{')
            return WIRE_NOT_OBJECT;
    }
    size_t fresh = length - progress->seen;
    /* A whole frame leaves the progress as it was: it may have to be looked at again. */
    struct json_scan scan = progress->scan;
    size_t end = json_scan(&scan, input + progress->seen, fresh);
    size_t frame = progress->seen + (end ? end : fresh);
    if (frame > max)
        return WIRE_TOO_LARGE;
    if (!end) {
        progress->scan = scan;
        progress->seen = frame;
        return WIRE_MORE;
    }
    *span = (struct wire_span){0, frame, frame};
    return WIRE_FRAME;
}

static enum wire_state next_line(const char *input, size_t length, size_t max, bool ended,
                                 struct wire_progress *progress, struct wire_span *span)
{
    const char *newline = memchr(input + progress->seen, '\n', length - progress->seen);
    size_t line = newline ? (size_t)(newline - input) : length;
    if (!newline && !(ended && length > 0)) {
        progress->seen = length;
        return length > max ? WIRE_TOO_LARGE : WIRE_MORE;
    }
    size_t taken = newline ? line + 1 : line, begin = 0;
    if (line > max)
        return WIRE_TOO_LARGE;
    while (begin < line && is_space(input[begin]))
        begin++;
    while (line > begin && is_space(input[line - 1]))
        line--;
    *span = (struct wire_span){begin, line - begin, taken};
    return line == begin ? WIRE_BLANK : WIRE_FRAME;
}

static enum wire_state next_prefixed(const char *input, size_t length, size_t max,
                                     struct wire_span *span)
{
    uint32_t frame;
    if (length < sizeof frame)
        return WIRE_MORE;
    memcpy(&frame, input, sizeof frame);
    frame = __builtin_bswap32(frame);
    if (frame > max)
        return WIRE_TOO_LARGE;
    if (length - sizeof frame < frame)
        return WIRE_MORE;
    *span = (struct wire_span){sizeof frame, frame, sizeof frame + frame};
    return WIRE_FRAME;
}

enum wire_state wire_next(enum wire_mode mode, const char *input, size_t length, size_t max,
                          bool ended, struct wire_progress *progress, struct wire_span *span)
{
    if (length == 0)
        return WIRE_MORE;
    switch (mode) {
    case WIRE_LINES:
        return next_line(input, length, max, ended, progress, span);
    case WIRE_PREFIXED:
        return next_prefixed(input, length, max, span);
    default:
        return next_one_shot(input, length, max, progress, span);
    }
}

enum { HAS_METHOD = 1, HAS_PATH = 2, HAS_HEADERS = 4, HAS_BODY = 8, HAS_QUERY = 16 };

static enum request_method method_of(const struct json_text *text)
{
    return json_text_is(text, "GET")    ? METHOD_GET
           : json_text_is(text, "POST") ? METHOD_POST
           : json_text_is(text, "HEAD") ? METHOD_HEAD
                                        : METHOD_OTHER;
}

/* A header that travels on may become a line of HTTP: a line end in it would be a line of its own.
 */
static bool has_control(const struct json_text *text)
{
    char plain[HEADER_MAX_BYTES];
    if (text->length > sizeof plain)
        return false; /* too long is refused later */
    if (!text->escaped)
        return memchr(text->data, 0x7f, text->length); /* the only one that JSON has unescaped */
    size_t length = json_unescape(text, plain);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)plain[i] < 0x20 || plain[i] == 0x7f)
            return true;
    return false;
}

/* Its escapes resolved; "x\u002drequest-id" is a name as any other. What is longer than the buffer
 * is none of ours. */
static struct json_text plain_text(const struct json_text *text, char plain[6 * 32])
{
    if (!text->escaped)
        return *text;
    size_t length = text->length <= 6 * 32 ? json_unescape(text, plain) : 0;
    return (struct json_text){.data = plain, .length = length};
}

static void read_hops(const struct json_text *value, struct request_draft *draft)
{
    char plain[6 * 32];
    struct json_text text = plain_text(value, plain);
    draft->hops = hops_read(text.data, text.length);
}

static int read_headers(struct json_cursor *c, struct request_draft *draft)
{
    if (json_peek(c) != '{')
        return json_fail(c, "headers must be an object of strings");
    int more;
    for (more = json_object_begin(c); more > 0; more = json_object_next(c)) {
        struct json_text name, value;
        if (json_key(c, &name) < 0)
            return -1;
        if (json_peek(c) != '"')
            return json_fail(c, "headers must be an object of strings");
        if (json_read_string(c, &value) < 0)
            return -1;
        char plain[6 * 32];
        name = plain_text(&name, plain);
        if (hops_header(name.data, name.length))
            read_hops(&value, draft);
        if (trace_b3_single(name.data, name.length) && !value.escaped)
            draft->b3 = value;
        int number = travel_header(name.data, name.length);
        bool state = number < 0 && tracestate_header(name.data, name.length);
        if (number < 0 && !state)
            continue;
        if (number >= 0 && draft->header_mask & 1u << number)
            return json_fail(c, "a header is given twice");
        if (has_control(&value))
            return json_fail(c, "a control character stands in a header that travels on");
        if (state) {
            draft_add_tracestate(draft, &value);
            continue;
        }
        draft->header_mask |= (uint16_t)(1u << number);
        draft->headers[number] = value;
    }
    return more;
}

/* The string value of a member that may be given once. */
static int read_member(struct json_cursor *c, unsigned *seen, unsigned bit, const char *twice,
                       const char *wrong, struct json_text *ret_text)
{
    if (*seen & bit)
        return json_fail(c, twice);
    *seen |= bit;
    if (json_peek(c) != '"')
        return json_fail(c, wrong);
    return json_read_string(c, ret_text);
}

static int read_body(struct json_cursor *c, unsigned *seen, struct request_draft *draft)
{
    if (!(*seen & HAS_BODY) && json_read_null(c)) {
        *seen |= HAS_BODY;
        return 0;
    }
    return read_member(c, seen, HAS_BODY, "body is given twice",
                       "body must be a string (JSON inside it as text) or null", &draft->body);
}

static int read_members(struct json_cursor *c, struct request_draft *draft)
{
    unsigned seen = 0;
    int more;
    for (more = json_object_begin(c); more > 0; more = json_object_next(c)) {
        struct json_text key, text = {"", 0, false};
        int failed;
        if (json_key(c, &key) < 0)
            return -1;
        if (json_text_is(&key, "method")) {
            failed = read_member(c, &seen, HAS_METHOD, "method is given twice",
                                 "method must be a string", &text);
            if (!failed)
                draft->method = (uint8_t)method_of(&text);
        } else if (json_text_is(&key, "path")) {
            failed = read_member(c, &seen, HAS_PATH, "path is given twice", "path must be a string",
                                 &draft->path);
        } else if (json_text_is(&key, "query_string")) {
            failed = read_member(c, &seen, HAS_QUERY, "query_string is given twice",
                                 "query_string must be a string", &draft->query);
        } else if (json_text_is(&key, "body")) {
            failed = read_body(c, &seen, draft);
        } else if (json_text_is(&key, "headers")) {
            if (seen & HAS_HEADERS)
                return json_fail(c, "headers is given twice");
            seen |= HAS_HEADERS;
            draft->head = (json_peek(c), c->at);
            failed = read_headers(c, draft);
            draft->head_length = (uint32_t)(c->at - draft->head);
        } else {
            failed = json_skip(c);
        }
        if (failed)
            return -1;
    }
    return more;
}

int wire_parse(const char *frame, size_t length, struct request_draft *ret_draft,
               char sentence[WIRE_SENTENCE_MAX])
{
    struct json_cursor c = json_cursor(frame, length);
    /* Not as a whole: its places for headers are large, and most are never looked at. */
    ret_draft->method = METHOD_GET;
    ret_draft->hops = 0;
    ret_draft->path = (struct json_text){"/", 1, false};
    ret_draft->query = ret_draft->body = (struct json_text){"", 0, false};
    ret_draft->header_mask = 0;
    ret_draft->tracestate_count = 0;
    ret_draft->b3.length = 0;
    ret_draft->head_json = true;
    ret_draft->head_length = 0;
    if (json_peek(&c) != '{')
        json_fail(&c, "a JSON object is expected");
    else if (read_members(&c, ret_draft) == 0)
        json_finish(&c);
    trace_b3_expand(ret_draft);
    const char *error = c.error ? c.error : draft_check(ret_draft);
    if (error) {
        snprintf(sentence, WIRE_SENTENCE_MAX, "the request can't be read: %s, at byte %zu", error,
                 (size_t)(c.at - c.begin));
        return -EINVAL;
    }
    return 0;
}
