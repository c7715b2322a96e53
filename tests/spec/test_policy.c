/* Policies from a DpuService to the agent, and back from what the agent has in force. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "given.h"
#include "spec/children.h"

static const char all[] =
    "  datapath:\n"
    "    policy:\n"
    "      rateLimit: {service: {rate: 0.5, burst: 7}, source: {rate: 20}}\n"
    "      concurrency: {limit: 9, status: 429}\n"
    "      seed: 42\n"
    "      faults:\n"
    "      - header: {name: x-a, value: b c}\n"
    "        abort: {percent: 0.25, status: 418}\n"
    "      - delay: {percent: 100, duration: 3ms}\n"
    "  egress:\n"
    "    circuitBreaker: {failures: 3}\n"
    "    destinations:\n"
    "    - {name: s1, mode: simulate, timeout: 5ms}\n"
    "    - {name: s2, circuitBreaker: {failures: 9, probes: 4, duration: 2s}}\n"
    "    - {name: s3, circuitBreaker: {}}\n";

static void check_all(const struct agent_config *config)
{
    const struct policy_settings *p = &config->datapath.policy;
    const struct egress_settings *e = &config->egress;
    cr_assert_eq(p->rate.service.rate, 0.5);
    cr_assert_eq(rate_burst(&p->rate.service), 7);
    cr_assert_eq(rate_burst(&p->rate.source), 20, "a second's worth");
    cr_assert_eq(p->concurrency, 9);
    cr_assert_eq(p->concurrency_status, 429);
    cr_assert_eq(p->seed, 42);
    cr_assert_eq(p->fault_count, 2);
    cr_assert_str_eq(p->faults[0].header, "x-a");
    cr_assert_str_eq(p->faults[0].value, "b c");
    cr_assert_eq(p->faults[0].abort_percent, 0.25);
    cr_assert_eq(p->faults[0].abort_status, 418);
    cr_assert_eq(p->faults[0].delay_percent, 0);
    cr_assert_null(p->faults[1].header);
    cr_assert_eq(p->faults[1].delay_percent, 100);
    cr_assert_eq(p->faults[1].delay_ns, 3 * NS_PER_MS);
    cr_assert_eq(policy_in_force(p), 4);
    cr_assert_eq(e->breaker.failures, 3);
    cr_assert_eq(e->breaker.open_ns, 10 * NS_PER_S);
    cr_assert_eq(e->breaker.probes, 1);
    cr_assert_not(e->destinations[0].breaker_given, "it has that of egress");
    cr_assert_eq(e->destinations[0].timeout_ns, 5 * NS_PER_MS);
    cr_assert(e->destinations[1].breaker_given);
    cr_assert_eq(e->destinations[1].breaker.probes, 4);
    cr_assert(e->destinations[2].breaker_given);
    cr_assert_eq(e->destinations[2].breaker.failures, 0, "given, and none");
    cr_assert(egress_has_breakers(e));
}

Test(policy, a_round_trip)
{
    struct dpuservice *service = read_service(all);
    json_auto_t *json = spec_agent_config(service);
    cleanup_free char *text = spec_json_text(json);
    cleanup_agent_config struct agent_config *first = agent_of(text);
    check_all(first);
    cleanup_free char *again = spec_json_text(first->document);
    cleanup_agent_config struct agent_config *second = agent_of(again);
    check_all(second);
    cr_assert(json_equal(first->document, second->document));
    dpuservice_free(service);
}

Test(policy, nothing_is_on_by_default)
{
    cleanup_agent_config struct agent_config *config = agent_of("{\"service\": \"s0\"}");
    cr_assert_eq(policy_in_force(&config->datapath.policy), 0);
    cr_assert_not(egress_has_breakers(&config->egress));
    cr_assert_eq(rate_burst(&(struct rate_settings){.rate = 0.01}), 1, "at least one");
}

Test(policy, what_can_not_have_reached_the_callee_is_retried_by_default)
{
    cleanup_agent_config struct agent_config *config =
        agent_of("{\"service\": \"s0\", \"egress\": {\"destinations\": [{\"name\": \"s1\"}, "
                 "{\"name\": \"s2\", \"retries\": {\"retryOn\": [\"5xx\", \"timeout\"], "
                 "\"perTryTimeout\": \"5ms\"}}, "
                 "{\"name\": \"s3\", \"retries\": {\"most\": 0}}]}}");
    const struct egress_settings *egress = &config->egress;
    const struct retry_settings *common =
        egress_retries(egress, egress_destination(egress, "s1", 2));
    cr_assert_eq(common, &egress->retries);
    cr_assert_eq(common->most, 2);
    cr_assert_eq(common->budget_percent, 20);
    cr_assert_eq(common->backoff_ns, 25000000);
    cr_assert_eq(common->on, RETRY_CONNECT);
    cr_assert_eq(common->try_timeout_ns, 0);
    const struct retry_settings *own = egress_retries(egress, egress_destination(egress, "s2", 2));
    cr_assert_eq(own->on, RETRY_5XX | RETRY_TIMEOUT);
    cr_assert_eq(own->try_timeout_ns, 5000000);
    cr_assert_eq(own->most, 2);
    cr_assert_eq(egress_retries(egress, egress_destination(egress, "s3", 2))->most, 0);
    cr_assert_eq(egress_retries(egress, NULL), &egress->retries);
}

Test(policy, a_breaker_of_one_destination_is_one)
{
    cleanup_agent_config struct agent_config *config =
        agent_of("{\"service\": \"s0\", \"egress\": {\"destinations\": [{\"name\": \"s1\"}, "
                 "{\"name\": \"s2\", \"circuitBreaker\": {\"failures\": 1}}]}}");
    cr_assert(egress_has_breakers(&config->egress));
    cr_assert_eq(config->egress.breaker.failures, 0);
}
