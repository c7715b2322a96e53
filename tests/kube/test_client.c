#include "client_case.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "kube/client_limit.h"

/* Answers every request with the same text. */
static void answer_text(struct fake_reply *reply)
{
    buffer_puts(&reply->text, reply->context);
}

static void answer_object(struct fake_reply *reply)
{
    fake_body(&reply->text, 200, "", "{\"metadata\":{\"name\":\"a\"}}");
}

Test(client, requests_say_what_is_meant)
{
    struct client_case test = {.options = {.qps = 0}};
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    json_auto_t *body = json_pack("{s:{s:s, s:s}}", "metadata", "name", "a b", "namespace", "n");
    struct kube_write_options write = {
        .subresource = "status", .manager = "m&m", .force = true, .dry_run = true};
    size_t i = 0;

    client_case_start(&test, answer_object, NULL);
    cr_assert_eq(kube_get(test.client, &client_case_deployments, "n", "x:y", &result), 0);
    cr_assert_eq(result.status, 200);
    cr_assert_null(result.message);
    cr_assert(json_is_object(json_object_get(result.object, "metadata")));
    cr_assert(client_case_sent(&test, i, "GET /apis/apps/v1/namespaces/n/deployments/x%3Ay HTTP"));
    cr_assert(client_case_sent(&test, i, "\r\nAuthorization: Bearer one\r\n"));
    cr_assert(client_case_sent(&test, i, "\r\nUser-Agent: test/1\r\n"));
    cr_assert(client_case_sent(&test, i, "\r\nAccept: application/json\r\n"));
    i++;
    cr_assert_eq(kube_get(test.client, &client_case_nodes, NULL, "x", &result), 0);
    cr_assert(client_case_sent(&test, i++, "GET /api/v1/nodes/x HTTP"));
    cr_assert_eq(kube_create(test.client, &client_case_maps, "n", body, &result), 0);
    cr_assert(client_case_sent(&test, i, "POST /api/v1/namespaces/n/configmaps HTTP"));
    cr_assert(client_case_sent(&test, i, "\r\nContent-Type: application/json\r\n"));
    cr_assert_not(client_case_sent(&test, i, "Expect"));
    cr_assert(client_case_sent(&test, i, "\r\n\r\n{\"metadata\":{\"name\":\"a b\""));
    i++;
    cr_assert_eq(kube_update(test.client, &client_case_maps, "n", "a", body, &result), 0);
    cr_assert(client_case_sent(&test, i++, "PUT /api/v1/namespaces/n/configmaps/a HTTP"));
    cr_assert_eq(kube_apply(test.client, &client_case_maps, body, &write, &result), 0);
    cr_assert(client_case_sent(&test, i,
                               "PATCH /api/v1/namespaces/n/configmaps/a%20b/status?"
                               "fieldManager=m%26m&force=true&dryRun=All HTTP"));
    cr_assert(client_case_sent(&test, i++, "Content-Type: application/apply-patch+yaml"));
    cr_assert_eq(
        kube_patch(test.client, &client_case_maps, "n", "a", KUBE_PATCH_JSON, body, NULL, &result),
        0);
    cr_assert(client_case_sent(&test, i, "PATCH /api/v1/namespaces/n/configmaps/a HTTP"));
    cr_assert(client_case_sent(&test, i++, "Content-Type: application/json-patch+json"));
    cr_assert_eq(kube_delete(test.client, &client_case_maps, "n", "a", "u1", &result), 0);
    cr_assert(client_case_sent(&test, i, "DELETE /api/v1/namespaces/n/configmaps/a HTTP"));
    cr_assert(client_case_sent(&test, i, "\"propagationPolicy\":\"Background\""));
    cr_assert(client_case_sent(&test, i++, "\"preconditions\":{\"uid\":\"u1\"}"));
    cr_assert_eq(kube_request(test.client, "GET", "/version", "a=b", NULL, NULL, &result), 0);
    cr_assert(client_case_sent(&test, i++, "GET /version?a=b HTTP"));
    cr_assert_eq(fake_server_requests(test.server), i);
    cr_assert_eq(fake_server_connections(test.server), 1, "one connection serves them all");
    client_case_stop(&test);
}

static void answer_managed(struct fake_reply *reply)
{
    fake_body(&reply->text, 200, "",
              "{\"metadata\":{\"managedFields\":[{\"manager\":\"m\"}],\"name\":\"a\"}}");
}

static size_t managers(const struct kube_result *result)
{
    const json_t *metadata = json_object_get(result->object, "metadata");
    cr_assert_str_eq(json_string_value(json_object_get(metadata, "name")), "a");
    return json_array_size(json_object_get(metadata, "managedFields"));
}

/* Who writes says how much of the answer is of use. */
Test(client, answers_are_as_much_as_is_wanted)
{
    struct client_case test = {.options = {.qps = 0}};
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    json_auto_t *body = json_pack("{s:{s:s, s:s}}", "metadata", "name", "a", "namespace", "n");
    struct kube_write_options write = {.manager = "m"};
    size_t i = 0;

    client_case_start(&test, answer_managed, NULL);
    cr_assert_eq(kube_apply(test.client, &client_case_maps, body, &write, &result), 0);
    cr_assert_eq(managers(&result), 1);
    cr_assert(client_case_sent(&test, i++, "\r\nAccept: application/json\r\n"));
    write.answer = KUBE_ANSWER_BARE;
    cr_assert_eq(kube_apply(test.client, &client_case_maps, body, &write, &result), 0);
    cr_assert_eq(managers(&result), 0);
    cr_assert(client_case_sent(&test, i++, "\r\nAccept: application/json\r\n"));
    write.answer = KUBE_ANSWER_METADATA;
    cr_assert_eq(kube_patch(test.client, &client_case_maps, "n", "a", KUBE_PATCH_MERGE, body,
                            &write, &result),
                 0);
    cr_assert_eq(managers(&result), 0);
    cr_assert(client_case_sent(&test, i++,
                               "\r\nAccept: application/json;as=PartialObjectMetadata;"
                               "g=meta.k8s.io;v=v1,application/json\r\n"));
    write.answer = KUBE_ANSWER_NONE;
    write.dry_run = true;
    cr_assert_eq(kube_create_with(test.client, &client_case_maps, "n", body, &write, &result), 0);
    cr_assert_null(result.object);
    cr_assert_eq(result.status, 200);
    cr_assert(client_case_sent(
        &test, i++, "POST /api/v1/namespaces/n/configmaps?fieldManager=m&dryRun=All HTTP"));
    client_case_stop(&test);
}

/* What is no object is told as ever, and a failure has its body. */
Test(client, answers_that_are_cut_down_and_wrong)
{
    static const struct {
        int status, ret;
        const char *body;
    } cases[] = {
        {200, -EPROTO, "{\"metadata\":"},
        {200, -EPROTO, "no JSON"},
        {200, 0, "[1]"},
        {409, -ESTALE, "{\"kind\":\"Status\",\"reason\":\"Conflict\",\"message\":\"no\"}"},
    };
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    json_auto_t *body = json_pack("{s:{s:s, s:s}}", "metadata", "name", "a", "namespace", "n");
    struct kube_write_options write = {.manager = "m", .answer = KUBE_ANSWER_BARE};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct client_case test = {.options = {.qps = 0}};
        cleanup_buffer struct buffer text = BUFFER_INIT(4096);
        fake_body(&text, cases[i].status, "", cases[i].body);
        client_case_start(&test, answer_text, (void *)(uintptr_t)buffer_terminate(&text));
        cr_assert_eq(kube_apply(test.client, &client_case_maps, body, &write, &result),
                     cases[i].ret, "%s: %s", cases[i].body, result.message);
        client_case_stop(&test);
    }
    cr_assert_str_eq(result.reason, "Conflict");
}

Test(client, names_that_would_mean_something_else_are_not_sent)
{
    static const char *const names[] = {"", ".", "..", "a/b", "a%2fb", NULL};
    struct client_case test = {.options = {.qps = 0}};
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    json_auto_t *body = json_object();
    struct kube_client *client;

    client_case_start(&test, answer_object, NULL);
    client = test.client;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *name = names[i];
        cr_assert_eq(kube_get(client, &client_case_maps, "n", name, &result), -EINVAL);
        cr_assert_eq(kube_get(client, &client_case_maps, name, "a", &result), -EINVAL);
        cr_assert_eq(kube_delete(client, &client_case_maps, "n", name, NULL, &result), -EINVAL);
        cr_assert_eq(kube_update(client, &client_case_maps, "n", name, body, &result), -EINVAL);
        cr_assert_not_null(result.message);
    }
    cr_assert_eq(kube_apply(client, &client_case_maps, body, NULL, &result), -EINVAL);
    cr_assert_eq(kube_request(client, "GET", "version", NULL, NULL, NULL, &result), -EINVAL);
    cr_assert_eq(kube_list(client, &client_case_maps, "..", NULL, NULL, NULL, NULL, NULL, &result),
                 -EINVAL);
    cr_assert_eq(fake_server_requests(test.server), 0);
    client_case_stop(&test);
}

struct refusal {
    int status;
    const char body[256];
    int ret;
    const char reason[24];
    const char message[160];
};

static const struct refusal refusals[] = {
    {403,
     "{\"kind\":\"Status\",\"reason\":\"Forbidden\",\"message\":\"deployments.apps is forbidden\"}",
     -EACCES, "Forbidden",
     "PUT apps/v1 deployments shop/s0: 403 Forbidden: deployments.apps is forbidden"},
    {404, "{\"reason\":\"NotFound\"}", -ENOENT, "NotFound",
     "PUT apps/v1 deployments shop/s0: 404 NotFound"},
    {404, "404 page\nnot found", -ENOENT, "",
     "PUT apps/v1 deployments shop/s0: 404 Not Found: 404 page not found"},
    {409, "{\"reason\":\"AlreadyExists\"}", -EEXIST, "AlreadyExists",
     "PUT apps/v1 deployments shop/s0: 409 AlreadyExists"},
    {409, "{\"reason\":\"Conflict\"}", -ESTALE, "Conflict",
     "PUT apps/v1 deployments shop/s0: 409 Conflict"},
    {410, "{\"reason\":\"Expired\"}", -ESTALE, "Expired",
     "PUT apps/v1 deployments shop/s0: 410 Expired"},
    {400, "", -EINVAL, "", "PUT apps/v1 deployments shop/s0: 400 Bad Request"},
    {422,
     "{\"reason\":\"Invalid\",\"message\":\"is invalid: one\",\"details\":{\"causes\":["
     "{\"field\":\"a.b\",\"message\":\"two\"},{\"message\":\"one\"},{\"message\":\"three\"},7]}}",
     -EINVAL, "Invalid",
     "PUT apps/v1 deployments shop/s0: 422 Invalid: is invalid: one; a.b: two; three"},
    {418, "[]", -EINVAL, "", "PUT apps/v1 deployments shop/s0: 418: []"},
    {429, "{\"details\":{\"retryAfterSeconds\":7}}", -EBUSY, "",
     "PUT apps/v1 deployments shop/s0: 429 Too Many Requests"},
    {500, "\x1b[2J\xff", -EREMOTEIO, "",
     "PUT apps/v1 deployments shop/s0: 500 Internal Server Error: ?[2J?"},
    {503, "{\"message\":17,\"reason\":[],\"details\":[]}", -EREMOTEIO, "",
     "PUT apps/v1 deployments shop/s0: 503 Service Unavailable"},
    {302, "", -EPROTO, "", "PUT apps/v1 deployments shop/s0: 302 Redirect, which is not followed"},
    {200, "<html>", -EPROTO, "",
     "PUT apps/v1 deployments shop/s0: 200, but the answer is not JSON: "
     "'[' or '{' expected near '<'"},
};

static void answer_refusal(struct fake_reply *reply)
{
    fake_body(&reply->text, refusals[reply->index].status,
              refusals[reply->index].status == 302 ? "Location: http://127.0.0.1:1/\r\n" : "",
              refusals[reply->index].body);
}

Test(client, failures_have_a_number_and_a_sentence)
{
    struct client_case test = {.options = {.qps = 0}};
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    json_auto_t *body = json_object();

    client_case_start(&test, answer_refusal, NULL);
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        const struct refusal *r = &refusals[i];
        int ret = kube_update(test.client, &client_case_deployments, "shop", "s0", body, &result);
        cr_assert_eq(ret, r->ret, "%zu: %d", i, ret);
        cr_assert_eq(result.status, r->status, "%zu: %d", i, result.status);
        cr_assert_str_eq(result.reason, r->reason);
        cr_assert_str_eq(result.message, r->message);
        cr_assert_eq(result.retry_after_ns, r->status == 429 ? 7 * NS_PER_S : 0);
    }
    client_case_stop(&test);
}

Test(client, answers_that_are_too_long_or_garbled)
{
    static const char too_long[] = "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n"
                                   "{\"a\":\"0123456789012345678901234567890123\"}";
    static const char *const garbled[] = {
        too_long,
        "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"a\":\"\\u12\xff\xff\xff\"}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2p1\r\n\r\n",
    };
    static const int wanted[] = {-EPROTO, -EPROTO, -EIO, -EPROTO};
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;

    for (size_t i = 0; i < sizeof(garbled) / sizeof(garbled[0]); i++) {
        struct client_case test = {.options = {.answer_bytes = 39, .tries_max = 2}};
        client_case_start(&test, answer_text, (void *)(uintptr_t)garbled[i]);
        int ret = kube_get(test.client, &client_case_maps, "n", "a", &result);
        cr_assert_eq(ret, wanted[i], "%zu: %d, %s", i, ret, result.message);
        cr_assert_not_null(result.message);
        cr_assert_null(result.object);
        client_case_stop(&test);
    }
}

/* The answer's first bytes, up to the cut, and then the end of the connection. */
struct cut {
    const char *text;
    size_t length;
};

static void answer_cut(struct fake_reply *reply)
{
    struct cut *cut = reply->context;
    buffer_append(&reply->text, cut->text, cut->length);
    reply->after = FAKE_CLOSE;
}

Test(client, an_answer_that_breaks_off_is_never_taken_for_whole)
{
    static const char text[] =
        "HTTP/1.1 201 Created\r\nContent-Length: 9\r\nX: y\r\n\r\n{\"a\": 12}";
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    json_auto_t *body = json_object();
    struct cut cut = {.text = text, .length = 0};
    struct client_case test = {.options = {.qps = 0}};

    client_case_start(&test, answer_cut, &cut);
    for (; cut.length < sizeof(text) - 1; cut.length++) {
        int ret = kube_create(test.client, &client_case_maps, "n", body, &result);
        cr_assert(ret == -EIO || ret == -EPROTO, "cut at %zu: %d %s", cut.length, ret,
                  result.message);
        cr_assert_eq(fake_server_requests(test.server), cut.length + 1, "a POST is sent once");
        cr_assert_null(result.object);
    }
    cr_assert_eq(kube_create(test.client, &client_case_maps, "n", body, &result), 0);
    client_case_stop(&test);
}

static void *cancel_soon(void *context)
{
    struct client_case *test = context;
    client_case_wait(test, 1, NULL, 0);
    kube_client_cancel(test->client);
    return NULL;
}

static void answer_nothing(struct fake_reply *reply)
{
    reply->after = FAKE_KEEP;
}

Test(client, cancel_ends_what_runs_and_what_comes)
{
    struct client_case test = {.options = {.qps = 0}};
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    pthread_t thread;
    uint64_t begun_ns = clock_monotonic_ns();

    client_case_start(&test, answer_nothing, NULL);
    pthread_create(&thread, NULL, cancel_soon, &test);
    cr_assert_eq(kube_get(test.client, &client_case_maps, "n", "a", &result), -ECANCELED);
    cr_assert_str_eq(result.message, "GET v1 configmaps n/a: canceled");
    cr_assert_lt(client_case_since_ms(begun_ns), 20000, "long before its own deadline");
    cr_assert_eq(kube_get(test.client, &client_case_maps, "n", "a", &result), -ECANCELED);
    cr_assert_eq(fake_server_requests(test.server), 1, "a later call sends nothing");
    pthread_join(thread, NULL);
    client_case_stop(&test);
}

Test(client, the_deadline_is_kept)
{
    struct client_case test = {.options = {.timeout_ns = 200 * NS_PER_MS}};
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    uint64_t begun_ns = clock_monotonic_ns();

    client_case_start(&test, answer_nothing, NULL);
    cr_assert_eq(kube_get(test.client, &client_case_maps, "n", "a", &result), -ETIMEDOUT);
    double took_ms = client_case_since_ms(begun_ns);
    cr_assert(took_ms >= 199 && took_ms < 20000, "%g ms", took_ms);
    cr_assert(strstr(result.message, "no answer from 127.0.0.1:"), "%s", result.message);
    cr_assert(strstr(result.message, " within 0.2 s"), "%s", result.message);
    client_case_stop(&test);
}

Test(client, what_no_client_can_be_made_of)
{
    static const char *const servers[] = {
        "", "x y", "ftp://h", "https://", "https://h:99999", "https://h?q#f"};
    struct kube_config config = {.namespace = NULL, .source = NULL};
    struct kube_client *client = NULL;

    config.source = strdup("file.yaml");
    for (size_t i = 0; i < sizeof(servers) / sizeof(servers[0]); i++) {
        cleanup_error struct error *err = NULL;
        config.server = strdup(servers[i]);
        cr_assert_eq(kube_client_new(&config, NULL, &client, &err), -EINVAL, "%s", servers[i]);
        cr_assert(strstr(error_message(err), "file.yaml: server"), "%s", error_message(err));
        cr_assert_null(client);
        free(config.server);
    }
    free(config.source);
    kube_client_free(NULL);
}

Test(client, the_rate_limit_is_a_token_bucket)
{
    struct kube_limit limit;
    uint64_t at_ns = 0, now_ns = 1000 * NS_PER_S;

    kube_limit_init(&limit, 0, 0);
    for (int i = 0; i < 1000; i++) {
        cr_assert(kube_limit_take(&limit, now_ns, now_ns, &at_ns));
        cr_assert_eq(at_ns, now_ns);
    }
    /* 5 a second, 10 at once: ten now, then one every 200 ms, in order. */
    kube_limit_init(&limit, 5, 10);
    for (unsigned i = 0; i < 10; i++) {
        cr_assert(kube_limit_take(&limit, now_ns, UINT64_MAX, &at_ns));
        cr_assert_eq(at_ns, now_ns, "%u", i);
    }
    for (unsigned i = 1; i <= 5; i++) {
        cr_assert(kube_limit_take(&limit, now_ns, UINT64_MAX, &at_ns));
        cr_assert_eq(at_ns, now_ns + i * 200 * NS_PER_MS, "%u", i);
    }
    /* Who would have to wait past the deadline takes no place from others. */
    cr_assert_not(kube_limit_take(&limit, now_ns, now_ns + NS_PER_S, &at_ns));
    cr_assert(kube_limit_take(&limit, now_ns, now_ns + 1200 * NS_PER_MS, &at_ns));
    cr_assert_eq(at_ns, now_ns + 1200 * NS_PER_MS);
    /* After a long quiet the bucket is full again, and no fuller. */
    now_ns += 1000 * NS_PER_S;
    for (unsigned i = 0; i < 11; i++) {
        cr_assert(kube_limit_take(&limit, now_ns, UINT64_MAX, &at_ns));
        cr_assert_eq(at_ns, now_ns + (i < 10 ? 0 : 200 * NS_PER_MS), "%u", i);
    }
    /* burst 0: twice qps; never less than one. */
    kube_limit_init(&limit, 0.1, 0);
    cr_assert(kube_limit_take(&limit, now_ns, UINT64_MAX, &at_ns));
    cr_assert_eq(at_ns, now_ns);
    cr_assert(kube_limit_take(&limit, now_ns, UINT64_MAX, &at_ns));
    cr_assert_eq(at_ns, now_ns + 10 * NS_PER_S);
}

Test(client, the_rate_limit_holds_requests_back)
{
    struct client_case test = {.options = {.qps = 50, .burst = 2}};
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;

    client_case_start(&test, answer_object, NULL);
    uint64_t begun_ns = clock_monotonic_ns();
    for (int i = 0; i < 12; i++)
        cr_assert_eq(kube_get(test.client, &client_case_maps, "n", "a", &result), 0);
    /* Two at once, ten more at 20 ms each. */
    double took_ms = client_case_since_ms(begun_ns);
    cr_assert(took_ms >= 199 && took_ms < 20000, "%g ms", took_ms);
    client_case_stop(&test);

    struct client_case slow = {.options = {.qps = 0.02, .burst = 1}};
    client_case_start(&slow, answer_object, NULL);
    cr_assert_eq(kube_get(slow.client, &client_case_maps, "n", "a", &result), 0);
    cr_assert_eq(kube_get(slow.client, &client_case_maps, "n", "a", &result), -ETIMEDOUT);
    cr_assert(strstr(result.message, "rate limit"), "%s", result.message);
    client_case_stop(&slow);
}

/* Who we are is said when a connection is made: one that was made with another client certificate
 * is not used again. */
Test(client, a_renewed_certificate_gets_a_connection_of_its_own)
{
    struct client_case test = {.options = {.qps = 0}};
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;

    client_case_start(&test, answer_object, NULL);
    for (unsigned i = 0; i < 6; i++) {
        atomic_store(&fake_certificate_number, i / 2);
        cr_assert_eq(kube_get(test.client, &client_case_nodes, NULL, "x", &result), 0);
        cr_assert_eq(fake_server_connections(test.server), i / 2 + 1);
    }
    client_case_stop(&test);
}

Test(client, each_request_says_whom_we_act_as)
{
    char user[] = "Impersonate-User: alice", group[] = "Impersonate-Group: a",
         other[] = "Impersonate-Group: b c";
    char *lines[] = {user, group, other, NULL};
    struct client_case test = {.config = {.impersonate = lines}};
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;

    client_case_start(&test, answer_object, NULL);
    for (size_t i = 0; i < 2; i++) {
        cr_assert_eq(kube_get(test.client, &client_case_nodes, NULL, "x", &result), 0);
        cr_assert(client_case_sent(&test, i,
                                   "\r\nImpersonate-User: alice\r\nImpersonate-Group: a\r\n"
                                   "Impersonate-Group: b c\r\n"));
    }
    client_case_stop(&test);
}
