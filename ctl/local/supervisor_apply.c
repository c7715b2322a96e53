#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "ctl/local/supervisor.h"
#include "ctl/terminal.h"
#include "spec/agent_config.h"

static bool same_endpoints(const struct plan_service *old, const struct plan_service *new)
{
    if (old->endpoint_count != new->endpoint_count)
        return false;
    for (size_t i = 0; i < old->endpoint_count; i++) {
        const struct plan_endpoint *left = &old->endpoints[i], *right = &new->endpoints[i];
        if (left->kind != right->kind || left->node_port != right->node_port ||
            left->address.sin_port != right->address.sin_port ||
            left->address.sin_addr.s_addr != right->address.sin_addr.s_addr)
            return false;
    }
    return true;
}

/* The configuration of a replica as its agent will read it. */
static struct agent_config *read_config(const struct plan_service *service)
{
    cleanup_free char *text = plan_agent_config(service, service->name, "127.0.0.1:1");
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    struct agent_config *config = NULL;
    agent_config_parse(text, strlen(text), service->name, &config, &problems);
    return config;
}

static int check_service(const struct plan_service *old, const struct plan_service *new,
                         struct error **err)
{
    if (!new || !same_endpoints(old, new))
        return error_make(err, EINVAL,
                          "services or ports have changed; that needs \"dpumesh down\" and "
                          "\"dpumesh up\"");
    cleanup_agent_config struct agent_config *running = read_config(old);
    cleanup_agent_config struct agent_config *next = read_config(new);
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    if (!running || !next || agent_config_reloadable(running, next, &problems) < 0)
        return error_make(err, EBUSY, "%s: %s; that needs \"dpumesh down\" and \"dpumesh up\"",
                          old->name, problems.count ? problems.texts[0] : "not readable");
    return 0;
}

/* The running plan takes the new one's values and the new one the old: its owner frees them. */
static int take_over(struct local_service *service, struct plan_service *new, struct error **err)
{
    struct plan_service *old = service->plan;
    json_t *agent = old->agent;
    char *path = old->path;
    old->agent = new->agent;
    old->path = new->path;
    old->drain_ns = new->drain_ns;
    new->agent = agent;
    new->path = path;
    if (!json_equal(agent, old->agent))
        say("%s: new configuration", old->name);
    /* Also an unchanged one, which is no work where it is there: on a full disk it may not be. */
    for (size_t i = 0; i < service->replica_count; i++) {
        int r = replica_configure(service->replicas[i], err);
        if (r < 0)
            return r;
    }
    return 0;
}

int supervisor_apply(struct supervisor *up, struct plan *plan, struct error **err)
{
    int r = plan->service_count == up->service_count ? 0 : check_service(NULL, NULL, err);
    for (size_t i = 0; r == 0 && i < up->service_count; i++)
        r = check_service(up->services[i].plan, plan_find(plan, up->services[i].plan->name), err);
    if (r < 0)
        return r;
    for (size_t i = 0; r == 0 && i < up->service_count; i++) {
        struct local_service *service = &up->services[i];
        struct plan_service *new = plan_find(plan, service->plan->name);
        r = take_over(service, new, err);
        /* A number that did not change in the files leaves what `scale` has set. */
        if (r == 0 && new->replicas != service->plan->replicas) {
            r = supervisor_scale(up, service, new->replicas, err);
            if (r == 0)
                service->plan->replicas = new->replicas;
        }
    }
    return r;
}
