/* What the outside world can grow, of agent/http.c; test_http.c has the rest. */
#include "http_stream.h"

enum { BODY_MAX = 100 };

#define FRAMING_400  "400 the body's chunks are more framing than body"
#define HEAD_431     "431 the headers are longer than 64 KiB"
#define TRAILERS_431 "431 the trailers are too long"

static void repeat(struct buffer *buffer, const char *text, size_t times)
{
    for (size_t i = 0; i < times; i++)
        cr_assert_eq(buffer_puts(buffer, text), 0);
}

/* before, then so many times `unit`, then after. */
static void check_long(const char *before, const char *unit, size_t times, const char *after,
                       size_t body_max, const char *expected)
{
    cleanup_buffer struct buffer input = BUFFER_INIT(TEXT_MAX);
    buffer_puts(&input, before);
    repeat(&input, unit, times);
    buffer_puts(&input, after);
    struct stream s = {input.data, input.length, body_max};
    check_stream(&s, expected);
}

#define HEAD    "GET / HTTP/1.1\r\nHost: s\r\n"
#define LONG    "X: "
#define CHUNKED "POST / HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: chunked\r\n\r\n"
#define TRACED  HEAD "traceparent: "

/* Each cap holds exactly, and is met as soon as the byte past it is there. */
Test(http_caps, head, .timeout = 100)
{
    const size_t room = HTTP_HEAD_MAX - strlen(HEAD LONG "\r\n\r\n");
    check_long(HEAD LONG, "x", room, "\r\n\r\n" NEXT, BODY_MAX, "GET / keep;" NEXT_READ);
    check_long(HEAD LONG, "x", room + 1, "\r\n\r\n" NEXT, BODY_MAX, HEAD_431);
    check_long(HEAD LONG, "x", room + 4, "", BODY_MAX, "+65536");
    check_long(HEAD LONG, "x", room + 5, "", BODY_MAX, HEAD_431);
    /* The size is looked at before what stands in it. */
    check_long("", "x", HTTP_HEAD_MAX + 1, "\r\n\r\n", BODY_MAX, HEAD_431);
    check_long("", "x", HTTP_HEAD_MAX - 4, "\r\n\r\n", BODY_MAX, FORM_400);

    cleanup_buffer struct buffer path = BUFFER_INIT(TEXT_MAX), value = BUFFER_INIT(TEXT_MAX);
    buffer_puts(&path, "GET /");
    repeat(&path, "p", PATH_MAX_BYTES - 1);
    buffer_puts(&path, " keep;");
    check_long("GET /", "p", PATH_MAX_BYTES - 1, " HTTP/1.1\r\nHost: s\r\n\r\n", BODY_MAX,
               buffer_terminate(&path));
    check_long("GET /", "p", PATH_MAX_BYTES, " HTTP/1.1\r\nHost: s\r\n\r\n", BODY_MAX,
               "431 the path is longer than 8192 bytes");
    buffer_puts(&value, "GET / keep 11=");
    repeat(&value, "v", HEADER_MAX_BYTES);
    buffer_puts(&value, ";");
    check_long(TRACED, "v", HEADER_MAX_BYTES, "\r\n\r\n", BODY_MAX, buffer_terminate(&value));
    check_long(TRACED, "v", HEADER_MAX_BYTES + 1, "\r\n\r\n", BODY_MAX,
               "431 a header that travels on is longer than 4096 bytes");
}

Test(http_caps, body, .timeout = 100)
{
    check_long("POST / HTTP/1.1\r\nHost: s\r\nContent-Length: 8\r\n\r\n", "b", 8, NEXT, 8,
               "POST / keep [bbbbbbbb];" NEXT_READ);
    check_long("POST / HTTP/1.1\r\nHost: s\r\nContent-Length: 9\r\n\r\n", "b", 9, NEXT, 8,
               BODY_413);
    check_long(CHUNKED, "2\r\nab\r\n", 4, "0\r\n\r\n" NEXT, 8, "POST / keep [abababab];" NEXT_READ);
    check_long(CHUNKED, "2\r\nab\r\n", 4, "1\r\nc\r\n0\r\n\r\n", 8, BODY_413);
    check_long(CHUNKED, "8\r\nabcdefgh\r\n", 1, "0\r\n\r\n", 8, "POST / keep [abcdefgh];");
    /* No byte of the chunk has to come. */
    check_long(CHUNKED, "9\r\n", 1, "", 8, BODY_413);
}

Test(http_caps, chunk_lines_and_trailers, .timeout = 100)
{
    check_long(CHUNKED "1;", "e", 254, "\r\nx\r\n0\r\n\r\n" NEXT, 8, "POST / keep [x];" NEXT_READ);
    check_long(CHUNKED "1;", "e", 255, "\r\nx\r\n0\r\n\r\n" NEXT, 8, CHUNK_400);
    check_long(CHUNKED "1;", "e", 255, "", 8, "+313");
    check_long(CHUNKED "1;", "e", 256, "", 8, CHUNK_400);
    /* Trailers with the line of the last chunk and the blank line. */
    const size_t room = 8192 - strlen("0\r\nT: \r\n\r\n");
    check_long(CHUNKED "0\r\nT: ", "t", room, "\r\n\r\n" NEXT, 8, "POST / keep;" NEXT_READ);
    check_long(CHUNKED "0\r\nT: ", "t", room + 1, "\r\n\r\n" NEXT, 8, TRAILERS_431);
    check_long(CHUNKED "0\r\nT: ", "t", room + 4, "", 8, "+8248");
    check_long(CHUNKED "0\r\nT: ", "t", room + 5, "", 8, TRAILERS_431);
    check_long(CHUNKED "0\r\n", "T: u\r\n", 2000, "\r\n", 8, TRAILERS_431);
}

/* 16 KiB are free, and nine bytes for each byte of body, itself included. */
Test(http_caps, framing, .timeout = 100)
{
    cleanup_buffer struct buffer chunk = BUFFER_INIT(256), one_more = BUFFER_INIT(256);
    cleanup_buffer struct buffer expected = BUFFER_INIT(TEXT_MAX);
    buffer_puts(&chunk, "1;");
    repeat(&chunk, "e", 9 + 128 - strlen("1;\r\nx\r\n"));
    buffer_puts(&chunk, "\r\nx\r\n");
    buffer_puts(&expected, "POST / keep [");
    repeat(&expected, "x", 128);
    buffer_puts(&expected, "];");
    const char *unit = buffer_terminate(&chunk);
    /* Each takes 128 bytes of the free ones. */
    check_long(CHUNKED, unit, 128, "0\r\n\r\n", 1000, buffer_terminate(&expected));
    check_long(CHUNKED, unit, 129, "0\r\n\r\n", 1000, FRAMING_400);
    check_long(CHUNKED, unit, 129, "", 1000, FRAMING_400);
    /* One byte too much. */
    buffer_printf(&one_more, "1;e%s", unit + 2);
    check_long(CHUNKED, unit, 127, buffer_terminate(&one_more), 1000, FRAMING_400);

    /* Chunks of a byte without extensions are within it, as many as there are. */
    buffer_clear(&expected);
    buffer_puts(&expected, "POST / keep [");
    repeat(&expected, "y", 9000);
    buffer_puts(&expected, "];");
    check_long(CHUNKED, "1\r\ny\r\n", 9000, "0\r\n\r\n", 9000, buffer_terminate(&expected));
}
