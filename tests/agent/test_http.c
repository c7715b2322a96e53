#include <stdio.h>

#include "http_stream.h"

enum { BODY_MAX = 100 };

#define TARGET_400    "400 a control character stands in the request's target"
#define NO_PATH_400   "400 the request's target has no path; end it with /"
#define VERSION_505   "505 only HTTP/1.1 and HTTP/1.0 are spoken here"
#define LINE_400      "400 a header line must read Name: value"
#define CONTROL_400   "400 a control character stands in a header"
#define HOST_400      "400 one Host header is required"
#define LENGTH_400    "400 Content-Length must be a number of bytes"
#define DIFFERING_400 "400 Content-Length is given twice, with different values"
#define CODING_400    "400 the only Transfer-Encoding known here is chunked"
#define BOTH_400      "400 Transfer-Encoding can't stand beside Content-Length or in HTTP/1.0"
#define TWICE_400     "400 a tracing header is given twice"

/* input: with @ for a NUL byte. A case whose expectation ends in ';' was read, and so is NEXT. */
static void check(const struct buffer *input, const char *expected)
{
    cleanup_buffer struct buffer all = BUFFER_INIT(TEXT_MAX), wanted = BUFFER_INIT(TEXT_MAX);
    buffer_append(&all, input->data, input->length);
    buffer_puts(&all, NEXT);
    for (size_t i = 0; i < all.length; i++)
        if (all.data[i] == '@')
            all.data[i] = '\0';
    buffer_puts(&wanted, expected);
    if (expected[strlen(expected) - 1] == ';')
        buffer_puts(&wanted, NEXT_READ);
    struct stream s = {all.data, all.length, BODY_MAX};
    check_stream(&s, buffer_terminate(&wanted));
}

struct http_case {
    const char *input, *expected;
};

static void check_cases(const char *before, const char *after, const struct http_case *cases,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        cleanup_buffer struct buffer input = BUFFER_INIT(TEXT_MAX);
        buffer_puts(&input, before);
        buffer_puts(&input, cases[i].input);
        buffer_puts(&input, after);
        check(&input, cases[i].expected);
    }
}

#define CHECK_CASES(before, after, cases)                                                          \
    check_cases(before, after, cases, sizeof(cases) / sizeof((cases)[0]))

Test(http, request_lines, .timeout = 100)
{
    static const struct http_case cases[] = {
        {"GET / HTTP/1.1", "GET / keep;"},
        {"POST /a/b HTTP/1.1", "POST /a/b keep;"},
        {"HEAD /a?x=1 HTTP/1.1", "HEAD /a ?x=1 keep;"},
        {"GET / HTTP/1.0", "GET / last 1.0;"},
        /* Methods are told apart by case, and may be any token. */
        {"get / HTTP/1.1", "OTHER / keep;"},
        {"POSTS / HTTP/1.1", "OTHER / keep;"},
        {"!#$%&'*+-.^_`|~09azAZ / HTTP/1.1", "OTHER / keep;"},
        {"G(T / HTTP/1.1", FORM_400},
        {"G\xc3\xa9T / HTTP/1.1", FORM_400},
        {"G@T / HTTP/1.1", FORM_400},
        {"GET\t/ HTTP/1.1", FORM_400},
        {" / HTTP/1.1", FORM_400},
        /* Targets. */
        {"GET /? HTTP/1.1", "GET / ? keep;"},
        {"GET /a?b?c=/d%20&e HTTP/1.1", "GET /a ?b?c=/d%20&e keep;"},
        {"GET ?a HTTP/1.1", "GET  ?a keep;"},
        {"GET /\xc3\xa9 HTTP/1.1", "GET /\xc3\xa9 keep;"},
        {"OPTIONS * HTTP/1.1", "OTHER * keep;"},
        {"GET http://host/a?b HTTP/1.1", "GET /a ?b keep;"},
        {"GET HTTP://host:80/ HTTP/1.1", "GET / keep;"},
        {"GET http://host HTTP/1.1", NO_PATH_400},
        {"GET http://host?next=/a HTTP/1.1", NO_PATH_400},
        {"GET /http://host/ HTTP/1.1", "GET /http://host/ keep;"},
        {"GET /\x01 HTTP/1.1", TARGET_400},
        {"GET /\x7f HTTP/1.1", TARGET_400},
        {"GET /@ HTTP/1.1", TARGET_400},
        {"GET /a\tb HTTP/1.1", TARGET_400},
        {"GET /a\rb HTTP/1.1", TARGET_400},
        {"GET /a b HTTP/1.1", TARGET_400},
        {"GET  / HTTP/1.1", TARGET_400},
        {"GET /  HTTP/1.1", TARGET_400},
        /* Versions. */
        {"GET / HTTP/1.2", VERSION_505},
        {"GET / HTTP/2.0", VERSION_505},
        {"GET / HTTP/0.9", VERSION_505},
        {"GET / HTTP/1,1", VERSION_505},
        {"GET / HTTP/1.10", FORM_400},
        {"GET / HTTP/2", FORM_400},
        {"GET / http/1.1", FORM_400},
        {"GET / HTTP/1.1 ", FORM_400},
        {"GET / HTTP/1.1\r", FORM_400},
        {"GET /", FORM_400},
        {"GET HTTP/1.1", FORM_400},
        {"GET  HTTP/1.1", FORM_400},
        {"GET", FORM_400},
        {"", FORM_400},
        {"{\"path\":\"/\"}", FORM_400},
        {"\x16\x03\x01\x02", FORM_400},
    };
    CHECK_CASES("", "\r\nHost: s\r\n\r\n", cases);
}

Test(http, header_lines, .timeout = 100)
{
    static const struct http_case cases[] = {
        {"", "POST / keep;"},
        {"X:\r\n", "POST / keep;"},
        {"X:y\r\n", "POST / keep;"},
        {"X: a\tb:c \xff\r\n", "POST / keep;"},
        {"no colon\r\n", LINE_400},
        {": no name\r\n", LINE_400},
        {"X-Y : z\r\n", LINE_400},
        {"X\t: z\r\n", LINE_400},
        {"X Y: z\r\n", LINE_400},
        {" X: z\r\n", LINE_400},
        {"X: y\r\n folded\r\n", LINE_400},
        {"X: y\r\n\tfold: ed\r\n", LINE_400},
        {"X\x01: y\r\n", LINE_400},
        {"X@: y\r\n", LINE_400},
        {"\r\r\n", LINE_400},
        {"X: a\x01\r\n", CONTROL_400},
        {"X: a\x7f"
         "b\r\n",
         CONTROL_400},
        {"X: @\r\n", CONTROL_400},
        {"X: a\rY: b\r\n", CONTROL_400},
        {"X: y\r\r\n", CONTROL_400},
        {"Content-Length: 0\r\nX: \v\r\n", CONTROL_400},
        {"Host: s\r\n", HOST_400},
        {"hOST:\r\n", HOST_400},
        {"Hostess: s\r\nHos: s\r\n", "POST / keep;"},
        /* Whether the connection stays open. */
        {"Connection: close\r\n", "POST / last;"},
        {"connection:upgrade ,\tCLOSE , x\r\n", "POST / last;"},
        {"Connection: ,,close\r\n", "POST / last;"},
        {"Connection: x, close\t, y\r\n", "POST / last;"},
        {"Connection: keep-alive\r\nConnection: close\r\n", "POST / last;"},
        {"Connection: close\r\nConnection: keep-alive\r\n", "POST / last;"},
        {"Connection: keep-alive, close\r\n", "POST / last;"},
        {"Connection: closed\r\nConnection: x-close, clos\r\n", "POST / keep;"},
        {"Connection: close x\r\nConnections: close\r\n", "POST / keep;"},
        {"Connection:\r\n", "POST / keep;"},
        {"X-Connection: close\r\n", "POST / keep;"},
        /* Headers that are handed on. */
        {"Accept: text/plain;q=0.5, */*\r\n", "POST / keep accept=text/plain;q=0.5, */*;"},
        {"aCCEPT:\ta \t\r\nAccept-Encoding: b\r\n", "POST / keep accept=a;"},
        {"X-Request-ID: abc\r\ntraceparent:\t x y \t\r\n", "POST / keep 0=abc 11=x y;"},
        {"x-cloud-trace-context:\r\n", "POST / keep 12=;"},
        {"X-Request-Ids: a\r\nX-Request-I: b\r\n", "POST / keep;"},
        {"X-B3-Flags: 1\r\nx-b3-flags: 1\r\n", TWICE_400},
    };
    static const struct http_case old[] = {
        {"", "GET / last 1.0;"},
        {"Host: s\r\n", "GET / last 1.0;"},
        {"Host: s\r\nHost: s\r\n", HOST_400},
        {"Connection: keep-alive\r\n", "GET / keep 1.0;"},
        {"Connection: x, Keep-Alive\r\n", "GET / keep 1.0;"},
        {"Connection: keep-alive, close\r\n", "GET / last 1.0;"},
        {"Connection: keep\r\n", "GET / last 1.0;"},
        {"Transfer-Encoding: chunked\r\n", BOTH_400},
    };
    static const struct http_case hostless[] = {{"", HOST_400}, {"X: y\r\n", HOST_400}};
    CHECK_CASES("POST / HTTP/1.1\r\nHost: s\r\n", "\r\n", cases);
    CHECK_CASES("GET / HTTP/1.0\r\n", "\r\n", old);
    CHECK_CASES("GET / HTTP/1.1\r\n", "\r\n", hostless);
}

/* A lone LF ends a line of the head, a lone CR does not; blank lines before a request are none. */
Test(http, line_ends, .timeout = 100)
{
    static const struct http_case cases[] = {
        {"GET / HTTP/1.1\nHost: s\n\n", "GET / keep;"},
        {"GET / HTTP/1.1\r\nHost: s\n\r\n", "GET / keep;"},
        {"GET / HTTP/1.1\nHost: s\r\n\n", "GET / keep;"},
        {"\r\n\n\r\nGET / HTTP/1.1\r\nHost: s\r\n\r\n\r\n", "GET / keep;"},
        {"\rGET / HTTP/1.1\r\nHost: s\r\n\r\n", "GET / keep;"},
        {"GET / HTTP/1.1\n\nHost: s\n\n", HOST_400},
        {"GET / HTTP/1.1\rHost: s\r\r", TARGET_400},
    };
    CHECK_CASES("", "", cases);
}

Test(http, lengths_of_bodies, .timeout = 100)
{
    static const struct http_case cases[] = {
        {"Content-Length: 5\r\n\r\nhello", "POST / keep [hello];"},
        {"content-length:\t5 \r\n\r\n\r\n\r\nX", "POST / keep [\r\n\r\nX];"},
        {"Content-Length: 0\r\n\r\n", "POST / keep;"},
        /* Eighteen digits are the most; the same length may be said again. */
        {"Content-Length: 000000000000000005\r\n\r\nhello", "POST / keep [hello];"},
        {"Content-Length: 0000000000000000005\r\n\r\nhello", LENGTH_400},
        {"Content-Length: 999999999999999999\r\n\r\n", BODY_413},
        {"Content-Length: 18446744073709551621\r\n\r\nhello", LENGTH_400},
        {"Content-Length: 5\r\nContent-Length: 05\r\n\r\nhello", "POST / keep [hello];"},
        {"Content-Length: 5\r\nCONTENT-LENGTH: 6\r\n\r\nhello!", DIFFERING_400},
        {"Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello", DIFFERING_400},
        {"Content-Length: 5, 5\r\n\r\nhello", LENGTH_400},
        {"Content-Length: 5 5\r\n\r\nhello", LENGTH_400},
        {"Content-Length: +5\r\n\r\nhello", LENGTH_400},
        {"Content-Length: -5\r\n\r\nhello", LENGTH_400},
        {"Content-Length: 0x5\r\n\r\nhello", LENGTH_400},
        {"Content-Length: 5.0\r\n\r\nhello", LENGTH_400},
        {"Content-Length: 5/\r\n\r\nhello", LENGTH_400},
        {"Content-Length: :5\r\n\r\nhello", LENGTH_400},
        {"Content-Length:\r\n\r\nhello", LENGTH_400},
        {"Content-Length: 5\v\r\n\r\nhello", CONTROL_400},
        {"Content-Length : 5\r\n\r\nhello", LINE_400},
        {"Content-Lengths: x\r\n\r\n", "POST / keep;"},
        /* muBench's filler is read to its end, and left out. */
        {"Request-Type: iot\r\nContent-Length: 5\r\n\r\nhello", "POST / keep;"},
        {"Content-Length: 5\r\nrequest-type:IOT \r\n\r\nhello", "POST / keep;"},
        {"request-type: iot\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
         "POST / keep;"},
        {"request-type: tracedriven\r\nContent-Length: 5\r\n\r\nhello", "POST / keep [hello];"},
        {"request-types: iot\r\nContent-Length: 5\r\n\r\nhello", "POST / keep [hello];"},
        /* Request smuggling: two ways to say where the body ends, or one that is not known. */
        {"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", BOTH_400},
        {"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", BOTH_400},
        {"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", BOTH_400},
        {"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "POST / keep;"},
        {"tRANSFER-eNCODING:\tCHUNKED \r\n\r\n1\r\nx\r\n0\r\n\r\n", "POST / keep [x];"},
        {"Transfer-Encoding: gzip\r\n\r\n0\r\n\r\n", CODING_400},
        {"Transfer-Encoding: identity\r\n\r\n", CODING_400},
        {"Transfer-Encoding:\r\n\r\n", CODING_400},
        {"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", CODING_400},
        {"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", CODING_400},
        {"Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n", CODING_400},
        {"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", CODING_400},
        {"Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", CODING_400},
        {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", CODING_400},
        {"Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n", CODING_400},
        {"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", LINE_400},
        {"Transfer-Encoding\r\n : chunked\r\n\r\n0\r\n\r\n", LINE_400},
        {"Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n", CONTROL_400},
        {"Transfer-Encoding: chunked@\r\n\r\n0\r\n\r\n", CONTROL_400},
    };
    CHECK_CASES("POST / HTTP/1.1\r\nHost: s\r\n", "", cases);
}

Test(http, chunks, .timeout = 100)
{
    static const struct http_case cases[] = {
        {"0\r\n\r\n", "POST / keep;"},
        {"5\r\nhello\r\n0\r\n\r\n", "POST / keep [hello];"},
        {"1\r\nh\r\n3\r\nell\r\n1\r\no\r\n0\r\n\r\n", "POST / keep [hello];"},
        {"a\r\n0123456789\r\nB\r\nabcdefghijk\r\n000\r\n\r\n",
         "POST / keep [0123456789abcdefghijk];"},
        {"00000011\r\n0123456789abcdefg\r\n0\r\n\r\n", "POST / keep [0123456789abcdefg];"},
        /* Data that looks like framing. */
        {"7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", "POST / keep [\r\n0\r\n\r\n];"},
        /* Extensions and trailers are read past. */
        {"5;a=b;c=\"d \xff\"\r\nhello\r\n0;z\r\n\r\n", "POST / keep [hello];"},
        {"5 \t;a\r\nhello\r\n0\t\r\n\r\n", "POST / keep [hello];"},
        {"2;\r\nab\r\n0\r\nA: b\r\nHost: x\r\nContent-Length: 9\r\n\r\n", "POST / keep [ab];"},
        /* Sizes that are none. */
        {"\r\n\r\n", CHUNK_400},
        {"g\r\n0123456789abcdef\r\n0\r\n\r\n", CHUNK_400},
        {"G\r\n0123456789abcdef\r\n0\r\n\r\n", CHUNK_400},
        {"-5\r\nhello\r\n", CHUNK_400},
        {"+5\r\nhello\r\n", CHUNK_400},
        {" 5\r\nhello\r\n", CHUNK_400},
        {"0x5\r\nhello\r\n", CHUNK_400},
        {"5x\r\nhello\r\n", CHUNK_400},
        {"5 5\r\nhello\r\n", CHUNK_400},
        {"5 x;\r\nhello\r\n", CHUNK_400},
        {";5\r\nhello\r\n", CHUNK_400},
        {"000000005\r\nhello\r\n", CHUNK_400},
        {"100000005\r\nhello\r\n", CHUNK_400},
        {"7fffffff\r\n", BODY_413},
        {"ffffffff\r\n", BODY_413},
        /* Lines that another reader could see elsewhere: lone LF or CR, control characters. */
        {"5\nhello\r\n0\r\n\r\n", CHUNK_400},
        {"5;a\nhello\r\n0\r\n\r\n", CHUNK_400},
        {"5;a\rb\r\nhello\r\n0\r\n\r\n", CHUNK_400},
        {"5\r\r\nhello\r\n0\r\n\r\n", CHUNK_400},
        {"5;@\r\nhello\r\n0\r\n\r\n", CHUNK_400},
        {"5@\r\nhello\r\n0\r\n\r\n", CHUNK_400},
        {"5\r\nhello\n0\r\n\r\n", CHUNK_400},
        {"5\r\nhello\n\n0\r\n\r\n", CHUNK_400},
        {"5\r\nhello\r\r0\r\n\r\n", CHUNK_400},
        {"5\r\nhello0\r\n\r\n", CHUNK_400},
        {"3\r\nhello\r\n0\r\n\r\n", CHUNK_400},
        {"6\r\nhello\r\n0\r\n\r\n", CHUNK_400},
        {"1\r\nx\r\n0\n\r\n", CHUNK_400},
        {"1\r\nx\r\n0\r\n\n", CHUNK_400},
        {"1\r\nx\r\n0\r\nA: b\n\r\n", CHUNK_400},
    };
    CHECK_CASES("POST / HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: chunked\r\n\r\n", "", cases);
}

/* Before its last byte a request is not there, wherever its bytes lie meanwhile. */
Test(http, a_request_that_was_cut_is_none)
{
    static const char chunked[] = "POST / HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: chunked\r\n\r\n"
                                  "1;x\r\na\r\n2\r\nbc\r\n0\r\nT: u\r\n\r\n";
    static const char *const cases[] = {
        "GET / HTTP/1.1\nHost: s\n\n",
        "POST / HTTP/1.1\r\nHost: s\r\nContent-Length: 3\r\n\r\nabc",
        chunked,
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t length = strlen(cases[i]);
        for (size_t cut = 0; cut < length; cut++) {
            struct stream s = {cases[i], cut, BODY_MAX};
            char expected[24] = "";
            if (cut)
                snprintf(expected, sizeof expected, "+%zu", cut);
            check_pieces(&s, cut, 1, expected);
        }
        char *whole = xstrdup(cases[i]);
        struct http_progress progress = {0};
        struct http_request request;
        struct http_error error;
        cr_assert_eq(http_next(whole, length, BODY_MAX, &progress, &request, &error), HTTP_REQUEST);
        cr_assert_eq(request.taken, length, "and then nothing of it is left");
        free(whole);
    }
}

/* Whether the client waits for 100, after `first` bytes and after all. */
static void check_continue(const char *headers, const char *body, bool at_head, bool at_end)
{
    cleanup_buffer struct buffer input = BUFFER_INIT(TEXT_MAX);
    struct http_progress p = {0};
    struct http_request request;
    struct http_error error;
    buffer_printf(&input, "%s\r\n", headers);
    size_t head = input.length;
    buffer_puts(&input, body);
    cr_assert_eq(http_next(input.data, head - 1, BODY_MAX, &p, &request, &error), HTTP_MORE);
    cr_assert_not(p.wants_continue, "not before all of the head is there");
    enum http_state state = http_next(input.data, head, BODY_MAX, &p, &request, &error);
    cr_assert_eq(p.wants_continue, at_head, "%s", headers);
    cr_assert(state == HTTP_MORE || !at_head, "who has all of the body asks for no more");
    if (state != HTTP_MORE)
        return;
    http_next(input.data, head, BODY_MAX, &p, &request, &error);
    cr_assert_eq(p.wants_continue, at_head, "until the front clears it");
    cr_assert_eq(http_next(input.data, input.length, BODY_MAX, &p, &request, &error), HTTP_MORE);
    cr_assert_eq(p.wants_continue, at_end, "%s", headers);
    /* All of it at once. */
    p = (struct http_progress){0};
    cr_assert_eq(http_next(input.data, input.length, BODY_MAX, &p, &request, &error), HTTP_MORE);
    cr_assert_eq(p.wants_continue, at_end, "%s", headers);
}

#define POST  "POST / HTTP/1.1\r\nHost: s\r\n"
#define WAITS "Expect: 100-continue\r\n"

Test(http, continue_is_wanted_until_the_body_begins)
{
    check_continue(POST WAITS "Content-Length: 3\r\n", "a", true, false);
    check_continue(POST WAITS "Content-Length: 3\r\n", "", true, true);
    check_continue(POST "Content-Length: 3\r\neXPECT:\t100-Continue \r\n", "a", true, false);
    check_continue(POST WAITS "Transfer-Encoding: chunked\r\n", "3", true, false);
    check_continue(POST "Content-Length: 3\r\n", "a", false, false);
    check_continue(POST "Expect: 100-continue-not\r\nContent-Length: 3\r\n", "a", false, false);
    check_continue(POST "Expected: 100-continue\r\nContent-Length: 3\r\n", "a", false, false);
    check_continue(POST WAITS "Content-Length: 0\r\n", "", false, false);
    check_continue(POST WAITS, "", false, false);
    check_continue("POST / HTTP/1.0\r\n" WAITS "Content-Length: 3\r\n", "a", false, false);
}
