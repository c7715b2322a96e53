/* The application's state, shared by app.c (the loop) and app_request.c (a request's steps). */
#ifndef DPUMESH_AGENT_APP_PRIVATE_H
#define DPUMESH_AGENT_APP_PRIVATE_H

#include <pthread.h>

#include "agent/agent.h"
#include "agent/app.h"
#include "agent/hostwork.h"
#include "agent/job.h"
#include "agent/plan.h"
#include "agent/tag_fifo.h"
#include "agent/wheel.h"
#include "agent/workers.h"

/* Groups whose place is kept inside the request. */
enum { INLINE_GROUPS = 4 };

/* A tag of the egress queues names a request and one of its groups. */
enum { TAG_REQUEST_BITS = 20, TAG_REQUEST_MASK = (1 << TAG_REQUEST_BITS) - 1 };

/* The internal work, one after another; then the calls. */
enum internal_stage { STAGE_COMPUTE, STAGE_STRESS, STAGE_SLEEP, STAGE_CALLS };

struct app_request {
    struct wheel_node node; /* sleep; node.next also links app->answered; node.user: the message,
                               in the forward arena; node.deadline_ns: see app_keep_body() */
    uint32_t exchange;      /* the ingress tag */
    uint32_t internal_us;   /* how long the internal work took; then calls begin */
    uint16_t groups_left;   /* still calling; before that, jobs not submitted yet */
    uint16_t jobs_running;  /* on the workers */
    uint8_t reason;         /* enum reject_reason of the answer */
    uint8_t stage;          /* enum internal_stage, the next one to begin */
    uint8_t behavior;       /* which of config's */
    uint8_t form;           /* of the answer's body: DESCRIPTOR_JSON or DESCRIPTOR_TEXT >> 8 */
    uint64_t start_ns;
    struct config_ref *config;
    struct plan *plan;
    union {
        uint16_t at[INLINE_GROUPS]; /* next call of each group */
        uint16_t *many;             /* the same, when the plan has more groups */
        struct {
            uint32_t offset, length;
        } answer; /* it stands, and waits for room in the ingress CQ */
    };
};

/* A hundred thousand of them are in flight: each in one cache line. */
_Static_assert(sizeof(struct app_request) == 64, "a request is a cache line");

struct app {
    struct agent *agent;
    struct config_ref *config;
    pthread_t thread;
    bool own_thread;
    struct pool requests;
    struct wheel sleeping;
    struct workers workers;
    struct hostwork hostwork;
    struct plugin_job *plugin_first, *plugin_last; /* calls of plugins, by deadline */
    struct tag_fifo blocked;                /* whose next call waits for room in the egress SQ */
    uint32_t answered_first, answered_last; /* requests, linked by node.next */
    uint64_t dice;                          /* of the seed */
    uint32_t begun;                         /* requests since the agent, or this seed, began */
    uint32_t *numbers;                      /* of each request among those */
    uint64_t now_ns;
    struct mub_series *series; /* two a source (GET, POST), made when first seen */
    uint32_t source_limit;
};

/* What chance decides of a request. */
enum app_chance {
    CHANCE_SAMPLE,     /* who of each group is called */
    CHANCE_CALL,       /* whether the which-th call of its plan is made */
    CHANCE_COMPLEXITY, /* of its job that is followed by `which` others */
    CHANCE_STRESS,
    CHANCE_SIZE, /* of its answer */
};

/* The stream that decides it: a function of the seed, the request's number and these two, so that
 * neither the other requests nor threads and clocks have a say. */
struct random_stream app_dice(const struct app *app, uint32_t index, enum app_chance chance,
                              uint32_t which);

/* Takes a request from the ingress submission queue. */
void app_begin(struct app *app, const struct descriptor *submission);

/* Takes the result of a call from the egress completion queue. */
void app_call_done(struct app *app, const struct descriptor *completion);

/* A request's sleep is over, or its job is done (frees the job). app_internal.c */
void app_sleep_done(struct app *app, uint32_t index);
void app_job_done(struct app *app, struct worker_job *job);

/* Answers the requests whose plugins took too long; true when there were any. When the next such
 * look is due, UINT64_MAX: never. app_internal.c */
bool app_plugins_late(struct app *app);
uint64_t app_plugins_next_ns(const struct app *app);

/* Begins the internal work of an admitted request. app_internal.c */
void app_begin_internal(struct app *app, uint32_t index);

/* The internal work is done: the calls. app_request.c */
void app_begin_calls(struct app *app, uint32_t index);

/* Answers with the reason's own sentence. app_request.c */
void app_refuse(struct app *app, uint32_t index, enum reject_reason reason);

static inline struct app_request *app_request_at(struct app *app, uint32_t index)
{
    return pool_at(&app->requests, index);
}
static inline const struct behavior *app_behavior_of(const struct app_request *r)
{
    return &r->config->behaviors.list[r->behavior];
}

/* A plugin's answer in the reverse arena until the calls are done. A request with a plugin never
 * sleeps, so its deadline's place is free; 0: there is none. */
static inline void app_keep_body(struct app_request *r, uint32_t offset, uint32_t length)
{
    r->node.deadline_ns = (uint64_t)length << 32 | (offset + 1);
}
static inline bool app_take_body(struct app_request *r, uint32_t *ret_offset, uint32_t *ret_length)
{
    uint64_t kept = r->node.deadline_ns;
    if (kept == 0 || app_behavior_of(r)->internal->kind != INTERNAL_PLUGIN)
        return false;
    *ret_offset = (uint32_t)kept - 1;
    *ret_length = (uint32_t)(kept >> 32);
    r->node.deadline_ns = 0;
    return true;
}
static inline const struct request_message *app_message_of(struct app *app,
                                                           const struct app_request *r)
{
    return arena_at(&app->agent->forward, r->node.user);
}

/* A request's record (trace.h), or NULL. The application writes its part of it. */
static inline struct trace_request *app_trace_of(struct app *app, const struct app_request *r)
{
    const struct trace *trace = __atomic_load_n(&app->agent->trace, __ATOMIC_ACQUIRE);
    uint32_t number = trace ? app_message_of(app, r)->trace : TRACE_NONE;
    return number ? trace_request_at(trace, number) : NULL;
}

/* Tries again what found a queue full; true when anything went through. */
bool app_retry(struct app *app);

#endif
