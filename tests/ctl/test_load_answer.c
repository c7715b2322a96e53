#include "ctl/load_answer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

/*
 * Feeds the stream in pieces of `step` bytes and writes what came out: "200/1 " a status and
 * req_id, "bad " and no more, and at the end "cut " or the last answer with its surplus as "+1".
 */
static const char *read_all(enum load_answer_kind kind, const char *stream, size_t step)
{
    static char out[512];
    struct load_reader reader;
    struct load_answer answer;
    size_t length = strlen(stream), used = 0;
    int r = 0;

    out[0] = '\0';
    load_reader_init(&reader, kind);
    for (size_t at = 0; at < length && r >= 0; at += step) {
        const char *data = stream + at;
        size_t size = length - at < step ? length - at : step;
        while ((r = load_reader_next(&reader, &data, &size, &answer)) > 0)
            used += (size_t)snprintf(out + used, sizeof(out) - used, "%d/%d ", answer.status,
                                     (int)answer.req_id);
        if (r < 0)
            used += (size_t)snprintf(out + used, sizeof(out) - used, "bad ");
        else
            cr_assert_eq(size, 0, "bytes were left");
    }
    if (r >= 0) {
        answer.surplus = 0;
        r = load_reader_end(&reader, &answer);
        if (r > 0)
            used += (size_t)snprintf(out + used, sizeof(out) - used, "%d/%d+%u ", answer.status,
                                     (int)answer.req_id, answer.surplus);
        else if (r < 0)
            snprintf(out + used, sizeof(out) - used, "cut ");
    }
    load_reader_free(&reader);
    return out;
}

struct stream {
    enum load_answer_kind kind;
    const char *text, *expected;
};

/* However a stream is cut into pieces, the same answers come out. */
static void check(const struct stream *streams, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t step = 1; step <= strlen(streams[i].text) + 1; step++) {
            const char *got = read_all(streams[i].kind, streams[i].text, step);
            cr_assert_str_eq(got, streams[i].expected, "stream %zu in pieces of %zu: \"%s\"", i,
                             step, got);
        }
    }
}
#define CHECK(streams) check(streams, sizeof(streams) / sizeof((streams)[0]))

#define OURS(id, status)                                                                           \
    "{\"req_id\": " #id ", \"status\": " #status ", \"headers\": {}, \"body\": \"m\"}"

Test(load_answer, frames)
{
    static const struct stream streams[] = {
        {LOAD_ANSWER_FRAMES, "", ""},
        {LOAD_ANSWER_FRAMES, "\n \r\n", ""},
        {LOAD_ANSWER_FRAMES, OURS(1, 200) "\n" OURS(2, 503) "\r\n" OURS(345, 200) "\n",
         "200/1 503/2 200/345 "},
        {LOAD_ANSWER_FRAMES, OURS(1, 200) "\n" OURS(2, 200), "200/1 200/2+0 "},
        {LOAD_ANSWER_FRAMES, OURS(1, 200) "\n{\"req_id\": 2, \"sta", "200/1 cut "},
        {LOAD_ANSWER_FRAMES, OURS(1, 200) "\nhello\n" OURS(2, 200) "\n", "200/1 bad "},
        {LOAD_ANSWER_FRAMES, OURS(1, 200) OURS(2, 200) "\n", "200/1 "},
        {LOAD_ANSWER_FRAMES, "{\"body\":\"\\\\\\\"}\",\"status\":418}\n", "418/-1 "},
        {LOAD_ANSWER_FRAMES, "{\"req_id\": 1, \"status\": 99, \"x\": \"yyyyyyyyyyyy\"}\n", "bad "},
        {LOAD_ANSWER_FRAMES, "{\"req_id\": 1, \"status\": 2000, \"x\": \"yyyyyyyyyy\"}\n", "bad "},
        {LOAD_ANSWER_ANY, "hello\n\n world \nx", "0/-1 0/-1 cut "},
    };
    CHECK(streams);
}

Test(load_answer, objects)
{
    static const struct stream streams[] = {
        {LOAD_ANSWER_OBJECT, "", ""},
        {LOAD_ANSWER_OBJECT, " \n", ""},
        {LOAD_ANSWER_OBJECT, OURS(7, 200), "200/7+0 "},
        {LOAD_ANSWER_OBJECT, " " OURS(7, 200) " \n ", "200/7+0 "},
        {LOAD_ANSWER_OBJECT, OURS(7, 200) OURS(8, 200) " " OURS(9, 200), "200/7+2 "},
        {LOAD_ANSWER_OBJECT, OURS(7, 200) "x", "cut "},
        {LOAD_ANSWER_OBJECT, "[1]", "cut "},
        {LOAD_ANSWER_OBJECT, "{\"status\": 200", "cut "},
        {LOAD_ANSWER_OBJECT, "{\"status\": 200, }", "cut "},
        {LOAD_ANSWER_OBJECT, "{\"status\": \"200\"}", "cut "},
        {LOAD_ANSWER_OBJECT, "{\"status\": 2e2}", "cut "},
        {LOAD_ANSWER_OBJECT, "{}", "cut "},
        {LOAD_ANSWER_OBJECT, "{\"a\": {\"status\": 500}, \"status\" : 201 }", "201/-1+0 "},
        {LOAD_ANSWER_OBJECT, "{\"a\": [\"]\", {\"b\": \"\\\"}\"}], \"status\": 204, \"z\": null}",
         "204/-1+0 "},
        {LOAD_ANSWER_OBJECT, "{\"status\": 200, \"req_id\": 123456789012345678901}", "200/-1+0 "},
    };
    CHECK(streams);
}

Test(load_answer, http)
{
    static const struct stream streams[] = {
        {LOAD_ANSWER_HTTP, "", ""},
        {LOAD_ANSWER_HTTP, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "200/-1 "},
        {LOAD_ANSWER_HTTP,
         "HTTP/1.1 200 OK\r\nCONTENT-LENGTH:  0 \r\nX-Request-Id: 12\r\n\r\n"
         "HTTP/1.1 503 Full\r\nContent-Length: 1\r\n\r\n\nHTTP/1.1 204 None\r\n\r\n",
         "200/12 503/-1 204/-1 "},
        {LOAD_ANSWER_HTTP,
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nab\r\n\r\nA;x\r\n0123456789\r\n"
         "0\r\n\r\nHTTP/1.1 404 x\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\nT: v\r\n\r\n",
         "200/-1 404/-1 "},
        {LOAD_ANSWER_HTTP, "HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
         "200/-1 "},
        {LOAD_ANSWER_HTTP, "HTTP/1.0 200 OK\r\n\r\nto the end", "200/-1+0 "},
        {LOAD_ANSWER_HTTP, "HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\nshort", "cut "},
        {LOAD_ANSWER_HTTP, "HTTP/1.1 200 OK\r\nContent-Le", "cut "},
        {LOAD_ANSWER_HTTP, "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "bad "},
        {LOAD_ANSWER_HTTP, "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "bad "},
        {LOAD_ANSWER_HTTP, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "bad "},
        {LOAD_ANSWER_HTTP, "HTTP/2 200\r\n\r\n", "bad "},
        {LOAD_ANSWER_HTTP, "{\"status\": 200}\r\n\r\n", "bad "},
    };
    CHECK(streams);
}

/* HEAD: no body follows, whatever Content-Length says; and a server's wish to close is seen. */
Test(load_answer, http_head_and_close)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: Close\r\n\r\n";
    struct load_reader reader;
    struct load_answer answer;
    const char *data = text;
    size_t length = sizeof(text) - 1;

    load_reader_init(&reader, LOAD_ANSWER_HTTP);
    reader.no_body = true;
    cr_assert_eq(load_reader_next(&reader, &data, &length, &answer), 1);
    cr_assert(reader.close);
    cr_assert_eq(length, 0);
    load_reader_reset(&reader);
    cr_assert(reader.no_body && !reader.close);
    load_reader_free(&reader);
}

/* A head or a frame without an end is refused at its cap, not kept for ever. */
Test(load_answer, caps)
{
    static char zeros[1 << 20];
    struct load_reader reader;
    struct load_answer answer;
    int r = 0;
    memset(zeros, 'x', sizeof(zeros));
    for (int kind = LOAD_ANSWER_OBJECT; kind <= LOAD_ANSWER_HTTP; kind++) {
        size_t fed = 0,
               cap = kind == LOAD_ANSWER_HTTP ? LOAD_ANSWER_HEAD_MAX : LOAD_ANSWER_BYTES_MAX;
        load_reader_init(&reader, (enum load_answer_kind)kind);
        for (r = 0; r == 0 && fed <= cap + sizeof(zeros); fed += sizeof(zeros)) {
            const char *data = zeros;
            size_t length = sizeof(zeros);
            r = load_reader_next(&reader, &data, &length, &answer);
        }
        cr_assert_eq(r, -EPROTO, "kind %d took %zu bytes", kind, fed);
        load_reader_free(&reader);
    }
}

/* An agent that does not keep the model's time says so in a header, whichever way it is read. */
Test(load_answer, a_busy_host_is_seen)
{
    static const struct {
        enum load_answer_kind kind;
        const char *text;
        bool busy;
    } rows[] = {
        {LOAD_ANSWER_FRAMES,
         "{\"req_id\": 1, \"status\": 200, \"headers\": {\"Content-Type\": \"text/plain\", "
         "\"X-Dpumesh-Host-Busy\": \"1\"}, \"body\": \"m\"}\n",
         true},
        {LOAD_ANSWER_FRAMES,
         "{\"headers\": {\"X-Dpumesh-Host-Busy\": \"1\"}, \"status\": 200, \"body\": \"m\"}\n",
         true},
        {LOAD_ANSWER_FRAMES,
         "{\"req_id\": 1, \"status\": 200, \"headers\": {}, \"body\": \"X-Dpumesh-Host-Busy\"}\n",
         false},
        {LOAD_ANSWER_HTTP,
         "HTTP/1.1 200 OK\r\nx-dpumesh-host-busy: 1\r\nContent-Length: 1\r\n\r\nm", true},
        {LOAD_ANSWER_HTTP, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nm", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct load_reader reader;
        struct load_answer answer = {.host_busy = !rows[i].busy};
        const char *data = rows[i].text;
        size_t length = strlen(data);
        load_reader_init(&reader, rows[i].kind);
        cr_assert_eq(load_reader_next(&reader, &data, &length, &answer), 1, "row %zu", i);
        cr_expect_eq(answer.host_busy, rows[i].busy, "row %zu", i);
        load_reader_free(&reader);
    }
}
