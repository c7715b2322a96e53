/*
 * The agent's configuration: one JSON document, apiVersion dpumesh.io/agent/v1alpha1.
 * spec_children() writes it into the ConfigMap, the agent reads it. The field table in
 * agent_config.c is the one source of names, types, defaults, bounds and help; docs/agent-config.md
 * is printed from it.
 *
 * A configuration is immutable after it was read, so any number of threads may read it. It owns
 * everything it points to.
 */
#ifndef DPUMESH_SPEC_AGENT_CONFIG_H
#define DPUMESH_SPEC_AGENT_CONFIG_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "doc/problem.h"
#include "spec/datapath.h"
#include "spec/settings.h"

#define AGENT_CONFIG_API_VERSION "dpumesh.io/agent/v1alpha1"

/* peers{name}: where a service answers. Simulated egress only checks the name. */
struct agent_peer {
    char *name;
    char *bridge; /* "host:port", may be NULL */
    char *http;   /* "http://host:port/path", may be NULL */
};

enum { CALLEES_MAX = 10000 };

struct agent_config {
    char *service; /* the service's name, a DNS label */
    char *replica; /* this process, for people and logs; default: the host's name */
    char *zone;    /* label zone of muBench's metrics; default "default" */

    struct {
        size_t bridge_count, http_count, admin_count;
        char **bridge; /* "address:port", default ["0.0.0.0:5005"]; IPv6 as "[::]:5005" */
        char **http;   /* default ["0.0.0.0:8080"] */
        char **admin;  /* extra listeners with the HTTP front; default none */
    } listen;

    struct limit_settings limits;
    struct queue_settings queues;
    struct workload_settings workload;
    char *scratch; /* directory of diskStress' files; NULL: $TMPDIR, or /tmp without it */
    struct egress_settings egress;
    struct datapath_settings datapath;

    bool peers_known; /* false: no peers in the document, any name is taken for a service */
    size_t peer_count;
    struct agent_peer *peers; /* sorted by name */

    json_t
        *callees; /* where services answer to which real calls are made: URLs by name; never NULL */

    struct tracing_settings tracing;
    struct log_settings log;

    json_t *document; /* what is in force, defaults filled in; for /config */
};

/*
 * Reads and checks a whole configuration. text: length bytes of JSON (need not end in NUL).
 * origin: file name for messages. 0 and *ret_config (owned by the caller), or -EINVAL with every
 * problem found, not only the first, in problems.
 */
int agent_config_parse(const char *text, size_t length, const char *origin,
                       struct agent_config **ret_config, struct problems *problems);

/* The same from a file of at most 4 MiB; unreadable is one problem too (-errno). */
int agent_config_load(const char *path, struct agent_config **ret_config,
                      struct problems *problems);

/*
 * Whether `next` can take the place of `running` without a restart: listen addresses, queue depths,
 * arena size, limits.requests, limits.connections, limits.sources and workload.threads can't change
 * under a running agent, nor can the service's name. 0, or -EBUSY and one problem for each field
 * that needs a restart.
 */
int agent_config_reloadable(const struct agent_config *running, const struct agent_config *next,
                            struct problems *problems);

/* Whether this name may be called: always when peers are not known. name need not end in NUL. */
bool agent_config_peer(const struct agent_config *config, const char *name, size_t length);

/* Frees it; NULL is fine. */
void agent_config_free(struct agent_config *config);

static inline void agent_config_cleanup_fn(struct agent_config **config)
{
    agent_config_free(*config);
}
#define cleanup_agent_config CLEANUP(agent_config_cleanup_fn)

/* The table of the whole document, for the reference page. */
extern const struct record agent_config_record;

#endif
