/*
 * policy: what datapath.policy and egress.circuitBreaker cost the I/O thread a request, by the
 * agent's own functions and without a socket.
 *
 *     policy [--requests N] [--rounds N]
 *
 * Control is a function that is called and does nothing. Control and the others take turns; of each
 * the median of the rounds counts. Prints one JSON object: nanoseconds a request, the control's
 * taken off.
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

#define HEADER "\"faults\": [{\"header\": {\"name\": \"x-user\", \"value\": \"alice\"}, "

static const struct {
    const char *name, *policy, *breaker;
} cases[] = {
    {"control", NULL, NULL},
    {"off", "", "0"},
    {"service_rate", "\"rateLimit\": {\"service\": {\"rate\": 1e9}}", "0"},
    {"source_rate", "\"rateLimit\": {\"source\": {\"rate\": 1e9}}", "0"},
    {"concurrency", "\"concurrency\": {\"limit\": 1000}", "0"},
    {"fault", "\"faults\": [{\"abort\": {\"percent\": 1e-9}, \"delay\": {\"percent\": 1e-9}}]",
     "0"},
    {"fault_by_header", HEADER "\"abort\": {\"percent\": 1e-9}}]", "0"},
    {"circuit_breaker", "", "5"},
    {"all",
     "\"rateLimit\": {\"service\": {\"rate\": 1e9}, \"source\": {\"rate\": 1e9}}, "
     "\"concurrency\": {\"limit\": 1000}, " HEADER "\"abort\": {\"percent\": 1e-9}}]",
     "5"},
};
enum { CASES = sizeof cases / sizeof *cases };

/* Of one configuration: as much of the I/O thread as policies touch. */
struct subject {
    struct agent *agent;
    struct io *io;
};

static void make(struct subject *subject, struct metrics *registry, unsigned which)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    struct agent_config *config;
    cleanup_free char *text =
        xasprintf("{\"service\": \"s0\", \"datapath\": {\"mode\": \"direct\", \"policy\": {%s}}, "
                  "\"egress\": {\"circuitBreaker\": {\"failures\": %s}}}",
                  cases[which].policy, cases[which].breaker);
    if (agent_config_parse(text, strlen(text), cases[which].name, &config, &problems) < 0) {
        problems_print(&problems, stderr, "policy: ");
        exit(1);
    }
    struct agent *agent = subject->agent = xcalloc(1, sizeof *agent);
    struct io *io = subject->io = xcalloc(1, sizeof *io);
    agent->registry = registry;
    policy_metrics_declare(registry, &agent->metrics.policy);
    io->agent = agent;
    io->config = xcalloc(1, sizeof *io->config);
    io->config->config = config;
    io->source_limit = config->limits.sources;
    if (pool_init(&io->connections, sizeof(struct connection), 16, NULL) < 0 ||
        pool_init(&io->exchanges, sizeof(struct exchange), 16, NULL) < 0)
        exit(1);
    uint32_t connection = pool_take(&io->connections), exchange = pool_take(&io->exchanges);
    *connection_at(io, connection) = (struct connection){.source = 1};
    *exchange_at(io, exchange) = (struct exchange){.connection = connection};
    policy_configure(io);
    egress_configure_callees(io);
}

static void __attribute__((noinline)) nothing(struct io *io, const struct request_draft *draft)
{
    __asm__ volatile("" ::"r"(io), "r"(draft) : "memory");
}

static void request(struct io *io, const struct request_draft *draft, uint16_t target)
{
    struct fault_outcome fault;
    struct egress_call call = {.target = target, .status = 200};
    if (policy_refuses(io, 0, draft, &fault) || !egress_passes(io, &call)) {
        fprintf(stderr, "policy: a request was refused\n");
        exit(1);
    }
    egress_tell_breaker(io, &call);
}

static double round_ns(const struct subject *subject, const struct request_draft *draft,
                       uint16_t target, unsigned requests)
{
    uint64_t begin_ns = clock_thread_cpu_ns();
    for (unsigned i = 0; i < requests; i++) {
        if (!subject->io) {
            nothing(NULL, draft);
            continue;
        }
        subject->io->now_ns += 1000;
        request(subject->io, draft, target);
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

    char frame[] = "{\"method\": \"POST\", \"path\": \"/api/v1\", \"headers\": {\"Content-Type\": "
                   "\"application/json\", \"x-request-id\": \"7f3c\", \"x-user\": \"bob\"}, "
                   "\"body\": \"{}\"}";
    struct request_draft draft;
    char sentence[WIRE_SENTENCE_MAX];
    if (wire_parse(frame, sizeof frame - 1, &draft, sentence) < 0)
        return 1;
    struct metrics *registry = metrics_new();
    metrics_thread_attach(registry);
    struct subject subjects[CASES] = {{NULL, NULL}};
    uint16_t target = target_number("s1", 2);
    for (unsigned i = 1; i < CASES; i++)
        make(&subjects[i], registry, i);

    double *ns[CASES];
    for (unsigned i = 0; i < CASES; i++)
        ns[i] = xcalloc(options.rounds, sizeof(double));
    for (unsigned round = 0; round < options.rounds; round++)
        for (unsigned i = 0; i < CASES; i++)
            ns[i][round] = round_ns(&subjects[i], &draft, target, options.requests);
    json_auto_t *report = json_object();
    for (unsigned i = 0; i < CASES; i++) {
        qsort(ns[i], options.rounds, sizeof(double), by_value);
        double control = i ? ns[0][options.rounds / 2] : 0;
        json_object_set_new(report, cases[i].name, json_real(ns[i][options.rounds / 2] - control));
        free(ns[i]);
    }
    cleanup_free char *text = json_dumps(report, JSON_INDENT(1) | JSON_REAL_PRECISION(4));
    puts(text);
    return 0;
}
