/* The states of a circuit breaker, under a clock of our own. */
#include <criterion/criterion.h>

#include "model/breaker.h"
#include "model/random.h"

static const struct breaker_settings settings = {.failures = 3, .open_ns = 1000, .probes = 2};

/* A call at one time, from its beginning to its end; whether it was made. */
static bool call(struct breaker *breaker, bool fails, uint64_t now_ns)
{
    uint32_t pass = breaker_admit(breaker, &settings, now_ns);
    if (pass != BREAKER_REFUSED)
        breaker_tell(breaker, &settings, pass, fails, now_ns);
    return pass != BREAKER_REFUSED;
}

static void open_at(struct breaker *breaker, uint64_t now_ns)
{
    for (unsigned i = 0; i < settings.failures; i++)
        cr_assert(call(breaker, true, now_ns));
    cr_assert_eq(breaker->state, BREAKER_OPEN);
}

Test(breaker, only_failures_in_a_row_open_it)
{
    struct breaker breaker = {0};
    for (unsigned i = 0; i < 99; i++)
        cr_assert(call(&breaker, i % 3 != 2, 5), "two of three fail, never three in a row");
    cr_assert_eq(breaker.state, BREAKER_CLOSED);
    open_at(&breaker, 5);
}

Test(breaker, open_it_lets_nothing_through_until_its_time_is_over)
{
    struct breaker breaker = {0};
    open_at(&breaker, 50);
    cr_assert_not(call(&breaker, false, 50));
    cr_assert_not(call(&breaker, false, 1049));
    cr_assert_eq(breaker.state, BREAKER_OPEN);
    cr_assert(call(&breaker, false, 1050));
    cr_assert_eq(breaker.state, BREAKER_HALF_OPEN);
}

Test(breaker, half_open_it_lets_so_many_probes_through)
{
    struct breaker breaker = {0};
    open_at(&breaker, 0);
    uint32_t first = breaker_admit(&breaker, &settings, 1000);
    uint32_t second = breaker_admit(&breaker, &settings, 1000);
    cr_assert_neq(first, BREAKER_REFUSED);
    cr_assert_neq(second, BREAKER_REFUSED);
    for (unsigned i = 0; i < 10; i++)
        cr_assert_eq(breaker_admit(&breaker, &settings, 5000), BREAKER_REFUSED);
    breaker_tell(&breaker, &settings, second, false, 5000);
    cr_assert_eq(breaker.state, BREAKER_HALF_OPEN);
    cr_assert_eq(breaker_admit(&breaker, &settings, 5000), BREAKER_REFUSED, "a probe is still out");
    breaker_tell(&breaker, &settings, first, false, 6000);
    cr_assert_eq(breaker.state, BREAKER_CLOSED);
    open_at(&breaker, 7000);
}

Test(breaker, a_failed_probe_opens_it_for_its_whole_time)
{
    struct breaker breaker = {0};
    open_at(&breaker, 0);
    cr_assert(call(&breaker, false, 1000));
    cr_assert(call(&breaker, true, 1500));
    cr_assert_eq(breaker.state, BREAKER_OPEN);
    cr_assert_not(call(&breaker, false, 2499));
    cr_assert(call(&breaker, false, 2500));
    cr_assert(call(&breaker, false, 2500));
    cr_assert_eq(breaker.state, BREAKER_CLOSED);
}

Test(breaker, calls_of_before_tell_nothing_about_now)
{
    struct breaker breaker = {0};
    uint32_t old[8];
    for (unsigned i = 0; i < 8; i++)
        old[i] = breaker_admit(&breaker, &settings, 0);
    for (unsigned i = 0; i < 3; i++)
        breaker_tell(&breaker, &settings, old[i], true, 10);
    cr_assert_eq(breaker.state, BREAKER_OPEN);
    breaker_tell(&breaker, &settings, old[3], true, 500);
    cr_assert_not(call(&breaker, false, 1009), "a late failure does not prolong it: %lu",
                  (unsigned long)breaker.until_ns);
    uint32_t probe = breaker_admit(&breaker, &settings, 1010);
    cr_assert_neq(probe, BREAKER_REFUSED);
    breaker_tell(&breaker, &settings, old[4], true, 1011);
    cr_assert_eq(breaker.state, BREAKER_HALF_OPEN, "an old failure is no failed probe");
    breaker_tell(&breaker, &settings, old[5], false, 1011);
    breaker_tell(&breaker, &settings, old[6], false, 1011);
    cr_assert_eq(breaker.state, BREAKER_HALF_OPEN, "nor is an old success one that went well");
    breaker_tell(&breaker, &settings, probe, true, 1012);
    cr_assert_eq(breaker.state, BREAKER_OPEN);
}

Test(breaker, never_stuck_whatever_happens)
{
    /* Random calls that end in random order: once calls go well it closes again. */
    struct random_stream dice;
    struct breaker breaker = {0};
    uint32_t out[16];
    unsigned count = 0;
    uint64_t now = 0;
    random_seed(&dice, 3, 0);
    for (unsigned round = 0; round < 2000; round++) {
        bool well = round % 20 == 19;
        for (unsigned step = 0; step < 50; step++, now += random_range(&dice, 0, 200)) {
            if (count < 16 && random_range(&dice, 0, 1)) {
                uint32_t pass = breaker_admit(&breaker, &settings, now);
                if (pass != BREAKER_REFUSED)
                    out[count++] = pass;
            } else if (count > 0) {
                unsigned which = (unsigned)random_range(&dice, 0, count - 1);
                bool fails = !well && random_range(&dice, 0, 2) > 0;
                breaker_tell(&breaker, &settings, out[which], fails, now);
                out[which] = out[--count];
            }
        }
        if (!well)
            continue;
        while (count > 0)
            breaker_tell(&breaker, &settings, out[--count], false, now);
        for (unsigned i = 0; i < 3; i++)
            call(&breaker, false, now += 1000);
        cr_assert_eq(breaker.state, BREAKER_CLOSED, "in round %u", round);
    }
}
