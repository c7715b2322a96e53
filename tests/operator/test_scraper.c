#include "operator/scraper.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "fake_agents.h"

#define PAGE                                                                                       \
    "dpumesh_requests_total{protocol=\"http\"} 7\ndpumesh_requests_in_flight 2\n"                  \
    "process_start_time_seconds 1\n"

/* ---- how agents can be ---- */

static void serve_page(struct fake_agent *agent, int fd)
{
    while (fake_agent_request(agent, fd))
        fake_agent_page(agent, fd, PAGE);
}

static void serve_chunked(struct fake_agent *agent, int fd)
{
    while (fake_agent_request(agent, fd))
        fake_agent_send(agent, fd,
                        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                        "1d\r\ndpumesh_requests_in_flight 2\n\r\n0\r\n\r\n");
}

static void serve_interim(struct fake_agent *agent, int fd)
{
    while (fake_agent_request(agent, fd)) {
        fake_agent_send(agent, fd, "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n");
        fake_agent_page(agent, fd, PAGE);
    }
}

static void serve_nothing(struct fake_agent *agent, int fd)
{
    if (fake_agent_request(agent, fd))
        fake_agent_wait(agent, fd, 60000);
}

/* A byte every 20 ms, for ever. */
static void drip(struct fake_agent *agent, int fd, const char *head, const char *byte)
{
    bool goes_on = fake_agent_request(agent, fd) && fake_agent_send(agent, fd, head);
    while (goes_on) {
        usleep(20000);
        goes_on = fake_agent_send(agent, fd, byte);
    }
}

static void serve_dripping_body(struct fake_agent *agent, int fd)
{
    drip(agent, fd, "HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n", "#");
}

static void serve_dripping_head(struct fake_agent *agent, int fd)
{
    drip(agent, fd, "HTTP/1.1 200 OK\r\n", "A: b\r\n");
}

static void serve_dripping_line(struct fake_agent *agent, int fd)
{
    drip(agent, fd, "HTTP/1.1 200 OK\r\nA: ", "b");
}

static void serve_dripping_chunk_extension(struct fake_agent *agent, int fd)
{
    drip(agent, fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", "a");
}

static void flood(struct fake_agent *agent, int fd, const char *head, const char *piece)
{
    bool goes_on = fake_agent_request(agent, fd) && fake_agent_send(agent, fd, head);
    while (goes_on)
        goes_on = fake_agent_send(agent, fd, piece);
}

static void serve_large(struct fake_agent *agent, int fd)
{
    flood(agent, fd, "HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n", "a 1\n");
}

static void serve_endless_chunks(struct fake_agent *agent, int fd)
{
    flood(agent, fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "4\r\na 1\n\r\n");
}

static void serve_endless_body(struct fake_agent *agent, int fd)
{
    flood(agent, fd, "HTTP/1.1 200 OK\r\n\r\n", "a 1\n");
}

static void serve_endless_head(struct fake_agent *agent, int fd)
{
    flood(agent, fd, "HTTP/1.1 200 OK\r\n", "Name: value of a header\r\n");
}

static void serve_endless_interim(struct fake_agent *agent, int fd)
{
    flood(agent, fd, "HTTP/1.1 103 Early Hints\r\n\r\n", "HTTP/1.1 103 Early Hints\r\n\r\n");
}

static void serve_endless_line(struct fake_agent *agent, int fd)
{
    flood(agent, fd,
          "HTTP/1.1 200 OK\r\nA: ", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
}

/* Sends a text and closes. */
static void answer(struct fake_agent *agent, int fd, const char *text)
{
    if (fake_agent_request(agent, fd))
        fake_agent_send(agent, fd, text);
}

static void serve_garbage(struct fake_agent *agent, int fd)
{
    answer(agent, fd, "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n<html></html>");
}

static void serve_bytes(struct fake_agent *agent, int fd)
{
    if (fake_agent_request(agent, fd))
        fake_agent_send_bytes(agent, fd, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\0\xFF\x01\n",
                              42);
}

static void serve_500(struct fake_agent *agent, int fd)
{
    answer(agent, fd, "HTTP/1.1 500 X\r\nContent-Length: 4\r\n\r\na 1\n");
}

static void serve_endless_500(struct fake_agent *agent, int fd)
{
    flood(agent, fd, "HTTP/1.1 500 X\r\n\r\n", "a 1\n");
}

static void serve_redirect(struct fake_agent *agent, int fd)
{
    cleanup_free char *text = xasprintf("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%u/x\r\n"
                                        "Content-Length: 0\r\n\r\n",
                                        fake_agent_port(agent));
    answer(agent, fd, text);
}

static void serve_204(struct fake_agent *agent, int fd)
{
    answer(agent, fd, "HTTP/1.1 204 No Content\r\n\r\n");
}

static void serve_cut_page(struct fake_agent *agent, int fd)
{
    answer(agent, fd, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\na 1\n");
}

static void serve_cut_chunk(struct fake_agent *agent, int fd)
{
    answer(agent, fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\na 1\n\r\n");
}

static void serve_cut_head(struct fake_agent *agent, int fd)
{
    answer(agent, fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
}

static void serve_cut_interim(struct fake_agent *agent, int fd)
{
    answer(agent, fd, "HTTP/1.1 103 Early Hints\r\n\r\n");
}

static void serve_without_end(struct fake_agent *agent, int fd)
{
    answer(agent, fd, "HTTP/1.1 200 OK\r\n\r\na 1\n");
}

static void serve_end_of_another(struct fake_agent *agent, int fd)
{
    answer(agent, fd,
           "HTTP/1.1 103 Early Hints\r\nContent-Length: 4\r\n\r\nHTTP/1.1 200 OK\r\n\r\na 1\n");
}

static void serve_closing(struct fake_agent *agent, int fd)
{
    fake_agent_request(agent, fd);
}

static void serve_http09(struct fake_agent *agent, int fd)
{
    answer(agent, fd, "a 1\n");
}

static const struct {
    const char *what;
    void (*serve)(struct fake_agent *agent, int fd);
    enum scrape_status status;
    int http_status;
} kinds[] = {
    {"a page", serve_page, SCRAPE_OK, 200},
    {"chunks", serve_chunked, SCRAPE_OK, 200},
    {"an interim answer first", serve_interim, SCRAPE_OK, 200},
    {"silence", serve_nothing, SCRAPE_TIMEOUT, 0},
    {"a dripping body", serve_dripping_body, SCRAPE_TIMEOUT, 200},
    {"a dripping head", serve_dripping_head, SCRAPE_TIMEOUT, 200},
    {"a dripping line", serve_dripping_line, SCRAPE_TIMEOUT, 200},
    {"a dripping chunk's head", serve_dripping_chunk_extension, SCRAPE_TIMEOUT, 200},
    {"a large page", serve_large, SCRAPE_TOO_LARGE, 200},
    {"chunks without end", serve_endless_chunks, SCRAPE_TOO_LARGE, 200},
    {"a body without end", serve_endless_body, SCRAPE_TOO_LARGE, 200},
    {"a head without end", serve_endless_head, SCRAPE_TOO_LARGE, 200},
    {"interim answers without end", serve_endless_interim, SCRAPE_TOO_LARGE, 103},
    {"garbage", serve_garbage, SCRAPE_MALFORMED, 200},
    {"bytes", serve_bytes, SCRAPE_MALFORMED, 200},
    {"500", serve_500, SCRAPE_HTTP_STATUS, 500},
    {"500 without end", serve_endless_500, SCRAPE_HTTP_STATUS, 500},
    {"a redirection", serve_redirect, SCRAPE_HTTP_STATUS, 302},
    {"204", serve_204, SCRAPE_HTTP_STATUS, 204},
    {"a page that breaks off", serve_cut_page, SCRAPE_UNREACHABLE, 200},
    {"chunks that break off", serve_cut_chunk, SCRAPE_UNREACHABLE, 200},
    {"a head that breaks off", serve_cut_head, SCRAPE_UNREACHABLE, 200},
    {"an interim answer alone", serve_cut_interim, SCRAPE_UNREACHABLE, 103},
    {"a page that does not tell its end", serve_without_end, SCRAPE_MALFORMED, 200},
    {"an interim answer that tells an end", serve_end_of_another, SCRAPE_MALFORMED, 200},
    {"nothing but a close", serve_closing, SCRAPE_UNREACHABLE, 0},
    {"no HTTP", serve_http09, SCRAPE_UNREACHABLE, 0},
};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

/* ---- asking ---- */

static struct scrape_target target_of(const struct fake_agent *agent)
{
    return (struct scrape_target){.address = "127.0.0.1", .port = fake_agent_port(agent)};
}

static struct fake_agent *start(void (*serve)(struct fake_agent *agent, int fd))
{
    struct fake_agent *agent = fake_agent_start("127.0.0.1", serve);
    cr_assert_not_null(agent);
    return agent;
}

static double since_ms(uint64_t begun_ns)
{
    return (double)(clock_monotonic_ns() - begun_ns) / (double)NS_PER_MS;
}

static void expect_unknown(const struct agent_figures *figures)
{
    cr_assert(isnan(figures->requests_total) && isnan(figures->in_flight) &&
              isnan(figures->start_seconds) && figures->latency.bound_count == 0);
}

/* Twice, because a connection that was left behind must not spoil the next answer. */
Test(scraper, tells_every_kind_of_agent)
{
    struct scraper_options options = {.timeout_ns = 400 * NS_PER_MS, .page_bytes = 65536};
    struct scraper *scraper = scraper_new(&options);

    for (size_t i = 0; i < 2 * KINDS; i++) {
        struct fake_agent *agent = i % 2 == 0 ? start(kinds[i / 2].serve) : NULL;
        static struct fake_agent *kept;
        kept = agent ? agent : kept;
        struct scrape_target target = target_of(kept);
        struct scrape_result result;
        uint64_t begun_ns = clock_monotonic_ns();
        cr_assert_eq(scraper_run(scraper, &target, 1, 0, &result), 0);
        const char *what = kinds[i / 2].what;
        cr_assert_eq(result.status, kinds[i / 2].status, "%s: %s", what,
                     scrape_status_name(result.status));
        cr_assert_eq(result.http_status, kinds[i / 2].http_status, "%s: %d", what,
                     result.http_status);
        cr_assert(result.taken_ns >= begun_ns && result.taken_ns <= clock_monotonic_ns());
        double took_ms = since_ms(begun_ns);
        if (result.status == SCRAPE_TIMEOUT)
            cr_assert(took_ms > 390 && took_ms < 1500, "%s: %g ms", what, took_ms);
        if (result.status == SCRAPE_OK)
            cr_assert_eq(result.figures.in_flight, 2);
        else
            expect_unknown(&result.figures);
        if (!agent)
            fake_agent_stop(kept);
    }
    scraper_free(scraper);
}

/* curl keeps a line to itself until it ends, up to a cap of its own. */
Test(scraper, a_head_with_an_endless_line_ends)
{
    struct scraper_options options = {.timeout_ns = NS_PER_S};
    struct scraper *scraper = scraper_new(&options);
    struct fake_agent *agent = start(serve_endless_line);
    struct scrape_target target = target_of(agent);
    struct scrape_result result;

    scraper_run(scraper, &target, 1, 0, &result);
    cr_assert(result.status == SCRAPE_TOO_LARGE || result.status == SCRAPE_UNREACHABLE ||
                  result.status == SCRAPE_TIMEOUT,
              "%s", scrape_status_name(result.status));
    expect_unknown(&result.figures);
    fake_agent_stop(agent);
    scraper_free(scraper);
}

/* All kinds at once, in one run, and each result is its target's. */
Test(scraper, kinds_at_once_do_not_disturb_each_other)
{
    enum { EACH = 5, COUNT = KINDS * EACH };
    struct scraper_options options = {.timeout_ns = 1500 * NS_PER_MS, .page_bytes = 65536};
    struct scraper *scraper = scraper_new(&options);
    struct fake_agent *agents[KINDS];
    struct scrape_target targets[COUNT];
    struct scrape_result *results = xcalloc(COUNT, sizeof(*results));

    for (size_t i = 0; i < KINDS; i++)
        agents[i] = start(kinds[i].serve);
    for (size_t i = 0; i < COUNT; i++)
        targets[i] = target_of(agents[i % KINDS]);
    cr_assert_eq(scraper_run(scraper, targets, COUNT, 0, results), 0);
    for (size_t i = 0; i < COUNT; i++)
        cr_assert_eq(results[i].status, kinds[i % KINDS].status, "%s: %s", kinds[i % KINDS].what,
                     scrape_status_name(results[i].status));
    for (size_t i = 0; i < KINDS; i++)
        fake_agent_stop(agents[i]);
    free(results);
    scraper_free(scraper);
}

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
    cr_assert_eq(scraper_run(scraper, targets, COUNT, begun_ns + 300 * NS_PER_MS, results), 0);
    double took_ms = since_ms(begun_ns);
    cr_assert(took_ms > 290 && took_ms < 1500, "%g ms", took_ms);
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

Test(scraper, is_canceled_at_once_and_for_good)
{
    struct scraper_options options = {.timeout_ns = 20 * NS_PER_S, .connections = 2};
    struct scraper *scraper = scraper_new(&options);
    struct fake_agent *good = start(serve_page), *silent = start(serve_nothing);
    struct scrape_target targets[] = {target_of(good), target_of(silent), target_of(silent),
                                      target_of(silent)};
    struct scrape_result results[4];
    pthread_t thread;
    uint64_t begun_ns = clock_monotonic_ns();

    pthread_create(&thread, NULL, cancel_soon, scraper);
    cr_assert_eq(scraper_run(scraper, targets, 4, 0, results), -ECANCELED);
    double took_ms = since_ms(begun_ns);
    pthread_join(thread, NULL);
    cr_assert(took_ms >= 399 && took_ms < 1000, "%g ms: sooner than the run looks by itself",
              took_ms);
    cr_assert_eq(results[0].status, SCRAPE_OK);
    for (size_t i = 1; i < 4; i++)
        cr_assert_eq(results[i].status, SCRAPE_UNASKED);
    cr_assert(becomes(&silent->open, 0), "nothing is left open");
    cr_assert_eq(scraper_run(scraper, targets, 1, 0, results), -ECANCELED);
    cr_assert_eq(results[0].status, SCRAPE_UNASKED);
    fake_agent_stop(good);
    fake_agent_stop(silent);
    scraper_free(scraper);
    scraper_free(NULL);
}
