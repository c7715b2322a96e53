/* Every way in which an agent can be asked for its page and not give it. */
#include <unistd.h>

#include "base/memory.h"
#include "scraper_case.h"

/* ---- how agents can be ---- */

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

/* ---- what comes of it ---- */

/* So long that no busy machine makes a time-out of an answer. */
#define PATIENCE_NS (60 * NS_PER_S)

static void expect_kind(size_t kind, const struct scrape_result *result)
{
    const char *what = kinds[kind].what;
    cr_assert_eq(result->status, kinds[kind].status, "%s: %s", what,
                 scrape_status_name(result->status));
    cr_assert_eq(result->http_status, kinds[kind].http_status, "%s: %d", what, result->http_status);
    if (result->status == SCRAPE_OK)
        cr_assert_eq(result->figures.in_flight, 2);
    else
        expect_unknown(&result->figures);
}

/* Twice, because a connection that was left behind must not spoil the next answer. */
Test(scraper_kinds, tells_every_kind_that_answers)
{
    struct scraper_options options = {.timeout_ns = PATIENCE_NS, .page_bytes = 65536};
    struct scraper *scraper = scraper_new(&options);

    for (size_t kind = 0; kind < KINDS; kind++) {
        if (kinds[kind].status == SCRAPE_TIMEOUT)
            continue;
        struct fake_agent *agent = start(kinds[kind].serve);
        struct scrape_target target = target_of(agent);
        for (unsigned time = 0; time < 2; time++) {
            struct scrape_result result;
            uint64_t begun_ns = clock_monotonic_ns();
            cr_assert_eq(scraper_run(scraper, &target, 1, 0, &result), 0);
            expect_kind(kind, &result);
            cr_assert(result.taken_ns >= begun_ns && result.taken_ns <= clock_monotonic_ns());
        }
        fake_agent_stop(agent);
    }
    scraper_free(scraper);
}

/* A byte now and then buys no time. Side by side, since each takes all the time there is; twice for
 * the same reason as above. */
Test(scraper_kinds, tells_every_kind_that_does_not_end)
{
    enum { TIMEOUT_MS = 1500 };
    struct scraper_options options = {.timeout_ns = TIMEOUT_MS * NS_PER_MS, .page_bytes = 65536};
    struct scraper *scraper = scraper_new(&options);
    struct fake_agent *agents[KINDS];
    struct scrape_target targets[KINDS];
    struct scrape_result results[KINDS];
    size_t which[KINDS], count = 0;

    for (size_t kind = 0; kind < KINDS; kind++) {
        if (kinds[kind].status != SCRAPE_TIMEOUT)
            continue;
        which[count] = kind;
        agents[count] = start(kinds[kind].serve);
        targets[count] = target_of(agents[count]);
        count++;
    }
    for (unsigned time = 0; time < 2; time++) {
        uint64_t begun_ns = clock_monotonic_ns();
        cr_assert_eq(scraper_run(scraper, targets, count, 0, results), 0);
        for (size_t i = 0; i < count; i++) {
            double took_ms = (double)(results[i].taken_ns - begun_ns) / (double)NS_PER_MS;
            expect_kind(which[i], &results[i]);
            cr_assert(took_ms > TIMEOUT_MS - 10 && took_ms < 20000, "%s: %g ms",
                      kinds[which[i]].what, took_ms);
        }
    }
    for (size_t i = 0; i < count; i++)
        fake_agent_stop(agents[i]);
    scraper_free(scraper);
}

/* curl keeps a line to itself until it ends, or has come to a cap of its own: then nothing that it
 * reports tells that from an answer which is no HTTP. */
Test(scraper_kinds, a_head_with_an_endless_line_ends)
{
    struct scraper_options options = {.timeout_ns = PATIENCE_NS};
    struct scraper *scraper = scraper_new(&options);
    struct fake_agent *agent = start(serve_endless_line);
    struct scrape_target target = target_of(agent);
    struct scrape_result result;

    cr_assert_eq(scraper_run(scraper, &target, 1, 0, &result), 0);
    cr_assert_eq(result.status, SCRAPE_UNREACHABLE, "%s", scrape_status_name(result.status));
    cr_assert_eq(result.http_status, 200);
    expect_unknown(&result.figures);
    fake_agent_stop(agent);
    scraper_free(scraper);
}

/* All kinds at once, in one run, and each result is its target's. */
Test(scraper_kinds, kinds_at_once_do_not_disturb_each_other)
{
    enum { EACH = 5, COUNT = KINDS * EACH };
    struct scraper_options options = {.timeout_ns = 3 * NS_PER_S, .page_bytes = 65536};
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
