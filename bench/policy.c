/*
 * policy: what datapath.policy, egress.circuitBreaker and egress.retries cost the I/O thread a
 * request, by the agent's own functions and without a socket.
 *
 *     policy [--requests N] [--rounds N]
 *
 * Control is a function that is called and does nothing; that of a simulated call with retries is
 * the same call without. All take turns; of each the median of the rounds counts. Prints one JSON
 * object: nanoseconds a request, over its control.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/io_private.h"
#include "agent/targets.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/option.h"

struct options_of_policy {
    unsigned requests, rounds;
};

static const struct option_entry entries[] = {
    {0, "requests", OPTION_TO_UNSIGNED(struct options_of_policy, requests), .argument = "N",
     .fallback = "200000", .min = 1000, .max = 100000000, .help = "Requests a round."},
    {0, "rounds", OPTION_TO_UNSIGNED(struct options_of_policy, rounds), .argument = "N",
     .fallback = "31", .min = 1, .max = 10000, .help = "Rounds."},
};

static const struct option_command command = {
    .name = "policy", .summary = "what L7 policies cost a request", OPTION_ENTRIES(entries)};

#define HEADER  "\"faults\": [{\"header\": {\"name\": \"x-user\", \"value\": \"alice\"}, "
#define BREAKER "\"circuitBreaker\": {\"failures\": 5}"
#define FAILING "\"faults\": {\"errors\": [{\"status\": 503, \"fraction\": 1}]}, "
#define RETRIES(on)                                                                                \
    "\"retries\": {\"most\": 1, \"budget\": 100, \"backoff\": \"1us\", \"retryOn\": [" on          \
    "], \"perTryTimeout\": \"1s\"}"

/* What each is measured over: a place in cases. */
enum { CONTROL, OFF, CALL = 9, FAILED_CALL = 11 };

static const struct {
    const char *name, *policy, *egress;
    unsigned control;
} cases[] = {
    [CONTROL] = {"control", NULL, NULL, CONTROL},
    [OFF] = {"off", "", "", CONTROL},
    {"service_rate", "\"rateLimit\": {\"service\": {\"rate\": 1e9}}", "", CONTROL},
    {"source_rate", "\"rateLimit\": {\"source\": {\"rate\": 1e9}}", "", CONTROL},
    {"concurrency", "\"concurrency\": {\"limit\": 1000}", "", CONTROL},
    {"fault", "\"faults\": [{\"abort\": {\"percent\": 1e-9}, \"delay\": {\"percent\": 1e-9}}]", "",
     CONTROL},
    {"fault_by_header", HEADER "\"abort\": {\"percent\": 1e-9}}]", "", CONTROL},
    {"circuit_breaker", "", BREAKER, CONTROL},
    {"all",
     "\"rateLimit\": {\"service\": {\"rate\": 1e9}, \"source\": {\"rate\": 1e9}}, "
     "\"concurrency\": {\"limit\": 1000}, " HEADER "\"abort\": {\"percent\": 1e-9}}]",
     BREAKER, CONTROL},
    /* Whole simulated calls from here on. */
    [CALL] = {"call", "", "\"retries\": {\"most\": 0}", CONTROL},
    {"retries", "", RETRIES("\"connect\", \"reset\", \"timeout\", \"5xx\""), CALL},
    [FAILED_CALL] = {"failed_call", "", FAILING "\"retries\": {\"most\": 0}", CONTROL},
    {"retried_once", "", FAILING RETRIES("\"5xx\""), FAILED_CALL},
};
enum { CASES = sizeof cases / sizeof *cases };

/* The first configuration makes it; queues and metrics serve all. */
static struct agent agent;

static struct config_ref *configuration(unsigned which)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    struct agent_config *config;
    struct config_ref *ref;
    cleanup_free char *text = xasprintf(
        "{\"service\": \"s0\", \"datapath\": {\"mode\": \"direct\", \"policy\": {%s}}, \"egress\": "
        "{\"latency\": {\"value\": \"10us\", \"seed\": 1}, \"timeout\": \"10s\"%s%s}}",
        cases[which].policy, *cases[which].egress ? ", " : "", cases[which].egress);
    if (agent_config_parse(text, strlen(text), cases[which].name, &config, &problems) < 0 ||
        config_ref_new(config, cases[which].name, &ref, &problems) < 0) {
        problems_print(&problems, stderr, "policy: ");
        exit(1);
    }
    return ref;
}

static void fail(const char *sentence)
{
    fprintf(stderr, "policy: %s\n", sentence);
    exit(1);
}

/* As much of the I/O thread as policies touch. */
static struct io *make(unsigned which)
{
    cleanup_error struct error *err = NULL;
    struct io *io = xcalloc(1, sizeof *io);
    io->agent = &agent;
    io->config = configuration(which);
    if (which == OFF) {
        config_ref_take(io->config);
        if (agent_init(&agent, io->config, &err) < 0)
            fail(error_message(err));
        metrics_thread_attach(agent.registry);
    }
    io->source_limit = io_config(io)->limits.sources;
    io->now_ns = clock_monotonic_ns();
    if (pool_init(&io->connections, sizeof(struct connection), 16, &err) < 0 ||
        pool_init(&io->exchanges, sizeof(struct exchange), 16, &err) < 0 ||
        egress_init(io, &err) < 0)
        fail(error_message(err));
    uint32_t connection = pool_take(&io->connections), exchange = pool_take(&io->exchanges);
    *connection_at(io, connection) = (struct connection){.source = 1};
    *exchange_at(io, exchange) = (struct exchange){.connection = connection};
    policy_configure(io);
    return io;
}

static void __attribute__((noinline)) nothing(struct io *io, const struct request_draft *draft)
{
    __asm__ volatile("" ::"r"(io), "r"(draft) : "memory");
}

static void request(struct io *io, const struct request_draft *draft, uint16_t target)
{
    struct fault_outcome fault;
    struct egress_call call = {.target = target, .status = 200};
    io->now_ns += 1000;
    if (policy_refuses(io, 0, draft, &fault) || !egress_passes(io, &call))
        fail("a request was refused");
    egress_tell_breaker(io, &call);
}

enum { BATCH = 50 };

/* Whole simulated calls from queue to queue, as many at once as under load. */
static void calls(struct io *io, uint16_t target, unsigned status)
{
    for (unsigned i = 0; i < BATCH; i++) {
        struct descriptor *d = ring_slot(&agent.egress_sq);
        *d = (struct descriptor){.flags = target,
                                 .length = 64,
                                 .body_offset = ARENA_NONE,
                                 .stamp_us = (uint32_t)(io->now_ns / NS_PER_US),
                                 .sequence = d->sequence};
        ring_submit(&agent.egress_sq, d);
    }
    for (unsigned done = 0; done < BATCH;) {
        egress_work(io);
        io->now_ns += 2 * WHEEL_TICK_NS;
        for (const struct descriptor *d; (d = ring_pop(&agent.egress_cq)); done++)
            if (d->status != status)
                fail("a call ended otherwise than it should");
        ring_release(&agent.egress_cq);
    }
}

static double round_ns(unsigned which, struct io *io, const struct request_draft *draft,
                       unsigned requests)
{
    uint16_t target = target_number("s1", 2);
    uint64_t begin_ns = clock_thread_cpu_ns();
    for (unsigned i = 0; i < requests; i += which < CALL ? 1 : BATCH) {
        if (which == CONTROL)
            nothing(io, draft);
        else if (which < CALL)
            request(io, draft, target);
        else
            calls(io, target, which < FAILED_CALL ? 200 : 500);
    }
    return (double)(clock_thread_cpu_ns() - begin_ns) / requests;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    struct options_of_policy options;
    cleanup_options struct options parsed = OPTIONS_INIT;
    cleanup_error struct error *err = NULL;
    int ret = options_parse(&command, argc, argv, &options, &parsed, &err);
    if (ret != 0)
        return options_exit(&command, ret, err);
    options.requests = (options.requests + BATCH - 1) / BATCH * BATCH;

    char frame[] = "{\"method\": \"POST\", \"path\": \"/api/v1\", \"headers\": {\"Content-Type\": "
                   "\"application/json\", \"x-request-id\": \"7f3c\", \"x-user\": \"bob\"}, "
                   "\"body\": \"{}\"}";
    struct request_draft draft;
    char sentence[WIRE_SENTENCE_MAX];
    if (wire_parse(frame, sizeof frame - 1, &draft, sentence) < 0)
        return 1;
    struct io *ios[CASES] = {NULL};
    double *ns[CASES];
    for (unsigned i = 0; i < CASES; i++) {
        ios[i] = i == CONTROL ? NULL : make(i);
        ns[i] = xcalloc(options.rounds, sizeof(double));
    }
    for (unsigned round = 0; round < options.rounds; round++)
        for (unsigned i = 0; i < CASES; i++)
            ns[i][round] = round_ns(i, ios[i], &draft, options.requests);
    json_auto_t *report = json_object();
    for (unsigned i = CASES; i-- > 0;) { /* a control stands before what is measured over it */
        for (unsigned round = 0; i != CONTROL && round < options.rounds; round++)
            ns[i][round] -= ns[cases[i].control][round];
        qsort(ns[i], options.rounds, sizeof(double), by_value);
    }
    for (unsigned i = 0; i < CASES; i++) {
        json_object_set_new(report, cases[i].name, json_real(ns[i][options.rounds / 2]));
        free(ns[i]);
    }
    cleanup_free char *text = json_dumps(report, JSON_INDENT(1) | JSON_REAL_PRECISION(4));
    puts(text);
    return 0;
}
