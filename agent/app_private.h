/* The application's state, shared by app.c (the loop) and app_request.c (a request's steps). */
#ifndef DPUMESH_AGENT_APP_PRIVATE_H
#define DPUMESH_AGENT_APP_PRIVATE_H

#include <pthread.h>

#include "agent/agent.h"
#include "agent/app.h"
#include "agent/hostwork.h"
#include "agent/plan.h"
#include "agent/tag_fifo.h"
#include "agent/wheel.h"
#include "agent/workers.h"

/* Groups whose place is kept inside the request. */
enum { INLINE_GROUPS = 4 };

/* A tag of the egress queues names a request and one of its groups. */
enum { TAG_REQUEST_BITS = 20, TAG_REQUEST_MASK = (1 << TAG_REQUEST_BITS) - 1 };

struct app_request {
    struct wheel_node node; /* sleep; node.next also links app->answered; node.user: the message,
                               in the forward arena */
    uint32_t exchange;      /* the ingress tag */
    uint32_t internal_us;   /* how long the internal work took; then calls begin */
    uint16_t groups_left;   /* still calling */
    uint16_t jobs_running;  /* on the CPU workers */
    uint8_t reason;         /* enum reject_reason of the answer */
    bool json;              /* the answer's body is JSON */
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

struct app {
    struct agent *agent;
    struct config_ref *config;
    pthread_t thread;
    bool own_thread;
    struct pool requests;
    struct wheel sleeping;
    struct workers workers;
    struct hostwork hostwork;
    struct tag_fifo blocked;                /* whose next call waits for room in the egress SQ */
    uint32_t answered_first, answered_last; /* requests, linked by node.next */
    struct random_stream random;
    uint64_t now_ns;
    struct mub_series *series; /* two a source (GET, POST), made when first seen */
    uint32_t source_limit;
};

/* Takes a request from the ingress submission queue. */
void app_begin(struct app *app, const struct descriptor *submission);

/* Takes the result of a call from the egress completion queue. */
void app_call_done(struct app *app, const struct descriptor *completion);

/* A request's sleep is over. */
void app_sleep_done(struct app *app, uint32_t index);

/* A CPU job is done; frees it. */
void app_job_done(struct app *app, struct cpu_job *job);

/* Tries again what found a queue full; true when anything went through. */
bool app_retry(struct app *app);

#endif
