/* The bytes of a real call: target, the headers that travel on, hops, and a trace's subtree. */
#include <string.h>

#include "agent/forward_private.h"

#define HOPS_NAME "X-Dpumesh-Hops: "

/* Room for all but what is copied from the call: fixed words, numbers, line ends. */
enum { FIXED_BYTES = 256, HEADER_NAME_MAX = 32 };

static char *put(char *out, const char *text, size_t length)
{
    return (char *)mempcpy(out, text, length);
}

#define PUT(out, literal) put((out), (literal), sizeof(literal) - 1)

static char *put_unsigned(char *out, uint32_t value)
{
    char digits[10];
    size_t n = sizeof digits;
    do
        digits[--n] = (char)('0' + value % 10);
    while (value /= 10);
    return put(out, digits + n, sizeof digits - n);
}

/* A query may come from the bridge, where any character can stand: what would end the line, or the
 * target, is written as %XX. */
static char *put_query(char *out, const char *query, size_t length)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)query[i];
        if (c > 0x20 && c < 0x7f && c != '#') {
            *out++ = (char)c;
        } else {
            *out++ = '%';
            *out++ = hex[c >> 4];
            *out++ = hex[c & 15];
        }
    }
    return out;
}

/* Whether a call takes its message's tracestate along: it belongs to the trace of a traceparent,
 * and to no trace that began here or came by B3. */
static bool keeps_tracestate(const struct forward_call *call)
{
    struct trace_headers headers = {0};
    if (!call->trace)
        return true;
    trace_headers_of_message(call->message, &headers);
    return trace_headers_are_w3c(&headers);
}

/* The headers that travel; with a trace of ours, its instead of the message's. */
static char *put_travellers(char *out, const struct forward_call *call)
{
    const struct request_message *m = call->message;
    const char *at = message_headers(m);
    for (unsigned i = 0; i < m->header_count; i++) {
        int number;
        const char *text;
        uint16_t length;
        at = message_header(at, &number, &text, &length);
        int header = trace_header_of(number);
        if (call->trace && header >= 0 && header != TRACE_B3_FLAGS)
            continue;
        if (number == TRACESTATE_HEADER && !keeps_tracestate(call))
            continue;
        const char *name = travel_header_names[number];
        out = put(out, name, strlen(name));
        out = PUT(out, ": ");
        out = put(out, text, length);
        out = PUT(out, "\r\n");
    }
    return call->trace ? trace_context_write(call->trace, out) : out;
}

int request_encode(struct forward *f, const struct destination *d, const struct forward_call *call)
{
    const struct request_message *m = call->message;
    size_t path_length = strlen(d->url.path), tail_length = strlen(d->tail);
    size_t most = FIXED_BYTES + path_length + tail_length + 3 * (size_t)m->query_length +
                  m->header_bytes + (size_t)m->header_count * HEADER_NAME_MAX + call->body_length +
                  TRACE_HEADERS_BYTES;
    buffer_clear(&f->out);
    int result = buffer_reserve(&f->out, most);
    if (result < 0)
        return result;
    char *out = f->out.data;
    out = call->body_length ? PUT(out, "POST ") : PUT(out, "GET ");
    out = put(out, d->url.path, path_length);
    if (m->query_length) {
        *out++ = '?';
        out = put_query(out, message_query(m), m->query_length);
    }
    out = put(out, d->tail, tail_length);
    out = put_travellers(out, call);
    out = PUT(out, HOPS_NAME);
    out = put_unsigned(out, m->hops + 1u);
    if (call->body_length) {
        out = PUT(out, "\r\nContent-Type: application/json\r\nContent-Length: ");
        out = put_unsigned(out, call->body_length + 2);
        out = PUT(out, "\r\n\r\n{");
        out = put(out, call->body, call->body_length);
        *out++ = '}';
    } else {
        out = PUT(out, "\r\n\r\n");
    }
    f->out.length = (size_t)(out - f->out.data);
    return 0;
}
