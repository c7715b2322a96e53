/*
 * Functions of your own for internalService.plugin, API 1. This header is all that a plugin needs;
 * docs/plugins.md walks through one, examples/plugin holds it.
 *
 *     #include <dpumesh/plugin.h>
 *
 *     static int hello(struct dpumesh_call *call)
 *     {
 *         return call->answer(call, "hello\n", 6);
 *     }
 *     static const struct dpumesh_function functions[] = {{.name = "hello", .run = hello}, {0}};
 *     DPUMESH_PLUGIN(functions);
 *
 *     cc -std=c17 -shared -fPIC -o hello.so hello.c
 *
 * Threads. run() is called on worker threads, on up to workload.workers times workload.threads of
 * them at once and for several requests at once: what it shares, it locks. open() and close() are
 * called on the agent's main thread. A worker's stack has 1 MiB.
 *
 * Memory. All pointers in a call are the agent's and end with the call; what answer() is given is
 * copied. What a function allocates is its own to free.
 *
 * Trust. A plugin is a part of the agent's process: if it crashes, the agent does.
 */
#ifndef DPUMESH_AGENT_DPUMESH_PLUGIN_H
#define DPUMESH_AGENT_DPUMESH_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

/* Changes when a plugin that was built with an older header could not work any more. The agent
 * refuses a plugin of any other number. */
#define DPUMESH_PLUGIN_API 1

/* One request. Texts end in NUL and are UTF-8. */
struct dpumesh_call {
    const char *service; /* whose replica this is */
    const char *method;  /* "GET", "HEAD" or "POST" */
    const char *path;
    const char *query; /* without its question mark, escapes as they came; "" without one */
    const char *body;  /* "" without one */
    size_t body_length;
    const char *params;   /* internalService.plugin.params as JSON, "{}" without any */
    void *state;          /* what open() made, NULL without an open() */
    size_t answer_max;    /* bytes that answer() takes in all */
    uint64_t deadline_ns; /* on CLOCK_MONOTONIC: after it, nobody waits for the answer */

    /* Appends bytes to the answer, which must be UTF-8 when the function returns. 0; or -ENOBUFS,
     * and nothing appended, when that would pass answer_max. */
    int (*answer)(struct dpumesh_call *call, const void *bytes, size_t length);

    /* Not 0 once nobody waits for the answer any more, because the deadline has passed or the agent
     * is to end: return soon. Cheap enough for an inner loop. */
    int (*stopped)(const struct dpumesh_call *call);
};

struct dpumesh_function {
    const char *name; /* NULL ends a list */

    /* Serves one request. 0: the answer is what answer() was given, with status 200 once the
     * external calls succeed. Anything else: the request is answered 500, {"message":"Error"}. */
    int (*run)(struct dpumesh_call *call);

    /* May be NULL. Called once for each place in a configuration that names the function, when that
     * configuration is loaded. 0, and *ret_state is what run() is given; anything else refuses the
     * configuration with the sentence (at most `size` bytes with its NUL) put there. */
    int (*open)(const char *params, void **ret_state, char *sentence, size_t size);

    /* May be NULL. Called once for each successful open(), after the last run() has returned, when
     * the next configuration is loaded or the agent ends. Not called when the agent has to end
     * while a function does not return. */
    void (*close)(void *state);
};

struct dpumesh_plugin {
    uint32_t api; /* DPUMESH_PLUGIN_API; first in every version */
    const struct dpumesh_function *functions;
};

/* The one symbol that a plugin shows; file scope. */
#define DPUMESH_PLUGIN(functions_)                                                                 \
    extern const struct dpumesh_plugin dpumesh_plugin;                                             \
    __attribute__((visibility("default")))                                                         \
    const struct dpumesh_plugin dpumesh_plugin = {DPUMESH_PLUGIN_API, (functions_)}

#endif
