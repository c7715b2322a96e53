#include "scale/decide.h"

#include <stdlib.h>

#include "base/clock.h"
#include "scale/decide_private.h"
#include "scale/limit.h"

static int32_t clamped(int32_t value, int32_t low, int32_t high)
{
    if (value < low)
        return low;
    return value > high ? high : value;
}

static unsigned count_ready(const struct scale_input *input)
{
    unsigned ready = 0;

    for (size_t i = 0; i < input->pod_count && i < SCALE_PODS_MAX; i++)
        ready += input->pods[i].phase == SCALE_POD_READY;
    return ready;
}

/* Where metrics are not even asked. */
static bool settle_without_metrics(const struct scale_policy *policy, int32_t current,
                                   struct scale_decision *d)
{
    if (current == 0) {
        d->desired = 0;
        d->reason = SCALE_DISABLED;
    } else if (current > policy->max_replicas) {
        d->desired = policy->max_replicas;
        d->reason = SCALE_TOO_MANY;
    } else if (current < policy->min_replicas) {
        d->desired = policy->min_replicas;
        d->reason = SCALE_TOO_FEW;
    } else {
        return false;
    }
    return true;
}

/* The highest of the metrics' opinions. */
static void ask_metrics(struct scale_draft *draft, struct scale_decision *d)
{
    const struct scale_policy *policy = draft->policy;

    for (size_t i = 0; i < policy->metric_count; i++) {
        struct scale_proposal proposal;
        if (scale_propose(policy, &policy->metrics[i], draft->input, &proposal) < 0) {
            if (draft->silent++ == 0)
                draft->first_silent = (int)i;
            continue;
        }
        if (proposal.worth > draft->worth)
            draft->worth = proposal.worth;
        if (d->metric < 0 || proposal.replicas > d->recommended) {
            d->metric = (int)i;
            d->recommended = proposal.replicas;
            draft->proposal = proposal;
        }
    }
}

static void record(struct scale_state *state, int32_t recommended, uint64_t now_ns)
{
    scale_extreme_record(&state->highest, true, recommended, now_ns);
    scale_extreme_record(&state->lowest, false, recommended, now_ns);
}

/* Scale-down follows the highest recommendation of its window, scale-up the lowest of its own. */
static int32_t stabilize(struct scale_state *state, const struct scale_draft *draft,
                         int32_t recommended)
{
    const struct scale_policy *policy = draft->policy;
    uint64_t now_ns = draft->input->now_ns;
    int32_t up =
        scale_extreme(&state->lowest, false, recommended, now_ns, policy->up.window_s * NS_PER_S);
    int32_t down =
        scale_extreme(&state->highest, true, recommended, now_ns, policy->down.window_s * NS_PER_S);

    record(state, recommended, now_ns);
    int32_t to = draft->input->current;
    to = to < up ? up : to;
    return to > down ? down : to;
}

/* Steps, then bounds; *reason stays unless they cut something. */
static int32_t limit(const struct scale_state *state, const struct scale_draft *draft,
                     int32_t wanted, enum scale_reason *reason)
{
    const struct scale_policy *policy = draft->policy;
    int32_t current = draft->input->current;
    uint64_t now_ns = draft->input->now_ns;

    if (wanted > current) {
        int32_t most = scale_limit_up(&policy->up, current, &state->ups, &state->downs, now_ns);
        bool step = most < policy->max_replicas;
        if (!step)
            most = policy->max_replicas;
        if (wanted > most) {
            *reason = step ? SCALE_UP_LIMITED : SCALE_TOO_MANY;
            return most;
        }
    } else if (wanted < current) {
        int32_t least =
            scale_limit_down(&policy->down, current, &state->ups, &state->downs, now_ns);
        bool step = least > policy->min_replicas;
        if (!step)
            least = policy->min_replicas;
        if (wanted < least) {
            *reason = step ? SCALE_DOWN_LIMITED : SCALE_TOO_FEW;
            return least;
        }
    }
    return wanted;
}

/* A burst goes past windows and steps, not past the bounds. */
static void look_for_burst(struct scale_state *state, const struct scale_draft *draft,
                           struct scale_decision *d)
{
    const struct scale_policy *policy = draft->policy;

    if (policy->up.select == SCALE_SELECT_DISABLED)
        state->panic = (struct scale_panic){.on = false};
    else
        scale_panic_look(&state->panic, &policy->panic, draft->worth, d->ready,
                         draft->input->current, draft->input->now_ns);
    d->panicking = state->panic.on;
    int32_t asked = clamped(state->panic.replicas, policy->min_replicas, policy->max_replicas);
    if (d->panicking && asked > d->desired) {
        d->desired = asked;
        d->reason = SCALE_PANIC;
    }
}

static void follow_metrics(struct scale_state *state, struct scale_draft *draft,
                           struct scale_decision *d)
{
    const struct scale_input *input = draft->input;

    ask_metrics(draft, d);
    if (d->metric < 0 || (draft->silent > 0 && d->recommended < input->current)) {
        d->recommended = -1;
        d->metric = -1;
        d->desired = input->current;
        d->reason = SCALE_NO_FIGURES;
        d->panicking = state->panic.on;
        return;
    }
    /* Past maxReplicas all recommendations are alike; so the history has a bounded size. */
    int32_t recommended = clamped(d->recommended, 0, draft->policy->max_replicas);
    draft->stabilized = stabilize(state, draft, recommended);
    if (draft->stabilized != recommended)
        d->reason = recommended >= input->current ? SCALE_UP_STABILIZED : SCALE_DOWN_STABILIZED;
    else if (recommended < d->recommended)
        d->reason = SCALE_TOO_MANY;
    d->desired = limit(state, draft, draft->stabilized, &d->reason);
    look_for_burst(state, draft, d);
}

void scale_decide(struct scale_state *state, const struct scale_policy *policy,
                  const struct scale_input *input, struct scale_decision *ret_decision)
{
    struct scale_draft draft = {.policy = policy, .input = input, .panic = &state->panic};
    struct scale_decision d = {.desired = input->current,
                               .recommended = -1,
                               .metric = -1,
                               .ready = count_ready(input),
                               .reason = SCALE_WITHIN_RANGE};

    if (!state->started)
        record(state, clamped(input->current, 0, policy->max_replicas), input->now_ns);
    state->started = true;
    if (!settle_without_metrics(policy, input->current, &d))
        follow_metrics(state, &draft, &d);
    d.message = scale_message(&draft, &d);
    *ret_decision = d;
}

void scale_applied(struct scale_state *state, const struct scale_policy *policy, int32_t from,
                   int32_t to, uint64_t now_ns)
{
    /* A step of one direction counts changes of the other too, so both are kept for the longest. */
    uint64_t up_ns = scale_longest_period_ns(&policy->up);
    uint64_t down_ns = scale_longest_period_ns(&policy->down);
    uint64_t keep_ns = up_ns > down_ns ? up_ns : down_ns;

    if (to > from)
        scale_changes_add(&state->ups, to - from, now_ns, keep_ns);
    else if (to < from)
        scale_changes_add(&state->downs, from - to, now_ns, keep_ns);
}

void scale_decision_free(struct scale_decision *decision)
{
    free(decision->message);
    decision->message = NULL;
}

void scale_state_free(struct scale_state *state)
{
    scale_points_free(&state->highest);
    scale_points_free(&state->lowest);
    scale_points_free(&state->ups);
    scale_points_free(&state->downs);
    *state = (struct scale_state){.started = false};
}
