#include "ctl/local/plan.h"

#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "ctl/local/listener.h"
#include "spec/agent_config.h"

struct plan *plan_new(struct in_addr base)
{
    struct plan *plan = xcalloc(1, sizeof(*plan));
    plan->base = base;
    return plan;
}

const char *plan_kind_name(enum plan_kind kind)
{
    return kind == PLAN_BRIDGE ? "bridge" : "http";
}

static const json_t *get(const json_t *object, const char *outer, const char *inner)
{
    return json_object_get(json_object_get(object, outer), inner);
}

const char *plan_mode(const struct plan_service *service)
{
    return json_string_value(get(service->agent, "datapath", "mode"));
}

const char *plan_profile(const struct plan_service *service)
{
    const json_t *profile = get(service->agent, "datapath", "profile");
    const char *name =
        json_string_value(json_is_object(profile) ? json_object_get(profile, "name") : profile);
    return name ? name : "";
}

static int add_endpoint(struct plan_service *service, enum plan_kind kind, struct in_addr address,
                        json_int_t port, bool node_port, struct error **err)
{
    if (port < 1 || port > 65535)
        return error_make(err, EINVAL, "%s: Service: port %lld is not 1 to 65535", service->name,
                          (long long)port);
    if (service->endpoint_count == PLAN_ENDPOINTS_MAX)
        return error_make(err, EINVAL, "%s: Service: more than %d ports and node ports",
                          service->name, PLAN_ENDPOINTS_MAX);
    service->endpoints[service->endpoint_count++] = (struct plan_endpoint){
        .kind = kind,
        .node_port = node_port,
        .address = {.sin_family = AF_INET, .sin_addr = address, .sin_port = htons((uint16_t)port)},
    };
    return 0;
}

static int read_ports(struct plan *plan, struct plan_service *service, const json_t *child,
                      struct error **err)
{
    struct in_addr address;
    if (listener_service_address(plan->base, plan->service_count, &address) < 0)
        return error_make(err, EINVAL, "%s: no address is left after 127.0.0.255 for service %zu",
                          service->name, plan->service_count + 1);
    size_t i;
    json_t *port;
    json_array_foreach(get(child, "spec", "ports"), i, port)
    {
        const char *name = json_string_value(json_object_get(port, "name"));
        enum plan_kind kind = name && strcmp(name, "bridge") == 0 ? PLAN_BRIDGE : PLAN_HTTP;
        const json_t *node_port = json_object_get(port, "nodePort");
        int r = add_endpoint(service, kind, address,
                             json_integer_value(json_object_get(port, "port")), false, err);
        if (r == 0 && json_is_integer(node_port))
            r = add_endpoint(service, kind, plan->base, json_integer_value(node_port), true, err);
        if (r < 0)
            return r;
    }
    if (service->endpoint_count == 0)
        return error_make(err, EINVAL, "%s: its Service has no ports", service->name);
    return 0;
}

/* The agent's own reader tells what the configuration means, and whether the agent would take it.
 */
static int read_agent(struct plan_service *service, const json_t *child, struct error **err)
{
    const char *text = json_string_value(get(child, "data", CHILD_CONFIG_KEY));
    if (!text)
        return error_make(err, EINVAL, "%s: its ConfigMap has no agent.json", service->name);
    struct agent_config *config;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    if (agent_config_parse(text, strlen(text), service->name, &config, &problems) < 0)
        return error_make(err, EINVAL, "%s",
                          problems.count ? problems.texts[0] : "agent.json is not valid");
    service->drain_ns = config->limits.drain_timeout_ns;
    service->path = xstrdup(config->workload.path);
    agent_config_free(config);
    service->agent = json_loads(text, 0, NULL);
    return 0;
}

static void service_free(struct plan_service *service)
{
    free(service->name);
    free(service->path);
    json_decref(service->agent);
}
#define cleanup_service CLEANUP(service_free)

int plan_add(struct plan *plan, const struct children *children, struct error **err)
{
    const json_t *deployment = children->objects[CHILD_DEPLOYMENT];
    const json_t *front = children->objects[CHILD_SERVICE];
    const json_t *map = children->objects[CHILD_CONFIG_MAP];
    const char *name = json_string_value(get(front, "metadata", "name"));
    if (!name || !deployment || !map)
        return error_make(err, EINVAL, "%s: needs a Deployment, a Service and a ConfigMap",
                          name ? name : "a service");
    if (plan_find(plan, name))
        return error_make(err, EINVAL, "%s: a service of this name is there already", name);
    if (plan->service_count == PLAN_SERVICES_MAX)
        return error_make(err, EINVAL, "%s: more than %d services", name, PLAN_SERVICES_MAX);

    cleanup_service struct plan_service service = {.name = xstrdup(name)};
    const json_t *replicas = get(deployment, "spec", "replicas");
    json_int_t wanted = replicas ? json_integer_value(replicas) : 1;
    if (wanted < 0 || wanted > PLAN_REPLICAS_MAX)
        return error_make(err, EINVAL, "%s: %lld replicas; give 0 to %d", name, (long long)wanted,
                          PLAN_REPLICAS_MAX);
    service.replicas = (unsigned)wanted;
    int r = read_agent(&service, map, err);
    if (r == 0)
        r = read_ports(plan, &service, front, err);
    if (r < 0)
        return r;
    plan->services =
        xreallocarray(plan->services, plan->service_count + 1, sizeof(*plan->services));
    plan->services[plan->service_count++] = service;
    service = (struct plan_service){0};
    return 0;
}

struct plan_service *plan_find(const struct plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->service_count; i++)
        if (strcmp(plan->services[i].name, name) == 0)
            return &plan->services[i];
    return NULL;
}

void plan_format_endpoint(const struct plan_service *service, const struct plan_endpoint *endpoint,
                          struct buffer *out)
{
    char text[LISTENER_TEXT_MAX];
    listener_format(&endpoint->address, text);
    if (endpoint->kind == PLAN_BRIDGE)
        buffer_puts(out, text);
    else
        buffer_printf(out, "http://%s%s", text, service->path);
}

/* Where the others reach a service: its first endpoint of the kind that is no node port. */
static void add_peer_endpoint(const struct plan_service *service, enum plan_kind kind, json_t *peer)
{
    for (size_t i = 0; i < service->endpoint_count; i++) {
        struct plan_endpoint endpoint = service->endpoints[i];
        if (endpoint.kind != kind || endpoint.node_port)
            continue;
        /* The wildcard is an address to listen on, not one to call. */
        if (endpoint.address.sin_addr.s_addr == htonl(INADDR_ANY))
            endpoint.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        cleanup_buffer struct buffer text = BUFFER_INIT(65536);
        plan_format_endpoint(service, &endpoint, &text);
        json_object_set_new(peer, plan_kind_name(kind), json_string(buffer_terminate(&text)));
        return;
    }
}

void plan_connect(struct plan *plan)
{
    json_auto_t *peers = json_object();
    for (size_t i = 0; i < plan->service_count; i++) {
        json_t *peer = json_object();
        add_peer_endpoint(&plan->services[i], PLAN_BRIDGE, peer);
        add_peer_endpoint(&plan->services[i], PLAN_HTTP, peer);
        json_object_set_new(peers, plan->services[i].name, peer);
    }
    for (size_t i = 0; i < plan->service_count; i++)
        json_object_set(plan->services[i].agent, "peers", peers);
}

static json_t *addresses(const struct plan_service *service, enum plan_kind kind)
{
    json_t *list = json_array();
    for (size_t i = 0; i < service->endpoint_count; i++) {
        char text[LISTENER_TEXT_MAX];
        if (service->endpoints[i].kind == kind)
            json_array_append_new(
                list, json_string(listener_format(&service->endpoints[i].address, text)));
    }
    return list;
}

char *plan_agent_config(const struct plan_service *service, const char *replica, const char *admin)
{
    json_auto_t *config = json_copy(service->agent);
    json_object_set_new(config, "replica", json_string(replica));
    json_t *listen = json_object();
    json_object_set_new(listen, "bridge", addresses(service, PLAN_BRIDGE));
    json_object_set_new(listen, "http", addresses(service, PLAN_HTTP));
    json_object_set_new(listen, "admin", json_pack("[s]", admin));
    json_object_set_new(config, "listen", listen);
    /* The pod's volume is not here: the agent takes this machine's directory for such files. */
    json_t *workload = json_copy(json_object_get(config, "workload"));
    json_object_del(workload, "scratch");
    json_object_set_new(config, "workload", workload);
    return json_dumps(config, JSON_INDENT(2));
}

void plan_free(struct plan *plan)
{
    if (!plan)
        return;
    for (size_t i = 0; i < plan->service_count; i++)
        service_free(&plan->services[i]);
    free(plan->services);
    free(plan);
}
