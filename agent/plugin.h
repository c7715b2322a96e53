/*
 * Shared objects with functions of a user's own (agent/dpumesh/plugin.h is their side). Each place
 * of a configuration that names one opens it once; requests hold references while they run it.
 *
 *     plugin_open(&config->workload.internal, &plugin, &err)     main thread
 *     plugin_take(plugin), plugin_drop(plugin)                   any thread
 *     plugin_reap()                                              main thread, now and then
 *
 * The last drop may happen on any thread, but a user's close() is called by plugin_reap() alone, so
 * that no loop ever waits for it. Shared objects stay loaded until the process ends.
 */
#ifndef DPUMESH_AGENT_PLUGIN_H
#define DPUMESH_AGENT_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#include "agent/dpumesh/plugin.h"
#include "base/error.h"
#include "spec/settings.h"

struct plugin {
    const struct dpumesh_function *function;
    void *state;          /* open()'s */
    char *params;         /* JSON */
    uint32_t references;  /* atomic */
    struct plugin *ended; /* the next one that waits for plugin_reap() */
};

/*
 * Loads the shared object that internal names, checks its API version, finds the function and opens
 * it. *ret_plugin belongs to the caller, who drops it. Or -errno and a sentence: -ENOENT no such
 * file or function, -ENOEXEC not a plugin or one of another API version, -EINVAL its open() refuses
 * the parameters. Constructors of a shared object run even if it is refused then.
 */
int plugin_open(const struct internal_service *internal, struct plugin **ret_plugin,
                struct error **err);

/* One reference more, or less; NULL is fine. */
void plugin_take(struct plugin *plugin);
void plugin_drop(struct plugin *plugin);

/* Closes and frees those whose last reference was dropped. */
void plugin_reap(void);

#endif
