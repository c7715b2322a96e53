/*
 * What a request may be answered with: the workload as it is, and its alternative behaviours, each
 * with its calls planned and its plugin opened. Made with a configuration and immutable, so that
 * any thread may read it as long as it holds the configuration.
 */
#ifndef DPUMESH_AGENT_BEHAVIOR_H
#define DPUMESH_AGENT_BEHAVIOR_H

#include <stddef.h>

#include "agent/plan.h"
#include "agent/plugin.h"
#include "doc/problem.h"

struct behavior {
    const char *id; /* NULL: the workload as it is; borrowed, as internal is */
    const struct internal_service *internal;
    struct plan *plan;                 /* shared */
    struct plugin *plugin;             /* NULL: internal is none */
    bool borrows_plan, borrows_plugin; /* from the first one */
};

struct behaviors {
    size_t count;          /* >= 1 */
    struct behavior *list; /* the first one is the workload's own */
};

/* Plans and opens all; main thread. path: of the configuration, for problems. 0, or -EINVAL and a
 * problem for each plugin that can't be opened. ret is owned by the caller, and borrows from
 * config. */
int behaviors_make(const struct agent_config *config, const char *path, struct behaviors *ret,
                   struct problems *problems);
void behaviors_free(struct behaviors *behaviors);

/*
 * The behaviour that a query string (length bytes, without the question mark) asks for by its first
 * parameter bid, escapes resolved. Without one, or with a name that is not known, the workload's
 * own, as in muBench.
 */
const struct behavior *behavior_choose(const struct behaviors *behaviors, const char *query,
                                       size_t length);

#endif
