/*
 * What `dpumesh up` is going to run: the children that a cluster would get, read as processes.
 *
 *     Deployment  spec.replicas              -> how many processes
 *     Service     spec.ports[].port          -> 127.0.0.(1+i):port for the i-th service
 *                 spec.ports[].nodePort      -> base address:nodePort as well
 *     ConfigMap   data["agent.json"]         -> each process's configuration, with local overrides
 *
 * A plan is data: no sockets, no processes. It owns all it points to; one thread at a time.
 */
#ifndef DPUMESH_CTL_LOCAL_PLAN_H
#define DPUMESH_CTL_LOCAL_PLAN_H

#include <jansson.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "spec/children.h"

enum { PLAN_ENDPOINTS_MAX = 16, PLAN_SERVICES_MAX = 254, PLAN_REPLICAS_MAX = 1000 };

enum plan_kind { PLAN_BRIDGE, PLAN_HTTP };

struct plan_endpoint {
    enum plan_kind kind;
    bool node_port; /* the second door of a NodePort service */
    struct sockaddr_in address;
};

struct plan_service {
    char *name;
    unsigned replicas;
    char *path;        /* of the application on its HTTP endpoints */
    uint64_t drain_ns; /* how long an agent may take to drain after SIGTERM */
    json_t *agent;     /* agent.json; replica and listen.admin are filled in for each process */
    size_t endpoint_count;
    struct plan_endpoint endpoints[PLAN_ENDPOINTS_MAX];
};

struct plan {
    struct in_addr base;
    size_t service_count;
    struct plan_service *services;
};

/* A new, empty plan; base: where the first service answers. */
struct plan *plan_new(struct in_addr base);

/*
 * Adds a service, the next in document order. children: from spec_children(), borrowed.
 * 0, or -EINVAL and a sentence: a child or field that local mode needs is missing, a name twice.
 */
int plan_add(struct plan *plan, const struct children *children, struct error **err);

/* Gives each agent the peers of the whole application; call it after the last plan_add(). */
void plan_connect(struct plan *plan);

/* The service of this name, or NULL. */
struct plan_service *plan_find(const struct plan *plan, const char *name);

/* The data path of a service: "dpu"; the name of its profile, "" in mode direct. Borrowed. */
const char *plan_mode(const struct plan_service *service);
const char *plan_profile(const struct plan_service *service);

/* "bridge" or "http": the LISTEN_FDNAMES name. */
const char *plan_kind_name(enum plan_kind kind);

/* Appends "127.0.0.1:5005" or "http://127.0.0.1:8080/api/v1" to out. */
void plan_format_endpoint(const struct plan_service *service, const struct plan_endpoint *endpoint,
                          struct buffer *out);

/*
 * The configuration of one process as JSON text: agent.json with its replica name, its addresses
 * and its admin listener. The caller frees it.
 */
char *plan_agent_config(const struct plan_service *service, const char *replica, const char *admin);

/* Frees it; NULL is fine. */
void plan_free(struct plan *plan);

static inline void plan_cleanup_fn(struct plan **plan)
{
    plan_free(*plan);
}
#define cleanup_plan CLEANUP(plan_cleanup_fn)

#endif
