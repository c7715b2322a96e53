/* The lease's thread against an API server in memory; the rules alone are in
 * ../test_lease_state.c. */
#include "kube/lease.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "api.h"
#include "base/clock.h"

static const char key[] = "leases/system/op";

static struct api api;

/* A replica. */
struct replica {
    struct kube_client client;
    struct kube_lease_options options;
    struct kube_lease *lease;
    _Atomic unsigned begun, ended, failed;
    char complaint[256]; /* the last; read it after the lease was stopped */
};

static void changed(void *context, bool leading)
{
    struct replica *replica = context;
    atomic_fetch_add(leading ? &replica->begun : &replica->ended, 1);
}

static void failed(void *context, const char *message)
{
    struct replica *replica = context;
    snprintf(replica->complaint, sizeof(replica->complaint), "%s", message);
    atomic_fetch_add(&replica->failed, 1);
}

static void start(struct replica *replica, const char *identity)
{
    cleanup_error struct error *err = NULL;
    if (!replica->client.api)
        replica->client.api = &api;
    replica->options.namespace = "system";
    replica->options.name = "op";
    replica->options.identity = identity;
    replica->options.changed = changed;
    replica->options.failed = failed;
    replica->options.context = replica;
    /* Stated as a second, the least there is. */
    if (!replica->options.duration_ns)
        replica->options.duration_ns = 900 * NS_PER_MS;
    if (!replica->options.renew_deadline_ns)
        replica->options.renew_deadline_ns = 500 * NS_PER_MS;
    replica->options.retry_ns = 50 * NS_PER_MS;
    cr_assert_eq(kube_lease_start(&replica->client, &replica->options, &replica->lease, &err), 0,
                 "%s", error_message(err));
}

static bool leads(void *context)
{
    return kube_lease_leading(((struct replica *)context)->lease);
}

static bool leads_not(void *context)
{
    return !leads(context);
}

static bool ended(void *context)
{
    return atomic_load(&((struct replica *)context)->ended) > 0;
}

static const char *spec_text(json_t *object, const char *field)
{
    const char *text = json_string_value(json_object_get(json_object_get(object, "spec"), field));
    return text ? text : "";
}

static json_int_t spec_number(json_t *object, const char *field)
{
    return json_integer_value(json_object_get(json_object_get(object, "spec"), field));
}

static unsigned served(enum api_verb verb)
{
    pthread_mutex_lock(&api.lock);
    unsigned count = api.served[verb];
    pthread_mutex_unlock(&api.lock);
    return count;
}

static void setup(void)
{
    api_init(&api);
}

static void teardown(void)
{
    api_free(&api);
}

TestSuite(lease, .init = setup, .fini = teardown);

/* Puts a lease of another in the server. */
static void put(const char *holder, int seconds)
{
    api_put(&api, key,
            json_pack("{s:{s:s, s:s, s:{s:s}, s:[{}]}, s:{s:s, s:i, s:i, s:s}}", "metadata",
                      "namespace", "system", "name", "op", "annotations", "note", "kept",
                      "managedFields", "spec", "holderIdentity", holder, "leaseDurationSeconds",
                      seconds, "leaseTransitions", 4, "preferredHolder", "kept"));
}

Test(lease, is_made_renewed_and_given_back)
{
    static struct replica one;
    struct metrics *metrics = metrics_new();
    cleanup_buffer struct buffer text = BUFFER_INIT(65536);
    uint64_t until;
    one.options.metrics = metrics;
    start(&one, "one");
    cr_assert(eventually(leads, &one, 5));
    json_auto_t *made = api_read(&api, key);
    cr_assert_str_eq(json_string_value(json_object_get(made, "kind")), "Lease");
    cr_assert_str_eq(spec_text(made, "holderIdentity"), "one");
    cr_assert_eq(spec_number(made, "leaseDurationSeconds"), 1, "rounded up");
    cr_assert_eq(spec_number(made, "leaseTransitions"), 0);
    cr_assert_eq(strlen(spec_text(made, "renewTime")), sizeof("2026-11-23T10:00:00.123456Z") - 1);
    sleep_ms(300);
    until = kube_lease_until_ns(one.lease);
    cr_assert_gt(until, clock_monotonic_ns());
    cr_assert_leq(until, clock_monotonic_ns() + one.options.renew_deadline_ns);
    cr_assert_geq(served(API_UPDATE), 3);
    cr_assert_leq(served(API_UPDATE), 7, "one in a retry period");
    cr_assert_eq(served(API_GET), 1, "renewing needs no GET");
    cr_assert_eq(metrics_expose(metrics, METRICS_PROMETHEUS_TEXT, &text), 0);
    buffer_terminate(&text);
    cr_assert(strstr(text.data, "leader_election_master_status{name=\"op\"} 1\n"), "%s", text.data);
    cr_assert(strstr(text.data, "leader_election_transitions_total{name=\"op\"} 1\n"));
    json_auto_t *renewed = api_read(&api, key);
    cr_assert_str_eq(spec_text(renewed, "acquireTime"), spec_text(made, "acquireTime"));
    cr_assert_gt(strcmp(spec_text(renewed, "renewTime"), spec_text(made, "renewTime")), 0);
    kube_lease_stop(one.lease);
    json_auto_t *released = api_read(&api, key);
    cr_assert_str_eq(spec_text(released, "holderIdentity"), "");
    cr_assert_eq(spec_number(released, "leaseDurationSeconds"), 1);
    cr_assert_eq(one.begun, 1);
    cr_assert_eq(one.ended, 1);
    cr_assert_eq(one.failed, 0);
    kube_lease_stop(NULL);
    metrics_free(metrics);
}

Test(lease, one_of_two_and_then_the_other)
{
    static struct replica one, two;
    start(&one, "one");
    cr_assert(eventually(leads, &one, 5));
    start(&two, "two");
    sleep_ms(1300);
    cr_assert_not(leads(&two));
    cr_assert(leads(&one));
    kube_lease_stop(one.lease);
    uint64_t stopped = clock_monotonic_ns();
    cr_assert(eventually(leads, &two, 5));
    cr_assert_lt(clock_monotonic_ns() - stopped, 500 * NS_PER_MS, "at its next look");
    json_auto_t *taken = api_read(&api, key);
    cr_assert_eq(spec_number(taken, "leaseTransitions"), 1);
    kube_lease_stop(two.lease);
}

Test(lease, outlives_an_outage)
{
    static struct replica one;
    uint64_t cut;
    start(&one, "one");
    cr_assert(eventually(leads, &one, 5));
    atomic_store(&one.client.unreachable, true);
    cut = clock_monotonic_ns();
    cr_assert(eventually(leads_not, &one, 5));
    cr_assert_leq(clock_monotonic_ns() - cut, 600 * NS_PER_MS);
    cr_assert(eventually(ended, &one, 1));
    sleep_ms(500);
    cr_assert_not(leads(&one));
    cr_assert_gt(one.failed, 3);
    cr_assert_lt(one.client.calls, 100, "no busy loop");
    atomic_store(&one.client.unreachable, false);
    cr_assert(eventually(leads, &one, 5));
    kube_lease_stop(one.lease);
    cr_assert_eq(one.begun, 2);
    cr_assert_str_eq(one.complaint, "the server said 0");
}

Test(lease, a_call_that_hangs_does_not_keep_it)
{
    static struct replica one;
    uint64_t until;
    start(&one, "one");
    cr_assert(eventually(leads, &one, 5));
    atomic_store(&one.client.delay_ns, 1500 * NS_PER_MS);
    sleep_ms(120);
    until = kube_lease_until_ns(one.lease);
    cr_assert(eventually(leads_not, &one, 5));
    cr_assert_lt(clock_monotonic_ns(), until + 100 * NS_PER_MS);
    cr_assert_eq(kube_lease_until_ns(one.lease), 0);
    cr_assert_eq(one.client.in_calls, 1, "the thread is still in its call");
    atomic_store(&one.client.delay_ns, 0);
    cr_assert(eventually(leads, &one, 5));
    kube_lease_stop(one.lease);
}

Test(lease, lost_answers_and_foreign_edits)
{
    static struct replica one;
    put("", 1);
    atomic_store(&one.client.lose_answers, 1);
    start(&one, "one");
    cr_assert(eventually(leads, &one, 5), "it took it, and saw that later");
    for (int i = 0; i < 3; i++) {
        atomic_store(&one.client.lose_answers, 1);
        sleep_ms(120);
        json_t *edited = api_read(&api, key);
        json_object_set_new(json_object_get(edited, "metadata"), "labels", json_object());
        api_put(&api, key, edited);
        sleep_ms(120);
        cr_assert(leads(&one));
    }
    json_auto_t *now = api_read(&api, key);
    const json_t *metadata = json_object_get(now, "metadata");
    cr_assert_not_null(json_object_get(metadata, "labels"));
    cr_assert_not_null(json_object_get(metadata, "annotations"));
    cr_assert_null(json_object_get(metadata, "managedFields"));
    cr_assert_str_eq(spec_text(now, "preferredHolder"), "kept");
    cr_assert_eq(spec_number(now, "leaseTransitions"), 5);
    cr_assert_eq(one.ended, 0);
    /* The last write is unanswered: given back nevertheless. */
    atomic_store(&one.client.lose_answers, 1);
    sleep_ms(60);
    kube_lease_stop(one.lease);
    json_auto_t *released = api_read(&api, key);
    cr_assert_str_eq(spec_text(released, "holderIdentity"), "");
}

Test(lease, given_back_although_it_never_knew)
{
    static struct replica one;
    atomic_store(&one.client.lose_answers, 1000);
    start(&one, "one");
    sleep_ms(30);
    atomic_store(&one.client.lose_answers, 0);
    cr_assert_not(leads(&one));
    kube_lease_stop(one.lease);
    json_auto_t *released = api_read(&api, key);
    cr_assert_str_eq(spec_text(released, "holderIdentity"), "");
}

Test(lease, deleted_under_us)
{
    static struct replica one;
    start(&one, "one");
    for (int i = 0; i < 3; i++) {
        cr_assert(eventually(leads, &one, 5));
        api_delete(&api, key);
        sleep_ms(150);
        json_auto_t *again = api_read(&api, key);
        cr_assert_str_eq(spec_text(again, "holderIdentity"), "one");
        cr_assert(leads(&one));
    }
    api_delete(&api, key);
    kube_lease_stop(one.lease);
    cr_assert_eq(one.begun, 1);
    cr_assert_eq(one.failed, 0);
}

Test(lease, taken_from_us_ends_it_at_once)
{
    static struct replica one;
    start(&one, "one");
    cr_assert(eventually(leads, &one, 5));
    put("thief", 1);
    uint64_t taken = clock_monotonic_ns();
    cr_assert(eventually(ended, &one, 5));
    cr_assert_lt(clock_monotonic_ns() - taken, 300 * NS_PER_MS);
    cr_assert(eventually(leads, &one, 5), "the thief does not renew");
    cr_assert_geq(clock_monotonic_ns() - taken, NS_PER_S);
    put("thief", 1);
    kube_lease_stop(one.lease);
    json_auto_t *left = api_read(&api, key);
    cr_assert_str_eq(spec_text(left, "holderIdentity"), "thief", "not ours to give back");
}

Test(lease, an_earlier_life_and_malformed_ones)
{
    static struct replica lives[6];
    static const char *const specs[] = {
        "{\"holderIdentity\": \"me\", \"leaseDurationSeconds\": 3600}",
        "null",
        "{}",
        "[1]",
        "{\"holderIdentity\": 7, \"leaseDurationSeconds\": \"x\", \"leaseTransitions\": []}",
        "{\"holderIdentity\": \"\", \"leaseDurationSeconds\": -1, \"leaseTransitions\": -5}",
    };
    for (size_t i = 0; i < 6; i++) {
        json_auto_t *spec = json_loads(specs[i], JSON_DECODE_ANY, NULL);
        api_put(&api, key, json_pack("{s:{s:s}, s:O}", "metadata", "name", "op", "spec", spec));
        start(&lives[i], "me");
        cr_assert(eventually(leads, &lives[i], 0.5), "%s", specs[i]);
        kube_lease_stop(lives[i].lease);
        cr_assert_eq(lives[i].failed, 0, "%s: %s", specs[i], lives[i].complaint);
    }
}

Test(lease, refuses_times_that_do_not_fit)
{
    static const struct {
        uint64_t duration_ns, renew_deadline_ns, retry_ns;
        const char *sentence;
    } cases[] = {
        {10 * NS_PER_S, 0, 0,
         "a lease duration of 10s must be longer than the renew deadline, 10s"},
        {0, 0, 9 * NS_PER_S,
         "a renew deadline of 10s must be more than 1.2 times the retry period, 9s"},
        {NS_PER_S << 32, 0, 0,
         "a lease duration of 4294967296s is too long; give at most 2147483647 s"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cleanup_error struct error *err = NULL;
        struct kube_lease *lease = NULL;
        struct kube_lease_options options = {.namespace = "n",
                                             .name = "m",
                                             .identity = "i",
                                             .duration_ns = cases[i].duration_ns,
                                             .renew_deadline_ns = cases[i].renew_deadline_ns,
                                             .retry_ns = cases[i].retry_ns};
        cr_assert_eq(kube_lease_start(NULL, &options, &lease, &err), -EINVAL);
        cr_assert_str_eq(error_message(err), cases[i].sentence);
        cr_assert_null(lease);
    }
    struct kube_lease_options nameless = {.namespace = "n", .name = "", .identity = "i"};
    struct kube_lease *lease = NULL;
    cr_assert_eq(kube_lease_start(NULL, &nameless, &lease, NULL), -EINVAL);
    struct kube_lease_options usual = {.namespace = NULL};
    cr_assert_eq(kube_lease_timeout_ns(&usual), 4 * NS_PER_S);
}
