/* kube_read(): what need not be JSON; and the options that bound tries and idle connections. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "client_case.h"

struct reader {
    struct buffer text;
    int ret; /* what the sink returns */
};

static int take(void *context, const char *data, size_t size)
{
    struct reader *reader = context;
    cr_assert_eq(buffer_append(&reader->text, data, size), 0);
    return reader->ret;
}

static void answer_text(struct fake_reply *reply)
{
    fake_body(&reply->text, 200, "Content-Type: text/plain\r\n", "no JSON\n");
}

Test(client_read, brings_bytes_as_they_are)
{
    struct client_case test = {.server = NULL};
    struct reader reader = {.text = BUFFER_INIT(1000)};
    struct kube_read_options options = {.query = "follow=true", .stream = true};
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;

    client_case_start(&test, answer_text, NULL);
    cr_assert_eq(kube_read(test.client, "/api/v1/log", NULL, take, &reader, &result), 0);
    cr_assert_str_eq(buffer_terminate(&reader.text), "no JSON\n");
    cr_assert_null(result.object);
    cr_assert(client_case_sent(&test, 0, "GET /api/v1/log HTTP/1.1\r\n"));
    cr_assert(client_case_sent(&test, 0, "Accept: */*\r\n"));
    cr_assert_eq(kube_read(test.client, "/log", &options, take, &reader, &result), 0);
    cr_assert(client_case_sent(&test, 1, "GET /log?follow=true HTTP/1.1\r\n"));
    reader.ret = -ENOSPC;
    cr_assert_eq(kube_read(test.client, "/log", NULL, take, &reader, &result), -ENOSPC);
    cr_assert_eq(fake_server_requests(test.server), 3, "it was sent again");
    cr_assert_eq(kube_read(test.client, "log", NULL, take, &reader, &result), -EINVAL);
    buffer_free(&reader.text);
    client_case_stop(&test);
}

static void answer_status(struct fake_reply *reply)
{
    fake_body(&reply->text, 503, "",
              "{\"kind\": \"Status\", \"reason\": \"ServiceUnavailable\", \"message\": \"no "
              "endpoint\"}");
}

Test(client_read, gives_no_failure_to_the_sink)
{
    struct client_case test = {.server = NULL};
    struct reader reader = {.text = BUFFER_INIT(1000)};
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;

    client_case_start(&test, answer_status, NULL);
    cr_assert_eq(kube_read(test.client, "/page", NULL, take, &reader, &result), -EREMOTEIO);
    cr_assert_eq(reader.text.length, 0);
    cr_assert(strstr(result.message, "GET /page: 503 ServiceUnavailable: no endpoint"), "%s",
              result.message);
    client_case_stop(&test);
}

/* Nobody listens: with three tries that is known soon, not when the deadline is over. */
Test(client_read, tries_no_more_often_than_it_may)
{
    struct client_case test = {.options = {.tries_max = 3, .timeout_ns = 60 * NS_PER_S}};
    struct reader reader = {.text = BUFFER_INIT(1000)};
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    uint64_t begun_ns = clock_monotonic_ns();

    client_case_start(&test, NULL, NULL);
    cr_assert_eq(kube_read(test.client, "/page", NULL, take, &reader, &result), -ECONNREFUSED);
    cr_assert_lt(client_case_since_ms(begun_ns), 30000);
    client_case_stop(&test);
}
