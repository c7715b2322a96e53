#include <criterion/criterion.h>

#include "agent/wheel.h"
#include "model/random.h"

enum { TIMERS = 300 };

/* The last turn of all levels together takes 2^40 ticks: 208 days. */
#define TURN_NS (WHEEL_TICK_NS << 40)

struct timer {
    struct wheel_node node;
    uint64_t due_ns; /* when it must fire: its deadline, rounded up to a tick */
    uint64_t added_ns;
    uint64_t number; /* of the addition */
    bool present, at_once, far;
};

/* What the wheel should do, by looking through all timers each time. */
struct model {
    struct pool pool;
    struct wheel wheel;
    uint64_t now_ns, additions, fired, late_max_ns;
    uint32_t count;
};

static struct timer *timer_at(const struct model *m, uint32_t index)
{
    return pool_at(&m->pool, index);
}

static void model_init(struct model *m, uint64_t now_ns)
{
    *m = (struct model){.now_ns = now_ns};
    cr_assert_eq(pool_init(&m->pool, sizeof(struct timer), TIMERS, NULL), 0);
    for (uint32_t i = 0; i < TIMERS; i++)
        timer_at(m, i)->present = false;
    wheel_init(&m->wheel, &m->pool, now_ns);
    wheel_advance(&m->wheel, now_ns);
}

/* Adds a timer at now + delay_ns, which may be negative; false when there are too many. */
static bool add(struct model *m, int64_t delay_ns)
{
    uint32_t index = pool_take(&m->pool);
    if (index == POOL_NONE)
        return false;
    struct timer *t = timer_at(m, index);
    uint64_t deadline = m->now_ns + (uint64_t)delay_ns;
    if (delay_ns < 0 && m->now_ns < (uint64_t)-delay_ns)
        deadline = 0;
    *t = (struct timer){.node.deadline_ns = deadline,
                        .due_ns = (deadline + WHEEL_TICK_NS - 1) / WHEEL_TICK_NS * WHEEL_TICK_NS,
                        .added_ns = m->now_ns,
                        .number = m->additions++,
                        .present = true,
                        .far = delay_ns > (int64_t)(TURN_NS - (TURN_NS >> 7))};
    t->at_once = t->due_ns <= m->now_ns;
    m->count++;
    wheel_add(&m->wheel, index);
    cr_assert_eq(m->wheel.count, m->count);
    return true;
}

/* Whether a fires before b: by tick, then in the order they were added. What was overdue when it
 * was added comes first. */
static bool before(const struct timer *a, const struct timer *b)
{
    if (a->at_once != b->at_once)
        return a->at_once;
    if (!a->at_once && a->due_ns != b->due_ns)
        return a->due_ns < b->due_ns;
    return a->number < b->number;
}

/* The timer that fires next, due or not; NULL when there is none. */
static const struct timer *first(const struct model *m)
{
    const struct timer *best = NULL;
    for (uint32_t i = 0; i < m->pool.touched; i++) {
        const struct timer *t = timer_at(m, i);
        if (t->present && (!best || before(t, best)))
            best = t;
    }
    return best;
}

static void pop_all(struct model *m)
{
    uint32_t index;
    while ((index = wheel_pop(&m->wheel)) != POOL_NONE) {
        struct timer *t = timer_at(m, index);
        const struct timer *expected = first(m);
        cr_assert(t->present, "a timer fired twice");
        cr_assert_leq(t->node.deadline_ns, m->now_ns, "a timer fired %lu ns early",
                      (unsigned long)(t->node.deadline_ns - m->now_ns));
        /* Past the horizon a timer waits elsewhere, and may swap with others of its tick. */
        if (t != expected)
            cr_assert(t->due_ns == expected->due_ns && (t->far || expected->far),
                      "the timer due at %lu fired before the one due at %lu",
                      (unsigned long)t->due_ns, (unsigned long)expected->due_ns);
        uint64_t wanted = t->node.deadline_ns > t->added_ns ? t->node.deadline_ns : t->added_ns;
        if (m->now_ns - wanted > m->late_max_ns)
            m->late_max_ns = m->now_ns - wanted;
        t->present = false;
        pool_give(&m->pool, index);
        m->count--;
        m->fired++;
    }
    cr_assert_eq(m->wheel.count, m->count);
    const struct timer *left = first(m);
    cr_assert(!left || left->due_ns > m->now_ns, "a timer did not fire, %lu ns late",
              (unsigned long)(m->now_ns - left->due_ns));
}

static void advance(struct model *m, uint64_t now_ns)
{
    m->now_ns = now_ns;
    wheel_advance(&m->wheel, now_ns);
    pop_all(m);
}

/* The instant to advance at lies ahead, and no timer is due before it. */
static uint64_t next_ns(const struct model *m)
{
    uint64_t next = wheel_next_ns(&m->wheel);
    const struct timer *t = first(m);
    if (!t)
        cr_assert_eq(next, UINT64_MAX);
    else if (t->at_once)
        cr_assert_eq(next, 0);
    else
        cr_assert(next <= t->due_ns && next > m->now_ns);
    return next;
}

static void destroy(struct model *m)
{
    pool_destroy(&m->pool);
}

/* Each order of magnitude is as likely; multiples of slots more so. */
static int64_t some_delay(struct random_stream *r, unsigned bits_max)
{
    uint64_t power = UINT64_C(1) << random_range(r, 0, bits_max);
    switch (random_range(r, 0, 5)) {
    case 0:
        return (int64_t)power;
    case 1:
        return (int64_t)power - 1;
    case 2:
        return -(int64_t)random_range(r, 0, UINT64_C(1) << 22);
    default:
        return (int64_t)random_range(r, 0, power);
    }
}

/* Instants whose tick has many zeros or ones, where slots of all levels change together. */
static uint64_t some_start(struct random_stream *r)
{
    uint64_t edge = TURN_NS >> 8 * random_range(r, 0, 4);
    uint64_t before_it = random_range(r, 0, 1) ? random_range(r, 0, UINT64_C(1) << 34) : 0;
    return edge * random_range(r, 1, 200) - (before_it < edge ? before_it : edge);
}

/* A thread that sleeps until wheel_next_ns(): no timer is a full tick late. */
Test(wheel, fires_never_early_and_less_than_a_tick_late)
{
    struct random_stream r;
    struct model m;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        random_seed(&r, seed, 0);
        model_init(&m, some_start(&r));
        for (unsigned step = 0; step < 3000; step++) {
            for (uint64_t more = random_range(&r, 0, 3); more > 0; more--)
                add(&m, some_delay(&r, seed % 2 ? 34 : 50));
            uint64_t next = next_ns(&m);
            if (next == UINT64_MAX)
                continue;
            /* Overdue ones fire at once; else the thread may be woken before it is time. */
            if (next > m.now_ns && random_range(&r, 0, 3) == 0)
                next = random_range(&r, m.now_ns, next);
            advance(&m, next > m.now_ns ? next : m.now_ns);
        }
        cr_assert_gt(m.fired, 500);
        cr_assert_lt(m.late_max_ns, WHEEL_TICK_NS, "seed %lu", (unsigned long)seed);
        destroy(&m);
    }
}

/* The thread did not run for any time: everything due by then fires, in order. */
Test(wheel, jumps)
{
    struct random_stream r;
    struct model m;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        random_seed(&r, seed, 0);
        model_init(&m, some_start(&r));
        /* By up to 2^55 ns, two turns of the highest level; 2^63 would be the end of the clock. */
        for (unsigned step = 0; step < 2000 && m.now_ns < UINT64_C(1) << 62; step++) {
            for (uint64_t more = random_range(&r, 0, 6); more > 0; more--)
                add(&m, some_delay(&r, 56));
            next_ns(&m);
            uint64_t jump = UINT64_C(1) << random_range(&r, 0, 55);
            advance(&m, m.now_ns + (random_range(&r, 0, 1) ? jump : random_range(&r, 0, jump)));
        }
        cr_assert_gt(m.fired, 150);
        destroy(&m);
    }
}

/* Timers on both sides of the instant at which all levels begin anew, at each 208 days of uptime.
 */
Test(wheel, turn_of_the_highest_level)
{
    static const int64_t delays[] = {0,
                                     1,
                                     2,
                                     1000,
                                     WHEEL_TICK_NS,
                                     (int64_t)WHEEL_TICK_NS << 8,
                                     (int64_t)WHEEL_TICK_NS << 16,
                                     (int64_t)WHEEL_TICK_NS << 24,
                                     (int64_t)WHEEL_TICK_NS << 31,
                                     (int64_t)(TURN_NS - WHEEL_TICK_NS)};
    enum { DELAYS = sizeof delays / sizeof delays[0] };
    struct model m;
    for (uint64_t turns = 1; turns < 500; turns += 83)
        for (unsigned ahead = 0; ahead < DELAYS; ahead++) {
            model_init(&m, turns * TURN_NS - (uint64_t)delays[ahead]);
            for (unsigned i = 0; i < DELAYS; i++) {
                add(&m, delays[i]);
                add(&m, delays[i] + (int64_t)WHEEL_TICK_NS);
                add(&m, delays[ahead] + delays[i]);
            }
            unsigned steps = 0;
            while (m.count > 0) {
                uint64_t next = next_ns(&m);
                advance(&m, next > m.now_ns ? next : m.now_ns);
                /* A timer comes down by a level at most five times. */
                cr_assert_lt(++steps, DELAYS * 3 * (WHEEL_LEVELS + 3));
            }
            cr_assert_lt(m.late_max_ns, WHEEL_TICK_NS);
            destroy(&m);
        }
}

/* Delays of years are placed again each turn and fire in their tick. */
Test(wheel, past_the_horizon)
{
    struct model m;
    model_init(&m, UINT64_C(123456789012345));
    for (int64_t turn = 1; turn <= 40; turn++) {
        add(&m, turn * (int64_t)TURN_NS);
        add(&m, turn * (int64_t)TURN_NS + 12345678);
        add(&m, turn * (int64_t)TURN_NS - 12345678);
    }
    unsigned steps = 0;
    while (m.count > 0) {
        advance(&m, next_ns(&m));
        cr_assert_lt(++steps, 2000);
    }
    cr_assert_eq(m.fired, 120);
    cr_assert_lt(m.late_max_ns, WHEEL_TICK_NS);
    destroy(&m);
}
