/*
 * protocols: what one call between two agents costs in HTTP/1.1 and in the bridge's JSON lines,
 * without a socket: the bytes that are written and read at both ends.
 *
 *     protocols [--calls N] [--rounds N]
 *
 * HTTP, and the callee's end of the bridge, are the agent's own functions. No agent is a client of
 * the bridge: what such a one would do is written here with the agent's own JSON reader and writer.
 * The two take turns; the median of the rounds counts. Prints one JSON object: for each kind of
 * call and each protocol, nanoseconds and bytes a call.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/forward_private.h"
#include "agent/http.h"
#include "agent/wire.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/option.h"

struct options_of_protocols {
    unsigned calls, rounds;
};

static const struct option_entry entries[] = {
    {0, "calls", OPTION_TO_UNSIGNED(struct options_of_protocols, calls), .argument = "N",
     .fallback = "20000", .min = 1000, .max = 100000000, .help = "Calls a round."},
    {0, "rounds", OPTION_TO_UNSIGNED(struct options_of_protocols, rounds), .argument = "N",
     .fallback = "31", .min = 1, .max = 10000, .help = "Rounds."},
};

static const struct option_command command = {
    .name = "protocols", .summary = "what a call costs in two protocols", OPTION_ENTRIES(entries)};

/* The parts of a call: who writes what, who reads it. */
enum part { ASK, HEAR, ANSWER, LEARN, PARTS };
static const char *const part_names[PARTS] = {"ask", "hear", "answer", "learn"};

enum { HTTP, BRIDGE, PROTOCOLS };
static const char *const protocol_names[PROTOCOLS] = {"http", "bridge"};

#define PLAIN "{\"path\": \"/api/v1\"}"
/* Of a service that was called itself, by somebody who traces: what travels on. */
#define TRACED                                                                                     \
    "{\"path\": \"/api/v1\", \"query_string\": \"bid=b1\", \"headers\": {"                         \
    "\"x-request-id\": \"1f0a3c9e-7f3c-4b0e-9a57-0f6f7f8e2d11\", "                                 \
    "\"traceparent\": \"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\"}}"

enum { BODY_MAX = 1 << 16, KINDS = 3 };
static const struct {
    const char *name, *request;
    size_t body_bytes; /* of the answer */
} kinds[KINDS] = {{"plain", PLAIN, 3}, {"traced", TRACED, 3}, {"large", TRACED, 11000}};

struct world {
    struct forward forward;         /* of it, the buffer that requests are written into */
    struct destination destination; /* of it, what a request needs: path, version, Host */
    const struct request_message *message;
    struct reply reply;
    struct buffer request, answer;
    uint64_t read; /* what readers found: must be what was written */
};

static void give_up(const char *what)
{
    fprintf(stderr, "protocols: %s\n", what);
    exit(1);
}

/* ---- HTTP ---- */

static void http_ask(struct world *w)
{
    struct forward_call call = {.message = w->message};
    if (request_encode(&w->forward, &w->destination, &call) < 0)
        give_up("no room for the request");
}

static void http_hear(struct world *w)
{
    struct http_progress progress = {0};
    struct http_request request;
    struct http_error error;
    if (http_next(w->forward.out.data, w->forward.out.length, BODY_MAX, &progress, &request,
                  &error) != HTTP_REQUEST)
        give_up("HTTP: the request was not read");
    w->read += request.draft.hops + request.draft.query.length;
}

static void http_answer_one(struct world *w)
{
    buffer_clear(&w->answer);
    w->reply.flags = REPLY_KEEP_ALIVE;
    if (reply_encode_http(&w->reply, "Sun, 06 Nov 1994 08:49:37 GMT", &w->answer) < 0)
        give_up("no room for the answer");
}

static void http_learn(struct world *w)
{
    struct http_answer answer = {0};
    size_t taken;
    if (http_answer_feed(&answer, w->answer.data, w->answer.length, BODY_MAX, &taken) !=
        HTTP_ANSWER_DONE)
        give_up("HTTP: the answer was not read");
    w->read += answer.status + answer.body_bytes;
    http_answer_reset(&answer);
}

/* ---- the bridge ---- */

static char *put(char *out, const char *text, size_t length)
{
    return (char *)mempcpy(out, text, length);
}

#define PUT(out, literal) put((out), (literal), sizeof(literal) - 1)

static char *put_headers(char *out, const struct request_message *m)
{
    const char *at = message_headers(m);
    for (unsigned i = 0; i < m->header_count; i++) {
        int number;
        const char *text;
        uint16_t length;
        at = message_header(at, &number, &text, &length);
        *out++ = '"';
        out = put(out, travel_header_names[number], strlen(travel_header_names[number]));
        out = PUT(out, "\":\"");
        out = json_escape(text, length, out);
        out = PUT(out, "\",");
    }
    return PUT(out, "\"x-dpumesh-hops\":\"1\"");
}

static void bridge_ask(struct world *w)
{
    const struct request_message *m = w->message;
    const char *path = w->destination.url.path;
    buffer_clear(&w->request);
    if (buffer_reserve(&w->request, 512 + 6 * (size_t)(m->query_length + m->header_bytes) +
                                        64 * (size_t)m->header_count) < 0)
        give_up("no room for the request");
    char *out = PUT(w->request.data, "{\"method\":\"GET\",\"path\":\"");
    out = put(out, path, strlen(path));
    out = PUT(out, "\",\"query_string\":\"");
    out = json_escape(message_query(m), m->query_length, out);
    out = PUT(out, "\",\"headers\":{");
    out = put_headers(out, m);
    out = PUT(out, "}}\n");
    w->request.length = (size_t)(out - w->request.data);
}

static void next_line(const struct buffer *text, struct wire_span *span)
{
    struct wire_progress progress = {0};
    if (wire_next(WIRE_LINES, text->data, text->length, BODY_MAX, false, &progress, span) !=
        WIRE_FRAME)
        give_up("the bridge: a line was not found");
}

static void bridge_hear(struct world *w)
{
    struct wire_span span;
    struct request_draft draft;
    char sentence[WIRE_SENTENCE_MAX];
    next_line(&w->request, &span);
    if (wire_parse(w->request.data + span.offset, span.length, &draft, sentence) < 0)
        give_up(sentence);
    w->read += draft.hops + draft.query.length;
}

static void bridge_answer(struct world *w)
{
    buffer_clear(&w->answer);
    if (reply_encode_bridge(&w->reply, WIRE_LINES, &w->answer) < 0)
        give_up("no room for the answer");
}

/* As little as a client may do: the line is checked as JSON, status and the body's length kept. */
static void bridge_learn(struct world *w)
{
    struct wire_span span;
    next_line(&w->answer, &span);
    struct json_cursor c = json_cursor(w->answer.data + span.offset, span.length);
    struct json_text key, body = {0};
    unsigned status = 0;
    int more;
    for (more = json_object_begin(&c); more > 0; more = json_object_next(&c)) {
        if (json_key(&c, &key) < 0)
            break;
        json_peek(&c);
        const char *begin = c.at;
        if (json_text_is(&key, "body") ? json_read_string(&c, &body) < 0 : json_skip(&c) < 0)
            break;
        if (json_text_is(&key, "status"))
            status = (unsigned)strtoul(begin, NULL, 10);
    }
    if (more != 0 || c.error || json_finish(&c) < 0)
        give_up("the bridge: the answer was not read");
    w->read += status + body.length;
}

static void (*const parts[PROTOCOLS][PARTS])(struct world *) = {
    [HTTP] = {http_ask, http_hear, http_answer_one, http_learn},
    [BRIDGE] = {bridge_ask, bridge_hear, bridge_answer, bridge_learn},
};

/* ---- rounds ---- */

static struct request_message *make_message(const char *frame)
{
    struct request_draft draft;
    char sentence[WIRE_SENTENCE_MAX];
    if (wire_parse(frame, strlen(frame), &draft, sentence) < 0)
        give_up(sentence);
    struct request_message *message = xcalloc(1, draft_length(&draft));
    draft_write(&draft, 0, message);
    return message;
}

static double round_ns(struct world *w, void (*part)(struct world *), unsigned calls)
{
    uint64_t begin_ns = clock_thread_cpu_ns();
    for (unsigned i = 0; i < calls; i++)
        part(w);
    return (double)(clock_thread_cpu_ns() - begin_ns) / calls;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, unsigned count)
{
    qsort(values, count, sizeof *values, by_value);
    return values[count / 2];
}

static json_t *measure(struct world *w, const struct options_of_protocols *options)
{
    double *ns = xcalloc((size_t)PROTOCOLS * PARTS * options->rounds, sizeof *ns);
    size_t bytes[PROTOCOLS];
    uint64_t read[PROTOCOLS] = {0, 0};
    for (unsigned round = 0; round < options->rounds; round++)
        for (unsigned protocol = 0; protocol < PROTOCOLS; protocol++) {
            w->read = 0;
            for (unsigned part = 0; part < PARTS; part++)
                ns[(protocol * PARTS + part) * options->rounds + round] =
                    round_ns(w, parts[protocol][part], options->calls);
            read[protocol] = w->read;
            bytes[protocol] =
                w->answer.length + (protocol == HTTP ? w->forward.out.length : w->request.length);
        }
    if (read[HTTP] != read[BRIDGE])
        give_up("the two protocols did not carry the same");
    json_t *report = json_object();
    for (unsigned protocol = 0; protocol < PROTOCOLS; protocol++) {
        json_t *one = json_object();
        for (unsigned part = 0; part < PARTS; part++)
            json_object_set_new(one, part_names[part],
                                json_real(median(&ns[(protocol * PARTS + part) * options->rounds],
                                                 options->rounds)));
        json_object_set_new(one, "bytes", json_integer((json_int_t)bytes[protocol]));
        json_object_set_new(report, protocol_names[protocol], one);
    }
    free(ns);
    return report;
}

int main(int argc, char **argv)
{
    struct options_of_protocols options;
    cleanup_options struct options parsed = OPTIONS_INIT;
    cleanup_error struct error *err = NULL;
    int ret = options_parse(&command, argc, argv, &options, &parsed, &err);
    if (ret != 0)
        return options_exit(&command, ret, err);

    static char body[BODY_MAX], tail[] = " HTTP/1.1\r\nHost: s1:8080\r\n";
    memset(body, 'm', sizeof body);
    struct world w = {
        .forward = {.out = BUFFER_INIT(2 * BODY_MAX)},
        .destination = {.url = {.path = "/api/v1"}, .tail = tail},
        .reply = {.req_id = 4711,
                  .status = 200,
                  .content_type = "text/plain; charset=utf-8",
                  .body = body,
                  .plain = true},
        .request = BUFFER_INIT(BODY_MAX),
        .answer = BUFFER_INIT(2 * BODY_MAX),
    };
    json_auto_t *report = json_object();
    for (unsigned i = 0; i < KINDS; i++) {
        cleanup_free struct request_message *message = make_message(kinds[i].request);
        w.message = w.reply.request = message;
        w.reply.body_length = kinds[i].body_bytes;
        json_object_set_new(report, kinds[i].name, measure(&w, &options));
    }
    buffer_free(&w.forward.out);
    buffer_free(&w.request);
    buffer_free(&w.answer);
    cleanup_free char *text = json_dumps(report, JSON_INDENT(1) | JSON_REAL_PRECISION(5));
    puts(text);
    return 0;
}
