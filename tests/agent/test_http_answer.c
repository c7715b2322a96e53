/* Where an answer ends, and what is none; each in all ways to cut it into two pieces. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "agent/http_answer.h"

enum { BODY_MAX = 1000 };

struct feed {
    struct http_answer answer;
    enum http_answer_state state;
    size_t taken;
};

static void feed_part(struct feed *feed, const char *data, size_t length)
{
    size_t taken;
    /* A copy of its own, so that a read beyond its end is seen. */
    char *copy = malloc(length ? length : 1);
    memcpy(copy, data, length);
    feed->state = http_answer_feed(&feed->answer, copy, length, BODY_MAX, &taken);
    free(copy);
    feed->taken += taken;
}

/* Feeds text cut at a place, then byte by byte when that is its length. */
static struct feed feed_cut(const char *text, size_t length, size_t cut)
{
    struct feed feed = {0};
    if (cut < length) {
        feed_part(&feed, text, cut);
        if (feed.state == HTTP_ANSWER_MORE)
            feed_part(&feed, text + cut, length - cut);
        return feed;
    }
    for (size_t i = 0; i < length && feed.state == HTTP_ANSWER_MORE; i++)
        feed_part(&feed, text + i, 1);
    return feed;
}

#define OK "HTTP/1.1 200 OK\r\n"

Test(http_answer, whole)
{
    static const struct {
        const char *text;
        unsigned status, body;
        bool keep_alive;
        size_t rest; /* bytes behind it */
    } cases[] = {
        {OK "Content-Length: 3\r\n\r\nabc", 200, 3, true, 0},
        {OK "content-length:0\r\n\r\n", 200, 0, true, 0},
        {OK "Content-Length: 3\r\n\r\nabcHTTP", 200, 3, true, 4},
        {"HTTP/1.1 503 \r\nContent-Length: 1\r\n\r\nx", 503, 1, true, 0},
        {"HTTP/1.1 204\r\n\r\n", 204, 0, true, 0},
        {"HTTP/1.1 304 x\r\nContent-Length: 9\r\n\r\n", 304, 0, true, 0},
        {"HTTP/1.1 200 OK\nContent-Length: 1\n\nx", 200, 1, true, 0},
        {OK "Connection: close\r\nContent-Length: 1\r\n\r\nx", 200, 1, false, 0},
        {OK "Connection: foo, Close\r\nContent-Length: 1\r\n\r\nx", 200, 1, false, 0},
        {"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, 1, false, 0},
        {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx", 200, 1, true,
         0},
        {OK "Content-Length: 2\r\nContent-Length: 2\r\n\r\nxy", 200, 2, true, 0},
        {OK "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n", 200,
         13, true, 0},
        {OK "Transfer-Encoding: chunked\r\n\r\n0\r\nTrailer: x\r\n\r\nrest", 200, 0, true, 4},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\nA: b\r\n\r\n" OK
         "Content-Length: 1\r\n\r\nx",
         200, 1, true, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t length = strlen(cases[i].text);
        for (size_t cut = 0; cut <= length; cut++) {
            struct feed feed = feed_cut(cases[i].text, length, cut);
            /* What lies behind an answer that was whole in the first piece was not fed. */
            size_t end = length - cases[i].rest;
            cr_assert_eq(feed.state, HTTP_ANSWER_DONE, "case %zu cut at %zu", i, cut);
            cr_assert_eq(feed.taken, end, "case %zu cut at %zu", i, cut);
            cr_assert_eq(feed.answer.status, cases[i].status);
            cr_assert_eq(feed.answer.body_bytes, cases[i].body);
            cr_assert_eq(feed.answer.keep_alive, cases[i].keep_alive);
            http_answer_reset(&feed.answer);
        }
    }
}

Test(http_answer, to_the_end_of_the_stream)
{
    static const char text[] = OK "Server: x\r\n\r\nabcdef";
    for (size_t cut = 0; cut <= sizeof text - 1; cut++) {
        struct feed feed = feed_cut(text, sizeof text - 1, cut);
        cr_assert_eq(feed.state, HTTP_ANSWER_MORE);
        cr_assert_eq(http_answer_end(&feed.answer), HTTP_ANSWER_DONE);
        cr_assert_eq(feed.answer.body_bytes, 6);
        cr_assert_not(feed.answer.keep_alive);
        http_answer_reset(&feed.answer);
    }
}

Test(http_answer, cut_off)
{
    static const char text[] = OK "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    for (size_t length = 0; length < sizeof text - 1; length++) {
        struct feed feed = feed_cut(text, length, length);
        cr_assert_eq(feed.state, HTTP_ANSWER_MORE, "%zu bytes", length);
        cr_assert_eq(feed.answer.begun, length > 0);
        cr_assert_eq(http_answer_end(&feed.answer), HTTP_ANSWER_MORE, "%zu bytes", length);
        http_answer_reset(&feed.answer);
    }
}

Test(http_answer, malformed)
{
    static const char *const texts[] = {
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 099 x\r\n\r\n",
        "HTTP/1.1 200OK\r\n\r\n",
        "HTTP/1.2 200 OK\r\n\r\n",
        "HTTP/1.1 101 Switching\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2",
        "\x16\x03\x01",
        "{\"req_id\": 1}\n\n",
        "\r\n\r\n",
        OK "Content-Length: x\r\n\r\n",
        OK "Content-Length: -1\r\n\r\n",
        OK "Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        OK "Content-Length: 9999999999999999999999\r\n\r\n",
        OK "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        OK "Transfer-Encoding: gzip, chunked\r\n\r\n",
        OK "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        OK "Content-Length : 1\r\n\r\nx",
        OK "A: b\r\n folded\r\n\r\n",
        OK "no colon\r\n\r\n",
        OK ": nameless\r\n\r\n",
        OK "Transfer-Encoding: chunked\r\n\r\nx\r\n",
        OK "Transfer-Encoding: chunked\r\n\r\n\r\n",
        OK "Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n",
        OK "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n",
        OK "Transfer-Encoding: chunked\r\n\r\n3g\r\nabc\r\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        for (size_t cut = 0; cut <= strlen(texts[i]); cut++) {
            struct feed feed = feed_cut(texts[i], strlen(texts[i]), cut);
            cr_assert_eq(feed.state, HTTP_ANSWER_MALFORMED, "case %zu cut at %zu", i, cut);
            http_answer_reset(&feed.answer);
        }
}

Test(http_answer, too_large)
{
    char *head = malloc(HTTP_ANSWER_HEAD_MAX + 100);
    memset(head, 'a', HTTP_ANSWER_HEAD_MAX + 100);
    memcpy(head, OK "A: ", sizeof(OK "A: ") - 1);
    struct feed feed = feed_cut(head, HTTP_ANSWER_HEAD_MAX + 100, HTTP_ANSWER_HEAD_MAX / 2);
    cr_expect_eq(feed.state, HTTP_ANSWER_TOO_LARGE);
    http_answer_reset(&feed.answer);
    free(head);
    static const char *const texts[] = {
        OK "Content-Length: 1001\r\n\r\n",
        OK "Transfer-Encoding: chunked\r\n\r\n3e9\r\n",
        OK "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n3e8\r\n",
        OK "Transfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        feed = feed_cut(texts[i], strlen(texts[i]), 0);
        cr_expect_eq(feed.state, HTTP_ANSWER_TOO_LARGE, "case %zu", i);
        http_answer_reset(&feed.answer);
    }
    /* Interim answers without an end. */
    static const char interim[] = "HTTP/1.1 100 Continue\r\n\r\n";
    feed = (struct feed){0};
    for (unsigned i = 0; i < HTTP_ANSWER_HEAD_MAX / (sizeof interim - 1); i++)
        feed_part(&feed, interim, sizeof interim - 1);
    cr_expect_eq(feed.state, HTTP_ANSWER_MORE);
    feed_part(&feed, interim, sizeof interim - 1);
    cr_expect_eq(feed.state, HTTP_ANSWER_TOO_LARGE);
    http_answer_reset(&feed.answer);
    feed = (struct feed){0};
    feed_part(&feed, OK "\r\n", sizeof(OK "\r\n") - 1);
    for (unsigned i = 0; i < BODY_MAX; i++)
        feed_part(&feed, "x", 1);
    cr_expect_eq(feed.state, HTTP_ANSWER_MORE);
    feed_part(&feed, "x", 1);
    cr_expect_eq(feed.state, HTTP_ANSWER_TOO_LARGE);
    http_answer_reset(&feed.answer);
}
