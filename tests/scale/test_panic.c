#include <criterion/criterion.h>

#include "base/clock.h"
#include "scale/panic.h"

static const struct scale_panic_rules rules = {
    .stable_window_s = 60, .window_percent = 10, .threshold_percent = 200};

static void look(struct scale_panic *panic, double worth, unsigned ready, int32_t current,
                 uint64_t s)
{
    scale_panic_look(panic, &rules, worth, ready, current, s * NS_PER_S);
}

Test(panic, begins_at_the_threshold_and_outlasts_it)
{
    struct scale_panic panic = {.on = false};

    look(&panic, 3.9, 2, 2, 10);
    cr_expect(!panic.on);
    look(&panic, 4.0, 2, 2, 20);
    cr_expect(panic.on && panic.replicas == 4);
    look(&panic, 7.2, 2, 4, 30);
    cr_expect(panic.on && panic.replicas == 8);
    /* Less load takes nothing away; the last look over the threshold was at 30 s. */
    look(&panic, 1.0, 8, 8, 40);
    cr_expect(panic.on && panic.replicas == 8);
    look(&panic, 1.0, 8, 8, 90);
    cr_expect(panic.on && panic.replicas == 8);
    look(&panic, 1.0, 8, 8, 91);
    cr_expect(!panic.on && panic.replicas == 0);
}

Test(panic, looks_at_the_mean_of_its_window)
{
    struct scale_panic panic = {.on = false};

    for (uint64_t s = 0; s < 10; s++)
        look(&panic, 1, 1, 1, s);
    look(&panic, 6, 1, 1, 10); /* 5, 6, 7, 8, 9 and 10 s: (5 * 1 + 6) / 6 */
    cr_expect(!panic.on);
    cr_expect_float_eq(panic.mean, 11.0 / 6, 1e-9);
    look(&panic, 6, 1, 1, 11);
    cr_expect(panic.on && panic.replicas == 3, "16 / 6 rounded up");
    /* 3.3 * 10 / 3 is a hair above 11: that is not 12. */
    panic = (struct scale_panic){.on = false};
    look(&panic, 11.000000000000002, 5, 5, 20);
    cr_expect_eq(panic.replicas, 11);
    /* Many looks in one window: bounded, the latest count. */
    panic = (struct scale_panic){.on = false};
    for (uint64_t i = 0; i < 1000; i++)
        scale_panic_look(&panic, &rules, (double)i, 1000, 1000, i * NS_PER_MS);
    cr_expect_float_eq(panic.mean, 999 - (SCALE_LOADS_MAX - 1) / 2.0, 1e-9);
}

Test(panic, is_no_panic)
{
    struct scale_panic panic = {.on = false};

    /* A little over the target at one replica: Knative's rounding would make it one. */
    look(&panic, 1.05, 1, 1, 1);
    cr_expect(!panic.on);
    /* None ready counts as one. */
    look(&panic, 1.9, 0, 5, 10);
    cr_expect(!panic.on);
    /* Replicas on their way are kept. */
    look(&panic, 2.0, 0, 5, 20);
    cr_expect(panic.on && panic.replicas == 5);
    /* Switched off. */
    struct scale_panic_rules off = rules;
    off.stable_window_s = 0;
    scale_panic_look(&panic, &off, 100, 1, 1, 30 * NS_PER_S);
    cr_expect(!panic.on && panic.count == 0);
}
