#include "client_case.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"

/* What the caller of a list or watch saw, as text. */
struct seen {
    struct buffer text;
    size_t count, refuse_at; /* fails at this one; 0: never */
};

static int see_event(void *context, const char *type, json_t *object)
{
    struct seen *seen = context;
    cleanup_free char *text = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS);
    buffer_printf(&seen->text, "%s %s\n", type, text);
    return __atomic_add_fetch(&seen->count, 1, __ATOMIC_RELEASE) == seen->refuse_at ? -EXDEV : 0;
}

/* One answer in two chunks. */
struct chunks {
    const char *text;
    size_t cut;
    bool whole; /* the stream has its proper end */
    enum fake_after after;
};

static void answer_chunks(struct fake_reply *reply)
{
    const struct chunks *chunks = reply->context;

    fake_chunked(&reply->text);
    fake_chunk(&reply->text, chunks->text, chunks->cut);
    fake_chunk(&reply->text, chunks->text + chunks->cut, strlen(chunks->text) - chunks->cut);
    if (chunks->whole)
        fake_chunked_end(&reply->text);
    reply->after = chunks->after;
}

#define EVENTS                                                                                     \
    "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"a\",\"managedFields\":[{}]}}}\n"     \
    "{\"type\":\"MODIFIED\",\"object\":{\"a\":\"}\\\"{\"}}{\"type\":\"BOOKMARK\",\"object\":"      \
    "{}}\r\n\r\n{\"type\":\"ERROR\",\"object\":{\"code\":410}}"

Test(client_watch, events_come_whole_wherever_the_stream_is_cut)
{
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    struct chunks chunks = {.text = EVENTS, .whole = true};
    struct client_case test = {.options = {.qps = 0}};
    struct kube_watch_options options = {.resource_version = "1"};

    client_case_start(&test, answer_chunks, &chunks);
    for (; chunks.cut <= strlen(EVENTS); chunks.cut++) {
        struct seen seen = {.text = BUFFER_INIT(4096)};
        options.strip_managed_fields = chunks.cut % 2;
        cr_assert_eq(kube_watch(test.client, &client_case_maps, "n", &options, see_event, &seen,
                                NULL, &result),
                     0, "cut at %zu: %s", chunks.cut, result.message);
        cleanup_free char *wanted =
            xasprintf("ADDED {\"metadata\":{\"managedFields\":[%s],\"name\":\"a\"}}\n"
                      "MODIFIED {\"a\":\"}\\\"{\"}\nBOOKMARK {}\nERROR {\"code\":410}\n",
                      options.strip_managed_fields ? "" : "{}");
        cr_assert_str_eq(buffer_terminate(&seen.text), wanted, "cut at %zu", chunks.cut);
        buffer_free(&seen.text);
    }
    cr_assert_eq(fake_server_connections(test.server), 1);
    client_case_stop(&test);
}

static void answer_part(struct fake_reply *reply)
{
    const struct chunks *chunks = reply->context;

    fake_chunked(&reply->text);
    fake_chunk(&reply->text, chunks->text, chunks->cut);
    if (chunks->whole)
        fake_chunked_end(&reply->text);
    reply->after = chunks->after;
}

Test(client_watch, a_stream_that_breaks_off_gives_whole_events_only)
{
    static const size_t ends[] = {72, 114, 145, 187}; /* of the events in EVENTS */
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;

    for (int whole = 0; whole < 2; whole++) {
        struct chunks chunks = {.text = EVENTS, .whole = whole, .after = FAKE_CLOSE};
        struct client_case test = {.options = {.qps = 0}};
        client_case_start(&test, answer_part, &chunks);
        for (; chunks.cut <= strlen(EVENTS); chunks.cut++) {
            struct seen seen = {.text = BUFFER_INIT(4096)};
            size_t wanted = 0;
            bool between = chunks.cut == 0;
            for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
                size_t next = i + 1 < sizeof(ends) / sizeof(ends[0]) ? ends[i + 1] : SIZE_MAX;
                wanted += chunks.cut >= ends[i];
                const char *rest = &chunks.text[ends[i]];
                if (chunks.cut >= ends[i] && chunks.cut < next)
                    between = chunks.cut - ends[i] <= strspn(rest, "\r\n");
            }
            int ret = kube_watch(test.client, &client_case_maps, "n", NULL, see_event, &seen, NULL,
                                 &result);
            cr_assert_eq(ret,
                         !whole    ? -EIO
                         : between ? 0
                                   : -EPROTO,
                         "cut at %zu: %d %s", chunks.cut, ret, result.message);
            cr_assert_eq(seen.count, wanted, "cut at %zu: %zu", chunks.cut, seen.count);
            buffer_free(&seen.text);
        }
        client_case_stop(&test);
    }
}

Test(client_watch, the_query_says_what_is_wanted)
{
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    struct chunks chunks = {.text = "", .whole = true};
    struct client_case test = {.options = {.qps = 0}};
    struct seen seen = {.text = BUFFER_INIT(4096)};
    struct kube_watch_options options = {.label_selector = "a in (b, c),d!=e",
                                         .field_selector = "metadata.name=x",
                                         .timeout_ns = 1500 * NS_PER_MS,
                                         .initial_events = true};

    client_case_start(&test, answer_chunks, &chunks);
    cr_assert_eq(
        kube_watch(test.client, &client_case_maps, NULL, &options, see_event, &seen, NULL, &result),
        0);
    cr_assert(client_case_sent(&test, 0,
                               "GET /api/v1/configmaps?watch=true&"
                               "allowWatchBookmarks=true&timeoutSeconds=2&"
                               "labelSelector=a%20in%20%28b%2C%20c%29%2Cd%21%3De&"
                               "fieldSelector=metadata.name%3Dx&sendInitialEvents=true&"
                               "resourceVersionMatch=NotOlderThan HTTP/1.1\r\n"));
    options = (struct kube_watch_options){.resource_version = "17"};
    for (size_t i = 1; i < 20; i++) {
        cr_assert_eq(kube_watch(test.client, &client_case_deployments, "n", &options, see_event,
                                &seen, NULL, &result),
                     0);
        cr_assert(client_case_sent(&test, i, "&resourceVersion=17 HTTP"));
        cleanup_free char *request = fake_server_request(test.server, i);
        long seconds = strtol(strstr(request, "timeoutSeconds=") + 15, NULL, 10);
        cr_assert(seconds >= 300 && seconds <= 600, "%ld", seconds);
    }
    client_case_stop(&test);
}

Test(client_watch, what_is_no_event_ends_it)
{
    static const struct {
        const char *text;
        int ret;
        const char *sentence;
    } cases[] = {
        {"{\"type\":\"ADDED\"}", -EPROTO,
         "WATCH v1 configmaps n: an event has no type or no object"},
        {"{\"type\":7,\"object\":{}}", -EPROTO, "no type or no object"},
        {"{\"type\":\"A\",\"object\":{}x}", -EPROTO, "an event is not JSON: "},
        {"[]", -EPROTO, "the stream is not one of JSON objects"},
        {"<html>", -EPROTO, "the stream is not one of JSON objects"},
        {"{\"type\":\"A\",\"object\":{\"a\":\"0123456789012345678901234567890123456789\"}}",
         -EMSGSIZE, "an event has more than 60 bytes"},
    };
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    struct kube_watch_options options = {.event_bytes = 60};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct chunks chunks = {.text = cases[i].text, .whole = true};
        struct client_case test = {.options = {.qps = 0}};
        struct seen seen = {.text = BUFFER_INIT(4096)};
        client_case_start(&test, answer_chunks, &chunks);
        int ret = kube_watch(test.client, &client_case_maps, "n", &options, see_event, &seen, NULL,
                             &result);
        cr_assert_eq(ret, cases[i].ret, "%zu: %d %s", i, ret, result.message);
        cr_assert(strstr(result.message, cases[i].sentence), "%zu: %s", i, result.message);
        cr_assert_eq(seen.count, 0);
        client_case_stop(&test);
    }
}

static void answer_refusals(struct fake_reply *reply)
{
    static const int statuses[] = {410, 403, 422, 429, 503};
    fake_body(&reply->text, statuses[reply->index], "Retry-After: 3\r\n",
              "{\"kind\":\"Status\",\"reason\":\"R\",\"message\":\"too old\"}");
}

Test(client_watch, a_refusal_comes_back_at_once)
{
    static const int wanted[] = {-ESTALE, -EACCES, -EINVAL, -EBUSY, -EREMOTEIO};
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    struct client_case test = {.options = {.qps = 0}};
    struct seen seen = {.text = BUFFER_INIT(4096)};

    client_case_start(&test, answer_refusals, NULL);
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        cr_assert_eq(
            kube_watch(test.client, &client_case_maps, "n", NULL, see_event, &seen, NULL, &result),
            wanted[i]);
        cr_assert_str_eq(result.reason, "R");
        cr_assert_eq(result.retry_after_ns, 3 * NS_PER_S);
        cr_assert_eq(fake_server_requests(test.server), i + 1);
    }
    client_case_stop(&test);
    /* Nor is one that nobody answers tried again. */
    struct client_case nobody = {.options = {.qps = 0}};
    client_case_start(&nobody, NULL, NULL);
    uint64_t begun_ns = clock_monotonic_ns();
    cr_assert_eq(
        kube_watch(nobody.client, &client_case_maps, "n", NULL, see_event, &seen, NULL, &result),
        -ECONNREFUSED);
    cr_assert_lt(client_case_since_ms(begun_ns), 20000, "not when the deadline is over");
    client_case_stop(&nobody);
}

Test(client_watch, the_caller_can_end_it)
{
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    struct chunks chunks = {.text = EVENTS};
    struct client_case test = {.options = {.qps = 0}};
    struct seen seen = {.text = BUFFER_INIT(4096), .refuse_at = 2};

    client_case_start(&test, answer_chunks, &chunks);
    cr_assert_eq(
        kube_watch(test.client, &client_case_maps, "n", NULL, see_event, &seen, NULL, &result),
        -EXDEV);
    cr_assert_eq(seen.count, 2);
    buffer_free(&seen.text);
    client_case_stop(&test);
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
    client_case_wait(stopper->test, 1, &stopper->seen->count, 4);
    /* Until it waits, for more or for the pause to be over; in its first 0.2 s curl looks by
     * itself. */
    usleep(400000);
    stopper->at_ns = clock_monotonic_ns();
    __atomic_store_n(&stopper->stop, true, __ATOMIC_RELEASE);
    kube_client_wake(stopper->test->client);
    return NULL;
}

Test(client_watch, a_stop_flag_is_seen_at_once_when_woken)
{
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    struct chunks chunks = {.text = EVENTS};
    struct client_case test = {.options = {.qps = 0}};
    struct seen seen = {.text = BUFFER_INIT(4096)};
    struct stopper stopper = {.test = &test, .seen = &seen};
    pthread_t thread;

    client_case_start(&test, answer_chunks, &chunks);
    pthread_create(&thread, NULL, stop_soon, &stopper);
    int ret = kube_watch(test.client, &client_case_maps, "n", NULL, see_event, &seen, &stopper.stop,
                         &result);
    double took_ms = client_case_since_ms(stopper.at_ns);
    pthread_join(thread, NULL);
    cr_assert_eq(ret, -ECANCELED);
    cr_assert_lt(took_ms, 4000, "it would look by itself every five seconds");
    cr_assert_eq(seen.count, 4, "what came before was delivered");
    /* And before it begins. */
    ret = kube_watch(test.client, &client_case_maps, "n", NULL, see_event, &seen, &stopper.stop,
                     &result);
    cr_assert_eq(ret, -ECANCELED);
    cr_assert_eq(fake_server_requests(test.server), 1);
    buffer_free(&seen.text);
    client_case_stop(&test);
}

Test(client_watch, a_silent_connection_counts_as_dead)
{
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    struct chunks chunks = {.text = EVENTS};
    struct client_case test = {.options = {.qps = 0}};
    struct seen seen = {.text = BUFFER_INIT(4096)};
    struct kube_watch_options options = {.idle_ns = 200 * NS_PER_MS};
    uint64_t begun_ns = clock_monotonic_ns();

    client_case_start(&test, answer_chunks, &chunks);
    cr_assert_eq(
        kube_watch(test.client, &client_case_maps, "n", &options, see_event, &seen, NULL, &result),
        -ETIMEDOUT);
    double took_ms = client_case_since_ms(begun_ns);
    cr_assert(took_ms >= 200 && took_ms < 4000, "%g ms", took_ms);
    cr_assert(strstr(result.message, "counts as dead"), "%s", result.message);
    buffer_free(&seen.text);
    client_case_stop(&test);
}

static void answer_unauthorized_once(struct fake_reply *reply)
{
    if (reply->index == 0)
        fake_body(&reply->text, 401, "", "{}");
    else
        fake_body(&reply->text, 200, "", EVENTS);
}

Test(client_watch, a_refused_credential_is_renewed)
{
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    struct client_case test = {.options = {.qps = 0}};
    struct seen seen = {.text = BUFFER_INIT(4096)};

    client_case_start(&test, answer_unauthorized_once, NULL);
    cr_assert_eq(
        kube_watch(test.client, &client_case_maps, "n", NULL, see_event, &seen, NULL, &result), 0);
    cr_assert(client_case_sent(&test, 1, "Authorization: Bearer two\r\n"));
    cr_assert_eq(seen.count, 4);
    buffer_free(&seen.text);
    client_case_stop(&test);
}
