#include <criterion/criterion.h>

#include "base/clock.h"
#include "scale/limit.h"

#define NOW (1000 * NS_PER_S)

/* generateEventsUniformDistribution({1, 5, 9}, 120) of horizontal_test.go: 100, 60 and 20 s ago. */
static void three_changes(struct scale_points *changes)
{
    scale_changes_add(changes, 1, NOW - 100 * NS_PER_S, NOW);
    scale_changes_add(changes, 5, NOW - 60 * NS_PER_S, NOW);
    scale_changes_add(changes, 9, NOW - 20 * NS_PER_S, NOW);
}

static struct scale_rules rules_of(int32_t pods, uint32_t pods_s, int32_t percent,
                                   uint32_t percent_s)
{
    struct scale_rules rules = {.select = SCALE_SELECT_MAX};

    if (pods)
        rules.steps[rules.step_count++] = (struct scale_step){SCALE_PODS, pods, pods_s};
    if (percent)
        rules.steps[rules.step_count++] = (struct scale_step){SCALE_PERCENT, percent, percent_s};
    return rules;
}

/* The rows of TestScalingWithRules that a limit decides; `events`: ups when going up, else downs.
 */
static const struct {
    int32_t pods;
    uint32_t pods_s;
    int32_t percent;
    uint32_t percent_s;
    bool up, events;
    int32_t current, limit;
} rows[] = {
    {0, 0, 1, 60, true, false, 3, 4},       {20, 60, 0, 0, false, false, 1000, 980},
    {4, 15, 100, 15, true, false, 10, 20}, /* the default behaviour */
    {4, 15, 100, 15, true, false, 1, 5},    {100, 60, 100, 60, true, false, 10, 110},
    {2, 60, 100, 60, true, false, 10, 20},  {30, 60, 0, 0, true, false, 10, 40},
    {0, 0, 200, 60, true, false, 10, 30},   {20, 60, 1, 60, false, false, 100, 80},
    {2, 60, 1, 60, false, false, 100, 98},  {5, 60, 0, 0, false, false, 10, 5},
    {0, 0, 50, 60, false, false, 10, 5},    {100, 60, 0, 0, false, false, 10, 0},
    {300, 60, 0, 0, true, true, 100, 391},  {5, 120, 0, 0, true, true, 100, 100},
    {150, 120, 0, 0, true, true, 100, 235}, {0, 0, 200, 120, true, true, 100, 255},
    {0, 0, 100, 15, false, true, 10, 0},    {5, 120, 0, 0, false, true, 100, 100},
    {0, 0, 2, 120, false, true, 100, 100},  {0, 0, 100000, 15, true, false, 1000, 1001000},
};

Test(limit, as_hpa_has_it)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct scale_points changes = {.count = 0}, none = {.count = 0};
        struct scale_rules rules =
            rules_of(rows[i].pods, rows[i].pods_s, rows[i].percent, rows[i].percent_s);
        if (rows[i].events)
            three_changes(&changes);
        int32_t got = rows[i].up ? scale_limit_up(&rules, rows[i].current, &changes, &none, NOW)
                                 : scale_limit_down(&rules, rows[i].current, &none, &changes, NOW);
        cr_expect_eq(got, rows[i].limit, "row %zu: %d, expected %d", i, got, rows[i].limit);
        scale_points_free(&changes);
    }
}

Test(limit, changes_of_both_directions_count)
{
    /* "scaleUp with percent policy and previous scale up and down events" */
    struct scale_points ups = {.count = 0}, downs = {.count = 0};
    struct scale_rules rules = rules_of(0, 0, 300, 300);

    scale_changes_add(&ups, 4, NOW - 60 * NS_PER_S, NOW);
    scale_changes_add(&downs, 2, NOW - 60 * NS_PER_S, NOW);
    cr_expect_eq(scale_limit_up(&rules, 6, &ups, &downs, NOW), 16);
    scale_points_free(&ups);
    scale_points_free(&downs);
}

Test(limit, never_against_its_direction)
{
    struct scale_points changes = {.count = 0}, none = {.count = 0};
    struct scale_rules rules = rules_of(5, 120, 0, 0);

    rules.select = SCALE_SELECT_MIN;
    three_changes(&changes);
    cr_expect_eq(scale_limit_up(&rules, 100, &changes, &none, NOW), 100);
    cr_expect_eq(scale_limit_down(&rules, 100, &none, &changes, NOW), 100);
    scale_points_free(&changes);
}

Test(limit, select_policy)
{
    struct scale_points none = {.count = 0};
    struct scale_rules rules = rules_of(3, 60, 100, 60);

    cr_expect_eq(scale_limit_up(&rules, 10, &none, &none, NOW), 20);
    cr_expect_eq(scale_limit_down(&rules, 10, &none, &none, NOW), 0);
    rules.select = SCALE_SELECT_MIN;
    cr_expect_eq(scale_limit_up(&rules, 10, &none, &none, NOW), 13);
    cr_expect_eq(scale_limit_down(&rules, 10, &none, &none, NOW), 7);
    rules.select = SCALE_SELECT_DISABLED;
    cr_expect_eq(scale_limit_up(&rules, 10, &none, &none, NOW), 10);
    cr_expect_eq(scale_limit_down(&rules, 10, &none, &none, NOW), 10);
    cr_expect_eq(scale_longest_period_ns(&rules), 60 * NS_PER_S);
}
