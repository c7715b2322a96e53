/*
 * Faults on purpose: what the n-th request meets. A pure function of seed, number and request, so
 * that a run can be repeated: nothing depends on when a request came or on which thread.
 */
#ifndef DPUMESH_AGENT_FAULT_H
#define DPUMESH_AGENT_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/message.h"
#include "spec/policy.h"

struct fault_outcome {
    uint64_t delay_ns;     /* 0: none */
    unsigned abort_status; /* 0: none */
};

/* What becomes of request `number`. */
struct fault_outcome fault_draw(const struct policy_settings *settings, uint64_t seed,
                                uint64_t number, const struct request_draft *draft);

/* Whether a request has a header of this name, in any case, and of this value if one is given (at
 * most POLICY_HEADER_VALUE_MAX bytes). */
bool fault_header(const struct request_draft *draft, const char *name, const char *value);

#endif
