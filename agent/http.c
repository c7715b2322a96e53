#include "agent/http.h"

#include <string.h>
#include <strings.h>

#include "agent/trace_context.h"

/* What the headers said, besides the request itself. */
struct head {
    unsigned hosts;
    bool has_length, chunked, expects_continue, close, keep_alive;
    size_t length;
};

static const char too_large[] = "the body is larger than limits.frameBytes";

static enum http_state bad(struct http_error *error, unsigned status, const char *sentence)
{
    *error = (struct http_error){status, sentence};
    return HTTP_BAD;
}

/* RFC 9110 section 5.6.2. */
static bool is_token(const char *text, size_t length)
{
    static const char marks[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              (c != '\0' && strchr(marks, c))))
            return false;
    }
    return length > 0;
}

static bool is_word(const char *text, size_t length, const char *word)
{
    return strlen(word) == length && strncasecmp(text, word, length) == 0;
}

/* Whether a comma-separated list holds the word. */
static bool has_word(const char *text, size_t length, const char *word)
{
    const char *end = text + length;
    while (text < end) {
        const char *comma = memchr(text, ',', (size_t)(end - text));
        const char *stop = comma ? comma : end, *last = stop;
        while (text < last && (*text == ' ' || *text == '\t'))
            text++;
        while (last > text && (last[-1] == ' ' || last[-1] == '\t'))
            last--;
        if (is_word(text, (size_t)(last - text), word))
            return true;
        text = stop + 1;
    }
    return false;
}

static const char *read_length(const char *text, size_t length, struct head *head)
{
    size_t value = 0;
    if (length == 0 || length > 18)
        return "Content-Length must be a number of bytes";
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return "Content-Length must be a number of bytes";
        value = value * 10 + (size_t)(text[i] - '0');
    }
    if (head->has_length && head->length != value)
        return "Content-Length is given twice, with different values";
    head->has_length = true;
    head->length = value;
    return NULL;
}

static const char *read_header(const char *name, size_t name_length, const char *value,
                               size_t length, struct head *head, struct http_request *request)
{
    int number = travel_header(name, name_length);
    if (number >= 0) {
        if (request->draft.header_mask & 1u << number)
            return "a tracing header is given twice";
        request->draft.header_mask |= (uint16_t)(1u << number);
        request->draft.headers[number] = (struct json_text){value, length, false};
        return NULL;
    }
    switch (name[0] | 0x20) {
    case 'x':
        if (hops_header(name, name_length))
            request->draft.hops = hops_read(value, length);
        break;
    case 'h':
        head->hosts += is_word(name, name_length, "host");
        break;
    case 'b':
        if (trace_b3_single(name, name_length))
            request->draft.b3 = (struct json_text){value, length, false};
        break;
    case 'c':
        if (is_word(name, name_length, "content-length"))
            return read_length(value, length, head);
        if (is_word(name, name_length, "connection")) {
            head->close |= has_word(value, length, "close");
            head->keep_alive |= has_word(value, length, "keep-alive");
        }
        break;
    case 't':
        if (tracestate_header(name, name_length))
            draft_add_tracestate(&request->draft, &(struct json_text){value, length, false});
        if (!is_word(name, name_length, "transfer-encoding"))
            break;
        if (head->chunked || !is_word(value, length, "chunked"))
            return "the only Transfer-Encoding known here is chunked";
        head->chunked = true;
        break;
    case 'e':
        head->expects_continue |=
            is_word(name, name_length, "expect") && is_word(value, length, "100-continue");
        break;
    case 'r': /* a muBench cell that POSTs so many bytes and no trace */
        request->filler |=
            is_word(name, name_length, "request-type") && is_word(value, length, "iot");
        break;
    case 'a':
        if (is_word(name, name_length, "accept"))
            request->accept = (struct json_text){value, length, false};
        break;
    default:
        break;
    }
    return NULL;
}

static bool has_control(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (((unsigned char)text[i] < 0x20 && text[i] != '\t') || text[i] == 0x7f)
            return true;
    return false;
}

/* One line of headers, without its end. */
static const char *read_line(const char *line, size_t length, struct head *head,
                             struct http_request *request)
{
    const char *colon = memchr(line, ':', length);
    if (!colon || !is_token(line, (size_t)(colon - line)))
        return "a header line must read Name: value";
    const char *value = colon + 1, *end = line + length;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    if (has_control(value, (size_t)(end - value)))
        return "a control character stands in a header";
    return read_header(line, (size_t)(colon - line), value, (size_t)(end - value), head, request);
}

/* Splits a target into path and query; the scheme and host of an absolute one are dropped. */
static const char *read_target(const char *target, size_t length, struct http_request *request)
{
    const char *end = target + length;
    for (const char *p = target; p < end; p++)
        if ((unsigned char)*p <= 0x20 || *p == 0x7f)
            return "a control character stands in the request's target";
    if (length > 7 && strncasecmp(target, "http://", 7) == 0) {
        target += 7;
        while (target < end && *target != '/' && *target != '?')
            target++;
        if (target == end || *target == '?')
            return "the request's target has no path; end it with /";
    }
    request->target = (struct json_text){target, (size_t)(end - target), false};
    const char *question = memchr(target, '?', (size_t)(end - target));
    const char *path_end = question ? question : end;
    request->draft.path = (struct json_text){target, (size_t)(path_end - target), false};
    request->draft.query =
        question ? (struct json_text){question + 1, (size_t)(end - question - 1), false}
                 : (struct json_text){end, 0, false};
    return NULL;
}

static enum http_state read_request_line(const char *line, size_t length,
                                         struct http_request *request, struct http_error *error)
{
    static const char form[] = "the first line must read METHOD /path HTTP/1.1";
    const char *end = line + length, *space = memchr(line, ' ', length);
    if (!space || !is_token(line, (size_t)(space - line)))
        return bad(error, 400, form);
    size_t method = (size_t)(space - line);
    request->draft.method = method == 3 && memcmp(line, "GET", 3) == 0    ? METHOD_GET
                            : method == 4 && memcmp(line, "POST", 4) == 0 ? METHOD_POST
                            : method == 4 && memcmp(line, "HEAD", 4) == 0 ? METHOD_HEAD
                                                                          : METHOD_OTHER;
    const char *target = space + 1, *version = memrchr(target, ' ', (size_t)(end - target));
    if (!version || version == target || end - version != 9 || memcmp(version, " HTTP/", 6) != 0)
        return bad(error, 400, form);
    if (memcmp(version + 6, "1.1", 3) != 0 && memcmp(version + 6, "1.0", 3) != 0)
        return bad(error, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
    request->http10 = version[8] == '0';
    const char *wrong = read_target(target, (size_t)(version - target), request);
    return wrong ? bad(error, 400, wrong) : HTTP_REQUEST;
}

/* Reads the head, input[0 .. length), which ends in a blank line. */
static enum http_state read_head(const char *input, size_t length, struct head *head,
                                 struct http_request *request, struct http_error *error)
{
    const char *at = input, *end = input + length;
    request->draft.header_mask = 0;
    request->draft.tracestate_count = 0;
    request->draft.b3.length = 0;
    request->draft.hops = 0;
    request->draft.head_json = false;
    request->draft.head_length = 0;
    request->accept = (struct json_text){"", 0, false};
    request->filler = false;
    for (bool first = true; at < end; first = false) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t line = (size_t)(newline - at);
        if (line > 0 && at[line - 1] == '\r')
            line--;
        if (first) {
            enum http_state state = read_request_line(at, line, request, error);
            if (state != HTTP_REQUEST)
                return state;
            request->draft.head = newline + 1;
            request->draft.head_length = (uint32_t)(end - newline - 1);
        } else if (line > 0) {
            const char *wrong = read_line(at, line, head, request);
            if (wrong)
                return bad(error, 400, wrong);
        }
        at = newline + 1;
    }
    if (head->hosts > 1 || (head->hosts == 0 && !request->http10))
        return bad(error, 400, "one Host header is required");
    if (head->chunked && (head->has_length || request->http10))
        return bad(error, 400,
                   "Transfer-Encoding can't stand beside Content-Length or in HTTP/1.0");
    trace_b3_expand(&request->draft);
    const char *wrong = draft_check(&request->draft);
    if (wrong)
        return bad(error, 431, wrong);
    request->keep_alive = request->http10 ? head->keep_alive && !head->close : !head->close;
    return HTTP_REQUEST;
}

/* The length of the head with its blank line, or 0 while it has not all come. */
static size_t find_head(const char *input, size_t length, struct http_progress *progress)
{
    size_t from = progress->searched > 3 ? progress->searched - 3 : 0;
    const char *at = input + from, *end = input + length;
    while ((at = memchr(at, '\n', (size_t)(end - at)))) {
        if (end - at >= 2 && at[1] == '\n')
            return (size_t)(at + 2 - input);
        if (end - at >= 3 && at[1] == '\r' && at[2] == '\n')
            return (size_t)(at + 3 - input);
        at++;
    }
    progress->searched = length;
    return 0;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Reads a chunk's size line at `line`; extensions are skipped. -1: malformed. */
static long chunk_size(const char *line, size_t length)
{
    long size = 0;
    size_t i = 0;
    for (int digit; i < length && i < 8 && (digit = hex_digit(line[i])) >= 0; i++)
        size = size * 16 + digit;
    if (i == 0 || has_control(line + i, length - i))
        return -1;
    while (i < length && (line[i] == ' ' || line[i] == '\t'))
        i++;
    return i == length || line[i] == ';' ? size : -1;
}

enum { LINE_MORE = -1, LINE_BAD = -2 };

/*
 * Steps over the line at `at`; its length without its end, LINE_MORE while it has not all come,
 * LINE_BAD when it does not end in \r\n. A lone \n is taken in the head (RFC 9112 section 2.2), but
 * not here: who does not take it for an end reads on, and finds another end of the body.
 */
static long whole_line(const char *input, size_t length, size_t at, size_t *ret_next)
{
    const char *newline = memchr(input + at, '\n', length - at);
    if (!newline)
        return LINE_MORE;
    size_t line = (size_t)(newline - (input + at));
    *ret_next = at + line + 1;
    return line > 0 && newline[-1] == '\r' ? (long)line - 1 : LINE_BAD;
}

/* Joins the chunks behind the head, in place. */
static enum http_state read_chunks(char *input, size_t length, size_t body_max,
                                   struct http_progress *p, size_t *ret_taken,
                                   struct http_error *error)
{
    static const char malformed[] = "a chunk of the body is malformed";
    for (;;) {
        size_t next;
        /* Tiny chunks with long extensions would fill the memory that all connections share. */
        if (p->chunk_at - p->head_length > 16384 + 9 * p->body_length)
            return bad(error, 400, "the body's chunks are more framing than body");
        long line = whole_line(input, length, p->chunk_at, &next);
        if (line == LINE_MORE)
            /* One byte more than a line may have: it may be the \r of a line end. */
            return length - p->chunk_at > 257 ? bad(error, 400, malformed) : HTTP_MORE;
        long size = line < 0 || line > 256 ? -1 : chunk_size(input + p->chunk_at, (size_t)line);
        if (size < 0)
            return bad(error, 400, malformed);
        if (size == 0) {
            /* Trailers are read past, to the blank line. */
            size_t at = next;
            while ((line = whole_line(input, length, at, &next)) > 0)
                at = next;
            if ((line == LINE_MORE ? length : next) - p->chunk_at > 8192)
                return bad(error, 431, "the trailers are too long");
            if (line < 0)
                return line == LINE_MORE ? HTTP_MORE : bad(error, 400, malformed);
            *ret_taken = next;
            return HTTP_REQUEST;
        }
        if (p->body_length + (size_t)size > body_max)
            return bad(error, 413, too_large);
        size_t end = next + (size_t)size;
        if (length < end + 2)
            return HTTP_MORE;
        if (input[end] != '\r' || input[end + 1] != '\n')
            return bad(error, 400, malformed);
        memmove(input + p->head_length + p->body_length, input + next, (size_t)size);
        p->body_length += (size_t)size;
        p->chunk_at = end + 2;
    }
}

/* Finds the head and takes its terms into the progress. */
static enum http_state begin(const char *input, size_t length, size_t body_max,
                             struct http_progress *p, struct http_request *request,
                             struct http_error *error)
{
    struct head head = {0};
    /* RFC 9112 section 2.2: blank lines before a request are skipped; the caller does. */
    p->head_length = find_head(input, length, p);
    if (p->head_length > HTTP_HEAD_MAX || (p->head_length == 0 && length > HTTP_HEAD_MAX))
        return bad(error, 431, "the headers are longer than 64 KiB");
    if (p->head_length == 0)
        return HTTP_MORE;
    enum http_state state = read_head(input, p->head_length, &head, request, error);
    if (state != HTTP_REQUEST)
        return state;
    if (!head.chunked && head.length > body_max)
        return bad(error, 413, too_large);
    p->head_known = true;
    p->chunked = head.chunked;
    p->chunk_at = p->head_length;
    p->body_length = head.chunked ? 0 : head.length;
    p->wants_continue =
        head.expects_continue && !request->http10 && (head.chunked || head.length > 0);
    return HTTP_REQUEST;
}

enum http_state http_next(char *input, size_t length, size_t body_max, struct http_progress *p,
                          struct http_request *request, struct http_error *error)
{
    bool fresh = !p->head_known;
    if (fresh) {
        enum http_state state = begin(input, length, body_max, p, request, error);
        if (state != HTTP_REQUEST)
            return state;
    }
    if (length > p->head_length)
        p->wants_continue = false;
    size_t taken = p->head_length + p->body_length;
    enum http_state state = HTTP_REQUEST;
    if (p->chunked)
        state = read_chunks(input, length, body_max, p, &taken, error);
    else if (length < taken)
        state = HTTP_MORE;
    if (state != HTTP_REQUEST)
        return state;
    if (!fresh) {
        /* The input may have moved since: the views are made again. */
        struct head head = {0};
        state = read_head(input, p->head_length, &head, request, error);
        if (state != HTTP_REQUEST)
            return state;
    }
    request->taken = taken;
    request->draft.body =
        (struct json_text){input + p->head_length, request->filler ? 0 : p->body_length, false};
    return HTTP_REQUEST;
}
