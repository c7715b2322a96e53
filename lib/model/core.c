#include "model/core.h"

#include <math.h>

void core_init(struct core *core, const struct core_settings *settings, uint64_t seed)
{
    *core = (struct core){.settings = *settings, .stall_begin_ns = INFINITY};
    if (settings->pace == 0)
        core->settings.pace = 1;
    random_seed(&core->stream, seed, 0);
    random_seed(&core->eager_stream, seed, 1);
    core->eager_part = random_unit(&core->eager_stream);
    if (settings->stall_ns > 0 && settings->share < 1) {
        core->stall_gap_ns = settings->stall_ns * settings->share / (1 - settings->share);
        core->stall_begin_ns = random_exponential(&core->stream, core->stall_gap_ns);
    }
}

/* Waiting is the integral of the queue's length over time (Little's law). */
static void count_waiting(struct core *core, double now_ns)
{
    if (now_ns > core->counted_ns) {
        core->account.wait_ns += core->waiting * (now_ns - core->counted_ns);
        core->counted_ns = now_ns;
    }
}

/* What waits ends the hold-off; bytes: of the last message. */
static bool eager(const struct core *core, double bytes)
{
    const struct core_settings *settings = &core->settings;

    return (settings->eager_bytes > 0 &&
            core->waiting_bytes + core->eager_part * bytes >= settings->eager_bytes) ||
           (settings->eager_messages > 0 && core->waiting >= settings->eager_messages);
}

void core_offer(struct core *core, double now_ns, double service_ns, double bytes)
{
    struct account *account = &core->account;

    count_waiting(core, now_ns);
    if (core->waiting == 0)
        core->first_ns = now_ns;
    if (core->waiting > 0 || core->free_ns > now_ns || core->earliest_ns > now_ns)
        account->waits++;
    core->waiting++;
    core->service_ns += service_ns;
    core->waiting_bytes += bytes;
    if (eager(core, bytes))
        core->earliest_ns = fmin(core->earliest_ns, now_ns);
    account->bytes += bytes;
    if (core->waiting > (double)account->high_water)
        account->high_water = (size_t)core->waiting;
}

/*
 * Stalls are not drawn one by one after an idle time of so many, for then the last says next to
 * nothing of the next, and in a work of so many: they take their mean, within 10 % of it (one
 * standard deviation).
 */
static const double idle_stalls_max = 8, work_stalls_max = 100;

/* Whether a clock that shows at_ns has digits for the gaps between stalls. */
static bool has_stalls(const struct core *core, double at_ns)
{
    return core->stall_gap_ns > at_ns * 1e-15;
}

/* Forgets the stalls of a long idle time: others have the core at at_ns in 1 - share of all cases,
 * since anywhere in their stall, and the gaps between stalls are exponential, thus memoryless. */
static void forget_stalls(struct core *core, double at_ns)
{
    if (random_unit(&core->stream) < core->settings.share)
        core->stall_begin_ns = at_ns + random_exponential(&core->stream, core->stall_gap_ns);
    else
        core->stall_begin_ns = at_ns - core->settings.stall_ns * random_unit(&core->stream);
}

/* The first time from at_ns on at which nobody else has the core; forgets stalls that are over. */
static double after_stalls(struct core *core, double at_ns)
{
    double cycle_ns = core->settings.stall_ns + core->stall_gap_ns;
    double end_ns = core->stall_begin_ns + core->settings.stall_ns;

    if (at_ns - end_ns > idle_stalls_max * cycle_ns) {
        forget_stalls(core, at_ns);
        end_ns = core->stall_begin_ns + core->settings.stall_ns;
    }
    while (end_ns <= at_ns) {
        core->stall_begin_ns = end_ns + random_exponential(&core->stream, core->stall_gap_ns);
        end_ns = core->stall_begin_ns + core->settings.stall_ns;
    }
    return core->stall_begin_ns <= at_ns ? end_ns : at_ns;
}

double core_due_ns(struct core *core)
{
    if (core->waiting == 0)
        return INFINITY;
    double at_ns = fmax(core->first_ns, fmax(core->free_ns, core->earliest_ns));
    if (core->stall_begin_ns > at_ns || !has_stalls(core, at_ns))
        return at_ns;
    return after_stalls(core, at_ns);
}

/* When cpu_ns of work are done that begin at begin_ns. */
static double done_ns(struct core *core, double begin_ns, double cpu_ns)
{
    cpu_ns /= core->settings.pace;
    if (core->stall_gap_ns == 0)
        return begin_ns + cpu_ns / core->settings.share;
    /* The stall that the round has waited for is over. */
    if (core->stall_begin_ns < begin_ns)
        core->stall_begin_ns = begin_ns + random_exponential(&core->stream, core->stall_gap_ns);
    if (cpu_ns > work_stalls_max * core->stall_gap_ns || !has_stalls(core, begin_ns)) {
        double end_ns = begin_ns + cpu_ns / core->settings.share;
        core->stall_begin_ns = end_ns + random_exponential(&core->stream, core->stall_gap_ns);
        return end_ns;
    }
    double end_ns = begin_ns + cpu_ns;
    while (core->stall_begin_ns < end_ns) {
        end_ns += core->settings.stall_ns;
        core->stall_begin_ns +=
            core->settings.stall_ns + random_exponential(&core->stream, core->stall_gap_ns);
    }
    return end_ns;
}

double core_holdoff_ns(struct random_stream *stream, double mean_ns, bool polls)
{
    return polls ? 2 * mean_ns * random_unit(stream) : random_exponential(stream, mean_ns);
}

struct core_round core_round(struct core *core)
{
    const struct core_settings *settings = &core->settings;
    struct account *account = &core->account;
    struct core_round round = {.begin_ns = core_due_ns(core), .messages = (unsigned)core->waiting};
    double service_ns = core->service_ns;

    if (settings->batch_max > 0 && round.messages > settings->batch_max) {
        round.messages = settings->batch_max;
        service_ns *= round.messages / core->waiting;
    }
    core->waiting_bytes *= 1 - round.messages / core->waiting;
    double cpu_ns = settings->wake_ns + service_ns;
    round.end_ns = done_ns(core, round.begin_ns, cpu_ns);
    round.done_ns = round.end_ns - (1 - settings->wake_before) * settings->wake_ns / settings->pace;
    double before_ns = settings->wake_before * settings->wake_ns;
    round.serve_ns = round.begin_ns;
    if (before_ns > 0)
        round.serve_ns += (round.done_ns - round.begin_ns) * before_ns / (before_ns + service_ns);
    core->free_ns = round.end_ns;
    core->eager_part = random_unit(&core->eager_stream);
    core->earliest_ns = settings->polls ? round.end_ns : round.begin_ns;
    /* Nobody pauses who sees that there is more. */
    bool more = round.messages < core->waiting;
    if (settings->holdoff_ns > 0 && !(settings->polls && more))
        core->earliest_ns += core_holdoff_ns(&core->stream, settings->holdoff_ns, settings->polls);

    count_waiting(core, round.begin_ns);
    account->busy_ns += cpu_ns;
    account->operations++;
    account->messages += round.messages;
    core->waiting -= round.messages;
    core->service_ns = core->waiting > 0 ? core->service_ns - service_ns : 0;
    core->first_ns = round.begin_ns;
    return round;
}

double core_served_ns(const struct core_round *round, unsigned i, bool one_by_one)
{
    if (!one_by_one || i + 1 >= round->messages)
        return round->done_ns;
    return round->serve_ns + (round->done_ns - round->serve_ns) * (i + 1) / round->messages;
}
