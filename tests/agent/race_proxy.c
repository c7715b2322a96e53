/* A proxy's thread against the I/O thread that feeds it: every message comes back once and in
 * order, a full ring refuses, settings change meanwhile, and it can be stopped with messages
 * inside. ThreadSanitizer watches. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/burn.h"
#include "agent/proxy.h"
#include "base/memory.h"

/* Half of it is left to the thread. */
enum { LONG_WAKE_NS = 30000 };

enum { MESSAGES = 40000, CAPACITY = 64, STOPS = 50, ALONE = 400, ALARM_S = 100 };

static void check(bool truth, const char *what)
{
    if (truth)
        return;
    fprintf(stderr, "race_proxy: %s\n", what);
    exit(1);
}

static void make_agent(struct agent *agent)
{
    static const char text[] = "{\"apiVersion\":\"dpumesh.io/agent/v1alpha1\",\"service\":\"s0\"}";
    struct agent_config *config;
    struct config_ref *ref;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    check(agent_config_parse(text, strlen(text), "race", &config, &problems) == 0, "configuration");
    check(config_ref_new(config, "race", &ref, &problems) == 0, "no configuration");
    check(agent_init(agent, ref, NULL) == 0, "no agent");
}

static struct profile profile_of(unsigned round)
{
    struct profile profile = {.kind = PROFILE_SIDECAR};
    for (unsigned i = 0; i < PROFILE_PARAMETERS; i++)
        profile.value[i] = profile_rows[i].fallback;
    profile.value[PROFILE_WAKE_NS] = round % 4 == 3 ? LONG_WAKE_NS : 100 * (round % 4);
    profile.value[PROFILE_WAKE_BEFORE] = 0.5;
    profile.value[PROFILE_HOLDOFF_NS] = 1000 * (round % 3);
    profile.value[PROFILE_EAGER_BYTES] = round % 2 ? 200 : 0;
    profile.value[PROFILE_EAGER_MESSAGES] = round % 5;
    return profile;
}

/* Served here each time that it rests, which it does again and again; some leave it a part. */
static void serve_alone(struct proxy *proxy)
{
    for (unsigned round = 0; round < ALONE; round++) {
        struct profile profile = profile_of(round);
        proxy_set(proxy, &profile);
        while (!proxy_serve_alone(proxy, 50))
            sched_yield();
        proxy_ring(proxy);
    }
}

static void feed(struct agent *agent)
{
    struct proxy *proxy;
    uint32_t sent = 0, back = 0, id, refused = 0, alone = 0;
    check(proxy_start(agent, POD_IN, CAPACITY, &proxy, NULL) == 0, "no proxy");
    serve_alone(proxy);
    while (back < MESSAGES) {
        if (sent % 1000 == 0) {
            struct profile profile = profile_of(sent / 1000);
            proxy_set(proxy, &profile);
        }
        /* Alone, when it rests: served here, in its turn. */
        if (sent == back && proxy_serve_alone(proxy, 50)) {
            sent++;
            back++;
            alone++;
        }
        for (unsigned burst = 0; burst < 100 && sent < MESSAGES; burst++) {
            if (!proxy_submit(proxy, sent, 50, 100)) {
                /* A round gives its places back at its end, so some may have come back already. */
                refused++;
                check(sent - back <= CAPACITY, "more inside than fit");
                break;
            }
            sent++;
        }
        proxy_ring(proxy);
        while (proxy_served(proxy, &id))
            check(id == back++, "out of order, or twice");
        check(proxy_depth(proxy) == sent - back, "the depth is another");
    }
    check(refused > 0, "the ring never was full");
    check(alone < MESSAGES, "always alone");
    check(proxy_alone_ns(proxy) > 0, "what was burnt here");
    check(proxy_rounds(proxy) > 0 && proxy_rounds(proxy) <= MESSAGES, "rounds");
    proxy_stop(proxy);
}

int main(void)
{
    struct agent agent;
    alarm(ALARM_S);
    make_agent(&agent);
    burn_calibrate();
    metrics_thread_attach(agent.registry);
    feed(&agent);
    for (unsigned i = 0; i < STOPS; i++) {
        struct proxy *proxy;
        check(proxy_start(&agent, POD_OUT, CAPACITY, &proxy, NULL) == 0, "no proxy");
        for (unsigned n = 0; n < i; n++)
            proxy_submit(proxy, n, 1000, 100);
        proxy_ring(proxy);
        proxy_stop(proxy);
    }
    metrics_thread_detach();
    agent_destroy(&agent);
    return 0;
}
