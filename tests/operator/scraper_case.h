/* What the tests of the scraper have in common: agents that behave, and one that says nothing. */
#ifndef DPUMESH_TESTS_OPERATOR_SCRAPER_CASE_H
#define DPUMESH_TESTS_OPERATOR_SCRAPER_CASE_H

#include <criterion/criterion.h>
#include <math.h>

#include "base/clock.h"
#include "fake_agents.h"
#include "operator/scraper.h"

#define PAGE                                                                                       \
    "dpumesh_requests_total{protocol=\"http\"} 7\ndpumesh_requests_in_flight 2\n"                  \
    "process_start_time_seconds 1\n"

static inline void serve_page(struct fake_agent *agent, int fd)
{
    while (fake_agent_request(agent, fd))
        fake_agent_page(agent, fd, PAGE);
}

static inline void serve_nothing(struct fake_agent *agent, int fd)
{
    if (fake_agent_request(agent, fd))
        fake_agent_wait(agent, fd, 60000);
}

static inline struct scrape_target target_of(const struct fake_agent *agent)
{
    return (struct scrape_target){.address = "127.0.0.1", .port = fake_agent_port(agent)};
}

static inline struct fake_agent *start(void (*serve)(struct fake_agent *agent, int fd))
{
    struct fake_agent *agent = fake_agent_start("127.0.0.1", serve);
    cr_assert_not_null(agent);
    return agent;
}

static inline double since_ms(uint64_t begun_ns)
{
    return (double)(clock_monotonic_ns() - begun_ns) / (double)NS_PER_MS;
}

static inline void expect_unknown(const struct agent_figures *figures)
{
    cr_assert(isnan(figures->requests_total) && isnan(figures->in_flight) &&
              isnan(figures->start_seconds) && figures->latency.bound_count == 0);
}

#endif
