/*
 * Bytes from the network, as the bridge and the HTTP front read them. The input's first bytes
 * choose what follows (FUZZ_BRIDGE and so on), the cap on a frame, and how the rest is cut into
 * pieces; tests/fuzz/corpus/wire has an example of each. Whatever the bytes, these hold:
 *   - the same frames and requests come out, whichever way the bytes are cut;
 *   - a reader that is asked again about the same bytes says the same;
 *   - views lie inside the bytes that were given, messages inside the length that was announced;
 *   - a frame or trace that is accepted is JSON for jansson too, and means the same to it;
 *   - an answer is JSON, holds the body that went in, and as HTTP has the lines it should have.
 * Each piece of input and each message has an allocation of exactly its size, so that
 * AddressSanitizer sees a step past it.
 */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/http.h"
#include "agent/plan.h"
#include "agent/wire.h"
#include "base/memory.h"
#include "require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte of the input. */
enum { FUZZ_BRIDGE = 'b', FUZZ_HTTP = 'h', FUZZ_TRACE = 't' };

enum { TEXT_MAX = 1 << 20, PIECES = 3 };

/* What was read, in words, to compare one way of cutting with another. */
struct transcript {
    struct buffer text;
    size_t position; /* in the whole input, of the first byte that was not taken */
};

/* What has arrived and was not taken, in an allocation of its own size. */
struct window {
    char *data;
    size_t length;
};

static void window_set(struct window *window, size_t taken, const char *more, size_t more_length)
{
    size_t kept = window->length - taken;
    char *data = xmalloc(kept + more_length ? kept + more_length : 1);
    if (kept)
        memcpy(data, window->data + taken, kept);
    if (more_length)
        memcpy(data + kept, more, more_length);
    free(window->data);
    *window = (struct window){data, kept + more_length};
}

/* ---- what both fronts do with a draft ---- */

static void check_view(const struct json_text *view, const char *input, size_t length,
                       const char *otherwise)
{
    if (view->length == strlen(otherwise) && memcmp(view->data, otherwise, view->length) == 0)
        return;
    REQUIRE(view->data >= input && view->length <= length &&
            (size_t)(view->data - input) <= length - view->length);
}

static void check_views(const struct request_draft *draft, const char *input, size_t length)
{
    check_view(&draft->path, input, length, "/");
    check_view(&draft->query, input, length, "");
    check_view(&draft->body, input, length, "");
    REQUIRE(draft->header_mask < 1u << TRAVEL_HEADERS);
    for (int i = 0; i < TRAVEL_HEADERS; i++)
        if (draft->header_mask & 1u << i)
            check_view(&draft->headers[i], input, length, i == 5 ? "1" : ""); /* b3's d, as flags */
    for (int i = 0; i < draft->tracestate_count && i < TRACESTATE_LINES_MAX; i++)
        check_view(&draft->tracestate[i], input, length, "");
}

/* The draft as a message; owned by the caller. */
static struct request_message *message_of(const struct request_draft *draft)
{
    REQUIRE(!draft_check(draft));
    size_t most = draft_length(draft);
    struct request_message *message = xmalloc(most);
    draft_write(draft, 7, message);
    REQUIRE(message->length <= most);
    REQUIRE(message_body(message) + message_body_length(message) ==
            (char *)message + message->length);
    return message;
}

static void note(struct transcript *to, const char *kind, const void *bytes, size_t length)
{
    REQUIRE(buffer_printf(&to->text, "%zu %s %zu ", to->position, kind, length) == 0);
    REQUIRE(buffer_append(&to->text, bytes, length) == 0);
    REQUIRE(buffer_puts(&to->text, "\n") == 0);
}

/* ---- JSON, against jansson ---- */

/* NULL when jansson can't hold what RFC 8259 allows: huge numbers, NUL in a member's name. */
static json_t *jansson_reads(const char *text, size_t length)
{
    json_error_t error;
    json_t *value = json_loadb(text, length, JSON_ALLOW_NUL, &error);
    if (value)
        return value;
    enum json_error_code code = json_error_code(&error);
    REQUIRE(code == json_error_numeric_overflow || code == json_error_null_byte_in_key);
    return NULL;
}

static void check_string(const json_t *value, const char *text, size_t length)
{
    REQUIRE(json_is_string(value) && json_string_length(value) == length);
    REQUIRE(memcmp(json_string_value(value), text, length) == 0);
}

/* The member means to jansson what the message has; without one, the message has the default. */
static void check_member(const json_t *object, const char *name, const char *text, size_t length,
                         const char *otherwise)
{
    const json_t *value = json_object_get(object, name);
    if (value && !json_is_null(value))
        check_string(value, text, length);
    else
        REQUIRE(length == strlen(otherwise) && memcmp(text, otherwise, length) == 0);
}

static bool has_control(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (((unsigned char)text[i] < 0x20 && text[i] != '\t') || text[i] == 0x7f)
            return true;
    return false;
}

/* Checks the headers of a message, and that an answer has those that come back. How many do. */
static unsigned check_headers(const struct request_message *message, const json_t *headers)
{
    unsigned back = 0;
    const char *at = message_headers(message), *end = at + message->header_bytes;
    for (unsigned i = 0; i < message->header_count; i++) {
        int number;
        const char *text;
        uint16_t length;
        at = message_header(at, &number, &text, &length);
        REQUIRE(number <= TRACESTATE_HEADER && at <= end && !has_control(text, length));
        back += number < TRAVEL_HEADERS;
        if (headers && number < TRAVEL_HEADERS)
            check_string(json_object_get(headers, travel_header_names[number]), text, length);
    }
    REQUIRE(at == end);
    return back;
}

static void check_bridge_reply(const struct request_message *message, enum wire_mode mode)
{
    cleanup_buffer struct buffer out = BUFFER_INIT(TEXT_MAX);
    struct reply reply = {.req_id = INT64_MAX, /* jansson's largest */
                          .status = 200,
                          .content_type = "text/plain; charset=utf-8",
                          .body = message_body(message),
                          .body_length = message_body_length(message),
                          .request = message};
    REQUIRE(reply_encode_bridge(&reply, mode, &out) == 0 && out.length <= out.capacity);
    struct wire_progress progress = {0};
    struct wire_span span;
    REQUIRE(wire_next(mode, out.data, out.length, TEXT_MAX, false, &progress, &span) == WIRE_FRAME);
    REQUIRE(span.taken == out.length);
    json_error_t error;
    json_auto_t *object = json_loadb(out.data + span.offset, span.length, JSON_ALLOW_NUL, &error);
    REQUIRE(json_object_size(object) == 4);
    check_string(json_object_get(object, "body"), reply.body, reply.body_length);
    const json_t *headers = json_object_get(object, "headers");
    REQUIRE(json_object_size(headers) == check_headers(message, headers) + 1u);
}

static void check_http_reply(const struct request_message *message)
{
    cleanup_buffer struct buffer out = BUFFER_INIT(TEXT_MAX);
    struct reply reply = {.status = 200,
                          .content_type = "text/plain",
                          .body = message_body(message),
                          .body_length = message_body_length(message),
                          .request = message};
    REQUIRE(reply_encode_http(&reply, "Sun, 06 Nov 1994 08:49:37 GMT", &out) == 0);
    REQUIRE(out.length <= out.capacity && out.length > reply.body_length);
    unsigned lines = 0;
    for (size_t i = 0; i < out.length - reply.body_length; i++)
        lines += out.data[i] == '\n';
    /* Status, Date, Content-Type, Content-Length, Connection, the blank one. */
    REQUIRE(lines == 6u + check_headers(message, NULL));
}

/* ---- traces ---- */

static const struct agent_config *trace_config(void)
{
    static struct agent_config *config;
    static const char text[] = "{\"apiVersion\":\"dpumesh.io/agent/v1alpha1\",\"service\":\"s0\","
                               "\"peers\":{\"s1\":{},\"s2\":{}}}";
    if (!config) {
        cleanup_problems struct problems problems = PROBLEMS_INIT;
        REQUIRE(agent_config_parse(text, sizeof text - 1, "fuzz", &config, &problems) == 0);
    }
    return config;
}

static void check_sentence(const char *sentence, size_t size)
{
    size_t length = strnlen(sentence, size);
    REQUIRE(length > 0 && length < size);
    for (size_t i = 0; i < length; i++)
        REQUIRE(sentence[i] >= ' ' && sentence[i] < 0x7f);
}

static void check_plan(struct plan *plan, const char *body, size_t length)
{
    uint32_t calls = 0;
    for (uint32_t i = 0; i < plan->group_count; i++) {
        REQUIRE(plan_groups(plan)[i].first == calls && plan_groups(plan)[i].count > 0);
        calls += plan_groups(plan)[i].count;
    }
    REQUIRE(calls == plan->call_count);
    for (uint32_t i = 0; i < calls; i++) {
        const struct plan_call *call = &plan_calls(plan)[i];
        REQUIRE(call->body_offset <= length && call->body_length <= length - call->body_offset);
        /* What the callee gets is a whole member. */
        cleanup_buffer struct buffer own = BUFFER_INIT(TEXT_MAX);
        REQUIRE(buffer_puts(&own, "{") == 0);
        REQUIRE(buffer_append(&own, body + call->body_offset, call->body_length) == 0);
        REQUIRE(buffer_puts(&own, "}") == 0);
        json_auto_t *value = jansson_reads(own.data, own.length);
        REQUIRE(!value || json_object_size(value) == 1);
    }
}

/* Where plans lie; made once. */
static struct arena *trace_arena(void)
{
    static struct arena arena;
    if (!arena.base)
        REQUIRE(arena_init(&arena, (size_t)16 << 20, NULL) == 0);
    return &arena;
}

static void check_trace(const char *body, size_t length)
{
    struct plan *plan;
    char sentence[PLAN_SENTENCE_MAX];
    if (plan_of_trace(trace_config(), body, length, trace_arena(), &plan, sentence) < 0) {
        check_sentence(sentence, sizeof sentence);
        return;
    }
    json_auto_t *value = jansson_reads(body, length);
    json_object_del(value, "dummy"); /* what muBench's newer cells put beside the service's key */
    REQUIRE(!value || json_object_size(value) == 1);
    check_plan(plan, body, length);
    plan_free(plan, trace_arena());
}

/* ---- the bridge ---- */

static void check_frame(const char *frame, size_t length, enum wire_mode mode,
                        struct transcript *to)
{
    struct request_draft draft;
    char sentence[WIRE_SENTENCE_MAX];
    if (wire_parse(frame, length, &draft, sentence) < 0) {
        check_sentence(sentence, sizeof sentence);
        note(to, "refused", sentence, strlen(sentence));
        return;
    }
    check_views(&draft, frame, length);
    struct request_message *message = message_of(&draft);
    json_auto_t *object = jansson_reads(frame, length);
    if (object) {
        check_member(object, "path", message_path(message), message->path_length, "/");
        check_member(object, "query_string", message_query(message), message->query_length, "");
        check_member(object, "body", message_body(message), message_body_length(message), "");
    }
    check_headers(message, NULL);
    check_bridge_reply(message, mode);
    check_http_reply(message);
    check_trace(message_body(message), message_body_length(message));
    note(to, "frame", message, message->length);
    free(message);
}

struct bridge {
    enum wire_mode mode;
    size_t max;
    struct wire_progress progress;
    bool skipping; /* lines: to the end of one that was too long */
    bool closed;
};

static size_t skip_line(struct bridge *bridge, const char *data, size_t length)
{
    const char *newline = memchr(data, '\n', length);
    bridge->skipping = !newline;
    return newline ? (size_t)(newline - data) + 1 : length;
}

/* Takes one frame off the front as agent/front_bridge.c does; false when more has to arrive. */
static bool bridge_step(struct bridge *bridge, const char *data, size_t length, bool ended,
                        struct transcript *to, size_t *ret_taken)
{
    struct wire_span span = {0}, again = {0};
    if (bridge->skipping) {
        *ret_taken = skip_line(bridge, data, length);
        return true;
    }
    enum wire_state state =
        wire_next(bridge->mode, data, length, bridge->max, ended, &bridge->progress, &span);
    *ret_taken = 0;
    if (state == WIRE_MORE)
        return false;
    REQUIRE(wire_next(bridge->mode, data, length, bridge->max, ended, &bridge->progress, &again) ==
            state);
    REQUIRE(memcmp(&span, &again, sizeof span) == 0);
    bridge->progress = (struct wire_progress){0};
    if (state == WIRE_FRAME || state == WIRE_BLANK) {
        REQUIRE(span.taken > 0 && span.taken <= length && span.offset <= length);
        REQUIRE(span.length <= length - span.offset);
        REQUIRE(span.length <= bridge->max);
        if (state == WIRE_FRAME)
            check_frame(data + span.offset, span.length, bridge->mode, to);
        *ret_taken = span.taken;
        return true;
    }
    note(to, state == WIRE_TOO_LARGE ? "too large" : "no object", "", 0);
    bridge->skipping = bridge->mode == WIRE_LINES;
    bridge->closed = !bridge->skipping;
    return bridge->skipping;
}

static void bridge_read(struct bridge *bridge, struct window *window, bool ended,
                        struct transcript *to)
{
    size_t taken = 0, step;
    while (taken < window->length && !bridge->closed &&
           bridge_step(bridge, window->data + taken, window->length - taken, ended, to, &step)) {
        taken += step;
        to->position += step;
    }
    if (ended && taken < window->length && !bridge->closed)
        note(to, "cut off", "", 0);
    window_set(window, bridge->closed ? window->length : taken, NULL, 0);
}

/* ---- HTTP ---- */

struct web {
    size_t max;
    struct http_progress progress;
    bool closed;
};

static void note_request(const struct http_request *request, const char *input, size_t length,
                         struct transcript *to)
{
    check_views(&request->draft, input, length);
    check_view(&request->target, input, length, "");
    check_view(&request->accept, input, length, "");
    REQUIRE(request->taken > 0 && request->taken <= length);
    struct request_message *message = message_of(&request->draft);
    check_headers(message, NULL);
    check_http_reply(message);
    check_trace(message_body(message), message_body_length(message));
    note(to, request->keep_alive ? "kept" : "last", message, message->length);
    note(to, "target", request->target.data, request->target.length);
    note(to, request->http10 ? "1.0" : "1.1", request->accept.data, request->accept.length);
    free(message);
}

/* Takes one request off the front as agent/front_http.c does; false when more has to arrive. */
static bool web_step(struct web *web, char *data, size_t length, struct transcript *to,
                     size_t *ret_taken)
{
    struct http_request request;
    struct http_error error;
    *ret_taken = 1;
    if (!web->progress.head_known && (data[0] == '\r' || data[0] == '\n')) {
        web->progress.searched = 0;
        return true;
    }
    *ret_taken = 0;
    switch (http_next(data, length, web->max, &web->progress, &request, &error)) {
    case HTTP_MORE:
        return false;
    case HTTP_BAD:
        note(to, error.sentence, &error.status, sizeof error.status);
        web->closed = true;
        return false;
    case HTTP_REQUEST:
        break;
    }
    note_request(&request, data, length, to);
    /* A front that had no room for the request asks again later. */
    size_t taken = request.taken, body = request.draft.body.length;
    REQUIRE(http_next(data, length, web->max, &web->progress, &request, &error) == HTTP_REQUEST);
    REQUIRE(request.taken == taken && request.draft.body.length == body);
    web->progress = (struct http_progress){0};
    web->closed = !request.keep_alive;
    *ret_taken = taken;
    return true;
}

static void web_read(struct web *web, struct window *window, struct transcript *to)
{
    size_t taken = 0, step;
    while (taken < window->length && !web->closed &&
           web_step(web, window->data + taken, window->length - taken, to, &step)) {
        taken += step;
        to->position += step;
    }
    window_set(window, web->closed ? window->length : taken, NULL, 0);
}

/* ---- one input ---- */

struct input {
    uint8_t kind;
    size_t max;
    uint8_t pieces[PIECES]; /* lengths, taken in turns; 0 is the whole rest */
    const char *bytes;
    size_t length;
};

static void read_all(const struct input *input, bool cut, struct transcript *to)
{
    struct bridge bridge = {.mode = input->length ? wire_mode_of(input->bytes[0]) : WIRE_ONE_SHOT,
                            .max = input->max};
    struct web web = {.max = input->max};
    struct window window = {NULL, 0};
    for (size_t at = 0, turn = 0; at < input->length; turn++) {
        size_t left = input->length - at, piece = cut ? input->pieces[turn % PIECES] : left;
        if (piece == 0 || piece > left)
            piece = left;
        window_set(&window, 0, input->bytes + at, piece);
        at += piece;
        if (input->kind == FUZZ_BRIDGE)
            bridge_read(&bridge, &window, false, to);
        else
            web_read(&web, &window, to);
    }
    if (input->kind == FUZZ_BRIDGE)
        bridge_read(&bridge, &window, true, to);
    free(window.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 + PIECES)
        return 0;
    size_t length = size - 2 - PIECES;
    char *bytes = xmalloc(length ? length : 1); /* so that a step past the end is seen */
    memcpy(bytes, data + 2 + PIECES, length);
    struct input input = {
        .kind = data[0], .max = (size_t)data[1] * 16 + 1, .bytes = bytes, .length = length};
    memcpy(input.pieces, data + 2, PIECES);
    if (input.kind == FUZZ_BRIDGE || input.kind == FUZZ_HTTP) {
        struct transcript whole = {.text = BUFFER_INIT(64 << 20)};
        struct transcript cut = {.text = BUFFER_INIT(64 << 20)};
        read_all(&input, false, &whole);
        read_all(&input, true, &cut);
        REQUIRE(whole.text.length == cut.text.length);
        REQUIRE(whole.text.length == 0 ||
                memcmp(whole.text.data, cut.text.data, cut.text.length) == 0);
        buffer_free(&whole.text);
        buffer_free(&cut.text);
    } else if (input.kind == FUZZ_TRACE) {
        check_trace(bytes, length);
    }
    free(bytes);
    return 0;
}
