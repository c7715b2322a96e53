/* Whether the model's time is kept. */
#include <math.h>

#include "agent/crossing_private.h"
#include "base/clock.h"
#include "base/log.h"

bool crossing_busy(const struct io *io)
{
    return io->now_ns < io->crossing.busy_until_ns;
}

/* So many late ones, and such a part of all, are too many for any figure to be believed. */
enum { LATE_COUNT_MIN = 3, LATE_PART = 20 };

/* A second in which fewer cross says little: the next ones are looked at with it, so many at most.
 * On a host that is busy enough few cross, and all are late. */
enum { WINDOW_MESSAGES = 20, WINDOW_SECONDS = 10 };

/* How long that is said: a scrape every few seconds should see it. */
#define BUSY_NS (5 * NS_PER_S)

static void count_rounds(const struct crossing *c, uint64_t *ret_rounds, uint64_t *ret_late)
{
    *ret_rounds = *ret_late = 0;
    for (unsigned i = 0; i < POD_DIRECTIONS; i++)
        if (c->proxies[i]) {
            *ret_rounds += proxy_rounds(c->proxies[i]);
            *ret_late += proxy_late(c->proxies[i]);
        }
}

static bool too_many(uint64_t late, uint64_t all)
{
    return late >= LATE_COUNT_MIN && late * LATE_PART > all;
}

void crossing_look(struct io *io)
{
    struct crossing *c = &io->crossing;
    uint64_t rounds, late;
    count_rounds(c, &rounds, &late);
    bool busy = too_many(c->window_late, c->window_crossed) ||
                too_many(late - c->window_late_rounds, rounds - c->window_rounds);
    metric_add(io->agent->metrics.late, (double)(late - c->told_late_rounds));
    c->told_late_rounds = late;
    c->window_ends_ns = io->now_ns + NS_PER_S;
    if (!busy && ++c->window_seconds < WINDOW_SECONDS &&
        c->window_crossed + rounds - c->window_rounds < WINDOW_MESSAGES) {
        if (crossing_busy(io)) /* nothing has told otherwise yet */
            c->busy_until_ns += NS_PER_S;
        return;
    }
    if (busy && (!c->logged_ns || io->now_ns - c->logged_ns > 60 * NS_PER_S)) {
        log_warn("the host is too busy to keep the model's time; figures of now are not the "
                 "model's",
                 LOG_U64("late", c->window_late + late - c->window_late_rounds),
                 LOG_U64("of", c->window_crossed + rounds - c->window_rounds));
        c->logged_ns = io->now_ns;
    }
    if (busy)
        c->busy_ns = io->now_ns;
    c->busy_until_ns = c->busy_ns ? c->busy_ns + BUSY_NS : 0;
    c->window_crossed = c->window_late = 0;
    c->window_rounds = rounds;
    c->window_late_rounds = late;
    c->window_seconds = 0;
}

void crossing_record(struct io *io, const struct pod_message *message)
{
    const struct agent_metrics *m = &io->agent->metrics;
    double asked_ns = message->done_ns - message->begun_ns;
    double late_ns = fmax(0, (double)io->now_ns - message->done_ns);
    if (io->trace)
        trace_asked(io, message->id, asked_ns);
    metric_observe(m->delay_asked[message->direction], asked_ns / 1e9);
    metric_observe(m->delay_delivered[message->direction], (asked_ns + late_ns) / 1e9);
    io->crossing.window_crossed++;
    if (late_ns > 50e3 + asked_ns / 10) {
        io->crossing.window_late++;
        metric_add(m->late, 1);
    }
}
