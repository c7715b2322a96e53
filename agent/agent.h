/*
 * One replica: what its threads share, and who owns what (docs/agent.md draws it).
 *
 *   I/O thread ("the DPU side", io.h)       sockets, exchanges, the forward arena, egress calls
 *   application thread (app.h)              requests, plans, the reverse arena
 *   CPU workers (workers.h)                 one job at a time, nothing else
 *   main thread (main.c)                    signals, the configuration file, the log
 *
 * The first two meet only in the four rings and the two arenas below. A request message is written
 * by the I/O thread into the forward arena, read by the application, and released by the I/O thread
 * when the request is complete; an answer is written by the application into the reverse arena and
 * given back to it by the I/O thread once it was encoded. The application never touches a socket.
 */
#ifndef DPUMESH_AGENT_AGENT_H
#define DPUMESH_AGENT_AGENT_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/arena.h"
#include "agent/behavior.h"
#include "agent/cpu.h"
#include "agent/doorbell.h"
#include "agent/metrics.h"
#include "agent/ring.h"
#include "obs/answer.h"
#include "spec/agent_config.h"

enum { SOURCE_TEXT_MAX = 48 };

/* A configuration in force: freed when the last thread lets go of it. */
struct config_ref {
    struct agent_config *config;
    char *text;                 /* config->document as indented JSON, for /config */
    struct behaviors behaviors; /* what its workload makes of a request */
    const char *scratch;        /* directory of temporary files */
    uint32_t references;
};

/* A configuration as the text that stands in config_ref.text; the caller frees it. */
char *config_text(const struct agent_config *config);

/* Main thread. Takes over config (also on failure); path: of its file, for problems. 0 and a
 * reference that belongs to the caller, or -EINVAL and problems: a plugin can't be opened. */
int config_ref_new(struct agent_config *config, const char *path, struct config_ref **ret_ref,
                   struct problems *problems);
void config_ref_take(struct config_ref *ref);
void config_ref_drop(struct config_ref *ref);

enum agent_phase {
    PHASE_STARTING,
    PHASE_SERVING,
    PHASE_LEAVING,  /* SIGTERM: not ready any more, all is served still (limits.shutdownDelay) */
    PHASE_DRAINING, /* after that: new work is answered 503, what is in flight is finished */
    PHASE_DRAINED,  /* nothing is in flight, the I/O thread has ended */
};

struct agent {
    struct arena forward, reverse;
    struct ring ingress_sq; /* I/O -> application: requests */
    struct ring ingress_cq; /* application -> I/O: answers */
    struct ring egress_sq;  /* application -> I/O: calls */
    struct ring egress_cq;  /* I/O -> application: their results */
    struct doorbell app_bell, io_bell;

    struct metrics *registry;
    struct agent_metrics metrics;
    struct cpu_account cpu;
    struct answer_hooks pages; /* /metrics, /healthz, /readyz, /config */

    uint32_t phase; /* enum agent_phase, atomic */

    bool shares_sockets; /* main thread: other replicas accept from them too */

    struct trace *trace; /* written once by the I/O thread, before a message names a record */

    struct app *guest; /* the application when the I/O thread runs it; NULL when it has a thread */

    /* New configurations on their way to the two threads; each takes its own by exchange. */
    struct config_ref *io_next, *app_next;
    struct config_ref *running; /* main thread: what the threads were last given */

    /* Label values of `from`, written by the I/O thread before the first descriptor that names one.
     */
    char (*sources)[SOURCE_TEXT_MAX];
    uint32_t source_count; /* atomic */

    uint32_t egress_in_flight; /* atomic, for its gauge: calls that the I/O thread works on */
    uint32_t egress_capped;    /* atomic: calls wait in egress_sq because all workers are busy */
    uint64_t out_rounds;       /* atomic: of the host's core that messages have gone out in */
    uint32_t app_waits;    /* atomic: the application waits for room in egress_sq or ingress_cq */
    uint32_t plugins_late; /* atomic: calls of plugins that run although their time is over */
    uint32_t stop;         /* atomic: the application thread and the workers end */
};

static inline enum agent_phase agent_phase(const struct agent *agent)
{
    return (enum agent_phase)__atomic_load_n(&agent->phase, __ATOMIC_ACQUIRE);
}

/*
 * Makes the arenas, rings, bells and metrics for a configuration. ref: taken over by the agent (its
 * running configuration). 0, or -errno and a sentence.
 */
int agent_init(struct agent *agent, struct config_ref *ref, struct error **err);

/* Frees all of it; its threads have ended. */
void agent_destroy(struct agent *agent);

/* Main thread: gives a new configuration to both threads. ref is taken over. */
void agent_reconfigure(struct agent *agent, struct config_ref *ref);

/*
 * Main thread: tells that this replica is about to end: /readyz fails, HTTP connections are closed
 * after an answer, and all else goes on until agent_drain().
 */
void agent_leave(struct agent *agent);

/* Main thread: begins to drain. */
void agent_drain(struct agent *agent);

#endif
