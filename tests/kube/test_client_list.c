#include "client_case.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"

/* What the caller of a list saw, as text. */
struct seen {
    struct buffer text;
    size_t count, refuse_at; /* fails at this one; 0: never */
};

static int see(void *context, json_t *object)
{
    struct seen *seen = context;
    cleanup_free char *text = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS);
    buffer_printf(&seen->text, "%s\n", text);
    return __atomic_add_fetch(&seen->count, 1, __ATOMIC_RELEASE) == seen->refuse_at ? -EXDEV : 0;
}

/* Answers, one a request, in two chunks; then whatever ends the connection. */
struct pages {
    struct {
        int status; /* 200 is chunked; 0: nothing comes */
        const char *body;
        bool broken; /* without its end */
    } pages[6];
    size_t cut;
    size_t first; /* the request that the first page answers */
};

static void answer_pages(struct fake_reply *reply)
{
    struct pages *pages = reply->context;
    size_t i = reply->index - pages->first;
    const char *body = pages->pages[i].body;
    size_t length = strlen(body), cut = pages->cut < length ? pages->cut : length;

    if (pages->pages[i].status == 0)
        return;
    if (pages->pages[i].status == 429) {
        fake_body(&reply->text, 429, "Retry-After: 8\r\n", body);
        return;
    }
    if (pages->pages[i].status != 200) {
        fake_body(&reply->text, pages->pages[i].status, "", body);
        return;
    }
    fake_chunked(&reply->text);
    fake_chunk(&reply->text, body, cut);
    fake_chunk(&reply->text, body + cut, length - cut);
    if (!pages->pages[i].broken)
        fake_chunked_end(&reply->text);
    else
        reply->after = FAKE_CLOSE;
}

#define PAGE_1                                                                                     \
    "{\"kind\":\"DeploymentList\",\"apiVersion\":\"apps/v1\",\"metadata\":{\"resourceVersion\":"   \
    "\"7\",\"continue\":\"a/b\"},\"items\":[{\"metadata\":{\"name\":\"a\"}},{\"metadata\":{"       \
    "\"name\":\"b\",\"managedFields\":[{}]}}]}\n"
#define PAGE_2                                                                                     \
    "{\"apiVersion\":\"apps/v1\",\"items\":[{\"apiVersion\":\"own/v1\",\"kind\":\"Own\"}],"        \
    "\"metadata\":{\"continue\":\"c\",\"resourceVersion\":\"8\"}}"
#define PAGE_3 "{\"metadata\":{\"resourceVersion\":\"9\"},\"items\":null}"
#define ITEMS(fields)                                                                              \
    "{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"a\"}}\n"         \
    "{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"managedFields\":"         \
    "[" fields "],\"name\":\"b\"}}\n{\"apiVersion\":\"own/v1\",\"kind\":\"Own\"}\n"

Test(client_list, pages_come_as_items_wherever_they_are_cut)
{
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    struct pages pages = {
        .pages = {{200, PAGE_1, false}, {200, PAGE_2, false}, {200, PAGE_3, false}}};
    struct client_case test = {.options = {.qps = 0}};
    struct kube_list_options options = {.limit = 2, .label_selector = "x=y"};

    client_case_start(&test, answer_pages, &pages);
    for (; pages.cut <= strlen(PAGE_1); pages.cut++) {
        struct seen seen = {.text = BUFFER_INIT(4096)};
        cleanup_free char *version = NULL;
        pages.first = pages.cut * 3;
        options.strip_managed_fields = pages.cut % 2;
        cr_assert_eq(kube_list(test.client, &client_case_deployments, "n", &options, see, &seen,
                               NULL, &version, &result),
                     0, "cut at %zu: %s", pages.cut, result.message);
        cr_assert_str_eq(buffer_terminate(&seen.text),
                         options.strip_managed_fields ? ITEMS("") : ITEMS("{}"), "cut at %zu",
                         pages.cut);
        cr_assert_str_eq(version, "7");
        buffer_free(&seen.text);
    }
    cr_assert_eq(fake_server_connections(test.server), 1);
    cr_assert(client_case_sent(&test, 0,
                               "GET /apis/apps/v1/namespaces/n/deployments?"
                               "labelSelector=x%3Dy&limit=2 HTTP"));
    cr_assert(client_case_sent(&test, 1, "?labelSelector=x%3Dy&limit=2&continue=a%2Fb HTTP"));
    cr_assert(client_case_sent(&test, 2, "&limit=2&continue=c HTTP"));
    client_case_stop(&test);
}

Test(client_list, the_version_asked_for_is_the_first_pages)
{
    static const struct {
        const char *version, *query;
    } cases[] = {{NULL, "?limit=500 HTTP"},
                 {"0", "?limit=500&resourceVersion=0 HTTP"},
                 {"5", "?limit=500&resourceVersion=5&resourceVersionMatch=NotOlderThan HTTP"}};
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pages pages = {.pages = {{200, PAGE_2, false}, {200, PAGE_3, false}}};
        struct client_case test = {.options = {.qps = 0}};
        struct seen seen = {.text = BUFFER_INIT(4096)};
        struct kube_list_options options = {.resource_version = cases[i].version};
        client_case_start(&test, answer_pages, &pages);
        cr_assert_eq(kube_list(test.client, &client_case_nodes, NULL, &options, see, &seen, NULL,
                               NULL, &result),
                     0);
        cr_assert(client_case_sent(&test, 0, cases[i].query), "%zu", i);
        cr_assert(client_case_sent(&test, 1, "?limit=500&continue=c HTTP"));
        buffer_free(&seen.text);
        client_case_stop(&test);
    }
}

/* Lists with these answers; returns what the list did. */
static int list_pages(struct pages *pages, size_t answer_bytes, struct seen *seen,
                      struct kube_result *result, size_t *ret_requests)
{
    struct client_case test = {.options = {.answer_bytes = answer_bytes}};
    cleanup_free char *version = NULL;

    client_case_start(&test, answer_pages, pages);
    int ret =
        kube_list(test.client, &client_case_maps, NULL, NULL, see, seen, NULL, &version, result);
    cr_assert_eq(version != NULL, ret == 0);
    *ret_requests = fake_server_requests(test.server);
    buffer_free(&seen->text);
    client_case_stop(&test);
    return ret;
}

Test(client_list, what_goes_wrong_ends_it)
{
    static const struct {
        struct pages pages;
        int ret;
        size_t items, requests;
        char sentence[64];
    } cases[] = {
        /* The token for the next page is too old. */
        {{.pages = {{200, PAGE_1, false}, {410, "{\"reason\":\"Expired\"}", false}}},
         -ESTALE,
         2,
         2,
         "LIST v1 configmaps: 410 Expired"},
        {{.pages = {{403, "{}", false}}}, -EACCES, 0, 1, "LIST v1 configmaps: 403 Forbidden"},
        /* Broken before the first item: asked again. After it: not. */
        {{.pages = {{200, "{\"items\":[{\"a\":1", true}, {200, PAGE_3, false}}}, 0, 0, 2, ""},
        {{.pages = {{200, "{\"items\":[{},{\"a\":1", true}, {200, PAGE_3, false}}},
         -EIO,
         1,
         1,
         "broke the connection"},
        {{.pages = {{200, PAGE_1, false}, {200, "{\"ite", true}, {200, PAGE_3, false}}},
         0,
         2,
         3,
         ""},
        /* Not a list, or not a whole one. */
        {{.pages = {{200, "{\"items\":[{}]", false}}}, -EPROTO, 1, 1, "not a list of objects"},
        {{.pages = {{200, "[{}]", false}}}, -EPROTO, 0, 1, "not a list of objects"},
        {{.pages = {{200, "{\"items\":[{}]}", false}}}, -EPROTO, 1, 1, "it has no metadata"},
        {{.pages = {{200, "{\"items\":[{}],x}", false}}},
         -EPROTO,
         1,
         1,
         "the answer is not a list"},
        {{.pages = {{200, "{\"items\":[{\"a\":x}]}", false}}},
         -EPROTO,
         0,
         1,
         "an item is not JSON"},
        {{.pages = {{200, "{\"items\":[{\"a\":\"0123456789\"}]}", false}}},
         -EMSGSIZE,
         0,
         1,
         "an item has more than 16 bytes"},
    };
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pages pages = cases[i].pages;
        struct seen seen = {.text = BUFFER_INIT(4096)};
        size_t requests;
        int ret = list_pages(&pages, cases[i].ret == -EMSGSIZE ? 16 : 0, &seen, &result, &requests);
        cr_assert_eq(ret, cases[i].ret, "%zu: %d %s", i, ret, result.message);
        cr_assert_eq(seen.count, cases[i].items, "%zu: %zu", i, seen.count);
        cr_assert_eq(requests, cases[i].requests, "%zu: %zu", i, requests);
        cr_assert(ret == 0 || strstr(result.message, cases[i].sentence), "%zu: %s", i,
                  result.message);
    }
}

Test(client_list, a_number_that_is_too_large_spoils_nothing)
{
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    struct pages pages = {.pages = {{200,
                                     "{\"items\":[{\"a\":18446744073709551615,\"b\":\"\\u0000\"},"
                                     "{\"a\":1}],\"metadata\":{}}",
                                     false}}};
    struct seen seen = {.text = BUFFER_INIT(4096)};
    size_t requests;

    cr_assert_eq(list_pages(&pages, 0, &seen, &result, &requests), 0, "%s", result.message);
    cr_assert_eq(seen.count, 2);
}

Test(client_list, the_caller_can_end_it)
{
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    struct pages pages = {.pages = {{200, PAGE_1, false}}};
    struct seen seen = {.text = BUFFER_INIT(4096), .refuse_at = 1};
    size_t requests;

    cr_assert_eq(list_pages(&pages, 0, &seen, &result, &requests), -EXDEV);
    cr_assert_eq(seen.count, 1);
    cr_assert_eq(requests, 1);
}

struct stopper {
    const struct client_case *test;
    const struct seen *seen;
    bool stop;
    uint64_t at_ns;
};

static void *stop_soon(void *context)
{
    struct stopper *stopper = context;
    client_case_wait(stopper->test, 2, &stopper->seen->count, 2);
    /* Until it waits, for more or for the pause to be over; in its first 0.2 s curl looks by
     * itself. */
    usleep(400000);
    stopper->at_ns = clock_monotonic_ns();
    __atomic_store_n(&stopper->stop, true, __ATOMIC_RELEASE);
    kube_client_wake(stopper->test->client);
    return NULL;
}

Test(client_list, a_stop_flag_is_seen_at_once_when_woken)
{
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    /* While nothing comes, and in a pause that the server asked for. */
    for (int status = 0; status <= 429; status += 429) {
        struct pages pages = {.pages = {{200, PAGE_1, false}, {status, "{}", false}}};
        struct client_case test = {.options = {.qps = 0}};
        struct seen seen = {.text = BUFFER_INIT(4096)};
        struct stopper stopper = {.test = &test, .seen = &seen};
        pthread_t thread;
        client_case_start(&test, answer_pages, &pages);
        pthread_create(&thread, NULL, stop_soon, &stopper);
        int ret = kube_list(test.client, &client_case_nodes, NULL, NULL, see, &seen, &stopper.stop,
                            NULL, &result);
        double took_ms = client_case_since_ms(stopper.at_ns);
        pthread_join(thread, NULL);
        cr_assert_eq(ret, -ECANCELED);
        cr_assert_str_eq(result.message, "LIST v1 nodes: canceled");
        cr_assert_lt(took_ms, 4000, "it would look by itself every five seconds");
        cr_assert_eq(seen.count, 2, "what came before was delivered");
        cr_assert_eq(fake_server_requests(test.server), 2);
        /* And before it begins. */
        ret = kube_list(test.client, &client_case_nodes, NULL, NULL, see, &seen, &stopper.stop,
                        NULL, &result);
        cr_assert_eq(ret, -ECANCELED);
        cr_assert_eq(fake_server_requests(test.server), 2);
        buffer_free(&seen.text);
        client_case_stop(&test);
    }
}
