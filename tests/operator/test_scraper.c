#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "scraper_case.h"

Test(scraper, what_is_no_address_is_not_asked_for)
{
    static const struct {
        const char *address;
        unsigned port;
    } cases[] = {{"", 80},         {"localhost", 80},   {"127.1", 80},
                 {"127.0.0.1", 0}, {"::1%lo", 80},      {"127.0.0.1", 65536},
                 {"[::1]", 80},    {"127.0.0.1/x", 80}, {"10.0.0.1@", 80}};
    enum { COUNT = sizeof(cases) / sizeof(cases[0]) };
    struct scraper *scraper = scraper_new(NULL);
    struct scrape_target targets[COUNT + 1];
    struct scrape_result results[COUNT + 1];

    for (size_t i = 0; i < COUNT; i++) {
        targets[i] = (struct scrape_target){.port = cases[i].port};
        snprintf(targets[i].address, SCRAPE_ADDRESS_MAX, "%s", cases[i].address);
    }
    targets[COUNT].port = 80;
    memset(targets[COUNT].address, '1', SCRAPE_ADDRESS_MAX); /* it does not end */
    cr_assert_eq(scraper_run(scraper, targets, COUNT + 1, 0, results), 0);
    for (size_t i = 0; i < COUNT + 1; i++)
        cr_assert_eq(results[i].status, SCRAPE_UNREACHABLE, "%zu", i);
    cr_assert_eq(scraper_run(scraper, targets, 0, 0, results), 0);
    scraper_free(scraper);
}

Test(scraper, refused_and_version_six)
{
    struct scraper *scraper = scraper_new(NULL);
    struct fake_agent *gone = start(serve_page);
    struct scrape_target target = target_of(gone);
    struct scrape_result result;

    fake_agent_stop(gone);
    cr_assert_eq(scraper_run(scraper, &target, 1, 0, &result), 0);
    cr_assert(result.status == SCRAPE_UNREACHABLE && result.http_status == 0);
    struct fake_agent *six = fake_agent_start("::1", serve_page);
    if (six) {
        target = (struct scrape_target){.address = "::1", .port = fake_agent_port(six)};
        cr_assert_eq(scraper_run(scraper, &target, 1, 0, &result), 0);
        cr_assert(result.status == SCRAPE_OK && result.figures.requests_total == 7);
        fake_agent_stop(six);
    }
    scraper_free(scraper);
}

/* The families that are asked for stand behind the path as they are. */
Test(scraper, asks_for_families)
{
    struct scraper_options options = {.query = "name%5B%5D=a&name%5B%5D=b"};
    struct scraper *scraper = scraper_new(&options);
    struct fake_agent *agent = start(serve_page);
    struct scrape_target target = target_of(agent);
    struct scrape_result result;

    agent->target = "/metrics?name%5B%5D=a&name%5B%5D=b";
    cr_assert_eq(scraper_run(scraper, &target, 1, 0, &result), 0);
    cr_assert_eq(result.status, SCRAPE_OK);
    fake_agent_stop(agent);
    scraper_free(scraper);
}

Test(scraper, the_environment_has_no_say)
{
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("all_proxy", "http://127.0.0.1:1", 1);
    setenv("no_proxy", "", 1);
    struct scraper *scraper = scraper_new(NULL);
    struct fake_agent *agent = start(serve_page);
    struct scrape_target target = target_of(agent);
    struct scrape_result result;

    scraper_run(scraper, &target, 1, 0, &result);
    cr_assert_eq(result.status, SCRAPE_OK);
    fake_agent_stop(agent);
    scraper_free(scraper);
}

/* ---- many ---- */

static void serve_slowly(struct fake_agent *agent, int fd)
{
    while (fake_agent_request(agent, fd)) {
        fake_agent_enter(agent);
        usleep(4000);
        fake_agent_leave(agent);
        fake_agent_page(agent, fd, PAGE);
    }
}

static bool becomes(atomic_uint *value, unsigned wanted)
{
    for (int i = 0; i < 500 && atomic_load(value) != wanted; i++)
        usleep(10000);
    return atomic_load(value) == wanted;
}

Test(scraper, never_more_connections_than_it_may)
{
    enum { COUNT = 500 };
    struct scraper *scraper = scraper_new(NULL);
    struct fake_agent *agent = start(serve_slowly);
    struct scrape_target *targets = xcalloc(COUNT, sizeof(*targets));
    struct scrape_result *results = xcalloc(COUNT, sizeof(*results));

    for (size_t i = 0; i < COUNT; i++)
        targets[i] = target_of(agent);
    cr_assert_eq(scraper_run(scraper, targets, COUNT, 0, results), 0);
    for (size_t i = 0; i < COUNT; i++)
        cr_assert_eq(results[i].status, SCRAPE_OK, "%zu: %s", i,
                     scrape_status_name(results[i].status));
    cr_assert_eq(atomic_load(&agent->requests), COUNT);
    cr_assert_eq(atomic_load(&agent->most_at_once), 16, "%u", agent->most_at_once);
    cr_assert_eq(atomic_load(&agent->connections), COUNT, "each its own: all are other agents");
    cr_assert_eq(atomic_load(&agent->asked_close), COUNT);
    cr_assert(becomes(&agent->open, 0), "none is kept");
    free(targets);
    free(results);
    fake_agent_stop(agent);
    scraper_free(scraper);
}

/* Answers when no more than these connections are open at all; what is closed for a new one is
 * closed before it. */
enum { KEPT = 8 };
static struct fake_agent *first, *second;
static atomic_uint too_many;

static void serve_second(struct fake_agent *agent, int fd)
{
    while (fake_agent_request(agent, fd)) {
        int left = 200;
        while (atomic_load(&first->open) + atomic_load(&second->open) > KEPT && left-- > 0)
            usleep(10000);
        atomic_fetch_add(&too_many, left < 0);
        fake_agent_page(agent, fd, PAGE);
    }
}

/* As few as there may be connections: they stay, and make way for others when there are others. */
Test(scraper, keeps_connections_between_runs)
{
    enum { COUNT = KEPT };
    struct scraper_options options = {.connections = COUNT, .timeout_ns = 10 * NS_PER_S};
    struct scraper *scraper = scraper_new(&options);
    struct scrape_target targets[COUNT], others[COUNT];
    struct scrape_result results[COUNT];

    first = start(serve_slowly);
    second = start(serve_second);
    for (size_t i = 0; i < COUNT; i++) {
        targets[i] = target_of(first);
        others[i] = target_of(second);
    }
    for (size_t run = 0; run < 5; run++)
        scraper_run(scraper, targets, COUNT, 0, results);
    cr_assert_eq(atomic_load(&first->requests), 5 * COUNT);
    cr_assert_eq(atomic_load(&first->connections), COUNT, "%u", first->connections);
    cr_assert_eq(atomic_load(&first->asked_close), 0);
    scraper_run(scraper, others, COUNT, 0, results);
    for (size_t i = 0; i < COUNT; i++)
        cr_assert_eq(results[i].status, SCRAPE_OK);
    cr_assert_eq(atomic_load(&too_many), 0, "%u", too_many);
    cr_assert(becomes(&first->open, 0), "%u", first->open);
    cr_assert_eq(atomic_load(&second->open), COUNT);
    fake_agent_stop(first);
    fake_agent_stop(second);
    scraper_free(scraper);
}

/* The agent closes what was kept before the next run: it is asked again and nobody notices. */
static void serve_once(struct fake_agent *agent, int fd)
{
    if (fake_agent_request(agent, fd))
        fake_agent_page(agent, fd, PAGE);
}

Test(scraper, a_kept_connection_may_be_gone)
{
    struct scraper *scraper = scraper_new(NULL);
    struct fake_agent *agent = start(serve_once);
    struct scrape_target target = target_of(agent);
    struct scrape_result result;

    for (unsigned run = 1; run <= 20; run++) {
        scraper_run(scraper, &target, 1, 0, &result);
        cr_assert_eq(result.status, SCRAPE_OK, "%s", scrape_status_name(result.status));
        if (run % 2)
            cr_assert(becomes(&agent->open, 0));
    }
    cr_assert_eq(atomic_load(&agent->connections), 20);
    fake_agent_stop(agent);
    scraper_free(scraper);
}

/* ---- ends ---- */

Test(scraper, a_run_has_a_deadline)
{
    enum { COUNT = 40 };
    struct metrics *metrics = metrics_new();
    struct scraper_options options = {
        .connections = 4, .timeout_ns = 20 * NS_PER_S, .metrics = metrics};
    metrics_thread_attach(metrics);
    struct scraper *scraper = scraper_new(&options);
    struct fake_agent *agent = start(serve_nothing);
    struct scrape_target targets[COUNT];
    struct scrape_result results[COUNT];
    uint64_t begun_ns = clock_monotonic_ns();

    for (size_t i = 0; i < COUNT; i++)
        targets[i] = target_of(agent);
    cr_assert_eq(scraper_run(scraper, targets, COUNT, begun_ns + NS_PER_S, results), 0);
    double took_ms = since_ms(begun_ns);
    cr_assert(took_ms > 990 && took_ms < 10000, "%g ms", took_ms);
    for (size_t i = 0; i < COUNT; i++) {
        cr_assert_eq(results[i].status, i < 4 ? SCRAPE_TIMEOUT : SCRAPE_UNASKED, "%zu: %s", i,
                     scrape_status_name(results[i].status));
        cr_assert_eq(results[i].taken_ns == 0, i >= 4);
        expect_unknown(&results[i].figures);
    }
    cr_assert_eq(scraper_run(scraper, targets, COUNT, begun_ns, results), 0);
    cr_assert_eq(results[0].status, SCRAPE_UNASKED, "it had come before");

    cleanup_buffer struct buffer text = BUFFER_INIT(1 << 16);
    metrics_expose(metrics, METRICS_PROMETHEUS_TEXT, &text);
    static const char *const lines[] = {
        "\ndpumesh_operator_scrapes_total{result=\"timeout\"} 4\n",
        "\ndpumesh_operator_scrapes_total{result=\"unasked\"} 76\n",
        "\ndpumesh_operator_scrapes_total{result=\"ok\"} 0\n",
        "\ndpumesh_operator_scrape_duration_seconds_bucket{le=\"0.25\"} 0\n",
        "\ndpumesh_operator_scrape_duration_seconds_count 4\n"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        cr_assert_not_null(strstr(buffer_terminate(&text), lines[i]), "%s", lines[i]);
    fake_agent_stop(agent);
    scraper_free(scraper);
    metrics_thread_detach();
    metrics_free(metrics);
}

static void *cancel_soon(void *context)
{
    usleep(400000);
    scraper_cancel(context);
    return NULL;
}

/* Cancels a run that waits for agents which say nothing; how long it took in all. */
static double canceled_after_ms(struct fake_agent *good, struct fake_agent *silent)
{
    struct scraper_options options = {.timeout_ns = 60 * NS_PER_S, .connections = 2};
    struct scraper *scraper = scraper_new(&options);
    struct scrape_target targets[] = {target_of(good), target_of(silent), target_of(silent),
                                      target_of(silent)};
    struct scrape_result results[4];
    pthread_t thread;
    uint64_t begun_ns = clock_monotonic_ns();

    pthread_create(&thread, NULL, cancel_soon, scraper);
    cr_assert_eq(scraper_run(scraper, targets, 4, 0, results), -ECANCELED);
    double took_ms = since_ms(begun_ns);
    pthread_join(thread, NULL);
    cr_assert(took_ms >= 399 && took_ms < 30000, "%g ms", took_ms);
    for (size_t i = 1; i < 4; i++)
        cr_assert_eq(results[i].status, SCRAPE_UNASKED);
    cr_assert(becomes(&silent->open, 0), "nothing is left open");
    cr_assert_eq(scraper_run(scraper, targets, 1, 0, results), -ECANCELED);
    cr_assert_eq(results[0].status, SCRAPE_UNASKED);
    scraper_free(scraper);
    return took_ms;
}

/* A run that nothing wakes looks by itself a second after its last page, never sooner. A busy
 * machine may be as slow as that once, but not time and again. */
Test(scraper, is_canceled_at_once_and_for_good)
{
    struct fake_agent *good = start(serve_page), *silent = start(serve_nothing);
    unsigned left = 10;

    while (canceled_after_ms(good, silent) >= 1000)
        cr_assert_gt(--left, 0, "sooner than the run looks by itself");
    fake_agent_stop(good);
    fake_agent_stop(silent);
    scraper_free(NULL);
}
