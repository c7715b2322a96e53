#include "ctl/load_plan.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <jansson.h>

#include "base/memory.h"

struct target_case {
    const char *text;
    bool http;
    const char *host, *port, *path, *query;
};

static bool equal(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

Test(load_plan, targets)
{
    static const struct target_case good[] = {
        {"tcp://localhost", false, "localhost", "5005", NULL, NULL},
        {"tcp://127.0.0.1:30005", false, "127.0.0.1", "30005", NULL, NULL},
        {"tcp://[::1]:7", false, "::1", "7", NULL, NULL},
        {"tcp://[::1]/a/b?c=d&e", false, "::1", "5005", "/a/b", "c=d&e"},
        {"http://h", true, "h", "8080", NULL, NULL},
        {"http://h:80/", true, "h", "80", "/", NULL},
        {"http://h?x=1#frag", true, "h", "8080", NULL, "x=1"},
        {"http://h/p?", true, "h", "8080", "/p", ""},
    };
    static const char *const bad[] = {
        "",          "localhost:5005", "udp://h",     "https://h",    "tcp://",     "tcp://:1",
        "tcp://h:0", "tcp://h:65536",  "tcp://h:",    "tcp://h:1:2",  "tcp://[::1", "tcp://[::1]x",
        "tcp://::1", "http://u@h/",    "http://h/\t", "http://h/a b", "tcp://h:5\n"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        const struct target_case *want = &good[i];
        struct load_target target;
        cleanup_error struct error *err = NULL;
        cr_assert_eq(load_target_parse(want->text, &target, &err), 0, "%s: %s", want->text,
                     error_message(err));
        cr_assert(target.http == want->http && equal(target.host, want->host) &&
                      equal(target.port, want->port) && equal(target.path, want->path) &&
                      equal(target.query, want->query),
                  "%s", want->text);
        load_target_free(&target);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct load_target target = {.http = true, .port = "same"};
        cleanup_error struct error *err = NULL;
        cr_assert_eq(load_target_parse(bad[i], &target, &err), -EINVAL, "%s", bad[i]);
        cr_assert_not_null(err);
        cr_assert(target.http && target.host == NULL && strcmp(target.port, "same") == 0,
                  "%s: the output was touched", bad[i]);
    }
}

static struct load_options options_for(const char *target)
{
    return (struct load_options){
        .target = target, .concurrency = 50, .depth = 1, .timeout_ns = 1000000000, .seed = 1};
}

static struct load_plan *plan_for(const struct load_options *options)
{
    struct load_plan *plan = NULL;
    cleanup_error struct error *err = NULL;
    cr_assert_eq(load_plan_make(options, &plan, &err), 0, "%s", error_message(err));
    return plan;
}

/* The bridge's request is JSON whatever the options hold, and a frame of it is one line. */
Test(load_plan, bridge_request)
{
    static const char *headers[] = {"X-A:  b\"c", "x-request-id: 1"};
    struct load_options options = options_for("tcp://127.0.0.1:1/work?bid=2");
    options.body = "{\"s0\": [\"\n\\\"]}";
    options.headers.items = headers;
    options.headers.count = 2;
    for (int keep = 0; keep < 2; keep++) {
        options.keep_alive = keep;
        cleanup_load_plan struct load_plan *plan = plan_for(&options);
        json_auto_t *json = json_loadb(plan->request, plan->request_length, 0, NULL);
        cr_assert_not_null(json);
        const char *newline = memchr(plan->request, '\n', plan->request_length);
        cr_assert_eq(newline, keep ? plan->request + plan->request_length - 1 : NULL);
        const char *method, *path, *body, *query, *type, *a, *id;
        cr_assert_eq(json_unpack(json, "{s:s, s:s, s:{s:s, s:s, s:s !}, s:s, s:s !}", "method",
                                 &method, "path", &path, "headers", "Content-Type", &type, "X-A",
                                 &a, "x-request-id", &id, "body", &body, "query_string", &query),
                     0);
        cr_assert_str_eq(method, "POST");
        cr_assert_str_eq(path, "/work");
        cr_assert_str_eq(query, "bid=2");
        cr_assert_str_eq(type, "application/json");
        cr_assert_str_eq(a, "b\"c");
        cr_assert_str_eq(body, options.body);
    }
    struct load_options bare = options_for("tcp://127.0.0.1:1");
    cleanup_load_plan struct load_plan *plan = plan_for(&bare);
    json_auto_t *json = json_loadb(plan->request, plan->request_length, 0, NULL);
    cr_assert_str_eq(json_string_value(json_object_get(json, "method")), "GET");
    cr_assert_str_eq(json_string_value(json_object_get(json, "path")), "/api/v1");
    cr_assert(json_is_null(json_object_get(json, "body")));
}

Test(load_plan, http_request)
{
    static const char *headers[] = {"host: other", "Content-Type: text/plain"};
    struct load_options options = options_for("http://[::1]:81/work?bid=2");
    options.path = "/p";
    options.query = "q=1";
    cleanup_load_plan struct load_plan *plan = plan_for(&options);
    static const char get[] = "GET /p?q=1 HTTP/1.1\r\nHost: [::1]:81\r\n\r\n";
    cr_assert(plan->request_length == sizeof(get) - 1 &&
              memcmp(plan->request, get, sizeof(get) - 1) == 0);
    cr_assert(plan->keep_alive, "HTTP keeps its connections by default");

    options.headers.items = headers;
    options.headers.count = 2;
    options.body = "hi";
    options.one_shot = true;
    cleanup_load_plan struct load_plan *post = plan_for(&options);
    static const char text[] = "POST /p?q=1 HTTP/1.1\r\nhost: other\r\nContent-Type: text/plain\r\n"
                               "Content-Length: 2\r\nConnection: close\r\n\r\nhi";
    cr_assert(post->request_length == sizeof(text) - 1 &&
              memcmp(post->request, text, sizeof(text) - 1) == 0);
}

/* One send() carries as many pipelined requests as fit its block, and the block is copies of one.
 */
Test(load_plan, shape)
{
    struct load_options options = options_for("tcp://127.0.0.1:1");
    cleanup_load_plan struct load_plan *one = plan_for(&options);
    cr_assert(!one->keep_alive && one->requests == 50 && one->block_count == 1);
    cr_assert_eq(one->answers, LOAD_ANSWER_OBJECT);

    options.keep_alive = true;
    options.depth = 4096;
    options.requests = 3;
    options.threads = 9;
    cleanup_load_plan struct load_plan *deep = plan_for(&options);
    cr_assert_eq(deep->concurrency, 3, "more clients than requests have nothing to do");
    cr_assert_eq(deep->threads, 3);
    cr_assert(deep->block_count > 100 &&
              deep->block_count * deep->request_length <= LOAD_BLOCK_BYTES);
    for (size_t i = 0; i < deep->block_count; i++)
        cr_assert_eq(
            memcmp(deep->block + i * deep->request_length, deep->request, deep->request_length), 0);

    /* A large body from a file. */
    char path[] = "/tmp/test_load_plan_XXXXXX";
    cleanup_close int fd = mkstemp(path);
    cleanup_free char *large = xcalloc(1, 100000);
    memset(large, 'b', 99999);
    cr_assert_eq(write(fd, large, 99999), 99999);
    cleanup_free char *body = xasprintf("@%s", path);
    options.body = body;
    cleanup_load_plan struct load_plan *big = plan_for(&options);
    unlink(path);
    cr_assert_eq(big->block_count, 1);
    cr_assert_not_null(memmem(big->request, big->request_length, large, 99999));
}

Test(load_plan, refusals)
{
    static const char *bad_headers[] = {"x", ": y", "a b: c", "a: b\nc: d"};
    struct load_options base = options_for("tcp://127.0.0.1:1"), cases[12];
    size_t count = 0;
    for (size_t i = 0; i < 4; i++) {
        cases[count] = base;
        cases[count].headers.items = &bad_headers[i];
        cases[count++].headers.count = 1;
    }
    cases[count] = base, cases[count++].depth = 2;
    cases[count] = base, cases[count++].any_answer = true;
    cases[count] = base, cases[count].keep_alive = true, cases[count++].one_shot = true;
    cases[count] = base, cases[count++].body = "@/no/such/file";
    cases[count] = base, cases[count++].path = "x";
    cases[count] = base, cases[count++].query = "a b";
    cases[count] = base, cases[count++].method = "";
    cases[count] = base, cases[count++].timeout_ns = 0;
    for (size_t i = 0; i < count; i++) {
        struct load_plan *plan = NULL;
        cleanup_error struct error *err = NULL;
        cr_assert_eq(load_plan_make(&cases[i], &plan, &err), -EINVAL, "case %zu", i);
        cr_assert(plan == NULL && err != NULL);
    }
}
