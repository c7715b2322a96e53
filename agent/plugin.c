#include "agent/plugin.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"

enum { SENTENCE_BYTES = 256, NAMES_BYTES_MAX = 300, FUNCTIONS_MAX = 1000 };

static struct plugin *ended; /* atomic stack */

static int load(const char *path, const struct dpumesh_plugin **ret, struct error **err)
{
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!object) {
        /* glibc's sentence begins with the path, mostly. */
        const char *why = dlerror();
        size_t length = strlen(path);
        if (why && strncmp(why, path, length) == 0 && why[length] == ':')
            why += length + 1 + (why[length + 1] == ' ');
        return error_make(err, ENOENT, "%s: can't be loaded: %s", path, why ? why : "no reason");
    }
    const struct dpumesh_plugin *plugin = dlsym(object, "dpumesh_plugin");
    if (!plugin)
        return error_make(err, ENOEXEC,
                          "%s: it is no plugin: it has no symbol dpumesh_plugin; use "
                          "DPUMESH_PLUGIN() of dpumesh/plugin.h",
                          path);
    if (plugin->api != DPUMESH_PLUGIN_API)
        return error_make(err, ENOEXEC,
                          "%s: it was built for plugin API %u, and this agent has API %u; build it "
                          "with this agent's dpumesh/plugin.h",
                          path, plugin->api, DPUMESH_PLUGIN_API);
    if (!plugin->functions)
        return error_make(err, ENOEXEC, "%s: it has no list of functions", path);
    *ret = plugin;
    return 0;
}

static int find(const struct dpumesh_plugin *plugin, const struct internal_service *internal,
                const struct dpumesh_function **ret, struct error **err)
{
    cleanup_buffer struct buffer names = BUFFER_INIT(NAMES_BYTES_MAX);
    const struct dpumesh_function *f = plugin->functions;
    for (unsigned i = 0; i < FUNCTIONS_MAX && f->name; i++, f++) {
        if (strcmp(f->name, internal->plugin_function) == 0 && f->run) {
            *ret = f;
            return 0;
        }
        buffer_printf(&names, "%s%s", names.length ? ", " : "", f->name);
    }
    return error_make(err, ENOENT, "%s: it has no function \"%s\"; it has %s",
                      internal->plugin_path, internal->plugin_function,
                      names.length ? buffer_terminate(&names) : "none");
}

int plugin_open(const struct internal_service *internal, struct plugin **ret_plugin,
                struct error **err)
{
    const struct dpumesh_plugin *object = NULL;
    const struct dpumesh_function *function = NULL;
    char sentence[SENTENCE_BYTES] = "";
    void *state = NULL;
    int result = load(internal->plugin_path, &object, err);
    if (result < 0 || !object)
        return result;
    result = find(object, internal, &function, err);
    if (result < 0 || !function)
        return result;
    cleanup_free char *params =
        internal->plugin_params ? json_dumps(internal->plugin_params, JSON_COMPACT) : xstrdup("{}");
    if (!params)
        return error_make(err, EINVAL, "%s: its params can't be written", internal->plugin_path);
    if (function->open && function->open(params, &state, sentence, sizeof sentence) != 0) {
        sentence[sizeof sentence - 1] = '\0';
        return error_make(err, EINVAL, "%s: function %s refuses its params: %s",
                          internal->plugin_path, function->name,
                          sentence[0] ? sentence : "it does not say why");
    }
    struct plugin *plugin = xcalloc(1, sizeof *plugin);
    *plugin = (struct plugin){
        .function = function, .state = state, .params = STEAL_POINTER(params), .references = 1};
    *ret_plugin = plugin;
    return 0;
}

void plugin_take(struct plugin *plugin)
{
    if (plugin)
        __atomic_fetch_add(&plugin->references, 1, __ATOMIC_RELAXED);
}

void plugin_drop(struct plugin *plugin)
{
    if (!plugin || __atomic_sub_fetch(&plugin->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    plugin->ended = __atomic_load_n(&ended, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&ended, &plugin->ended, plugin, 1, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED))
        ;
}

void plugin_reap(void)
{
    struct plugin *plugin = __atomic_exchange_n(&ended, NULL, __ATOMIC_ACQUIRE);
    while (plugin) {
        struct plugin *next = plugin->ended;
        if (plugin->function->close && plugin->function->open)
            plugin->function->close(plugin->state);
        free(plugin->params);
        free(plugin);
        plugin = next;
    }
}
