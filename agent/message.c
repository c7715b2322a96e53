#include "agent/message.h"

#include <string.h>
#include <strings.h>

const char *const travel_header_names[TRAVEL_HEADERS + 1] = {
    "x-request-id",          "x-b3-traceid",        "x-b3-spanid",
    "x-b3-parentspanid",     "x-b3-sampled",        "x-b3-flags",
    "x-datadog-trace-id",    "x-datadog-parent-id", "x-datadog-sampling-priority",
    "x-ot-span-context",     "grpc-trace-bin",      "traceparent",
    "x-cloud-trace-context", "tracestate",
};

int travel_header(const char *name, size_t length)
{
    /* Most headers are none of these, and their first letter shows it. */
    char first = length ? (char)(name[0] | 0x20) : '\0';
    if (first != 'x' && first != 't' && first != 'g')
        return -1;
    for (int i = 0; i < TRAVEL_HEADERS; i++)
        if (strlen(travel_header_names[i]) == length &&
            strncasecmp(name, travel_header_names[i], length) == 0)
            return i;
    return -1;
}

bool tracestate_header(const char *name, size_t length)
{
    const char *own = travel_header_names[TRACESTATE_HEADER];
    return length == strlen(own) && strncasecmp(name, own, length) == 0;
}

bool hops_header(const char *name, size_t length)
{
    return length == sizeof HOPS_HEADER - 1 && strncasecmp(name, HOPS_HEADER, length) == 0;
}

uint8_t hops_read(const char *value, size_t length)
{
    unsigned hops = 0;
    for (size_t i = 0; i < length; i++) {
        if (value[i] < '0' || value[i] > '9')
            return UINT8_MAX;
        hops = hops * 10 + (unsigned)(value[i] - '0');
        if (hops > UINT8_MAX)
            return UINT8_MAX;
    }
    return length ? (uint8_t)hops : UINT8_MAX;
}

const char *draft_check(const struct request_draft *draft)
{
    if (draft->path.length > PATH_MAX_BYTES)
        return "the path is longer than 8192 bytes";
    if (draft->query.length > QUERY_MAX_BYTES)
        return "the query string is longer than 32768 bytes";
    for (unsigned mask = draft->header_mask; mask; mask &= mask - 1)
        if (draft->headers[__builtin_ctz(mask)].length > HEADER_MAX_BYTES)
            return "a header that travels on is longer than 4096 bytes";
    return NULL;
}

size_t draft_length(const struct request_draft *draft)
{
    size_t length = sizeof(struct request_message) + draft->path.length + draft->query.length +
                    draft->body.length;
    for (unsigned mask = draft->header_mask; mask; mask &= mask - 1)
        length += 3 + draft->headers[__builtin_ctz(mask)].length;
    if (draft->tracestate_count == 0 || draft->tracestate_count > TRACESTATE_LINES_MAX)
        return length;
    for (unsigned i = 0; i < draft->tracestate_count; i++)
        length += 1 + draft->tracestate[i].length;
    return length + 3;
}

/* Lays the lines of tracestate out as one header, in their order; returns its end. Empty ones say
 * nothing. */
static char *write_tracestate(const struct request_draft *draft, char *out,
                              struct request_message *message)
{
    char *text = out + 3, *end = text;
    if (draft->tracestate_count > TRACESTATE_LINES_MAX)
        return out;
    for (unsigned i = 0; i < draft->tracestate_count; i++) {
        if (draft->tracestate[i].length == 0)
            continue;
        if (end > text)
            *end++ = ',';
        end += json_unescape(&draft->tracestate[i], end);
    }
    if (end == text || end - text > TRACESTATE_BYTES_MAX)
        return out;
    uint16_t length = (uint16_t)(end - text);
    *out = TRACESTATE_HEADER;
    memcpy(out + 1, &length, sizeof length);
    message->header_count++;
    return end;
}

void draft_write(const struct request_draft *draft, uint32_t source,
                 struct request_message *message)
{
    char *out = (char *)(message + 1);
    message->source = source;
    message->method = draft->method & 7u;
    message->hops = draft->hops;
    message->trace = 0;
    message->path_length = (uint16_t)json_unescape(&draft->path, out);
    out += message->path_length;
    message->query_length = (uint16_t)json_unescape(&draft->query, out);
    out += message->query_length;
    char *headers = out;
    message->header_count = 0;
    for (unsigned mask = draft->header_mask; mask; mask &= mask - 1) {
        int number = __builtin_ctz(mask);
        uint16_t length = (uint16_t)json_unescape(&draft->headers[number], out + 3);
        *out = (char)number;
        memcpy(out + 1, &length, sizeof length);
        out += 3 + length;
        message->header_count++;
    }
    out = write_tracestate(draft, out, message);
    message->header_bytes = (uint16_t)(out - headers);
    out += json_unescape(&draft->body, out);
    message->length = (uint32_t)(out - (char *)message);
}
