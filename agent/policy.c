#include "agent/policy.h"

#include <stdlib.h>

#include "agent/io_private.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

static const struct policy_settings *settings_of(const struct io *io)
{
    return &io_config(io)->datapath.policy;
}

void policy_configure(struct io *io)
{
    struct policy *p = &io->policy;
    const struct policy_settings *s = settings_of(io);
    p->in_force = policy_in_force(s);
    p->service_burst = rate_burst(&s->rate.service);
    p->source_burst = rate_burst(&s->rate.source);
    if (s->rate.source.rate > 0 && !p->sources)
        p->sources = xcalloc(io->source_limit + 1, sizeof *p->sources);
    if (p->seed && s->seed == p->seed_given)
        return;
    p->seed_given = s->seed;
    p->seed = s->seed ? s->seed : clock_monotonic_ns();
    p->number = 0;
}

void policy_destroy(struct io *io)
{
    struct policy *p = &io->policy;
    free(p->sources);
    if (p->wheel)
        pool_destroy(&p->waits);
    free(p->wheel);
}

static void count(const struct io *io, enum policy_kind kind, enum policy_outcome outcome)
{
    metric_add(io->agent->metrics.policy.requests[kind][outcome], 1);
}

static bool over_rate(struct io *io, enum policy_kind kind, struct bucket *bucket,
                      const struct rate_settings *rate, double burst, uint32_t *ret_retry_s)
{
    bool passes = bucket_take(bucket, rate->rate, burst, io->now_ns);
    count(io, kind, passes ? POLICY_PASSED : POLICY_REFUSED);
    if (!passes)
        *ret_retry_s = bucket_retry_s(bucket, rate->rate, burst);
    return !passes;
}

/* The bucket of everybody, then that of this source; a refusal costs no token of the other. */
static bool rate_limited(struct io *io, uint32_t index, const struct policy_settings *s)
{
    struct policy *p = &io->policy;
    const struct rate_settings *all = &s->rate.service, *one = &s->rate.source;
    uint32_t retry_s = 1;
    bool limited = all->rate > 0 &&
                   over_rate(io, POLICY_SERVICE_RATE, &p->service, all, p->service_burst, &retry_s);
    if (!limited && one->rate > 0) {
        uint32_t source = connection_at(io, exchange_at(io, index)->connection)->source;
        limited =
            over_rate(io, POLICY_SOURCE_RATE, &p->sources[source], one, p->source_burst, &retry_s);
        if (limited && all->rate > 0)
            bucket_give(&p->service);
    }
    if (limited)
        exchange_refuse_later(io, index, REJECT_RATE_LIMITED, 429, retry_s);
    return limited;
}

static bool too_many(struct io *io, uint32_t index, const struct policy_settings *s)
{
    bool refused = io->inside >= s->concurrency;
    count(io, POLICY_CONCURRENCY, refused ? POLICY_REFUSED : POLICY_PASSED);
    if (refused)
        exchange_refuse_later(io, index, REJECT_CONCURRENCY_LIMITED, s->concurrency_status, 1);
    return refused;
}

/* True: aborted at once. */
static bool faulty(struct io *io, uint32_t index, const struct policy_settings *s,
                   const struct request_draft *draft, struct fault_outcome *ret_fault)
{
    struct policy *p = &io->policy;
    *ret_fault = fault_draw(s, p->seed, p->number++, draft);
    count(io, POLICY_FAULT,
          ret_fault->abort_status ? POLICY_ABORTED
          : ret_fault->delay_ns   ? POLICY_DELAYED
                                  : POLICY_PASSED);
    if (!ret_fault->abort_status || ret_fault->delay_ns)
        return false;
    exchange_refuse_later(io, index, REJECT_FAULT, ret_fault->abort_status, 1);
    return true;
}

bool policy_refuses(struct io *io, uint32_t index, const struct request_draft *draft,
                    struct fault_outcome *ret_fault)
{
    const struct policy_settings *s = settings_of(io);
    *ret_fault = (struct fault_outcome){0};
    if (io->policy.in_force == 0)
        return false;
    bool refused = rate_limited(io, index, s) || (s->concurrency > 0 && too_many(io, index, s)) ||
                   (s->fault_count > 0 && faulty(io, index, s, draft, ret_fault));
    if (refused)
        crossing_refused(io, (uint32_t)draft_length(draft));
    return refused;
}

/* ---- delays ---- */

static bool make_wheel(struct io *io)
{
    struct policy *p = &io->policy;
    cleanup_error struct error *err = NULL;
    if (p->wheel)
        return true;
    if (pool_init(&p->waits, sizeof(struct policy_wait), io->exchanges.capacity, &err) < 0) {
        log_error("requests are not delayed", LOG_ERROR(err));
        return false;
    }
    p->wheel = xmalloc(sizeof *p->wheel);
    wheel_init(p->wheel, &p->waits, io->now_ns);
    return true;
}

bool policy_delay(struct io *io, uint32_t index, const struct fault_outcome *fault)
{
    struct policy *p = &io->policy;
    /* One for each exchange: there is one. */
    uint32_t place = make_wheel(io) ? pool_take(&p->waits) : POOL_NONE;
    if (place == POOL_NONE)
        return false;
    struct policy_wait *wait = pool_at(&p->waits, place);
    wait->node.user = index;
    wait->node.deadline_ns = io->now_ns + fault->delay_ns;
    wait->abort_status = fault->abort_status;
    wheel_add(p->wheel, place);
    return true;
}

bool policy_work(struct io *io)
{
    struct policy *p = &io->policy;
    bool any = false;
    if (!p->wheel || p->wheel->count == 0)
        return false;
    wheel_advance(p->wheel, io->now_ns);
    for (uint32_t place; (place = wheel_pop(p->wheel)) != POOL_NONE; any = true) {
        const struct policy_wait *wait = pool_at(&p->waits, place);
        uint32_t index = wait->node.user;
        unsigned status = wait->abort_status;
        pool_give(&p->waits, place);
        exchange_waited(io, index, status);
    }
    return any;
}

uint64_t policy_next_ns(const struct io *io)
{
    return io->policy.wheel ? wheel_next_ns(io->policy.wheel) : UINT64_MAX;
}

/* ---- metrics ---- */

static const char *const kinds[POLICY_KINDS] = {"service_rate", "source_rate",     "concurrency",
                                                "fault",        "circuit_breaker", "retry"};
static const char *const outcomes[POLICY_OUTCOMES] = {"passed",  "refused", "delayed",
                                                      "aborted", "probe",   "retried"};
static const unsigned possible[POLICY_KINDS] = {
    [POLICY_SERVICE_RATE] = 1 << POLICY_PASSED | 1 << POLICY_REFUSED,
    [POLICY_SOURCE_RATE] = 1 << POLICY_PASSED | 1 << POLICY_REFUSED,
    [POLICY_CONCURRENCY] = 1 << POLICY_PASSED | 1 << POLICY_REFUSED,
    [POLICY_FAULT] = 1 << POLICY_PASSED | 1 << POLICY_DELAYED | 1 << POLICY_ABORTED,
    [POLICY_BREAKER] = 1 << POLICY_PASSED | 1 << POLICY_REFUSED | 1 << POLICY_PROBE,
    [POLICY_RETRY] = 1 << POLICY_RETRIED | 1 << POLICY_REFUSED,
};

void policy_metrics_declare(struct metrics *registry, struct policy_metrics *ret)
{
    struct metric_spec requests = {
        .name = "dpumesh_policy_requests_total",
        .help = "Requests, for circuit_breaker and retry calls, that came to a "
                "policy in force, by what it did.",
        .kind = METRIC_COUNTER,
        .labels = {"policy", "outcome"}};
    struct metric_spec work = {.name = "dpumesh_policy_modelled_seconds_total",
                               .help = "Time of an Arm core in mode dpu, of the host in mode "
                                       "sidecar, that policies took of the modelled proxy.",
                               .kind = METRIC_COUNTER};
    struct metric_spec state = {.name = "dpumesh_circuit_breaker_state",
                                .help = "0 closed, 1 half open, 2 open.",
                                .kind = METRIC_GAUGE,
                                .labels = {"destination"},
                                .series_max = 64};
    struct metric_spec opened = state;
    opened.name = "dpumesh_circuit_breaker_opened_total";
    opened.help = "Times that a destination's breaker opened.";
    opened.kind = METRIC_COUNTER;
    struct metric_family *family = metrics_family(registry, &requests);
    for (unsigned i = 0; i < POLICY_KINDS; i++)
        for (unsigned j = 0; j < POLICY_OUTCOMES; j++)
            if (possible[i] & 1U << j)
                ret->requests[i][j] =
                    metric_series(family, (const char *[]){kinds[i], outcomes[j]});
    ret->work = metric_series(metrics_family(registry, &work), NULL);
    ret->breaker_state = metrics_family(registry, &state);
    ret->breaker_opened = metrics_family(registry, &opened);
}
