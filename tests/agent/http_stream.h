/*
 * What test_http.c and test_http_caps.c share: a stream of requests is read as the front does, in
 * pieces of any size, and what was found is said in words that are compared:
 *
 *     METHOD path [?query] keep|last [1.0] [accept=...] [number=travelling header]... [body];
 *
 * for each request, then a refusal's status and sentence, or + and the bytes that are left over.
 * A failure is one of the Criterion test that calls.
 */
#ifndef DPUMESH_TESTS_AGENT_HTTP_STREAM_H
#define DPUMESH_TESTS_AGENT_HTTP_STREAM_H

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "agent/http.h"
#include "base/buffer.h"
#include "base/memory.h"

#define FORM_400  "400 the first line must read METHOD /path HTTP/1.1"
#define CHUNK_400 "400 a chunk of the body is malformed"
#define BODY_413  "413 the body is larger than limits.frameBytes"

enum { TEXT_MAX = 1 << 18 };

/* A request behind the one that is looked at: it shows where that one ended. */
#define NEXT      "GET /next HTTP/1.1\r\nHost: b\r\n\r\n"
#define NEXT_READ "GET /next keep;"

/* What has arrived and was not taken, in an allocation of exactly its size. */
struct window {
    char *data;
    size_t length;
};

/* Drops bytes at the front and appends others, at another place. */
static inline void window_move(struct window *w, size_t drop, const char *more, size_t length)
{
    size_t kept = w->length - drop;
    char *data = xmalloc(kept + length ? kept + length : 1);
    memcpy(data, w->data + drop, kept);
    memcpy(data + kept, more, length);
    free(w->data);
    *w = (struct window){data, kept + length};
}

static inline void describe(const struct http_request *r, struct buffer *said)
{
    static const char *const methods[] = {"GET", "POST", "HEAD", "OTHER"};
    const struct request_draft *d = &r->draft;
    cr_assert_eq(d->path.data, r->target.data);
    cr_assert_eq(d->query.data + d->query.length, r->target.data + r->target.length);
    cr_assert(d->query.data == d->path.data + d->path.length + 1 ||
              d->path.length == r->target.length);
    buffer_printf(said, "%s %.*s", methods[d->method], (int)d->path.length, d->path.data);
    if (d->path.length < r->target.length)
        buffer_printf(said, " ?%.*s", (int)d->query.length, d->query.data);
    buffer_printf(said, " %s%s", r->keep_alive ? "keep" : "last", r->http10 ? " 1.0" : "");
    if (r->accept.length)
        buffer_printf(said, " accept=%.*s", (int)r->accept.length, r->accept.data);
    for (int i = 0; i < TRAVEL_HEADERS; i++)
        if (d->header_mask & 1u << i)
            buffer_printf(said, " %d=%.*s", i, (int)d->headers[i].length, d->headers[i].data);
    if (d->body.length)
        buffer_printf(said, " [%.*s]", (int)d->body.length, d->body.data);
    buffer_puts(said, ";");
}

/* A front without a place for the answer asks once more: it is told the same. */
static inline enum http_state next_twice(struct window *w, size_t body_max, struct http_progress *p,
                                         struct http_request *request, struct http_error *error)
{
    struct http_request first;
    enum http_state state = http_next(w->data, w->length, body_max, p, &first, error);
    struct http_error again = *error;
    cr_assert_eq(http_next(w->data, w->length, body_max, p, request, &again), state);
    if (state == HTTP_REQUEST)
        cr_assert(request->taken == first.taken && request->taken <= w->length &&
                  request->draft.body.length == first.draft.body.length);
    if (state == HTTP_BAD)
        cr_assert(again.status == error->status && again.sentence == error->sentence);
    return state;
}

/* Takes all requests that are there, as the front does; false after a refusal. */
static inline bool take(struct window *w, size_t body_max, struct http_progress *p,
                        struct buffer *said)
{
    struct http_request request;
    struct http_error error = {0};
    while (w->length > 0) {
        if (!p->head_known && (w->data[0] == '\r' || w->data[0] == '\n')) {
            p->searched = 0;
            window_move(w, 1, "", 0);
            continue;
        }
        switch (next_twice(w, body_max, p, &request, &error)) {
        case HTTP_MORE:
            return true;
        case HTTP_BAD:
            buffer_printf(said, "%u %s", error.status, error.sentence);
            return false;
        case HTTP_REQUEST:
            describe(&request, said);
            window_move(w, request.taken, "", 0);
            *p = (struct http_progress){0};
            break;
        }
    }
    return true;
}

struct stream {
    const char *input;
    size_t length, body_max;
};

/* Reads a stream that comes as `first` bytes and then `step` at a time. */
static inline void check_pieces(const struct stream *s, size_t first, size_t step,
                                const char *expected)
{
    cleanup_buffer struct buffer said = BUFFER_INIT(TEXT_MAX);
    struct http_progress progress = {0};
    struct window w = {xmalloc(1), 0};
    size_t at = 0, piece = first;
    for (;; piece = step) {
        if (piece > s->length - at)
            piece = s->length - at;
        window_move(&w, 0, s->input + at, piece);
        at += piece;
        if (!take(&w, s->body_max, &progress, &said))
            break;
        if (at == s->length) {
            if (w.length)
                buffer_printf(&said, "+%zu", w.length);
            break;
        }
    }
    free(w.data);
    cr_assert_str_eq(buffer_terminate(&said), expected, "%zu and %zu at a time of '%.*s': %s",
                     first, step, s->length > 500 ? 500 : (int)s->length, s->input, said.data);
}

/* All at once, byte for byte, cut in two anywhere, and in small pieces. A long one in fewer ways.
 */
static inline void check_stream(const struct stream *s, const char *expected)
{
    const bool longer = s->length > 1000;
    check_pieces(s, s->length, 1, expected);
    check_pieces(s, 0, longer ? 997 : 1, expected);
    for (size_t step = 2; step < 8; step++)
        check_pieces(s, step, longer ? 4096 - step : step, expected);
    for (size_t cut = longer ? s->length - 300 : 0; cut < s->length; cut++)
        check_pieces(s, cut, s->length, expected);
}

#endif
