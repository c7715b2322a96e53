#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "spec/agent_config.h"

static struct agent_config *parse(const char *text)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    struct agent_config *config = NULL;
    int ret = agent_config_parse(text, strlen(text), "agent.json", &config, &problems);
    cr_assert_eq(ret, 0, "%s", problems.count ? problems.texts[0] : "no sentence");
    cr_assert_eq(problems.count, 0);
    return config;
}

Test(agent_config, defaults)
{
    cleanup_agent_config struct agent_config *c = parse("{\"service\": \"s0\"}");
    char host[256];
    gethostname(host, sizeof(host));

    cr_assert_str_eq(c->service, "s0");
    cr_assert_str_eq(c->replica, host);
    cr_assert_str_eq(c->zone, "default");
    cr_assert_eq(c->listen.bridge_count, 1);
    cr_assert_str_eq(c->listen.bridge[0], "0.0.0.0:5005");
    cr_assert_eq(c->listen.http_count, 1);
    cr_assert_str_eq(c->listen.http[0], "0.0.0.0:8080");
    cr_assert_eq(c->listen.admin_count, 0);
    cr_assert_eq(c->limits.frame_bytes, 1 << 20);
    cr_assert_eq(c->limits.arena_bytes, 64 << 20);
    cr_assert_eq(c->limits.connections, 16384);
    cr_assert_eq(c->limits.requests, 131072);
    cr_assert_eq(c->limits.pipeline, 128);
    cr_assert_eq(c->limits.frame_timeout_ns, 10 * NS_PER_S);
    cr_assert_eq(c->limits.idle_timeout_ns, 300 * NS_PER_S);
    cr_assert_eq(c->limits.write_timeout_ns, 30 * NS_PER_S);
    cr_assert_eq(c->limits.shutdown_delay_ns, 5 * NS_PER_S);
    cr_assert_eq(c->limits.drain_timeout_ns, 25 * NS_PER_S);
    cr_assert_eq(c->limits.sources, 64);
    cr_assert_eq(c->queues.ingress_sq, 4096);
    cr_assert_eq(c->queues.ingress_cq, 8192);
    cr_assert_eq(c->queues.egress_sq, 4096);
    cr_assert_eq(c->queues.egress_cq, 8192);
    cr_assert_str_eq(c->workload.path, "/api/v1");
    cr_assert_eq(c->workload.threads, 4);
    cr_assert_eq(c->workload.internal.kind, INTERNAL_NONE);
    cr_assert_eq(c->workload.group_count, 0);
    cr_assert_eq(c->egress.mode, EGRESS_SIMULATE);
    cr_assert_eq(c->egress.latency.kind, DISTRIBUTION_CONSTANT);
    cr_assert_eq(c->egress.latency.value_ns, 50 * NS_PER_MS);
    cr_assert_eq(c->egress.seed, 0);
    cr_assert_eq(c->egress.workers, 0);
    cr_assert_eq(c->egress.timeout_ns, 30 * NS_PER_S);
    cr_assert_eq(c->egress.destination_count, 0);
    cr_assert_eq(c->egress.forward.connections, 512);
    cr_assert_eq(c->egress.forward.pending, 4096);
    cr_assert_eq(c->egress.forward.hops, 16);
    cr_assert_eq(c->egress.forward.answer_bytes, 64u << 20);
    cr_assert_eq(c->egress.forward.connect_timeout_ns, NS_PER_S);
    cr_assert_eq(c->egress.forward.idle_timeout_ns, 30 * NS_PER_S);
    cr_assert_eq(c->egress.retries.most, 2);
    cr_assert_eq(c->egress.retries.budget_percent, 20);
    cr_assert_eq(c->egress.retries.backoff_ns, 25 * NS_PER_MS);
    cr_assert_eq(c->egress.forward.ejection_failures, 5);
    cr_assert_eq(c->egress.forward.ejection_ns, 10 * NS_PER_S);
    cr_assert_null(c->egress.forward.tls.ca);
    cr_assert(!c->tracing.given);
    cr_assert_null(c->tracing.endpoint);
    cr_assert(!c->peers_known);
    cr_assert_str_eq(c->log.level, "info");
    cr_assert_str_eq(c->log.format, "logfmt");

    /* muBench's defaults of its functions, contract section 2 */
    cleanup_agent_config struct agent_config *loader =
        parse("{\"service\": \"s0\", \"workload\": {\"internalService\": {\"loader\": {}}}}");
    const struct internal_service *internal = &loader->workload.internal;
    cr_assert_eq(internal->kind, INTERNAL_LOADER);
    cr_assert(!internal->cpu_run);
    cr_assert_eq(internal->cpu_threads, 1);
    cr_assert_eq(internal->cpu_trials, 1);
    cr_assert_eq(internal->complexity_min, 100);
    cr_assert_eq(internal->complexity_max, 100);
    cr_assert(internal->sleep_run);
    cr_assert_eq(internal->sleep_ns, 10 * NS_PER_MS);
    cr_assert_eq(internal->response_kb, 11);
    cr_assert(!internal->memory_run);
    cr_assert_eq(internal->memory_kb, 10000);
    cr_assert_eq(internal->memory_io, 1000);
    cr_assert(!internal->disk_run);
    cr_assert_str_eq(internal->disk_file, "mubtestfile.txt");
    cr_assert_eq(internal->disk_blocks, 1000);
    cr_assert_eq(internal->disk_block_bytes, 1024);
    cleanup_agent_config struct agent_config *pi =
        parse("{\"service\": \"s0\", \"workload\": {\"internalService\": {\"computePi\": {}}}}");
    internal = &pi->workload.internal;
    cr_assert_eq(internal->kind, INTERNAL_COMPUTE_PI);
    cr_assert_eq(internal->complexity_min, 50);
    cr_assert_eq(internal->complexity_max, 100);
    cr_assert_eq(internal->response_kb, 10);
}

static const char full[] =
    "{\"apiVersion\": \"dpumesh.io/agent/v1alpha1\", \"service\": \"s0\", \"replica\": \"s0-1\","
    " \"zone\": \"rome\","
    " \"listen\": {\"bridge\": [\"127.0.0.1:0\", \"[::1]:5005\"], \"http\": [],"
    "              \"admin\": [\"127.0.0.1:0\"]},"
    " \"workload\": {\"path\": \"/x\", \"threads\": 2, \"internalService\": {\"computePi\":"
    "   {\"rangeComplexity\": [1, 9], \"meanBandwidth\": 0.5}},"
    "   \"externalServices\": [{\"services\": [\"s1\", \"s2__7\", \"s1__2\"], \"seqLen\": 2,"
    "                          \"probabilities\": {\"s1__2\": 0.25, \"s2__7\": 0}},"
    "                         {\"services\": [\"s3\"]}]},"
    " \"egress\": {\"latency\": {\"distribution\": \"uniform\", \"low\": \"1ms\", \"high\": "
    "\"2ms\","
    "              \"seed\": 7}, \"workers\": 3, \"timeout\": \"0s\"},"
    " \"queues\": {\"ingressSubmission\": 16, \"poll\": \"0s\"},"
    " \"limits\": {\"frameBytes\": \"2Ki\"},"
    " \"peers\": {\"s3\": {}, \"s1\": {\"bridge\": \"127.0.0.2:5005\"},"
    "            \"s2\": {\"http\": \"http://127.0.0.3:8080/api/v1\"}},"
    " \"callees\": {\"s4\": \"http://s4:9090/foo\"},"
    " \"log\": {\"level\": \"debug\", \"format\": \"json\"}}";

Test(agent_config, every_field)
{
    cleanup_agent_config struct agent_config *c = parse(full);

    cr_assert_str_eq(c->replica, "s0-1");
    cr_assert_eq(c->listen.bridge_count, 2);
    cr_assert_str_eq(c->listen.bridge[1], "[::1]:5005");
    cr_assert_eq(c->listen.http_count, 0);
    cr_assert_eq(c->listen.admin_count, 1);
    cr_assert_eq(c->workload.internal.complexity_max, 9);
    cr_assert_eq(c->workload.internal.response_kb, 0.5);
    cr_assert_eq(c->workload.group_count, 2);
    const struct external_group *group = &c->workload.groups[0];
    cr_assert_eq(group->seq_len, 2);
    cr_assert_eq(group->call_count, 3);
    cr_assert_str_eq(group->calls[0].service, "s1");
    cr_assert_eq(group->calls[0].probability, 1);
    cr_assert_str_eq(group->calls[1].service, "s2");
    cr_assert_eq(group->calls[1].probability, 0);
    cr_assert_str_eq(group->calls[2].service, "s1");
    cr_assert_eq(group->calls[2].probability, 0.25);
    cr_assert_eq(c->workload.groups[1].seq_len, 1);
    cr_assert_eq(c->egress.latency.kind, DISTRIBUTION_UNIFORM);
    cr_assert_eq(c->egress.latency.low_ns, NS_PER_MS);
    cr_assert_eq(c->egress.latency.high_ns, 2 * NS_PER_MS);
    cr_assert_eq(c->egress.seed, 7);
    cr_assert_eq(c->egress.timeout_ns, 0);
    cr_assert_eq(c->queues.poll_ns, 0);
    cr_assert_eq(c->limits.frame_bytes, 2048);
    cr_assert_eq(c->peer_count, 3);
    cr_assert_str_eq(c->peers[0].name, "s1");
    cr_assert_str_eq(c->peers[0].bridge, "127.0.0.2:5005");
    cr_assert_null(c->peers[0].http);
    cr_assert_str_eq(c->peers[2].name, "s3");
    cr_assert_str_eq(json_string_value(json_object_get(c->callees, "s4")), "http://s4:9090/foo");

    /* What is in force reads back to the same. */
    cleanup_free char *text = json_dumps(c->document, 0);
    cleanup_agent_config struct agent_config *again = parse(text);
    cr_assert(json_equal(c->document, again->document), "%s", text);
}

Test(agent_config, peers)
{
    cleanup_agent_config struct agent_config *some = parse(full);
    cleanup_agent_config struct agent_config *none = parse("{\"service\": \"s0\", \"peers\": {}}");
    cleanup_agent_config struct agent_config *any = parse("{\"service\": \"s0\"}");

    cr_assert(agent_config_peer(some, "s1", 2));
    cr_assert(agent_config_peer(some, "s2", 2));
    cr_assert(agent_config_peer(some, "s3__1", 2), "the name need not end in NUL");
    cr_assert(!agent_config_peer(some, "s", 1));
    cr_assert(!agent_config_peer(some, "s10", 3));
    cr_assert(!agent_config_peer(some, "s9", 2));
    cr_assert(!agent_config_peer(some, "", 0));
    cr_assert(!agent_config_peer(some, "s1\0x", 4));
    cr_assert(none->peers_known);
    cr_assert(!agent_config_peer(none, "s1", 2));
    cr_assert(agent_config_peer(any, "s1", 2));
}

Test(agent_config, defaults_of_tracing)
{
    cleanup_agent_config struct agent_config *c =
        parse("{\"service\":\"s0\",\"tracing\":{\"endpoint\":"
              "\"http://c:4318\"}}");
    const struct tracing_settings *t = &c->tracing;
    cr_assert(t->given && t->errors);
    cr_assert_str_eq(t->endpoint, "http://c:4318");
    cr_assert_float_eq(t->ratio, 0.01, 1e-12);
    cr_assert(t->pending == 16384 && t->queue == 4096 && t->batch == 256);
    cr_assert(t->delay_ns == NS_PER_S && t->timeout_ns == 10 * NS_PER_S);
    cr_assert_null(t->ca);
}

Test(agent_config, refused)
{
    static const struct {
        const char *text, *sentences;
    } cases[] = {
        {"", "a.json: the file is empty"},
        {"{", "a.json:1:2: the JSON ends in the middle; is the file complete?"},
        {"[]", "a.json: must be an object (fields with values), not a list"},
        {"{}", "a.json: service: missing; give a service name (lower-case letters, digits and -, "
               "beginning with a letter), such as s0"},
        {"{\"service\":\"s0\",\"service\":\"s1\"}",
         "a.json:1:26: duplicate object key near '\"service\"'; remove one of the two"},
        {"{\"service\":\"s0\",\"apiVersion\":\"v2\"}",
         "a.json: apiVersion: \"v2\" is not known here; give dpumesh.io/agent/v1alpha1"},
        {"{\"service\":\"s0\",\"listen\":{\"bridge\":[\"5005\"]}}",
         "a.json: listen.bridge[0]: \"5005\" is not an address and a port, such as 0.0.0.0:5005 or "
         "[::]:5005"},
        {"{\"service\":\"s0\",\"listen\":{\"http\":[\"0.0.0.0:99999\", \"localhost:1\", \"::1:1\","
         "\"[::1]\", \"[127.0.0.1]:1\", \"1.2.3.4:\"]}}",
         "a.json: listen.http[0]: \"0.0.0.0:99999\" is not an address and a port, such as "
         "0.0.0.0:5005 or [::]:5005\n"
         "a.json: listen.http[1]: \"localhost:1\" is not an address and a port, such as "
         "0.0.0.0:5005 or [::]:5005\n"
         "a.json: listen.http[2]: \"::1:1\" is not an address and a port, such as 0.0.0.0:5005 or "
         "[::]:5005\n"
         "a.json: listen.http[3]: \"[::1]\" is not an address and a port, such as 0.0.0.0:5005 or "
         "[::]:5005\n"
         "a.json: listen.http[4]: \"[127.0.0.1]:1\" is not an address and a port, such as "
         "0.0.0.0:5005 or [::]:5005\n"
         "a.json: listen.http[5]: \"1.2.3.4:\" is not an address and a port, such as 0.0.0.0:5005 "
         "or [::]:5005"},
        {"{\"service\":\"s0\",\"peers\":{\"S1\":{},\"s1\":{\"bridge\":\"s1\"},"
         "\"s2\":{\"http\":\"ftp://x\"}}}",
         "a.json: peers.S1: the name is not a service name (lower-case letters, digits and -, "
         "beginning with a letter), such as s0\n"
         "a.json: peers.s1.bridge: \"s1\" is not a host and a port, such as s1:5005\n"
         "a.json: peers.s2.http: \"ftp://x\" is not a URL such as http://s1:8080/api/v1, "
         "without a query"},
        {"{\"service\":\"s0\",\"callees\":{\"S1\":\"http://s1\",\"s2\":\"s2:8080\",\"s3\":3}}",
         "a.json: callees.S1: the name is not a service name (lower-case letters, digits and -, "
         "beginning with a letter), such as s0\n"
         "a.json: callees.s2: \"s2:8080\" is not a URL such as http://s1:8080/api/v1, without a "
         "query\n"
         "a.json: callees.s3: 3 is not text; put it in quotes: \"3\""},
        {"{\"service\":\"s0\",\"workload\":{\"threads\":0,\"internalService\":{\"loader\":"
         "{\"sleepStress\":{\"sleepTime\":-1}}}},\"egres\":{}}",
         "a.json: workload.threads: 0 is below 1; give 1 to 1024\n"
         "a.json: workload.internalService.loader.sleepStress.sleepTime: -1 is below 0; give 0 to "
         "3600 seconds, or a duration such as \"10ms\"\n"
         "a.json: egres: unknown field; did you mean egress?"},
        {"{\"service\":\"s0\",\"egress\":{\"circuitBreaker\":{\"duration\":\"5s\"},\"faults\":"
         "{\"slow\":{\"every\":\"20s\"}},\"timeout\":\"1s\",\"retries\":{\"perTryTimeout\":\"2s\"}}"
         "}",
         "a.json: egress.circuitBreaker.duration: 5s means nothing without failures; give failures "
         "above 0 too\n"
         "a.json: egress.faults.slow.every: 20s means nothing without length; give length above 0 "
         "too\n"
         "a.json: egress.retries.perTryTimeout: 2s is above timeout, which is 1s for all attempts "
         "together; lower it"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cleanup_problems struct problems problems = PROBLEMS_INIT;
        struct agent_config *config = NULL;
        char said[4096] = "";
        int ret =
            agent_config_parse(cases[i].text, strlen(cases[i].text), "a.json", &config, &problems);
        for (size_t j = 0; j < problems.count; j++)
            snprintf(said + strlen(said), sizeof(said) - strlen(said), "%s%s", j ? "\n" : "",
                     problems.texts[j]);
        cr_expect_str_eq(said, cases[i].sentences, "%s\n  said %s", cases[i].text, said);
        cr_assert_eq(ret, -EINVAL);
        cr_assert_null(config);
    }
    char deep[2000];
    memset(deep, '[', sizeof(deep));
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    struct agent_config *config = NULL;
    cr_assert_eq(agent_config_parse(deep, sizeof(deep), "a.json", &config, &problems), -EINVAL);
    cr_assert_str_eq(problems.texts[0], "a.json:1:65: nested deeper than 64 levels");
}

Test(agent_config, files)
{
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_agent_config struct agent_config *config = NULL;
    char path[] = "/tmp/dpumesh-agent-config-XXXXXX", expected[256];

    cr_assert_eq(agent_config_load("/nonexistent/agent.json", &config, &problems), -ENOENT);
    cr_assert_str_eq(problems.texts[0],
                     "/nonexistent/agent.json: can't open: No such file or directory");
    problems_free(&problems);
    cr_assert_eq(agent_config_load("/tmp", &config, &problems), -EISDIR);

    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, full, 200), 200);
    problems_free(&problems);
    cr_assert_eq(agent_config_load(path, &config, &problems), -EINVAL);
    snprintf(expected, sizeof(expected), "%s:1:", path);
    cr_assert_eq(strncmp(problems.texts[0], expected, strlen(expected)), 0);
    cr_assert(strstr(problems.texts[0], "the JSON ends in the middle"));

    problems_free(&problems);
    ssize_t rest = (ssize_t)strlen(full) - 200;
    cr_assert_eq(write(fd, full + 200, (size_t)rest), rest);
    cr_assert_eq(agent_config_load(path, &config, &problems), 0);
    cr_assert_str_eq(config->replica, "s0-1");
    close(fd);
    unlink(path);
}

Test(agent_config, reload)
{
    static const struct {
        const char *change, *sentence; /* NULL: fine */
    } cases[] = {
        {"\"egress\": {\"workers\": 5}", NULL},
        {"\"workload\": {\"path\": \"/y\"}", NULL},
        {"\"limits\": {\"frameBytes\": \"2Ki\", \"pipeline\": 1, \"drainTimeout\": \"1s\"}", NULL},
        {"\"queues\": {\"poll\": \"0s\"}", NULL},
        {"\"log\": {\"level\": \"debug\"}", NULL},
        {"\"zone\": \"rome\"", NULL},
        {"\"datapath\": {\"mode\": \"direct\"}", NULL},
        {"\"datapath\": {\"profile\": \"ideal\"}", NULL},
        {"\"listen\": {\"bridge\": [\"0.0.0.0:5006\"]}",
         "listen.bridge: can't change from [\"0.0.0.0:5005\"] to [\"0.0.0.0:5006\"] under a "
         "running "
         "agent; restart it"},
        {"\"queues\": {\"egressSubmission\": 16}",
         "queues.egressSubmission: can't change from 4096 to 16 under a running agent; restart it"},
        {"\"limits\": {\"arenaBytes\": \"128Mi\"}", "limits.arenaBytes: can't change from 67108864 "
                                                    "to 134217728 under a running agent; restart "
                                                    "it"},
        {"\"limits\": {\"requests\": 5}",
         "limits.requests: can't change from 131072 to 5 under a running agent; restart it"},
        {"\"limits\": {\"connections\": 5}",
         "limits.connections: can't change from 16384 to 5 under a running agent; restart it"},
        {"\"limits\": {\"sources\": 5}",
         "limits.sources: can't change from 64 to 5 under a running agent; restart it"},
        {"\"workload\": {\"threads\": 5}",
         "workload.threads: can't change from 4 to 5 under a running agent; restart it"},
    };
    cleanup_agent_config struct agent_config *running = parse("{\"service\": \"s0\"}");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cleanup_problems struct problems problems = PROBLEMS_INIT;
        char text[256];
        snprintf(text, sizeof(text), "{\"service\": \"s0\", %s}", cases[i].change);
        cleanup_agent_config struct agent_config *next = parse(text);
        int ret = agent_config_reloadable(running, next, &problems);
        cr_assert_eq(ret, cases[i].sentence ? -EBUSY : 0, "%s", text);
        cr_assert_eq(problems.count, cases[i].sentence ? 1 : 0);
        if (cases[i].sentence)
            cr_assert_str_eq(problems.texts[0], cases[i].sentence);
    }
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_agent_config struct agent_config *other = parse("{\"service\": \"s1\"}");
    cr_assert_eq(agent_config_reloadable(running, other, &problems), -EBUSY);
}
