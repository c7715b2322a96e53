/*
 * Further attempts of calls: which failures may be tried again, out of which budget, after which
 * wait. The agent uses it for real and for simulated calls, the model in virtual time.
 *
 *     retry_earn(&budget, &settings);                          a call begins
 *     if (cause & settings.on && retries < settings.most && retry_take(&budget))
 *         ... once more, retry_wait_ns(&settings, retries, unit) from now
 *
 * Zeroed memory is a budget with what every destination has in hand. One thread.
 */
#ifndef DPUMESH_MODEL_RETRY_H
#define DPUMESH_MODEL_RETRY_H

#include <stdbool.h>
#include <stdint.h>

/* Why an attempt failed: bits, in the order of the names that documents have. */
enum retry_cause {
    RETRY_CONNECT = 1 << 0, /* it can't have reached the callee */
    RETRY_RESET = 1 << 1,   /* the connection broke, or what came was no whole answer */
    RETRY_TIMEOUT = 1 << 2, /* the attempt's own time was over */
    RETRY_5XX = 1 << 3,     /* it was answered a status of 500 to 599 */
};

/* egress.retries, and those of a destination. */
struct retry_settings {
    unsigned most;           /* further attempts of one call; 0: none */
    unsigned budget_percent; /* of a destination's calls */
    uint64_t backoff_ns;     /* longest wait before the first */
    unsigned on;             /* enum retry_cause: after which failures */
    uint64_t try_timeout_ns; /* of an attempt; 0: the call's alone */
};

/* Of one destination. */
struct retry_budget {
    double earned; /* tokens beside those in hand; below 0 when these are used */
};

#define RETRY_TOKENS_IN_HAND 10.0
#define RETRY_TOKENS_MAX     100.0

/* A call begins: its part of a retry is earned. */
static inline void retry_earn(struct retry_budget *budget, const struct retry_settings *settings)
{
    double earned = budget->earned + settings->budget_percent / 100.0;
    double most = RETRY_TOKENS_MAX - RETRY_TOKENS_IN_HAND;
    budget->earned = earned < most ? earned : most;
}

/* Takes a retry out of the budget; false: it is spent. */
static inline bool retry_take(struct retry_budget *budget)
{
    /* A sum of parts may fall short of a whole by its rounding. */
    if (budget->earned + RETRY_TOKENS_IN_HAND < 1 - 1e-9)
        return false;
    budget->earned -= 1;
    return true;
}

/* The wait before a retry, `retries` of the call made already: full jitter (0 to backoff, doubled
 * for each) of unit, uniform in [0, 1). */
static inline uint64_t retry_wait_ns(const struct retry_settings *settings, unsigned retries,
                                     double unit)
{
    return (uint64_t)((double)settings->backoff_ns * (double)(UINT64_C(1) << retries) * unit);
}

#endif
