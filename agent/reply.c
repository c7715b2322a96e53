#include "agent/reply.h"

#include <errno.h>
#include <string.h>

#include "agent/json.h"
#include "agent/message.h"

static const struct {
    const char *name;
    unsigned status;
    const char *body;
} reasons[REJECT_REASONS] = {
    [REJECT_NONE] = {"none", 200, ""},
    [REJECT_MALFORMED] = {"malformed", 400, "{\"message\":\"the request is malformed\"}"},
    [REJECT_NOT_FOUND] = {"not_found", 404, "{\"message\":\"no such path\"}"},
    [REJECT_METHOD] = {"method", 405, "{\"message\":\"only GET and POST are answered here\"}"},
    [REJECT_FRAME_TIMEOUT] = {"frame_timeout", 408,
                              "{\"message\":\"the request was not complete in time\"}"},
    [REJECT_FRAME_TOO_LARGE] = {"frame_too_large", 413,
                                "{\"message\":\"the request is larger than limits.frameBytes\"}"},
    [REJECT_RATE_LIMITED] = {"rate_limited", 429,
                             "{\"message\":\"over the rate limit; try again later\"}"},
    [REJECT_CONCURRENCY_LIMITED] = {"concurrency_limited", 503,
                                    "{\"message\":\"over the concurrency limit; try again\"}"},
    [REJECT_FAULT] = {"fault", 503, "{\"message\":\"a fault on purpose: datapath.policy\"}"},
    [REJECT_EXTERNAL_ERROR] = {"external_error", 500,
                               "{\"message\":\"Error in external services request\"}"},
    [REJECT_INTERNAL_ERROR] = {"internal_error", 500, "{\"message\":\"Error\"}"},
    [REJECT_INGRESS_QUEUE_FULL] = {"ingress_queue_full", 503,
                                   "{\"message\":\"the ingress queue is full; try again\"}"},
    [REJECT_DATAPATH_FULL] = {"datapath_full", 503,
                              "{\"message\":\"the data path is full; try again\"}"},
    [REJECT_EGRESS_QUEUE_FULL] = {"egress_queue_full", 503,
                                  "{\"message\":\"the egress queue is full; try again\"}"},
    [REJECT_MEMORY_FULL] = {"memory_full", 503,
                            "{\"message\":\"the registered memory is full; try again\"}"},
    [REJECT_TOO_MANY_REQUESTS_IN_FLIGHT] =
        {"too_many_requests", 503, "{\"message\":\"too many requests are in flight; try again\"}"},
    [REJECT_TOO_MANY_CONNECTIONS] = {"too_many_connections", 503,
                                     "{\"message\":\"too many connections; try again\"}"},
    [REJECT_DRAINING] = {"draining", 503,
                         "{\"message\":\"this replica is shutting down; try another\"}"},
    [REJECT_EXTERNAL_TIMEOUT] = {"external_timeout", 504,
                                 "{\"message\":\"an external service did not answer in time\"}"},
    [REJECT_HOP_LIMIT] = {"hop_limit", 508,
                          "{\"message\":\"too many calls in a row led here; is there a loop?\"}"},
};

const char *reject_name(enum reject_reason reason)
{
    return reasons[reason].name;
}

unsigned reject_status(enum reject_reason reason)
{
    return reasons[reason].status;
}

const char *reject_body(enum reject_reason reason)
{
    return reasons[reason].body;
}

const char *status_phrase(unsigned status)
{
    switch (status) {
    case 200:
        return "OK";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 406:
        return "Not Acceptable";
    case 408:
        return "Request Timeout";
    case 409:
        return "Conflict";
    case 413:
        return "Content Too Large";
    case 429:
        return "Too Many Requests";
    case 431:
        return "Request Header Fields Too Large";
    case 500:
        return "Internal Server Error";
    case 501:
        return "Not Implemented";
    case 502:
        return "Bad Gateway";
    case 503:
        return "Service Unavailable";
    case 504:
        return "Gateway Timeout";
    case 505:
        return "HTTP Version Not Supported";
    case 508:
        return "Loop Detected";
    default:
        return "";
    }
}

static char *put(char *out, const char *text, size_t length)
{
    memcpy(out, text, length);
    return out + length;
}

#define PUT(out, literal) put((out), (literal), sizeof(literal) - 1)

static char *put_unsigned(char *out, uint64_t value)
{
    char digits[20];
    size_t n = sizeof digits;
    do
        digits[--n] = (char)('0' + value % 10);
    while (value /= 10);
    return put(out, digits + n, sizeof digits - n);
}

/* Room for the travelling headers of a request, each byte of which may become six. */
static size_t travel_bytes(const struct request_message *request)
{
    return request ? (size_t)request->header_count * 64 + (size_t)request->header_bytes * 6 : 0;
}

static char *put_travel_bridge(char *out, const struct request_message *request)
{
    const char *at = message_headers(request);
    for (unsigned i = 0; i < request->header_count; i++) {
        int number;
        const char *text;
        uint16_t length;
        at = message_header(at, &number, &text, &length);
        if (number >= TRAVEL_HEADERS)
            continue; /* it does not come back */
        out = PUT(out, ", \"");
        out = put(out, travel_header_names[number], strlen(travel_header_names[number]));
        out = PUT(out, "\": \"");
        out = json_escape(text, length, out);
        *out++ = '"';
    }
    return out;
}

int reply_encode_bridge(const struct reply *reply, enum wire_mode mode, struct buffer *out)
{
    size_t body =
        reply->plain ? reply->body_length : json_escaped_length(reply->body, reply->body_length);
    size_t type = strlen(reply->content_type);
    int full = buffer_reserve(out, 192 + type + body + travel_bytes(reply->request));
    if (full < 0)
        return full;
    char *begin = out->data + out->length, *at = begin;
    if (mode == WIRE_PREFIXED)
        at += 4;
    at = PUT(at, "{\"req_id\": ");
    at = put_unsigned(at, reply->req_id);
    at = PUT(at, ", \"status\": ");
    at = put_unsigned(at, reply->status);
    at = PUT(at, ", \"headers\": {\"Content-Type\": \"");
    at = put(at, reply->content_type, type);
    *at++ = '"';
    if (reply->status == 503 || reply->status == 429) {
        at = PUT(at, ", \"Retry-After\": \"");
        at = put_unsigned(at, reply->retry_after_s ? reply->retry_after_s : 1);
        *at++ = '"';
    }
    if (reply->flags & REPLY_HOST_BUSY)
        at = PUT(at, ", \"X-Dpumesh-Host-Busy\": \"1\"");
    if (reply->request)
        at = put_travel_bridge(at, reply->request);
    at = PUT(at, "}, \"body\": \"");
    at = reply->plain ? put(at, reply->body, reply->body_length)
                      : json_escape(reply->body, reply->body_length, at);
    at = PUT(at, "\"}");
    if (mode == WIRE_LINES)
        *at++ = '\n';
    if (mode == WIRE_PREFIXED) {
        uint32_t length = __builtin_bswap32((uint32_t)(at - begin - 4));
        memcpy(begin, &length, sizeof length);
    }
    out->length += (size_t)(at - begin);
    return 0;
}

static char *put_travel_http(char *out, const struct request_message *request)
{
    const char *at = message_headers(request);
    for (unsigned i = 0; i < request->header_count; i++) {
        int number;
        const char *text;
        uint16_t length;
        at = message_header(at, &number, &text, &length);
        if (number >= TRAVEL_HEADERS)
            continue; /* it does not come back */
        out = put(out, travel_header_names[number], strlen(travel_header_names[number]));
        out = PUT(out, ": ");
        out = put(out, text, length);
        out = PUT(out, "\r\n");
    }
    return out;
}

int reply_encode_http(const struct reply *reply, const char *date, struct buffer *out)
{
    size_t type = strlen(reply->content_type), allow = reply->allow ? strlen(reply->allow) : 0;
    size_t body = reply->flags & REPLY_HEAD ? 0 : reply->body_length;
    int full = buffer_reserve(out, 320 + type + allow + body + travel_bytes(reply->request));
    if (full < 0)
        return full;
    char *begin = out->data + out->length, *at = begin;
    const char *phrase = status_phrase(reply->status);
    at = PUT(at, "HTTP/1.1 ");
    at = put_unsigned(at, reply->status);
    *at++ = ' ';
    at = put(at, phrase, strlen(phrase));
    at = PUT(at, "\r\nDate: ");
    at = put(at, date, strlen(date));
    at = PUT(at, "\r\nContent-Type: ");
    at = put(at, reply->content_type, type);
    at = PUT(at, "\r\nContent-Length: ");
    at = put_unsigned(at, reply->body_length);
    at = PUT(at, "\r\n");
    if (!(reply->flags & REPLY_KEEP_ALIVE))
        at = PUT(at, "Connection: close\r\n");
    else if (reply->flags & REPLY_HTTP10)
        at = PUT(at, "Connection: keep-alive\r\n");
    if (reply->status == 503 || reply->status == 429) {
        at = PUT(at, "Retry-After: ");
        at = put_unsigned(at, reply->retry_after_s ? reply->retry_after_s : 1);
        at = PUT(at, "\r\n");
    }
    if (reply->flags & REPLY_HOST_BUSY)
        at = PUT(at, "X-Dpumesh-Host-Busy: 1\r\n");
    if (reply->allow) {
        at = PUT(at, "Allow: ");
        at = put(at, reply->allow, allow);
        at = PUT(at, "\r\n");
    }
    if (reply->request)
        at = put_travel_http(at, reply->request);
    at = PUT(at, "\r\n");
    at = put(at, reply->body, body);
    out->length += (size_t)(at - begin);
    return 0;
}
