#include "agent/trace_context.h"

#include <string.h>
#include <strings.h>

/* A traceparent of version 00: 00-32 digits-16 digits-2 digits. */
enum { TRACEPARENT_BYTES = 55, AT_TRACE = 3, AT_SPAN = 36, AT_FLAGS = 53, FLAG_SAMPLED = 1 };

/* In the order of travel_header_names. */
enum { TRAVEL_B3_FIRST = 1, TRAVEL_TRACEPARENT = 11 };

int trace_header_of(int travel_number)
{
    if (travel_number == TRAVEL_TRACEPARENT)
        return TRACE_TRACEPARENT;
    int b3 = travel_number - TRAVEL_B3_FIRST;
    return b3 >= TRACE_B3_TRACEID && b3 <= TRACE_B3_FLAGS ? b3 : -1;
}

void trace_headers_of_message(const struct request_message *message, struct trace_headers *ret)
{
    const char *at = message_headers(message);
    for (unsigned i = 0; i < message->header_count; i++) {
        int number;
        const char *text;
        uint16_t length;
        at = message_header(at, &number, &text, &length);
        int header = trace_header_of(number);
        if (header >= 0) {
            ret->text[header] = text;
            ret->length[header] = length;
        }
    }
}

void trace_headers_of_draft(const struct request_draft *draft, struct trace_headers *ret)
{
    for (unsigned mask = draft->header_mask; mask; mask &= mask - 1) {
        int number = __builtin_ctz(mask), header = trace_header_of(number);
        const struct json_text *text = &draft->headers[number];
        if (header >= 0 && !text->escaped && text->length <= UINT16_MAX) {
            ret->text[header] = text->data;
            ret->length[header] = (uint16_t)text->length;
        }
    }
}

/* Reads `digits` hexadecimal digits; capitals only where they are allowed. */
static bool read_hex(const char *text, unsigned digits, bool capitals, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < digits; i++) {
        char c = text[i];
        unsigned digit;
        if (c >= '0' && c <= '9')
            digit = (unsigned)(c - '0');
        else if (c >= 'a' && c <= 'f')
            digit = (unsigned)(c - 'a') + 10;
        else if (capitals && c >= 'A' && c <= 'F')
            digit = (unsigned)(c - 'A') + 10;
        else
            return false;
        value = value << 4 | digit;
    }
    *ret_value = value;
    return true;
}

/* https://www.w3.org/TR/trace-context/#traceparent-header */
static bool read_traceparent(const char *text, size_t length, struct trace_context *context)
{
    uint64_t version, high, low, span, flags;
    if (length < TRACEPARENT_BYTES || !read_hex(text, 2, false, &version) || version == 0xff ||
        text[AT_TRACE - 1] != '-' || text[AT_SPAN - 1] != '-' || text[AT_FLAGS - 1] != '-' ||
        !read_hex(text + AT_TRACE, 16, false, &high) ||
        !read_hex(text + AT_TRACE + 16, 16, false, &low) ||
        !read_hex(text + AT_SPAN, 16, false, &span) || !read_hex(text + AT_FLAGS, 2, false, &flags))
        return false;
    /* A later version may go on behind another dash. */
    if (length > TRACEPARENT_BYTES && (version == 0 || text[TRACEPARENT_BYTES] != '-'))
        return false;
    if ((high == 0 && low == 0) || span == 0)
        return false;
    *context = (struct trace_context){.trace_id = {high, low},
                                      .span_id = span,
                                      .decision =
                                          flags & FLAG_SAMPLED ? TRACE_SAMPLED : TRACE_NOT_SAMPLED};
    return true;
}

static bool header_is(const struct trace_headers *headers, enum trace_header header,
                      const char *word)
{
    return headers->text[header] && headers->length[header] == strlen(word) &&
           strncasecmp(headers->text[header], word, strlen(word)) == 0;
}

static uint8_t b3_decision(const struct trace_headers *headers)
{
    if (header_is(headers, TRACE_B3_FLAGS, "1") || header_is(headers, TRACE_B3_SAMPLED, "1") ||
        header_is(headers, TRACE_B3_SAMPLED, "true") || header_is(headers, TRACE_B3_SAMPLED, "d"))
        return TRACE_SAMPLED;
    if (header_is(headers, TRACE_B3_SAMPLED, "0") || header_is(headers, TRACE_B3_SAMPLED, "false"))
        return TRACE_NOT_SAMPLED;
    return TRACE_DECIDE;
}

/* https://github.com/openzipkin/b3-propagation: trace ids of 16 or 32 digits. */
static void read_b3(const struct trace_headers *headers, struct trace_context *context)
{
    uint64_t high = 0, low, span;
    const char *trace = headers->text[TRACE_B3_TRACEID];
    unsigned length = headers->length[TRACE_B3_TRACEID];
    context->decision = b3_decision(headers);
    if (!trace || (length != 16 && length != 32) || !headers->text[TRACE_B3_SPANID] ||
        headers->length[TRACE_B3_SPANID] != 16 ||
        (length == 32 && !read_hex(trace, 16, true, &high)) ||
        !read_hex(trace + length - 16, 16, true, &low) ||
        !read_hex(headers->text[TRACE_B3_SPANID], 16, true, &span))
        return;
    if ((high == 0 && low == 0) || span == 0)
        return;
    context->trace_id[0] = high;
    context->trace_id[1] = low;
    context->span_id = span;
}

bool trace_b3_single(const char *name, size_t length)
{
    return length == 2 && (name[0] | 0x20) == 'b' && name[1] == '3';
}

static void set_b3(struct request_draft *draft, enum trace_header header, struct json_text text)
{
    unsigned number = TRAVEL_B3_FIRST + header;
    draft->header_mask &= (uint16_t) ~(1u << number);
    if (text.length > 0)
        draft->header_mask |= (uint16_t)(1u << number);
    draft->headers[number] = text;
}

/* The part up to the next dash; *text goes on behind it. */
static struct json_text next_part(struct json_text *text)
{
    const char *dash = memchr(text->data, '-', text->length);
    struct json_text part = {text->data, dash ? (size_t)(dash - text->data) : text->length, false};
    size_t taken = part.length + (dash != NULL);
    text->data += taken;
    text->length -= taken;
    return part;
}

static bool is_hex(const struct json_text *text, size_t length)
{
    uint64_t value;
    bool hex = text->length == length;
    for (size_t at = 0; hex && at < length; at += 16)
        hex = read_hex(text->data + at, 16, true, &value);
    return hex;
}

/* https://github.com/openzipkin/b3-propagation#single-header: trace-span-state-parent, of which the
 * last two may be missing, or the state alone. */
void trace_b3_expand(struct request_draft *draft)
{
    static const struct json_text none = {"", 0, false}, yes = {"1", 1, false};
    struct json_text rest = draft->b3, trace = none, span = none, parent = none;

    if (rest.length == 0)
        return;
    struct json_text state = next_part(&rest);
    if (state.length != 1) {
        trace = state;
        span = next_part(&rest);
        state = next_part(&rest);
        parent = next_part(&rest);
        if (!(is_hex(&trace, 16) || is_hex(&trace, 32)) || !is_hex(&span, 16) ||
            (parent.length > 0 && !is_hex(&parent, 16)))
            return;
    }
    bool debug = state.length == 1 && *state.data == 'd';
    if (rest.length > 0 || state.length > 1 || (state.length == 1 && !strchr("01d", *state.data)))
        return;
    set_b3(draft, TRACE_B3_TRACEID, trace);
    set_b3(draft, TRACE_B3_SPANID, span);
    set_b3(draft, TRACE_B3_PARENT, parent);
    set_b3(draft, TRACE_B3_SAMPLED, debug ? none : state);
    set_b3(draft, TRACE_B3_FLAGS, debug ? yes : none);
}

bool trace_headers_are_w3c(const struct trace_headers *headers)
{
    struct trace_context context;
    return headers->text[TRACE_TRACEPARENT] &&
           read_traceparent(headers->text[TRACE_TRACEPARENT], headers->length[TRACE_TRACEPARENT],
                            &context);
}

void trace_context_read(const struct trace_headers *headers, struct trace_context *ret)
{
    *ret = (struct trace_context){0};
    if (headers->text[TRACE_TRACEPARENT] &&
        read_traceparent(headers->text[TRACE_TRACEPARENT], headers->length[TRACE_TRACEPARENT], ret))
        return;
    read_b3(headers, ret);
}

char *trace_hex(uint64_t value, unsigned digits, char *out)
{
    static const char hex[] = "0123456789abcdef";
    for (unsigned i = digits; i > 0; i--) {
        out[i - 1] = hex[value & 15];
        value >>= 4;
    }
    return out + digits;
}

#define PUT(out, literal) ((char *)mempcpy((out), (literal), sizeof(literal) - 1))

char *trace_context_write(const struct trace_context *context, char *out)
{
    bool sampled = context->decision == TRACE_SAMPLED;
    out = PUT(out, "traceparent: 00-");
    out = trace_hex(context->trace_id[0], 16, out);
    out = trace_hex(context->trace_id[1], 16, out);
    *out++ = '-';
    out = trace_hex(context->span_id, 16, out);
    out = sampled ? PUT(out, "-01\r\nx-b3-traceid: ") : PUT(out, "-00\r\nx-b3-traceid: ");
    /* One that came with 64 bits goes on with 64. */
    if (context->trace_id[0])
        out = trace_hex(context->trace_id[0], 16, out);
    out = trace_hex(context->trace_id[1], 16, out);
    out = PUT(out, "\r\nx-b3-spanid: ");
    out = trace_hex(context->span_id, 16, out);
    if (context->parent_id) {
        out = PUT(out, "\r\nx-b3-parentspanid: ");
        out = trace_hex(context->parent_id, 16, out);
    }
    return sampled ? PUT(out, "\r\nx-b3-sampled: 1\r\n") : PUT(out, "\r\nx-b3-sampled: 0\r\n");
}
