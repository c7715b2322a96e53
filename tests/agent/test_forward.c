/* The client of real calls by itself, on an epoll set and a clock of the test's, with a callee of
 * the test's. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/forward.h"
#include "agent/targets.h"
#include "base/clock.h"

enum { CALLS = 64, SCRATCH = 4096, STEPS = 2000 };

/* One client, one listening socket, and what became of the calls. */
struct world {
    int epoll, listener;
    unsigned port;
    struct metrics *registry;
    struct forward_metrics metrics;
    struct agent_config *config;
    struct forward *forward;
    char scratch[SCRATCH];
    uint64_t ahead_ns; /* the test's clock is ahead of the real one */
    unsigned done[CALLS];
    unsigned order[CALLS], done_count;
    struct forward_result result[CALLS];
};

/* A request without anything that travels on. */
static struct request_message empty_message = {.length = sizeof(struct request_message)};

static uint64_t now(const struct world *w)
{
    return clock_monotonic_ns() + w->ahead_ns;
}

static void done(void *context, uint32_t owner, const struct forward_result *result)
{
    struct world *w = context;
    w->order[w->done_count++] = owner;
    w->done[owner]++;
    w->result[owner] = *result;
}

static struct agent_config *parse(const char *settings, unsigned port)
{
    char text[1024];
    struct agent_config *config = NULL;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    int length = snprintf(text, sizeof text,
                          "{\"service\": \"s0\", \"egress\": {\"mode\": \"forward\", %s},"
                          " \"peers\": {\"s1\": {\"http\": \"http://127.0.0.1:%u/x\"}}}",
                          settings, port);
    int result = agent_config_parse(text, (size_t)length, "test", &config, &problems);
    cr_assert_eq(result, 0, "%s", problems.count ? problems.texts[0] : "");
    return config;
}

static int listen_somewhere(unsigned *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(fd, 128), 0);
    getsockname(fd, (struct sockaddr *)&address, &length);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static void open_world(struct world *w, const char *settings)
{
    memset(w, 0, sizeof *w);
    w->epoll = epoll_create1(0);
    w->listener = listen_somewhere(&w->port);
    w->registry = metrics_new();
    forward_metrics_declare(w->registry, &w->metrics);
    metrics_thread_attach(w->registry);
    w->config = parse(settings, w->port);
    struct forward_setup setup = {.epoll = w->epoll,
                                  .metrics = &w->metrics,
                                  .scratch = w->scratch,
                                  .scratch_size = SCRATCH,
                                  .seed = 3,
                                  .done = done,
                                  .context = w};
    cr_assert_eq(forward_new(&setup, &w->forward, NULL), 0);
    forward_configure(w->forward, w->config);
}

static void close_world(struct world *w)
{
    forward_free(w->forward);
    agent_config_free(w->config);
    metrics_thread_detach();
    metrics_free(w->registry);
    close(w->listener);
    close(w->epoll);
}

static void begin_within(struct world *w, uint32_t owner, uint64_t timeout_ns)
{
    struct forward_call call = {.owner = owner,
                                .target = target_number("s1", 2),
                                .message = &empty_message,
                                .deadline_ns = now(w) + timeout_ns};
    cr_assert(forward_takes(w->forward, call.target));
    forward_begin(w->forward, &call, now(w));
}

static void begin(struct world *w, uint32_t owner)
{
    begin_within(w, owner, 10 * NS_PER_S);
}

/* One turn of the loop that the I/O thread has. */
static void turn(struct world *w, int timeout_ms)
{
    struct epoll_event events[16];
    int count = epoll_wait(w->epoll, events, 16, timeout_ms);
    for (int i = 0; i < count; i++)
        forward_event(w->forward, events[i].data.u64, events[i].events, now(w));
    forward_work(w->forward, now(w));
}

static void turn_until(struct world *w, unsigned count)
{
    for (unsigned i = 0; i < STEPS && w->done_count < count; i++)
        turn(w, 5);
    cr_assert_eq(w->done_count, count);
}

/* The next connection, once it is there. */
static int accept_one(struct world *w)
{
    struct pollfd ready = {.fd = w->listener, .events = POLLIN};
    for (unsigned i = 0; i < STEPS && poll(&ready, 1, 0) == 0; i++)
        turn(w, 1);
    return accept(w->listener, NULL, NULL);
}

/* Reads one request, which has no body, and returns its first line. */
static void read_request(struct world *w, int fd, char line[256])
{
    char text[2048];
    size_t length = 0;
    for (unsigned i = 0; i < STEPS; i++) {
        ssize_t got = recv(fd, text + length, sizeof text - 1 - length, MSG_DONTWAIT);
        length += got > 0 ? (size_t)got : 0;
        text[length] = '\0';
        if (strstr(text, "\r\n\r\n"))
            break;
        turn(w, 1);
    }
    cr_assert(strstr(text, "\r\n\r\n"));
    snprintf(line, 256, "%.*s", (int)strcspn(text, "\r"), text);
}

static void answer(int fd)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    cr_assert_eq(send(fd, text, sizeof text - 1, 0), (ssize_t)(sizeof text - 1));
}

static double value(struct metric *metric)
{
    return metric_value(metric);
}

Test(forward, one_connection_carries_call_after_call)
{
    struct world w;
    char line[256];
    open_world(&w, "\"timeout\": \"5s\"");
    int fd = -1;
    for (uint32_t i = 0; i < 5; i++) {
        begin(&w, i);
        fd = fd < 0 ? accept_one(&w) : fd;
        read_request(&w, fd, line);
        cr_assert_str_eq(line, "GET /x HTTP/1.1");
        cr_assert_eq(w.done_count, i);
        cr_assert_eq(forward_in_flight(w.forward), 1);
        answer(fd);
        turn_until(&w, i + 1);
        cr_assert_eq(w.result[i].outcome, FORWARD_OK);
        cr_assert_eq(w.result[i].status, 200);
        cr_assert_eq(w.result[i].received_bytes, 5);
        cr_assert_gt(w.result[i].sent_bytes, 20);
    }
    cr_assert_eq(value(w.metrics.connections_total), 1);
    cr_assert_eq(value(w.metrics.connections), 1);
    close(fd);
    for (unsigned i = 0; i < STEPS && value(w.metrics.connections) > 0; i++)
        turn(&w, 1);
    cr_assert_eq(value(w.metrics.connections), 0);
    close_world(&w);
}

Test(forward, those_that_wait_are_served_in_their_order)
{
    struct world w;
    char line[256];
    open_world(&w, "\"forward\": {\"connections\": 1, \"pending\": 9}");
    for (uint32_t i = 0; i < 12; i++)
        begin(&w, i);
    cr_assert_eq(w.done_count, 2); /* one is carried, nine wait */
    cr_assert_eq(w.order[0], 10);
    cr_assert_eq(w.result[10].outcome, FORWARD_FULL);
    cr_assert_eq(w.result[11].outcome, FORWARD_FULL);
    cr_assert_eq(value(w.metrics.waiting), 9);
    int fd = accept_one(&w);
    for (uint32_t i = 0; i < 10; i++) {
        read_request(&w, fd, line);
        answer(fd);
        turn_until(&w, i + 3);
        cr_assert_eq(w.order[i + 2], i);
    }
    cr_assert_eq(value(w.metrics.waiting), 0);
    close(fd);
    close_world(&w);
}

Test(forward, a_deadline_comes_in_time_and_not_before)
{
    struct world w;
    open_world(&w, "\"forward\": {\"connections\": 1}");
    begin_within(&w, 0, 5 * NS_PER_S); /* will be carried and not answered */
    begin_within(&w, 1, 3 * NS_PER_S); /* will wait */
    uint64_t begun = now(&w);
    int fd = accept_one(&w);
    turn(&w, 1);
    cr_assert_leq(forward_next_ns(w.forward), begun + 3 * NS_PER_S);
    cr_assert_gt(forward_next_ns(w.forward), begun + 2 * NS_PER_S);
    w.ahead_ns = 2900 * NS_PER_MS;
    turn(&w, 0);
    cr_assert_eq(w.done_count, 0);
    w.ahead_ns = 3100 * NS_PER_MS;
    turn(&w, 0);
    cr_assert_eq(w.done_count, 1);
    cr_assert_eq(w.result[1].outcome, FORWARD_TIMEOUT);
    w.ahead_ns = 5100 * NS_PER_MS;
    turn(&w, 0);
    cr_assert_eq(w.done_count, 2);
    cr_assert_eq(w.result[0].outcome, FORWARD_TIMEOUT);
    cr_assert_eq(forward_in_flight(w.forward), 0);
    cr_assert_eq(value(w.metrics.connections), 0);
    close(fd);
    close_world(&w);
}

Test(forward, without_a_deadline_it_ends_after_half_an_hour)
{
    struct world w;
    open_world(&w, "\"timeout\": \"0s\"");
    struct forward_call call = {
        .target = target_number("s1", 2), .message = &empty_message, .deadline_ns = UINT64_MAX};
    forward_begin(w.forward, &call, now(&w));
    int fd = accept_one(&w);
    turn(&w, 1);
    w.ahead_ns = 1799 * NS_PER_S;
    turn(&w, 0);
    cr_assert_eq(w.done_count, 0);
    w.ahead_ns = 1801 * NS_PER_S;
    turn(&w, 0);
    cr_assert_eq(w.result[0].outcome, FORWARD_TIMEOUT);
    close(fd);
    close_world(&w);
}

Test(forward, an_idle_connection_grows_old)
{
    struct world w;
    char line[256];
    open_world(&w, "\"forward\": {\"idleTimeout\": \"7s\"}");
    cr_assert_eq(forward_next_ns(w.forward), UINT64_MAX);
    begin(&w, 0);
    int fd = accept_one(&w);
    read_request(&w, fd, line);
    answer(fd);
    turn_until(&w, 1);
    w.ahead_ns = 6 * NS_PER_S;
    turn(&w, 0);
    cr_assert_eq(value(w.metrics.connections), 1);
    w.ahead_ns = 8 * NS_PER_S;
    turn(&w, 0);
    cr_assert_eq(value(w.metrics.connections), 0);
    cr_assert_eq(forward_next_ns(w.forward), UINT64_MAX);
    close(fd);
    close_world(&w);
}

/* Calls in every stage when the client ends: nothing leaks (AddressSanitizer tells), nobody is
 * told. */
Test(forward, the_end_with_calls_under_way)
{
    struct world w;
    char line[256];
    open_world(&w, "\"forward\": {\"connections\": 2}");
    for (uint32_t i = 0; i < 5; i++)
        begin(&w, i);
    int fd = accept_one(&w);
    read_request(&w, fd, line);
    static const char half[] = "HTTP/1.1 200 OK\r\nContent-Le";
    cr_assert_gt(send(fd, half, sizeof half - 1, 0), 0);
    turn(&w, 5);
    cr_assert_eq(forward_in_flight(w.forward), 5);
    cr_assert_eq(w.done_count, 0);
    close_world(&w);
    cr_assert_eq(w.done_count, 0);
    close(fd);
}

Test(forward, an_url_changes)
{
    struct world w;
    char line[256];
    unsigned port;
    open_world(&w, "\"forward\": {\"connections\": 1}");
    begin(&w, 0);
    begin(&w, 1);
    int fd = accept_one(&w);
    read_request(&w, fd, line);
    int other = listen_somewhere(&port);
    struct agent_config *next = parse("\"forward\": {\"connections\": 1}", port);
    forward_configure(w.forward, next);
    agent_config_free(w.config);
    w.config = next;
    answer(fd); /* the one under way is answered where it was asked */
    turn_until(&w, 1);
    cr_assert_eq(w.result[0].outcome, FORWARD_OK);
    close(fd);
    int before = w.listener;
    w.listener = other;
    fd = accept_one(&w); /* the one that waited goes to the new place */
    read_request(&w, fd, line);
    answer(fd);
    turn_until(&w, 2);
    cr_assert_eq(w.result[1].outcome, FORWARD_OK);
    close(fd);
    close(before);
    close_world(&w);
}

/* A peer's own address comes first, then what the operator told of it. */
Test(forward, told_where_a_callee_answers)
{
    struct world w;
    char line[256], text[256];
    open_world(&w, "\"timeout\": \"5s\"");
    snprintf(text, sizeof text,
             "{\"service\": \"s0\", \"egress\": {\"mode\": \"forward\"},"
             " \"callees\": {\"s1\": \"http://127.0.0.1:%u/foo\"}}",
             w.port);
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    struct agent_config *next = NULL;
    cr_assert_eq(agent_config_parse(text, strlen(text), "test", &next, &problems), 0);
    forward_configure(w.forward, next);
    agent_config_free(w.config);
    w.config = next;
    begin(&w, 0);
    int fd = accept_one(&w);
    read_request(&w, fd, line);
    cr_assert_str_eq(line, "GET /foo HTTP/1.1");
    answer(fd);
    turn_until(&w, 1);
    cr_assert_eq(w.result[0].outcome, FORWARD_OK);
    close(fd);
    close_world(&w);
}

Test(forward, a_name_that_is_none)
{
    struct world w;
    open_world(&w, "\"timeout\": \"5s\"");
    struct forward_call call = {.owner = 7, .target = TARGET_NONE, .message = &empty_message};
    cr_assert(forward_takes(w.forward, TARGET_NONE));
    forward_begin(w.forward, &call, now(&w));
    cr_assert_eq(w.done[7], 1);
    cr_assert_eq(w.result[7].outcome, FORWARD_UNKNOWN);
    cr_assert_eq(forward_in_flight(w.forward), 0);
    close_world(&w);
}

Test(forward, outcomes_have_a_status_each)
{
    for (unsigned i = 0; i < FORWARD_OUTCOMES; i++) {
        uint16_t status = forward_outcome_status((enum forward_outcome)i);
        cr_expect((i == FORWARD_OK) == (status == 200));
        cr_expect(status == 200 || status == 500 || status == 503 || status == 504);
        cr_expect_gt(strlen(forward_outcome_name((enum forward_outcome)i)), 1);
    }
}
