/* A run is canceled from another thread at any moment of it, before the first and after the last,
 * while a third thread scrapes the scraper's own metrics: it ends, soon, with a result for each. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "fake_agents.h"
#include "operator/scraper.h"

enum { ROUNDS = 120, TARGETS = 24, ALARM_S = 100 };

static void check(bool truth, const char *what)
{
    if (truth)
        return;
    fprintf(stderr, "race_scraper: %s\n", what);
    exit(1);
}

static void serve_page(struct fake_agent *agent, int fd)
{
    while (fake_agent_request(agent, fd))
        fake_agent_page(agent, fd, "dpumesh_requests_in_flight 2\n");
}

static void serve_nothing(struct fake_agent *agent, int fd)
{
    if (fake_agent_request(agent, fd))
        fake_agent_wait(agent, fd, 60000);
}

struct round {
    struct scraper *scraper;
    struct metrics *metrics;
    const struct scrape_target *targets;
    unsigned runs, canceled;
};

static void *run(void *context)
{
    struct round *round = context;
    static struct scrape_result results[TARGETS];
    int ret = 0;

    metrics_thread_attach(round->metrics);
    while (ret == 0) {
        ret = scraper_run(round->scraper, round->targets, TARGETS, 0, results);
        for (size_t i = 0; i < TARGETS; i++)
            check((results[i].status == SCRAPE_UNASKED) == (results[i].taken_ns == 0),
                  "a result that is none");
        round->runs++;
    }
    round->canceled += ret == -ECANCELED;
    metrics_thread_detach();
    return NULL;
}

static void *expose(void *context)
{
    struct round *round = context;
    for (int i = 0; i < 20; i++) {
        cleanup_buffer struct buffer text = BUFFER_INIT(1 << 16);
        metrics_expose(round->metrics, METRICS_PROMETHEUS_TEXT, &text);
    }
    return NULL;
}

int main(void)
{
    struct fake_agent *good = fake_agent_start("127.0.0.1", serve_page);
    struct fake_agent *silent = fake_agent_start("127.0.0.1", serve_nothing);
    struct scrape_target targets[TARGETS];
    struct round round = {.targets = targets};
    pthread_t runner, exposer;

    alarm(ALARM_S);
    for (size_t i = 0; i < TARGETS; i++)
        targets[i] = (struct scrape_target){.address = "127.0.0.1",
                                            .port = fake_agent_port(i % 8 == 7 ? silent : good)};
    for (unsigned i = 0; i < ROUNDS; i++) {
        round.metrics = metrics_new();
        struct scraper_options options = {.connections = 1 + i % 5 * 7,
                                          .timeout_ns = i % 3 ? 5 * NS_PER_MS : 20 * NS_PER_S,
                                          .metrics = round.metrics};
        round.scraper = scraper_new(&options);
        if (i % 10 == 0)
            scraper_cancel(round.scraper);
        check(pthread_create(&runner, NULL, run, &round) == 0, "no thread");
        check(pthread_create(&exposer, NULL, expose, &round) == 0, "no thread");
        usleep(i % 20 * 1000);
        uint64_t begun_ns = clock_monotonic_ns();
        scraper_cancel(round.scraper);
        pthread_join(runner, NULL);
        check(clock_monotonic_ns() - begun_ns < 10 * NS_PER_S, "it did not end soon");
        pthread_join(exposer, NULL);
        scraper_free(round.scraper);
        metrics_free(round.metrics);
    }
    check(round.canceled == ROUNDS, "a run that was not canceled");
    check(round.runs > ROUNDS, "hardly any run ended by itself");
    fake_agent_stop(good);
    fake_agent_stop(silent);
    return 0;
}
