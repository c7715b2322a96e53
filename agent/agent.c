#include "agent/agent.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* The directory for temporary files when the configuration names none. */
static const char *scratch_of(const struct agent_config *config)
{
    const char *directory = config->scratch ? config->scratch : getenv("TMPDIR");
    return directory && directory[0] ? directory : "/tmp";
}

char *config_text(const struct agent_config *config)
{
    char *text = json_dumps(config->document, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    return text ? text : xstrdup("{}");
}

int config_ref_new(struct agent_config *config, const char *path, struct config_ref **ret_ref,
                   struct problems *problems)
{
    struct behaviors behaviors;
    int result = behaviors_make(config, path, &behaviors, problems);
    if (result < 0) {
        agent_config_free(config);
        return result;
    }
    struct config_ref *ref = xcalloc(1, sizeof *ref);
    ref->config = config;
    ref->behaviors = behaviors;
    ref->scratch = scratch_of(config);
    ref->text = config_text(config);
    ref->references = 1;
    *ret_ref = ref;
    return 0;
}

void config_ref_take(struct config_ref *ref)
{
    __atomic_fetch_add(&ref->references, 1, __ATOMIC_RELAXED);
}

void config_ref_drop(struct config_ref *ref)
{
    if (!ref || __atomic_sub_fetch(&ref->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    behaviors_free(&ref->behaviors);
    agent_config_free(ref->config);
    free(ref->text);
    free(ref);
}

static int make_queues(struct agent *agent, const struct queue_settings *queues, struct error **err)
{
    int result = ring_init(&agent->ingress_sq, queues->ingress_sq, err);
    if (result == 0)
        result = ring_init(&agent->ingress_cq, queues->ingress_cq, err);
    if (result == 0)
        result = ring_init(&agent->egress_sq, queues->egress_sq, err);
    if (result == 0)
        result = ring_init(&agent->egress_cq, queues->egress_cq, err);
    if (result == 0)
        result = doorbell_init(&agent->app_bell, false, err);
    if (result == 0)
        result = doorbell_init(&agent->io_bell, true, err);
    return result;
}

int agent_init(struct agent *agent, struct config_ref *ref, struct error **err)
{
    const struct agent_config *config = ref->config;
    memset(agent, 0, sizeof *agent);
    agent->io_bell.fd = agent->app_bell.fd = -1;
    agent->running = ref;
    agent->sources = xcalloc(config->limits.sources + 1, sizeof *agent->sources);
    memcpy(agent->sources[0], "other", sizeof "other");
    agent->source_count = 1;
    cpu_account_init(&agent->cpu);
    agent->registry = metrics_new();
    agent_metrics_declare(agent);
    agent->pages.metrics = agent->registry;
    int result = arena_init(&agent->forward, config->limits.arena_bytes, err);
    if (result == 0)
        result = arena_init(&agent->reverse, config->limits.arena_bytes, err);
    if (result == 0)
        result = make_queues(agent, &config->queues, err);
    return result;
}

void agent_destroy(struct agent *agent)
{
    trace_free(agent->trace);
    ring_destroy(&agent->ingress_sq);
    ring_destroy(&agent->ingress_cq);
    ring_destroy(&agent->egress_sq);
    ring_destroy(&agent->egress_cq);
    doorbell_destroy(&agent->app_bell);
    doorbell_destroy(&agent->io_bell);
    arena_free(&agent->forward);
    arena_free(&agent->reverse);
    metrics_free(agent->registry);
    cpu_account_destroy(&agent->cpu);
    config_ref_drop(agent->io_next);
    config_ref_drop(agent->app_next);
    config_ref_drop(agent->running);
    plugin_reap();
    free(agent->sources);
}

/* Leaves a configuration where its thread looks; one that it did not take yet is dropped. */
static void post(struct config_ref **place, struct config_ref *ref, struct doorbell *bell)
{
    config_ref_take(ref);
    config_ref_drop(__atomic_exchange_n(place, ref, __ATOMIC_ACQ_REL));
    doorbell_ring(bell);
}

void agent_reconfigure(struct agent *agent, struct config_ref *ref)
{
    post(&agent->app_next, ref, agent->guest ? &agent->io_bell : &agent->app_bell);
    post(&agent->io_next, ref, &agent->io_bell);
    config_ref_drop(agent->running);
    agent->running = ref;
}

void agent_leave(struct agent *agent)
{
    __atomic_store_n(&agent->phase, PHASE_LEAVING, __ATOMIC_RELEASE);
}

void agent_drain(struct agent *agent)
{
    __atomic_store_n(&agent->phase, PHASE_DRAINING, __ATOMIC_RELEASE);
    doorbell_ring(&agent->io_bell);
}
