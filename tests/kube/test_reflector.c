#include "kube/reflector.h"

#include <errno.h>

#include "tests/kube/dice.h"
#include "tests/kube/reflector_bench.h"

enum { MODEL_SEEDS = 6, MODEL_PHASES = 25 };

/* A reflector that has synced ten objects. */
static void start_synced(struct bench *bench)
{
    for (unsigned i = 0; i < 10; i++)
        bench_put(bench, i);
    bench_start(bench);
    cr_assert(kube_reflector_wait(bench->reflector, clock_monotonic_ns() + 10 * NS_PER_S));
    cr_assert(kube_reflector_synced(bench->reflector));
    bench_expect_equal(bench);
    while (!fake_watching(bench->server)) /* there is something to cut */
        bench_sleep_ms(1);
}

Test(reflector, streams_its_list)
{
    struct bench bench;
    bench_init(&bench);
    start_synced(&bench);
    cr_assert_eq(bench.adds, 10);
    bench_put(&bench, 3);
    bench_put(&bench, 20);
    bench_delete(&bench, 4);
    bench_expect_equal(&bench);
    cr_assert_eq(fake_calls(bench.server, FAKE_LIST), 0);
    cr_assert_eq(fake_calls(bench.server, FAKE_STREAM), 1);
    cr_assert_eq(fake_calls(bench.server, FAKE_WATCH), 0, "one stream is list and watch");
    cr_assert(bench.adds == 11 && bench.updates == 1 && bench.deletes == 1);
    cr_assert_eq(bench_read(&bench, &bench.syncs), 1);
    cr_assert_eq(bench_read(&bench, &bench.failures), 0);
    uint64_t heard_ns = kube_reflector_heard_ns(bench.reflector);
    cr_assert(heard_ns && heard_ns <= clock_monotonic_ns());
    bench_end(&bench);
    kube_reflector_stop(NULL);
}

/* A server that refuses is asked once, in whichever words it refuses. */
Test(reflector, pages_for_good_where_streaming_is_refused)
{
    static const struct fake_fault refusals[] = {
        {.error = -EINVAL, .status = 400}, {.error = -EINVAL, .status = 422}, {.error = -EINVAL}};
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        struct bench bench;
        bench_init(&bench);
        fake_always(bench.server, FAKE_STREAM, refusals[i]);
        start_synced(&bench);
        cr_assert_eq(fake_calls(bench.server, FAKE_LIST), 1);
        cr_assert_eq(bench_read(&bench, &bench.failures), 0, "that is no failure");
        for (unsigned round = 2; round < 5; round++) {
            bench_expect_calls(&bench, FAKE_WATCH, round - 1);
            bench_put(&bench, round);
            fake_cut(bench.server, (struct fake_fault){.error = -ESTALE, .status = 410});
            bench_expect_calls(&bench, FAKE_LIST, round);
        }
        bench_expect_equal(&bench);
        cr_assert_eq(fake_calls(bench.server, FAKE_STREAM), 1);
        bench_end(&bench);
    }

    struct bench bench;
    bench_init(&bench);
    bench.options.paged_only = true;
    start_synced(&bench);
    cr_assert_eq(fake_calls(bench.server, FAKE_STREAM), 0);
    bench_end(&bench);
}

/* Other resources' changes move the server's version; only bookmarks tell us. */
Test(reflector, resumes_from_a_bookmark)
{
    struct bench bench;
    bench_init(&bench);
    start_synced(&bench);
    for (int i = 0; i < 5; i++)
        fake_put(bench.server, "gadgets", "a", "other", "x");
    uint64_t heard_ns = kube_reflector_heard_ns(bench.reflector);
    fake_bookmark(bench.server);
    while (kube_reflector_heard_ns(bench.reflector) == heard_ns)
        bench_sleep_ms(1);
    bench_sleep_ms(20);
    fake_compact(bench.server);
    bench_put(&bench, 1);
    static const struct fake_fault ends[] = {{.ends = true}, {.error = -EIO}, {.error = -EPROTO}};
    for (unsigned i = 0; i < 3; i++) {
        fake_cut(bench.server, ends[i]);
        bench_expect_calls(&bench, FAKE_WATCH, i + 1);
        bench_put(&bench, i);
        bench_expect_equal(&bench);
    }
    cr_assert_eq(fake_calls(bench.server, FAKE_STREAM), 1, "what is known was not asked again");
    cr_assert_eq(fake_calls(bench.server, FAKE_LIST), 0);
    cr_assert_eq(bench_read(&bench, &bench.failures), 2, "an end is no failure");
    bench_end(&bench);
}

/* The version is too old: as a status, as an event, and from the continue token of a list. */
Test(reflector, lists_again_after_410)
{
    struct bench bench;
    bench_init(&bench);
    start_synced(&bench);
    bench_delete(&bench, 1);
    bench_expect_equal(&bench);

    /* A deletion that happens while nobody watches is seen by the list. */
    fake_always(bench.server, FAKE_WATCH, (struct fake_fault){.error = -ECONNREFUSED});
    fake_cut(bench.server, (struct fake_fault){.error = -EIO});
    bench_expect_calls(&bench, FAKE_WATCH, 1);
    bench_delete(&bench, 2);
    fake_compact(bench.server);
    fake_always(bench.server, FAKE_WATCH, (struct fake_fault){0});
    bench_expect_equal(&bench);
    bench_expect_calls(&bench, FAKE_STREAM, 2);

    fake_order(bench.server, FAKE_STREAM, (struct fake_fault){.error = -EIO, .after = 2});
    fake_order(bench.server, FAKE_LIST,
               (struct fake_fault){.error = -ESTALE, .status = 410, .after = 3});
    bench_put(&bench, 3);
    fake_cut(bench.server, (struct fake_fault){.error_code = 410});
    bench_expect_calls(&bench, FAKE_LIST, 1);
    bench_expect_calls(&bench, FAKE_STREAM, 4);
    bench_delete(&bench, 3);
    bench_expect_equal(&bench);
    bench_end(&bench);
}

Test(reflector, lists_again_when_in_doubt)
{
    static const struct fake_fault doubts[] = {{.error_code = 500},
                                               {.error = -EMSGSIZE, .status = 200}};
    for (size_t i = 0; i < sizeof(doubts) / sizeof(doubts[0]); i++) {
        struct bench bench;
        bench_init(&bench);
        start_synced(&bench);
        fake_cut(bench.server, doubts[i]);
        bench_expect_calls(&bench, FAKE_STREAM, 2);
        bench_expect_equal(&bench);
        cr_assert_eq(bench_read(&bench, &bench.failures), 1);
        cr_assert(bench.message[0]);
        cr_assert(i != 0 || strstr(bench.message, "widgets"), "%s", bench.message);
        bench_end(&bench);
    }
    /* A server whose versions went back answers 504 for ever to the one that we have. */
    struct bench bench;
    bench_init(&bench);
    start_synced(&bench);
    fake_restore(bench.server);
    fake_cut(bench.server, (struct fake_fault){.error = -EIO});
    bench_expect_calls(&bench, FAKE_STREAM, 2);
    bench_expect_equal(&bench);
    cr_assert_eq(fake_calls(bench.server, FAKE_WATCH), 3);
    bench_end(&bench);
}

Test(reflector, outlives_a_dead_connection)
{
    struct bench bench;
    bench_init(&bench);
    bench.options.idle_ns = 100 * NS_PER_MS;
    start_synced(&bench);
    fake_cut(bench.server, (struct fake_fault){.mute = true});
    bench_put(&bench, 1);
    bench_expect_equal(&bench);
    cr_assert_eq(fake_calls(bench.server, FAKE_STREAM), 1, "what is known was not asked again");
    cr_assert_geq(fake_calls(bench.server, FAKE_WATCH), 1);
    bench_end(&bench);
}

/* A streaming list that breaks, or never says that it is over, is nothing; the next one is paged.
 */
Test(reflector, drops_half_a_list)
{
    static const struct fake_fault faults[] = {
        {.error = -EIO, .after = 4}, {.ends = true, .after = 4}, {.no_bookmarks = true},
        {.mute = true, .after = 4},  {.error_code = 500},        {.error = -EACCES, .status = 403}};
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        struct bench bench;
        bench_init(&bench);
        bench.options.idle_ns = 50 * NS_PER_MS;
        fake_order(bench.server, FAKE_STREAM, faults[i]);
        start_synced(&bench);
        cr_assert_eq(fake_calls(bench.server, FAKE_LIST), 1, "fault %zu", i);
        cr_assert_eq(fake_calls(bench.server, FAKE_STREAM), 1);
        bench_end(&bench);
    }
    /* The same when there is something in the store already: until the list is whole, it stays. */
    struct bench bench;
    bench_init(&bench);
    start_synced(&bench);
    const struct fake_fault broken = {.error = -EIO, .after = 2};
    fake_always(bench.server, FAKE_STREAM, broken);
    fake_always(bench.server, FAKE_LIST, broken);
    fake_cut(bench.server, (struct fake_fault){.error_code = 410});
    bench_delete(&bench, 9);
    bench_expect_calls(&bench, FAKE_LIST, 3);
    cr_assert_eq(kube_store_count(bench.store), 10);
    fake_always(bench.server, FAKE_STREAM, (struct fake_fault){0});
    fake_always(bench.server, FAKE_LIST, (struct fake_fault){0});
    bench_expect_equal(&bench);
    cr_assert_eq(kube_store_count(bench.store), 9);
    bench_end(&bench);
}

Test(reflector, refuses_a_list_without_a_version)
{
    struct bench bench;
    bench_init(&bench);
    bench.options.paged_only = true;
    fake_order(bench.server, FAKE_LIST, (struct fake_fault){.no_version = true});
    start_synced(&bench);
    cr_assert_eq(fake_calls(bench.server, FAKE_LIST), 2);
    cr_assert(strstr(bench.message, "resourceVersion"));
    bench_end(&bench);
}

/* Calls of a kind in 400 ms when all calls of this kind fail so, with pauses of 16 to 64 ms. */
static unsigned calls_under(enum fake_call call, bool paged_only, struct fake_fault fault)
{
    struct bench bench;
    bench_init(&bench);
    bench.options.backoff_first_ns = 16 * NS_PER_MS;
    bench.options.backoff_most_ns = 64 * NS_PER_MS;
    bench.options.paged_only = paged_only;
    start_synced(&bench);
    unsigned before = fake_calls(bench.server, call);
    fake_always(bench.server, call, fault);
    fake_cut(bench.server, call == FAKE_WATCH ? (struct fake_fault){.ends = true}
                                              : (struct fake_fault){.error_code = 410});
    bench_sleep_ms(400);
    unsigned calls = fake_calls(bench.server, call) - before;
    fake_always(bench.server, call, (struct fake_fault){0});
    bench_put(&bench, 1);
    bench_expect_equal(&bench);
    bench_end(&bench);
    return calls;
}

/* Whatever the server answers at once, always, it is asked at the pace of the backoff: after
 * nothing, 8 to 16, 16 to 32, 32 to 64 ms, and so on: 7 to 14 calls. */
Test(reflector, never_loops_without_a_pause)
{
    static const struct fake_fault faults[] = {
        {.ends = true}, {.error = -EIO}, {.error = -ECONNREFUSED}, {.error = -ETIMEDOUT}};
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        unsigned calls = calls_under(FAKE_WATCH, false, faults[i]);
        cr_assert(calls >= 4 && calls <= 20, "%u watches of kind %zu", calls, i);
    }
    /* Each list is followed by a watch that is told 410. */
    unsigned calls =
        calls_under(FAKE_WATCH, true, (struct fake_fault){.error = -ESTALE, .status = 410});
    cr_assert(calls >= 2 && calls <= 20, "%u watches", calls);
    calls = calls_under(FAKE_LIST, true, (struct fake_fault){.error = -EREMOTEIO, .status = 500});
    cr_assert(calls >= 4 && calls <= 20, "%u lists", calls);
}

Test(reflector, waits_as_long_as_it_is_told)
{
    struct bench bench;
    bench_init(&bench);
    start_synced(&bench);
    fake_order(
        bench.server, FAKE_WATCH,
        (struct fake_fault){.error = -EBUSY, .status = 429, .retry_after_ns = 300 * NS_PER_MS});
    uint64_t began_ns = clock_monotonic_ns();
    fake_cut(bench.server, (struct fake_fault){.ends = true});
    bench_expect_calls(&bench, FAKE_WATCH, 2);
    cr_assert_geq(clock_monotonic_ns() - began_ns, 300 * NS_PER_MS);
    bench_end(&bench);
}

Test(reflector, stops_at_once)
{
    uint64_t began_ns = clock_monotonic_ns();
    /* In a watch; in a pause; in a list; before it could do anything; in a list that hangs. */
    for (int state = 0; state < 5; state++) {
        struct bench bench;
        bench_init(&bench);
        bench.options.backoff_first_ns = bench.options.backoff_most_ns = 100 * NS_PER_S;
        if (state == 4) {
            bench.options.paged_only = true;
            fake_order(bench.server, FAKE_LIST, (struct fake_fault){.mute = true});
        }
        if (state < 2)
            start_synced(&bench);
        else
            bench_start(&bench);
        if (state == 1) {
            fake_cut(bench.server, (struct fake_fault){.error = -EIO});
            bench_sleep_ms(20);
        }
        if (state == 4)
            bench_expect_calls(&bench, FAKE_LIST, 1);
        for (unsigned i = 0; state == 2 && i < 50; i++)
            bench_put(&bench, i);
        bench_end(&bench);
    }
    cr_assert_lt(clock_monotonic_ns() - began_ns, 20 * NS_PER_S);
}

Test(reflector, waits_for_sync_until_a_deadline)
{
    struct bench bench;
    bench_init(&bench);
    fake_always(bench.server, FAKE_STREAM, (struct fake_fault){.error = -ECONNREFUSED});
    fake_always(bench.server, FAKE_LIST, (struct fake_fault){.error = -ECONNREFUSED});
    bench_start(&bench);
    uint64_t began_ns = clock_monotonic_ns();
    cr_assert_not(kube_reflector_wait(bench.reflector, began_ns + 50 * NS_PER_MS));
    cr_assert_geq(clock_monotonic_ns() - began_ns, 50 * NS_PER_MS);
    cr_assert_not(kube_reflector_synced(bench.reflector));
    cr_assert_eq(kube_reflector_heard_ns(bench.reflector), 0);
    bench_end(&bench);
}

/* Only what is asked for, by namespace; what others put into the same store is not touched. */
Test(reflector, keeps_to_its_namespace)
{
    struct bench a, b;
    bench_init(&a);
    bench_init(&b);
    char namespace[] = "b";
    a.options.namespace = "a";
    b.options.namespace = namespace;
    b.options.store = a.store;
    bench_put(&a, 1);
    fake_put(b.server, "widgets", "b", "n2", "x");
    fake_put(b.server, "widgets", "c", "n3", "x");
    bench_start(&a);
    bench_start(&b);
    namespace[0] = '?'; /* the text was copied */
    cr_assert(kube_reflector_wait(a.reflector, clock_monotonic_ns() + 10 * NS_PER_S));
    cr_assert(kube_reflector_wait(b.reflector, clock_monotonic_ns() + 10 * NS_PER_S));
    cr_assert_eq(kube_store_count(a.store), 2);
    fake_delete(b.server, "widgets", "b", "n2");
    fake_cut(b.server, (struct fake_fault){.error_code = 410});
    while (kube_store_count(a.store) != 1)
        bench_sleep_ms(1);
    cleanup_kube_object const struct kube_object *left = kube_store_get(a.store, "a", "n1");
    cr_assert_not_null(left);
    kube_reflector_stop(b.reflector);
    b.reflector = NULL;
    bench_end(&a);
    bench_end(&b);
}

static double exposed(struct metrics *metrics, const char *name)
{
    cleanup_buffer struct buffer text = BUFFER_INIT(1 << 20);
    char prefix[128];
    cr_assert_eq(metrics_expose(metrics, METRICS_PROMETHEUS_TEXT, &text), 0);
    snprintf(prefix, sizeof(prefix), "\n%s{resource=\"widgets\"} ", name);
    const char *line = strstr(buffer_terminate(&text), prefix);
    cr_assert_not_null(line, "%s is not exposed", name);
    return strtod(line + strlen(prefix), NULL);
}

Test(reflector, counts)
{
    struct bench bench;
    struct metrics *metrics = metrics_new();
    bench_init(&bench);
    bench.options.metrics = metrics;
    start_synced(&bench);
    fake_cut(bench.server, (struct fake_fault){.error = -EIO});
    bench_expect_calls(&bench, FAKE_WATCH, 1);
    bench_put(&bench, 1);
    bench_expect_equal(&bench);
    cr_assert_eq(exposed(metrics, "reflector_lists_total"), 1);
    cr_assert_eq(exposed(metrics, "reflector_list_duration_seconds_count"), 1);
    cr_assert_eq(exposed(metrics, "reflector_watches_total"), 2);
    cr_assert_eq(exposed(metrics, "reflector_watch_failures_total"), 1);
    cr_assert_eq(exposed(metrics, "reflector_items"), 10);
    cr_assert_eq(exposed(metrics, "reflector_bytes"), (double)kube_store_bytes(bench.store));
    bench_end(&bench);
    exposed(metrics, "reflector_items");
    metrics_free(metrics);
}

/* A random history under random faults: after each quiet period the store is what the server has,
 * and so is what change() told. */
Test(reflector, equals_the_server_after_any_faults, .timeout = 100)
{
    unsigned failures = 0, lists = 0, watches = 0;
    for (uint64_t seed = 1; seed <= MODEL_SEEDS; seed++) {
        struct dice dice = {.state = seed};
        struct bench bench;
        bench_init(&bench);
        bench.options.idle_ns = 10 * NS_PER_MS;
        bench.options.watch_ns = 25 * NS_PER_MS;
        bench.options.backoff_most_ns = 3 * NS_PER_MS;
        bench.options.paged_only = seed % 3 == 0;
        fake_random(bench.server, seed, 2);
        bench_start(&bench);
        for (unsigned phase = 0; phase < MODEL_PHASES; phase++) {
            unsigned changes = dice_below(&dice, 200);
            fake_random(bench.server, seed * 1000 + phase, 1 + dice_below(&dice, 3));
            for (unsigned i = 0; i < changes; i++) {
                unsigned place = dice_below(&dice, BENCH_NAMES);
                if (dice_below(&dice, 3))
                    bench_put(&bench, place);
                else
                    bench_delete(&bench, place);
                if (dice_once_in(&dice, 10))
                    fake_bookmark(bench.server);
                if (dice_once_in(&dice, 20))
                    fake_compact(bench.server);
                if (dice_once_in(&dice, 4))
                    bench_sleep_ms(1);
            }
            fake_random(bench.server, seed, 0);
            bench_expect_equal(&bench);
        }
        failures += bench_read(&bench, &bench.failures);
        lists += fake_calls(bench.server, FAKE_LIST) + fake_calls(bench.server, FAKE_STREAM);
        watches += fake_calls(bench.server, FAKE_WATCH);
        bench_end(&bench);
    }
    fprintf(stderr, "%u failures reported, %u lists, %u watches\n", failures, lists, watches);
    cr_assert_gt(failures, 100, "the faults must have happened for this to mean anything");
}
