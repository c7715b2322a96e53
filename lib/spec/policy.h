/*
 * L7 policy: what a replica lets through, refuses, delays and spoils on purpose before a request
 * reaches its application (datapath.policy), and when it stops calling another service
 * (egress.circuitBreaker) or calls it once more (egress.retries). The same tables for a DpuService
 * and the agent's configuration; what they mean is in docs/policy.md. Plain data; whoever holds the
 * outer struct owns what these point to (record_free() of its table).
 */
#ifndef DPUMESH_SPEC_POLICY_H
#define DPUMESH_SPEC_POLICY_H

#include <stddef.h>
#include <stdint.h>

#include "model/breaker.h"
#include "model/retry.h"
#include "spec/field.h"

/* A token bucket. */
struct rate_settings {
    double rate;    /* tokens a second; 0: no limit */
    unsigned burst; /* tokens that it holds; 0: a second's worth, at least one */
};

enum {
    POLICY_FAULTS_MAX = 16,
    POLICY_HEADER_NAME_MAX = 64, /* bytes */
    POLICY_HEADER_VALUE_MAX = 64
};

/* policy.faults[i]. Percentages are 0 to 100. */
struct policy_fault {
    char *header, *value; /* only requests with this header; NULL: all; whatever its value */
    unsigned abort_status;
    double abort_percent, delay_percent;
    uint64_t delay_ns;
};

/* datapath.policy */
struct policy_settings {
    uint64_t seed; /* of the faults; 0 draws one at start */
    struct {
        struct rate_settings service, source;
    } rate;
    unsigned concurrency; /* requests inside; 0: no limit */
    unsigned concurrency_status;
    size_t fault_count;
    struct policy_fault *faults;
};

extern const struct record policy_record, breaker_record, retry_record;

/* How many policies each request passes: of two rates, concurrency and faults. */
unsigned policy_in_force(const struct policy_settings *settings);

/* Tokens that a bucket of these settings holds. */
double rate_burst(const struct rate_settings *settings);

#endif
