/* Threads call, list and watch at once through one client, credentials are renewed under them, and
 * the client is canceled in the middle of it all: everything ends, and soon. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "client_case.h"

enum { THREADS = 6, WATCHERS = 2, ROUNDS = 60, ALARM_S = 60 };

static struct client_case test;
static bool stop_watches;
static atomic_uint served, events, canceled, warnings;

static void check(bool truth, const char *what)
{
    if (truth)
        return;
    fprintf(stderr, "race_client: %s\n", what);
    exit(1);
}

/* Every seventh credential is refused, every fifth answer is put off or lost, a client certificate
 * lasts for nine requests, and warnings repeat; a watch never ends. */
static void answer(struct fake_reply *reply)
{
    static const char event[] = "{\"type\":\"ADDED\",\"object\":{\"metadata\":{}}}\n";

    char warning[64];

    snprintf(warning, sizeof(warning), "Warning: 299 - \"warning %zu\"\r\n", reply->index % 300);
    atomic_store(&fake_certificate_number, (unsigned)reply->index / 9);
    if (strstr(reply->request, "watch=true")) {
        fake_chunked(&reply->text);
        fake_chunk(&reply->text, event, sizeof(event) - 1);
    } else if (reply->index % 7 == 3) {
        fake_body(&reply->text, 401, "", "{}");
    } else if (reply->index % 5 == 4) {
        reply->after = reply->index % 2 ? FAKE_CLOSE : FAKE_RESET;
    } else {
        fake_body(&reply->text, 200, warning, "{\"metadata\":{},\"items\":[{},{}]}");
    }
}

static void take_warning(void *context, const char *what, const char *text)
{
    (void)context;
    check(*what && strncmp(text, "warning ", 8) == 0, "a warning that is none");
    warnings++;
}

static int take_item(void *context, json_t *object)
{
    (void)context;
    return json_is_object(object) ? 0 : -1;
}

static int take_event(void *context, const char *type, json_t *object)
{
    (void)context;
    (void)object;
    check(strcmp(type, "ADDED") == 0, "an event of another type");
    events++;
    return 0;
}

static void *call(void *context)
{
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;
    json_auto_t *body = json_object();

    metrics_thread_attach(context);
    for (int i = 0; i < ROUNDS; i++) {
        int ret = i % 3 == 0   ? kube_get(test.client, &client_case_maps, "n", "a", &result)
                  : i % 3 == 1 ? kube_create(test.client, &client_case_maps, "n", body, &result)
                               : kube_list(test.client, &client_case_maps, "n", NULL, take_item,
                                           NULL, NULL, NULL, &result);
        served += ret == 0;
        canceled += ret == -ECANCELED;
        check(ret <= 0 && (ret == 0) == !result.message, "a failure without a sentence");
    }
    metrics_thread_detach();
    return NULL;
}

static void *watch(void *context)
{
    cleanup_kube_result struct kube_result result = KUBE_RESULT_INIT;

    metrics_thread_attach(context);
    while (!__atomic_load_n(&stop_watches, __ATOMIC_ACQUIRE))
        kube_watch(test.client, &client_case_maps, "n", NULL, take_event, NULL, &stop_watches,
                   &result);
    metrics_thread_detach();
    return NULL;
}

/* One round: calls beside watches, which are stopped by their flag; or everything is canceled. */
static void run(bool cancel)
{
    pthread_t threads[THREADS], watchers[WATCHERS];
    struct metrics *metrics = metrics_new();

    memset(&test, 0, sizeof(test));
    test.options = (struct kube_client_options){.qps = 5000,
                                                .burst = 10,
                                                .timeout_ns = 20 * NS_PER_S,
                                                .metrics = metrics,
                                                .warning = take_warning};
    __atomic_store_n(&stop_watches, false, __ATOMIC_RELEASE);
    canceled = 0;
    client_case_start(&test, answer, NULL);
    for (size_t i = 0; i < WATCHERS; i++)
        check(pthread_create(&watchers[i], NULL, watch, metrics) == 0, "no thread");
    for (size_t i = 0; i < THREADS; i++)
        check(pthread_create(&threads[i], NULL, call, metrics) == 0, "no thread");
    if (cancel) {
        usleep(100000);
        kube_client_cancel(test.client);
    }
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    uint64_t begun_ns = clock_monotonic_ns();
    __atomic_store_n(&stop_watches, true, __ATOMIC_RELEASE);
    kube_client_wake(test.client);
    for (size_t i = 0; i < WATCHERS; i++)
        pthread_join(watchers[i], NULL);
    check(client_case_since_ms(begun_ns) < 2000, "a watch did not see its flag");
    check(cancel == (canceled > 0), "canceled calls in the wrong round");
    client_case_stop(&test);
    metrics_free(metrics);
}

int main(void)
{
    alarm(ALARM_S);
    run(false);
    check(served > THREADS * ROUNDS / 2, "hardly any call succeeded");
    check(events > 0, "no event came");
    check(warnings > 100, "hardly any warning came");
    run(true);
    return 0;
}
