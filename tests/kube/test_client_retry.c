#include "client_case.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/memory.h"

#define OBJECT "{\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\"}}"

/* What the server does first, and then; a request beyond these is answered with 200. */
struct script {
    struct {
        int status; /* 0: no answer, the connection ends */
        char headers[56];
        enum fake_after after;
    } steps[12];
    size_t count;
};

static void answer_script(struct fake_reply *reply)
{
    const struct script *script = reply->context;

    if (reply->index >= script->count) {
        fake_body(&reply->text, 200, "", OBJECT);
        return;
    }
    if (script->steps[reply->index].status)
        fake_body(&reply->text, script->steps[reply->index].status,
                  script->steps[reply->index].headers, "{\"reason\":\"Scripted\"}");
    reply->after = script->steps[reply->index].after;
}

/* The kinds of call, by what may be done with them twice. */
enum kind {
    GET,
    CREATE,
    UPDATE,
    MERGE,
    APPLY,
    DELETE,
    DELETE_UID,
    REQUEST_GET,
    REQUEST_POST,
    KINDS
};

static int call(struct client_case *test, enum kind kind, struct kube_result *result)
{
    static const struct kube_write_options write = {.manager = "m"};
    const struct kube_resource *maps = &client_case_maps;
    json_auto_t *body = json_pack("{s:{s:s, s:s}}", "metadata", "name", "a", "namespace", "n");

    switch (kind) {
    case GET:
        return kube_get(test->client, maps, "n", "a", result);
    case CREATE:
        return kube_create(test->client, maps, "n", body, result);
    case UPDATE:
        return kube_update(test->client, maps, "n", "a", body, result);
    case MERGE:
        return kube_patch(test->client, maps, "n", "a", KUBE_PATCH_MERGE, body, NULL, result);
    case APPLY:
        return kube_apply(test->client, maps, body, &write, result);
    case DELETE:
        return kube_delete(test->client, maps, "n", "a", NULL, result);
    case DELETE_UID:
        return kube_delete(test->client, maps, "n", "a", "u", result);
    case REQUEST_GET:
        return kube_request(test->client, "GET", "/x", NULL, NULL, NULL, result);
    default:
        return kube_request(test->client, "POST", "/x", NULL, NULL, NULL, result);
    }
}

static bool is_repeatable(enum kind kind)
{
    return kind == GET || kind == APPLY || kind == DELETE_UID || kind == REQUEST_GET;
}

Test(client_retry, a_lost_connection_is_tried_again_only_where_twice_is_once)
{
    static const enum fake_after ends[] = {FAKE_CLOSE, FAKE_RESET};
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;

    for (enum kind kind = 0; kind < KINDS; kind++) {
        /* On a connection of its own, and on one that was used before: curl itself would send
         * again what was lost on the latter. */
        for (size_t reused = 0; reused < 2; reused++) {
            for (size_t i = 0; i < 2; i++) {
                struct script script = {.count = reused + 1};
                script.steps[0].status = 200;
                script.steps[reused].status = 0;
                script.steps[reused].after = ends[i];
                struct client_case test = {.options = {.qps = 0}};
                client_case_start(&test, answer_script, &script);
                if (reused)
                    cr_assert_eq(call(&test, GET, &result), 0);
                int ret = call(&test, kind, &result);
                size_t sent = fake_server_requests(test.server) - reused;
                if (is_repeatable(kind))
                    cr_assert(ret == 0 && sent == 2, "kind %d, reused %zu: %d, sent %zu", kind,
                              reused, ret, sent);
                else
                    cr_assert(ret == -EIO && sent == 1, "kind %d, reused %zu: %d, sent %zu, %s",
                              kind, reused, ret, sent, result.message);
                client_case_stop(&test);
            }
        }
    }
}

Test(client_retry, what_the_server_put_off_is_tried_again_after_its_time)
{
    struct script script = {
        .steps = {{429, "Retry-After: 1\r\n", FAKE_KEEP}, {503, "Retry-After: 1\r\n", FAKE_KEEP}},
        .count = 2};
    struct client_case test = {.options = {.metrics = metrics_new()}};
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    cleanup_buffer struct buffer text = BUFFER_INIT(1 << 16);
    uint64_t begun_ns = clock_monotonic_ns();

    metrics_thread_attach(test.options.metrics);
    client_case_start(&test, answer_script, &script);
    cr_assert_eq(call(&test, CREATE, &result), 0);
    double took_ms = client_case_since_ms(begun_ns);
    cr_assert(took_ms >= 1999 && took_ms < 20000, "%g ms", took_ms);
    cr_assert_eq(fake_server_requests(test.server), 3);
    /* And it is counted as client-go counts. */
    metrics_expose(test.options.metrics, METRICS_PROMETHEUS_TEXT, &text);
    const char *lines = buffer_terminate(&text);
    const char *host = fake_server_url(test.server) + strlen("http://");
    static const char *const counted[] = {
        "rest_client_requests_total{code=\"429\",method=\"POST\",host=\"%s\"} 1\n",
        "rest_client_requests_total{code=\"503\",method=\"POST\",host=\"%s\"} 1\n",
        "rest_client_requests_total{code=\"200\",method=\"POST\",host=\"%s\"} 1\n",
        "rest_client_request_retries_total{code=\"503\",verb=\"POST\",host=\"%s\"} 1\n",
        "rest_client_request_retries_total{code=\"200\",verb=\"POST\",host=\"%s\"} 1\n",
        "rest_client_request_duration_seconds_count{verb=\"POST\",host=\"%s\"} 1\n",
        "rest_client_rate_limiter_duration_seconds_count{verb=\"POST\",host=\"%s\"} 3\n"};
    for (size_t i = 0; i < sizeof(counted) / sizeof(counted[0]); i++) {
        const char *hole = strstr(counted[i], "%s");
        cleanup_free char *line =
            xasprintf("%.*s%s%s", (int)(hole - counted[i]), counted[i], host, hole + 2);
        cr_assert(strstr(lines, line), "no %s in\n%s", line, lines);
    }
    client_case_stop(&test);
    metrics_thread_detach();
    metrics_free(test.options.metrics);
}

Test(client_retry, what_the_server_refused_comes_back_at_once)
{
    static const struct {
        int status;
        int ret;
    } steps[] = {{400, -EINVAL},    {403, -EACCES},   {404, -ENOENT},    {409, -ESTALE},
                 {410, -ESTALE},    {429, -EBUSY},    {500, -EREMOTEIO}, {502, -EREMOTEIO},
                 {503, -EREMOTEIO}, {504, -EREMOTEIO}};
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;

    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        struct script script = {.count = 1};
        script.steps[0].status = steps[i].status;
        struct client_case test = {.options = {.qps = 0}};
        client_case_start(&test, answer_script, &script);
        cr_assert_eq(call(&test, GET, &result), steps[i].ret, "%d", steps[i].status);
        cr_assert_str_eq(result.reason, "Scripted");
        cr_assert_eq(fake_server_requests(test.server), 1, "%d", steps[i].status);
        client_case_stop(&test);
    }
}

Test(client_retry, the_deadline_counts_for_all_tries)
{
    /* The pause would be longer than what is left: the refusal itself is the answer. */
    struct script script = {.steps = {{429, "Retry-After: 60\r\n", FAKE_KEEP}}, .count = 1};
    struct client_case test = {.options = {.timeout_ns = 30 * NS_PER_S}};
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    uint64_t begun_ns = clock_monotonic_ns();

    client_case_start(&test, answer_script, &script);
    cr_assert_eq(call(&test, GET, &result), -EBUSY);
    cr_assert_eq(result.retry_after_ns, 60 * NS_PER_S);
    cr_assert_lt(client_case_since_ms(begun_ns), 20000);
    client_case_stop(&test);

    /* Nobody listens: tried again and again, until the deadline. */
    struct client_case refused = {.options = {.timeout_ns = NS_PER_S}};
    client_case_start(&refused, NULL, NULL);
    for (enum kind kind = 0; kind < KINDS; kind += CREATE + 1) {
        begun_ns = clock_monotonic_ns();
        cr_assert_eq(call(&refused, kind, &result), -ECONNREFUSED, "%s", result.message);
        double took_ms = client_case_since_ms(begun_ns);
        cr_assert(took_ms >= 200 && took_ms < 20000, "%g ms", took_ms);
        cr_assert(strstr(result.message, "can't be reached"), "%s", result.message);
        cr_assert_eq(result.status, 0);
    }
    client_case_stop(&refused);
}

/* Waits for the end of a connection that was given up: 0 for an orderly one (FIN), or errno. */
static int end_of(int connection)
{
    char bytes[4096];
    ssize_t size = 1;

    while (size > 0)
        size = recv(connection, bytes, sizeof(bytes), 0);
    return size < 0 ? errno : 0;
}

Test(client_retry, what_had_its_deadline_does_not_arrive_later)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    cleanup_close int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(listener, (struct sockaddr *)&address, length), 0);
    cr_assert_eq(listen(listener, 8), 0);
    cr_assert_eq(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    cleanup_free char *url = xasprintf("http://127.0.0.1:%u", ntohs(address.sin_port));
    cleanup_free char *namespace = xstrdup("default"), *source = xstrdup("the test");
    struct client_case test = {.config = {.server = url, .namespace = namespace, .source = source},
                               .options = {.user_agent = "test/1", .timeout_ns = NS_PER_S}};
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;

    cr_assert_eq(kube_client_new(&test.config, &test.options, &test.client, NULL), 0);
    cr_assert_eq(call(&test, APPLY, &result), -ETIMEDOUT);
    /* Reset: what the network still holds of it is not sent again. */
    cleanup_close int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    cr_assert_eq(end_of(connection), ECONNRESET);
    kube_client_free(test.client);
}

Test(client_retry, retry_after_may_be_a_date)
{
    struct script script = {.count = 1};
    struct client_case test = {.options = {.timeout_ns = 30 * NS_PER_S}};
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    time_t then = time(NULL) + 100;
    struct tm parts;

    gmtime_r(&then, &parts);
    script.steps[0].status = 503;
    strftime(script.steps[0].headers, sizeof(script.steps[0].headers),
             "Retry-After: %a, %d %b %Y %T GMT\r\n", &parts);
    client_case_start(&test, answer_script, &script);
    cr_assert_eq(call(&test, GET, &result), -EREMOTEIO);
    cr_assert(result.retry_after_ns > 90 * NS_PER_S && result.retry_after_ns <= 101 * NS_PER_S,
              "%g s", (double)result.retry_after_ns / (double)NS_PER_S);
    client_case_stop(&test);
}

Test(client_retry, a_credential_that_was_refused_is_renewed_once)
{
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    struct script script = {.steps = {{401, "", FAKE_KEEP}}, .count = 1};

    for (enum kind kind = 0; kind < KINDS; kind++) {
        struct client_case test = {.options = {.qps = 0}};
        fake_credential_renewed = 0;
        client_case_start(&test, answer_script, &script);
        cr_assert_eq(call(&test, kind, &result), 0, "%s", result.message);
        cr_assert(client_case_sent(&test, 0, "Authorization: Bearer one\r\n"));
        cr_assert(client_case_sent(&test, 1, "Authorization: Bearer two\r\n"));
        cr_assert_eq(fake_credential_renewed, 1);
        cr_assert_eq(fake_server_connections(test.server), 2, "no connection outlives it");
        client_case_stop(&test);
    }
    /* Refused again: that is the answer. */
    script.steps[1].status = 401;
    script.count = 2;
    fake_credential_renewed = 0;
    struct client_case test = {.options = {.qps = 0}};
    client_case_start(&test, answer_script, &script);
    cr_assert_eq(call(&test, GET, &result), -EACCES);
    cr_assert_eq(result.status, 401);
    cr_assert_eq(fake_server_requests(test.server), 2);
    cr_assert_null(strstr(result.message, "one"), "no secret in %s", result.message);
    client_case_stop(&test);
}

/* A 401 that breaks off in its body, again and again. */
static void answer_cut_401(struct fake_reply *reply)
{
    buffer_puts(&reply->text, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 100\r\n\r\n");
    reply->after = FAKE_CLOSE;
}

Test(client_retry, a_refusal_that_breaks_off_is_one_all_the_same)
{
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;

    for (enum kind kind = 0; kind < KINDS; kind++) {
        struct client_case test = {.options = {.qps = 0}};
        fake_credential_renewed = 0;
        client_case_start(&test, answer_cut_401, NULL);
        cr_assert_eq(call(&test, kind, &result), -EACCES, "%s", result.message);
        cr_assert(strstr(result.message, ": 401 Unauthorized"), "%s", result.message);
        cr_assert_eq(result.status, 401);
        cr_assert_eq(fake_server_requests(test.server), 2);
        cr_assert_eq(fake_credential_renewed, 1);
        client_case_stop(&test);
    }
}

Test(client_retry, a_credential_that_cannot_be_renewed)
{
    struct script script = {.steps = {{401, "", FAKE_KEEP}}, .count = 1};
    struct client_case test = {.options = {.qps = 0}};
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;

    fake_credential_fails = 1;
    client_case_start(&test, answer_script, &script);
    cr_assert_eq(call(&test, GET, &result), -EIO);
    cr_assert_str_eq(result.message, "GET v1 configmaps n/a: the test: the plugin failed");
    cr_assert_eq(fake_server_requests(test.server), 1);
    client_case_stop(&test);
}
