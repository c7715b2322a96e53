#include "ctl/load_http.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

enum http_state {
    HTTP_HEAD,       /* status line and header fields; begun when carry holds bytes */
    HTTP_BODY,       /* `remaining` bytes of it */
    HTTP_TO_END,     /* a body that ends with the stream */
    HTTP_CHUNK_SIZE, /* the line with a chunk's size; carry holds its front */
    HTTP_CHUNK,      /* `remaining` bytes of a chunk and its line end */
    HTTP_TRAILER     /* lines after the last chunk, up to an empty one */
};

/* Whether the header line is this field (name ends in a colon); its value without spaces. */
static bool field(const char *line, size_t length, const char *name, const char **ret_value,
                  size_t *ret_length)
{
    size_t size = strlen(name);
    if (length < size || strncasecmp(line, name, size) != 0)
        return false;
    const char *value = line + size;
    length -= size;
    while (length && (*value == ' ' || *value == '\t'))
        value++, length--;
    while (length && (value[length - 1] == ' ' || value[length - 1] == '\t'))
        length--;
    *ret_value = value;
    *ret_length = length;
    return true;
}

static bool equals(const char *text, size_t length, const char *word)
{
    return length == strlen(word) && strncasecmp(text, word, length) == 0;
}

static int decimal(const char *text, size_t length, uint64_t *ret)
{
    uint64_t value = 0;
    if (length == 0 || length > 18)
        return -EPROTO;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -EPROTO;
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    *ret = value;
    return 0;
}

static int status_line(const char *line, size_t length, struct load_reader *reader)
{
    uint64_t status;
    if (length < 12 || memcmp(line, "HTTP/1.", 7) != 0 || line[8] != ' ' ||
        decimal(line + 9, 3, &status) < 0 || status < 100 || (length > 12 && line[12] != ' '))
        return -EPROTO;
    reader->close = line[7] == '0';
    reader->response = (struct load_answer){.status = (int)status, .req_id = -1};
    return 0;
}

/* What the header fields say of the body. */
struct framing {
    bool chunked, sized;
    uint64_t size;
};

static int header_line(const char *line, size_t length, struct load_reader *reader,
                       struct framing *framing)
{
    const char *value;
    size_t size;
    uint64_t id;
    /* Few names matter: a look at the first letter spares the comparisons. */
    switch (*line | 0x20) {
    case 'c':
        if (field(line, length, "content-length:", &value, &size)) {
            framing->sized = true;
            return decimal(value, size, &framing->size);
        }
        if (field(line, length, "connection:", &value, &size)) {
            if (equals(value, size, "close"))
                reader->close = true;
            else if (equals(value, size, "keep-alive"))
                reader->close = false;
        }
        return 0;
    case 't':
        if (field(line, length, "transfer-encoding:", &value, &size)) {
            framing->chunked = equals(value, size, "chunked");
            return framing->chunked ? 0 : -EPROTO;
        }
        return 0;
    case 'x':
        if (field(line, length, "x-request-id:", &value, &size) && decimal(value, size, &id) == 0)
            reader->response.req_id = (int64_t)id;
        else if (field(line, length, "x-dpumesh-host-busy:", &value, &size))
            reader->response.host_busy = equals(value, size, "1");
        return 0;
    default:
        return 0;
    }
}

/* A whole head, its empty line included. 1 when the response has no body, 0 when one follows. */
static int read_head(struct load_reader *reader, const char *head, size_t length)
{
    struct framing framing = {0};
    const char *end = head + length;
    for (const char *line = head; line < end;) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        size_t size = (size_t)(newline - line);
        if (size && line[size - 1] == '\r')
            size--;
        int r = 0;
        if (line == head)
            r = status_line(line, size, reader);
        else if (size)
            r = header_line(line, size, reader, &framing);
        if (r < 0)
            return r;
        line = newline + 1;
    }
    int status = reader->response.status;
    if (reader->no_body || status < 200 || status == 204 || status == 304)
        return 1;
    reader->remaining = framing.size;
    if (framing.chunked)
        reader->state = HTTP_CHUNK_SIZE;
    else if (!framing.sized)
        reader->state = HTTP_TO_END;
    else if (framing.size > 0)
        reader->state = HTTP_BODY;
    else
        return 1;
    return 0;
}

/* The length of a head that ends within text, or 0. */
static size_t head_length(const char *text, size_t length)
{
    const char *at = text, *end = text + length;
    while ((at = memchr(at, '\n', (size_t)(end - at)))) {
        at++;
        if (at < end && *at == '\n')
            return (size_t)(at + 1 - text);
        if (at + 1 < end && at[0] == '\r' && at[1] == '\n')
            return (size_t)(at + 2 - text);
    }
    return 0;
}

static void take(const char **data, size_t *length, size_t size)
{
    *data += size;
    *length -= size;
}

/* 1: the response is complete; 0: go on in the state that was set, or all bytes were taken. */
static int next_head(struct load_reader *reader, const char **data, size_t *length)
{
    struct buffer *carry = &reader->carry;
    size_t head, size;
    int r;
    /* Empty lines before a status line are robustness, RFC 9112 section 2.2. */
    while (carry->length == 0 && *length && (**data == '\r' || **data == '\n'))
        take(data, length, 1);
    if (carry->length == 0 && (head = head_length(*data, *length))) {
        r = read_head(reader, *data, head);
        take(data, length, head);
        return r;
    }
    /* At most up to the first line end that may be the last, so that no body is carried. */
    const char *newline = memchr(*data, '\n', *length);
    size = newline && carry->length ? (size_t)(newline + 1 - *data) : *length;
    if (buffer_append(carry, *data, size) < 0)
        return -EPROTO;
    take(data, length, size);
    if (!(head = head_length(carry->data, carry->length)))
        return 0;
    r = read_head(reader, carry->data, head);
    buffer_clear(carry);
    return r;
}

/* Takes bytes up to a newline into carry. 1 when the line is whole, 0 when more are needed. */
static int next_line(struct load_reader *reader, const char **data, size_t *length)
{
    const char *newline = memchr(*data, '\n', *length);
    size_t size = newline ? (size_t)(newline + 1 - *data) : *length;
    if (buffer_append(&reader->carry, *data, size) < 0)
        return -EPROTO;
    take(data, length, size);
    return newline != NULL;
}

static int chunk_size(struct load_reader *reader)
{
    const char *text = reader->carry.data;
    uint64_t size = 0;
    size_t i = 0;
    for (; i < reader->carry.length && i < 15; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= '0' && c <= '9')
            size = size * 16 + (c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            size = size * 16 + ((c | 0x20) - 'a' + 10);
        else
            break;
    }
    if (i == 0 || !text[i] || !strchr(";\r\n \t", text[i]))
        return -EPROTO;
    buffer_clear(&reader->carry);
    reader->remaining = size + 2; /* with the line end behind it */
    reader->state = size ? HTTP_CHUNK : HTTP_TRAILER;
    return 0;
}

static int next_chunk_line(struct load_reader *reader, const char **data, size_t *length)
{
    int r = next_line(reader, data, length);
    if (r <= 0)
        return r;
    if (reader->state == HTTP_CHUNK_SIZE)
        return chunk_size(reader);
    const char *line = reader->carry.data;
    bool empty = line[0] == '\n' || (line[0] == '\r' && line[1] == '\n');
    buffer_clear(&reader->carry);
    return empty;
}

/* Takes body bytes. 1 when it was all. */
static int next_body(struct load_reader *reader, const char **data, size_t *length)
{
    size_t size = *length < reader->remaining ? *length : (size_t)reader->remaining;
    reader->remaining -= size;
    take(data, length, size);
    return reader->remaining == 0;
}

int load_http_next(struct load_reader *reader, const char **data, size_t *length,
                   struct load_answer *ret)
{
    while (*length > 0) {
        int r = 0;
        switch ((enum http_state)reader->state) {
        case HTTP_HEAD:
            r = next_head(reader, data, length);
            break;
        case HTTP_BODY:
            r = next_body(reader, data, length);
            break;
        case HTTP_CHUNK:
            if (next_body(reader, data, length))
                reader->state = HTTP_CHUNK_SIZE;
            break;
        case HTTP_CHUNK_SIZE:
        case HTTP_TRAILER:
            r = next_chunk_line(reader, data, length);
            break;
        case HTTP_TO_END:
            take(data, length, *length);
            break;
        }
        if (r < 0)
            return r;
        if (r > 0) {
            reader->state = HTTP_HEAD;
            if (reader->response.status < 200)
                continue; /* an interim response answers nothing */
            *ret = reader->response;
            return 1;
        }
    }
    return 0;
}

int load_http_end(struct load_reader *reader, struct load_answer *ret)
{
    if (reader->state == HTTP_TO_END) {
        *ret = reader->response;
        reader->close = true;
        reader->state = HTTP_HEAD;
        return 1;
    }
    return reader->state == HTTP_HEAD && reader->carry.length == 0 ? 0 : -EPROTO;
}
