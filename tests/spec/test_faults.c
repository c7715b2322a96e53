/* Faults and latencies of simulated destinations from a DpuService to the agent, and back. */
#include <criterion/criterion.h>

#include "base/clock.h"
#include "base/memory.h"
#include "given.h"
#include "spec/children.h"

static const char all[] =
    "  egress:\n"
    "    latency: {value: 3ms}\n"
    "    faults:\n"
    "      errors: [{status: 500, fraction: 0.1}, {status: 429, fraction: 0.2}]\n"
    "      partial: 0.3\n"
    "      timeouts: 0.4\n"
    "      slow: {every: 20s, length: 2s, factor: 2.5, extra: 4ms}\n"
    "      loss: {probability: 0.01, rto: 200ms, retransmissions: 3}\n"
    "    destinations:\n"
    "    - {name: s1, latency: {distribution: exponential, mean: 5ms, shift: 1ms}}\n"
    "    - {name: s2, faults: {}}\n"
    "    - {name: s3}\n"
    "    - {name: s4, mode: simulate}\n"
    "    - name: s5\n"
    "      latency: {distribution: mixture, parts: [{weight: 3, value: 1ms}, {value: 2ms}]}\n"
    "      faults: {partial: 1}\n";

static void check_all(const struct agent_config *config)
{
    const struct egress_settings *e = &config->egress;
    const struct egress_destination *d = e->destinations;
    cr_assert_eq(e->faults.error_count, 2);
    cr_assert_eq(e->faults.errors[1].status, 429);
    cr_assert_eq(e->faults.errors[1].fraction, 0.2);
    cr_assert_eq(e->faults.partial, 0.3);
    cr_assert_eq(e->faults.silent, 0.4);
    cr_assert_eq(e->faults.slow.every_ns, 20 * NS_PER_S);
    cr_assert_eq(e->faults.slow.length_ns, 2 * NS_PER_S);
    cr_assert_eq(e->faults.slow.factor, 2.5);
    cr_assert_eq(e->faults.slow.extra_ns, 4 * NS_PER_MS);
    cr_assert_eq(e->faults.loss.probability, 0.01);
    cr_assert_eq(e->faults.loss.rto_ns, 200 * NS_PER_MS);
    cr_assert_eq(e->faults.loss.most, 3);
    cr_assert_eq(e->destination_count, 5);
    static const bool forward[] = {false, false, true, false, false};
    for (size_t i = 0; i < 5; i++)
        cr_assert_eq(egress_forwards(e, &d[i]), forward[i], "s%zu", i + 1);
    cr_assert_eq(egress_latency(e, &d[0])->kind, DISTRIBUTION_EXPONENTIAL);
    cr_assert_eq(egress_latency(e, &d[0])->shift_ns, NS_PER_MS);
    cr_assert_eq(egress_faults(e, &d[0]), &e->faults, "it has those of egress");
    cr_assert_eq(egress_latency(e, &d[1]), &e->latency);
    cr_assert_not(egress_faults_given(egress_faults(e, &d[1])), "given, and none");
    cr_assert_eq(egress_faults(e, NULL), &e->faults);
    cr_assert_eq(egress_latency(e, &d[4])->part_count, 2);
    cr_assert_eq(egress_faults(e, &d[4])->partial, 1);
    cr_assert_eq(egress_faults(e, &d[4])->error_count, 0, "instead of all of them");
}

Test(faults, a_round_trip)
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

Test(faults, there_are_none_by_default)
{
    cleanup_agent_config struct agent_config *config =
        agent_of("{\"service\": \"s0\", \"egress\": {\"destinations\": [{\"name\": \"s1\", "
                 "\"mode\": null}]}}");
    cr_assert_not(egress_faults_given(&config->egress.faults));
    cr_assert(egress_forwards(&config->egress, &config->egress.destinations[0]));
    cr_assert_not(egress_forwards(&config->egress, NULL));
}

Test(faults, fractions_that_add_up_to_one_are_all)
{
    cleanup_agent_config struct agent_config *config =
        agent_of("{\"service\": \"s0\", \"egress\": {\"faults\": {\"partial\": 0.1, \"timeouts\": "
                 "0.2, \"errors\": [{\"status\": 500, \"fraction\": 0.3}, {\"status\": 501, "
                 "\"fraction\": 0.4}]}}}");
    cr_assert(egress_faults_given(&config->egress.faults));
}
