/*
 * What a request will call: groups that run in parallel, calls of one group in sequence. A plan
 * comes from the configuration (then all requests share it) or from a trace in the request's body
 * (then it is that request's own). Application thread only.
 */
#ifndef DPUMESH_AGENT_PLAN_H
#define DPUMESH_AGENT_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/arena.h"
#include "agent/message.h"
#include "model/random.h"
#include "spec/agent_config.h"

/* Caps of a trace: groups (the tag of a call has 12 bits for its group) and calls. */
enum { PLAN_GROUPS_MAX = 4095, PLAN_GROUPS_MASK = 4095, PLAN_CALLS_MAX = 16384 };

enum { PLAN_SENTENCE_MAX = 256 };

struct plan_call {
    float probability;
    bool known;           /* false: no such service, the call fails */
    uint16_t target;      /* its number, targets.h */
    uint32_t body_offset; /* trace: "name": subtree, from the start of the message's body */
    uint32_t body_length; /* 0: nothing is POSTed, the call is a GET */
};

struct plan_group {
    uint16_t first, count; /* calls */
    uint16_t sample;       /* how many of them are made, count when all */
    uint16_t unused;       /* calls behind the groups are aligned */
};

/* One block of memory: this head, then the groups, then the calls. */
struct plan {
    uint32_t offset;           /* of the arena it lies in, ARENA_NONE: allocated with malloc() */
    uint16_t call_count;       /* at most PLAN_CALLS_MAX */
    uint16_t group_count : 12; /* at most PLAN_GROUPS_MAX */
    uint16_t shared : 1;       /* belongs to the configuration */
    uint16_t sampling : 1;     /* some group calls a sample: each request needs a plan of its own */
};

/* A hundred thousand are in flight: one call of a trace takes 32 bytes. */
_Static_assert(sizeof(struct plan) + sizeof(struct plan_group) + sizeof(struct plan_call) == 32,
               "a plan of one call is half a cache line");

static inline struct plan_group *plan_groups(struct plan *plan)
{
    return (struct plan_group *)(void *)(plan + 1);
}
static inline struct plan_call *plan_calls(struct plan *plan)
{
    return (struct plan_call *)(void *)(plan_groups(plan) + plan->group_count);
}

/* The plan of a list such as workload.externalServices; never NULL. Owned by the caller. config:
 * tells who may be called. */
struct plan *plan_of_groups(const struct agent_config *config, const struct external_group *groups,
                            size_t count);

/* A copy of a plan in which every group holds just its random sample, in random order as Python's
 * random.sample gives it (contract section 2). Owned by the caller. NULL when the arena is full. */
struct plan *plan_sampled(struct plan *plan, struct random_stream *stream, struct arena *arena);

/*
 * Reads a trace: {"s0__1": [{"s1__2": [{}]}, {"s2": {}, "s3": []}]}. One key, whose name before
 * "__" is config->service; its list holds the groups, a group's keys are its calls. An empty object
 * stands for an empty list, as the original's clients send it. 0 and a plan owned by the caller, or
 * -EINVAL and a sentence.
 */
int plan_of_trace(const struct agent_config *config, const char *body, size_t length,
                  struct arena *arena, struct plan **ret_plan, char sentence[PLAN_SENTENCE_MAX]);

/* Frees it. arena: the one it was made in, NULL for plan_of_groups()'s. A NULL plan is fine. */
void plan_free(struct plan *plan, struct arena *arena);

#endif
