/* The rules of leader election; see the header for why they hold. */
#include "kube/lease_state.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/memory.h"

/* Of a candidate's pause: up to this factor of the retry period on top of it (client-go's
 * leaderelection.JitterFactor). */
static const double jitter_factor = 1.2;

/* Retry periods that we leave the leader to make a deleted lease again. */
enum { COURTESY_RETRIES = 3 };

void lease_state_init(struct lease_state *state, const struct lease_times *times,
                      const char *identity, uint64_t seed, uint64_t now_ns)
{
    *state = (struct lease_state){.times = *times,
                                  .identity = identity,
                                  .random = seed,
                                  .step = LEASE_LOOK,
                                  .attempt_ns = now_ns,
                                  .lifetime_ns = times->duration_ns};
}

void lease_state_free(struct lease_state *state)
{
    free(STEAL_POINTER(state->version));
}

enum lease_step lease_state_step(const struct lease_state *state, uint64_t now_ns)
{
    return now_ns < state->attempt_ns ? LEASE_WAIT : state->step;
}

uint64_t lease_state_wake_ns(const struct lease_state *state, uint64_t now_ns)
{
    bool leading = now_ns < state->until_ns;
    return leading && state->until_ns < state->attempt_ns ? state->until_ns : state->attempt_ns;
}

/* splitmix64 (Steele, Lea, Flood 2014), as a fraction of 1. */
static double draw(struct lease_state *state)
{
    uint64_t z = state->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

/*
 * Ends the attempt. A holder tries again one retry period after the attempt began: a request that
 * hung has used up its pause already. A candidate waits with jitter, but not past bound_ns (0:
 * none), when the lease is free.
 */
static void rest(struct lease_state *state, uint64_t now_ns, uint64_t bound_ns)
{
    double retry = (double)state->times.retry_ns;
    uint64_t next;
    if (now_ns < state->until_ns)
        next = state->started_ns + state->times.retry_ns;
    else
        next = now_ns + (uint64_t)(retry * (1 + jitter_factor * draw(state)));
    if (bound_ns && bound_ns < next)
        next = bound_ns;
    state->attempt_ns = next > now_ns ? next : now_ns;
    state->requests = 0;
    state->step = state->ours && state->version ? LEASE_WRITE : LEASE_LOOK;
}

void lease_state_sent(struct lease_state *state, uint64_t now_ns)
{
    if (state->requests++ == 0)
        state->started_ns = now_ns;
    if (state->step == LEASE_CREATE && state->seen && now_ns >= state->until_ns)
        state->doubtful = true;
    state->sent_ns = now_ns;
}

static void set_version(struct lease_state *state, const char *version)
{
    free(state->version);
    state->version = version ? xstrdup(version) : NULL;
}

/* The record is ours: if it may have come beside another's, its time runs from now at the latest.
 */
static void settle(struct lease_state *state, uint64_t now_ns)
{
    if (state->doubtful)
        state->quiet_ns = now_ns + state->lifetime_ns;
    state->doubtful = false;
}

void lease_state_saw(struct lease_state *state, const struct lease_record *record, uint64_t now_ns)
{
    uint64_t duration = record->duration_ns ? record->duration_ns : state->times.duration_ns;
    if (!state->version || strcmp(state->version, record->version) != 0) {
        set_version(state, record->version);
        state->observed_ns = now_ns;
    }
    state->seen = true;
    state->missing = false;
    state->ours = strcmp(record->holder, state->identity) == 0;
    state->lifetime_ns = duration > state->times.duration_ns ? duration : state->times.duration_ns;
    if (record->holder[0] && !state->ours) {
        state->until_ns = 0;
        if (now_ns - state->observed_ns < duration) {
            rest(state, now_ns, state->observed_ns + duration);
            return;
        }
    }
    /* Free, run out, or ours: of this life, whose write went unanswered, or of an earlier one. */
    if (state->ours)
        settle(state, now_ns);
    state->step = LEASE_WRITE;
    state->attempt_ns = now_ns;
}

void lease_state_missing(struct lease_state *state, uint64_t now_ns)
{
    bool leading = now_ns < state->until_ns;
    uint64_t courtesy = COURTESY_RETRIES * state->times.retry_ns;
    if (!state->missing) {
        state->missing = true;
        state->observed_ns = now_ns;
    }
    set_version(state, NULL);
    state->ours = false;
    if (state->seen && !leading && now_ns - state->observed_ns < courtesy) {
        rest(state, now_ns, state->observed_ns + courtesy);
        return;
    }
    state->step = LEASE_CREATE;
    state->attempt_ns = now_ns;
}

void lease_state_wrote(struct lease_state *state, const char *version, uint64_t now_ns)
{
    set_version(state, version);
    settle(state, now_ns);
    state->observed_ns = now_ns;
    state->lifetime_ns = state->times.duration_ns;
    state->seen = true;
    state->missing = false;
    state->ours = true;
    state->until_ns =
        now_ns < state->quiet_ns ? 0 : state->sent_ns + state->times.renew_deadline_ns;
    state->started_ns = state->sent_ns;
    rest(state, now_ns, state->sent_ns + state->times.retry_ns);
}

void lease_state_failed(struct lease_state *state, bool unknown, uint64_t now_ns)
{
    if (state->step == LEASE_CREATE)
        state->doubtful = state->seen && unknown;
    /* A renewal that relied on the version we knew: look what is there now, then write once more.
     */
    if (state->step == LEASE_WRITE && state->requests == 1) {
        state->step = LEASE_LOOK;
        state->attempt_ns = now_ns;
        return;
    }
    rest(state, now_ns, 0);
}

void lease_state_resign(struct lease_state *state)
{
    state->until_ns = 0;
}

bool lease_state_releasable(const struct lease_state *state, uint64_t now_ns)
{
    return !state->doubtful && now_ns >= state->quiet_ns;
}
