#include <criterion/criterion.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "agent/message.h"
#include "agent/reply.h"
#include "agent/wire.h"
#include "base/memory.h"

#define DATE "Sun, 06 Nov 1994 08:49:37 GMT"

enum { OUT_MAX = 1 << 16 };

/* A request whose travelling headers come back: a plain one, and one that JSON must escape. */
static struct request_message *request_with_headers(void)
{
    struct request_draft draft = {.path = {"/", 1, false},
                                  .query = {"", 0, false},
                                  .body = {"", 0, false},
                                  .header_mask = 1u << 0 | 1u << 11};
    draft.headers[0] = (struct json_text){"abc-1", 5, false};
    draft.headers[11] = (struct json_text){"a\\\"b\\\\", 6, true};
    struct request_message *m = xmalloc(draft_length(&draft));
    draft_write(&draft, 0, m);
    return m;
}

/* The answer's JSON object, after a look at the frame around it. Owned by the caller. */
static json_t *object_of(const struct buffer *out, enum wire_mode mode)
{
    struct wire_progress progress = {0};
    struct wire_span span;
    json_error_t error;
    cr_assert_eq(wire_next(mode, out->data, out->length, OUT_MAX, false, &progress, &span),
                 WIRE_FRAME);
    cr_assert_eq(span.taken, out->length);
    json_t *object = json_loadb(out->data + span.offset, span.length,
                                JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    cr_assert_not_null(object, "%s", error.text);
    return object;
}

static const char *header_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(json_object_get(object, "headers"), name));
}

static void check_body(const json_t *object, const char *body, size_t length)
{
    const json_t *value = json_object_get(object, "body");
    cr_assert_eq(json_string_length(value), length);
    cr_assert_eq(memcmp(json_string_value(value), body, length), 0);
}

static const enum wire_mode modes[] = {WIRE_ONE_SHOT, WIRE_LINES, WIRE_PREFIXED};

Test(reply, bridge_answers_are_json_and_keep_their_body)
{
    /* Every byte that stands for itself, and some UTF-8. */
    char body[128 + 9];
    for (unsigned i = 0; i < 128; i++)
        body[i] = (char)i;
    memcpy(body + 128, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9);
    struct request_message *request = request_with_headers();
    for (unsigned i = 0; i < 3; i++)
        for (size_t length = 0; length <= sizeof body; length++) {
            size_t from = length < 128 ? length / 2 : 0;
            if (length > 128 && length < sizeof body)
                continue; /* would cut a character */
            cleanup_buffer struct buffer out = BUFFER_INIT(OUT_MAX);
            struct reply reply = {.req_id = UINT64_C(9007199254740993),
                                  .status = length % 2 ? 503 : 200,
                                  .content_type = "text/plain; charset=utf-8",
                                  .body = body + from,
                                  .body_length = length - from,
                                  .request = length % 3 ? request : NULL};
            cr_assert_eq(reply_encode_bridge(&reply, modes[i], &out), 0);
            cr_assert_leq(out.length, out.capacity);
            json_auto_t *object = object_of(&out, modes[i]);
            cr_assert_eq(json_object_size(object), 4);
            cr_assert_eq(json_integer_value(json_object_get(object, "req_id")),
                         INT64_C(9007199254740993));
            cr_assert_eq(json_integer_value(json_object_get(object, "status")), reply.status);
            cr_assert_str_eq(header_of(object, "Content-Type"), reply.content_type);
            const char *again = header_of(object, "Retry-After");
            cr_assert(length % 2 ? again && strcmp(again, "1") == 0 : !again);
            if (reply.request) {
                cr_assert_str_eq(header_of(object, "x-request-id"), "abc-1");
                cr_assert_str_eq(header_of(object, "traceparent"), "a\"b\\");
            }
            cr_assert_eq(json_object_size(json_object_get(object, "headers")),
                         1 + length % 2 + (reply.request ? 2 : 0));
            check_body(object, reply.body, reply.body_length);
        }
    free(request);
}

Test(reply, plain_bodies_and_the_form_of_a_frame)
{
    static const char json[] = "{\"req_id\": 0, \"status\": 200, \"headers\": {\"Content-Type\": "
                               "\"text/html\"}, \"body\": \"abc\"}";
    static const char *const before[] = {"", "", "\0\0\0\x55"}, *const after[] = {"", "\n", ""};
    struct reply reply = {
        .status = 200, .content_type = "text/html", .body = "abc", .body_length = 3, .plain = true};
    for (unsigned i = 0; i < 3; i++) {
        cleanup_buffer struct buffer out = BUFFER_INIT(OUT_MAX);
        size_t head = modes[i] == WIRE_PREFIXED ? 4 : 0, length = sizeof json - 1;
        cr_assert_eq(buffer_puts(&out, "earlier"), 0);
        cr_assert_eq(reply_encode_bridge(&reply, modes[i], &out), 0);
        cr_assert_eq(out.length, 7 + head + length + strlen(after[i]));
        cr_assert_arr_eq(out.data, "earlier", 7);
        cr_assert_eq(memcmp(out.data + 7, before[i], head), 0, "%u", (unsigned char)out.data[10]);
        cr_assert_eq(memcmp(out.data + 7 + head, json, length), 0);
        cr_assert_eq(memcmp(out.data + 7 + head + length, after[i], strlen(after[i])), 0);
    }
}

static void check_http(const struct reply *reply, const char *expected)
{
    cleanup_buffer struct buffer out = BUFFER_INIT(OUT_MAX);
    cr_assert_eq(reply_encode_http(reply, DATE, &out), 0);
    cr_assert_str_eq(buffer_terminate(&out), expected);
}

Test(reply, http_answers_line_by_line)
{
    struct request_message *request = request_with_headers();
    struct reply reply = {.status = 200,
                          .flags = REPLY_KEEP_ALIVE,
                          .content_type = "text/html",
                          .body = "a\r\n\"b",
                          .body_length = 5};
    check_http(&reply, "HTTP/1.1 200 OK\r\nDate: " DATE "\r\nContent-Type: text/html\r\n"
                       "Content-Length: 5\r\n\r\na\r\n\"b");
    reply.flags = 0;
    reply.request = request;
    check_http(&reply, "HTTP/1.1 200 OK\r\nDate: " DATE "\r\nContent-Type: text/html\r\n"
                       "Content-Length: 5\r\nConnection: close\r\nx-request-id: abc-1\r\n"
                       "traceparent: a\"b\\\r\n\r\na\r\n\"b");
    /* HEAD: the length of what GET would send, and nothing after the blank line. */
    reply.flags = REPLY_KEEP_ALIVE | REPLY_HTTP10 | REPLY_HEAD;
    reply.request = NULL;
    reply.status = 503;
    check_http(&reply,
               "HTTP/1.1 503 Service Unavailable\r\nDate: " DATE "\r\nContent-Type: text/html\r\n"
               "Content-Length: 5\r\nConnection: keep-alive\r\nRetry-After: 1\r\n\r\n");
    reply.flags = REPLY_HTTP10;
    reply.status = 405;
    reply.allow = "GET, POST";
    reply.body_length = 0;
    check_http(&reply,
               "HTTP/1.1 405 Method Not Allowed\r\nDate: " DATE "\r\nContent-Type: text/html\r\n"
               "Content-Length: 0\r\nConnection: close\r\nAllow: GET, POST\r\n\r\n");
    free(request);
}

/* Room for all of it or no byte of it; headers that all need escapes fit too. */
Test(reply, is_whole_or_absent)
{
    struct request_draft draft = {.path = {"/", 1, false},
                                  .query = {"", 0, false},
                                  .body = {"", 0, false},
                                  .header_mask = (1u << TRAVEL_HEADERS) - 1};
    char quotes[100];
    memset(quotes, '\x01', sizeof quotes);
    for (int i = 0; i < TRAVEL_HEADERS; i++)
        draft.headers[i] = (struct json_text){quotes, sizeof quotes, false};
    struct request_message *request = xmalloc(draft_length(&draft));
    draft_write(&draft, 0, request);
    struct reply reply = {.req_id = INT64_MAX, /* the longest that jansson reads */
                          .status = 503,
                          .content_type = "application/json",
                          .allow = "GET, POST",
                          .body = quotes,
                          .body_length = sizeof quotes,
                          .request = request};
    unsigned whole = 0, absent = 0;
    for (size_t room = 0; room < 12000; room += 37)
        for (unsigned i = 0; i < 4; i++) {
            cleanup_buffer struct buffer out = BUFFER_INIT(room);
            int result = i < 3 ? reply_encode_bridge(&reply, modes[i], &out)
                               : reply_encode_http(&reply, DATE, &out);
            cr_assert_leq(out.length, room);
            if (result == 0) {
                whole++;
                if (i < 3)
                    json_decref(object_of(&out, modes[i]));
            } else {
                absent++;
                cr_assert_eq(result, -ENOBUFS);
                cr_assert_eq(out.length, 0);
            }
        }
    cr_assert(whole > 100 && absent > 100, "%u and %u", whole, absent);
    free(request);
}

Test(reply, every_reason_has_its_words)
{
    for (int i = REJECT_MALFORMED; i < REJECT_REASONS; i++) {
        enum reject_reason reason = (enum reject_reason)i;
        const char *body = reject_body(reason);
        json_error_t error;
        json_auto_t *object = json_loads(body, 0, &error);
        cr_assert(json_string_length(json_object_get(object, "message")) > 0, "%s", body);
        unsigned status = reject_status(reason);
        cr_assert(status >= 400 && status < 600);
        cr_assert_str_not_empty(status_phrase(status), "%u", status);
        for (int j = REJECT_NONE; j < i; j++)
            cr_assert_str_neq(reject_name(reason), reject_name((enum reject_reason)j));
    }
    cr_assert_str_eq(status_phrase(200), "OK");
    cr_assert_str_empty(status_phrase(418)); /* RFC 9110 has none for it: "(Unused)" */
}
