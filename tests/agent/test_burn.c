#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>

#include "agent/burn.h"
#include "base/clock.h"

static double cpu_of(struct burner *burner, double ns, unsigned times)
{
    uint64_t begin_ns = clock_thread_cpu_ns();
    for (unsigned i = 0; i < times; i++)
        burn(burner, ns);
    return (double)(clock_thread_cpu_ns() - begin_ns);
}

/* Whatever the pieces, so much of the thread's own CPU time goes; who shares the machine only takes
 * it away now and then, and a burst of that is waited out. */
Test(burn, burns_what_was_asked_for)
{
    static const double pieces_ns[] = {50, 300, 2000, 50000, 3e6};
    cr_assert_gt(burn_calibrate(), 0);
    for (unsigned i = 0; i < sizeof pieces_ns / sizeof *pieces_ns; i++) {
        struct burner burner = BURNER_INIT;
        unsigned times = (unsigned)(30e6 / pieces_ns[i]);
        double best = INFINITY, asked = pieces_ns[i] * times;
        for (unsigned tries = 0; tries < 40 && fabs(best - asked) > 0.15 * asked; tries++) {
            double took = cpu_of(&burner, pieces_ns[i], times);
            best = fabs(took - asked) < fabs(best - asked) ? took : best;
        }
        /* A call costs some nanoseconds itself, under a sanitizer some tens. */
        cr_expect(best > 0.85 * asked && best < 1.15 * asked + 40.0 * times,
                  "%g ns %u times took %g, not %g", pieces_ns[i], times, best, asked);
        cr_expect_float_eq(burner.asked_ns / asked, round(burner.asked_ns / asked), 1e-6);
    }
}

/* What it says that it burnt is what the clock says, although the clock is seldom asked. */
Test(burn, knows_what_it_burnt)
{
    burn_calibrate();
    for (unsigned tries = 0;; tries++) {
        struct burner burner = BURNER_INIT;
        double took = cpu_of(&burner, 5000, 10000);
        if (fabs(burner.burnt_ns - took) < 0.1 * took)
            break;
        cr_assert_lt(tries, 40, "burnt %g, the clock says %g", burner.burnt_ns, took);
    }
}

Test(burn, nothing_is_nothing)
{
    struct burner burner = BURNER_INIT;
    burn(&burner, 0);
    burn(&burner, -5);
    burn(&burner, NAN);
    cr_expect_eq(burner.burnt_ns, 0);
    cr_expect_eq(burner.asked_ns, 0);
}

/* Fractions of a turn are not lost: a million tiny pieces are as much as one large one. */
Test(burn, fractions_add_up)
{
    struct burner burner = BURNER_INIT;
    burn_calibrate();
    for (unsigned i = 0; i < 1000000; i++)
        burn(&burner, 0.5);
    cr_expect_float_eq(burner.asked_ns, 5e5, 1);
    cr_expect(burner.owed_turns >= 0 && burner.owed_turns < 1);
}
