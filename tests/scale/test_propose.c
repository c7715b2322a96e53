#include <criterion/criterion.h>
#include <errno.h>

#include "base/clock.h"
#include "pods.h"

struct proposal_case {
    const char *name; /* of HPA's own test, replica_calculator_test.go, without TestReplicaCalc */
    int32_t current;
    const char *pods;
    int64_t values[16];
    int64_t target;
    int32_t replicas;
    int64_t measured;
    int64_t ofs[8]; /* ofs[0] 0: 1000 each */
};

static const struct proposal_case utilizations[] = {
    {"ScaleUp", 3, "rrr", {300, 500, 700}, 30, 5, 50, {0}},
    {"ScaleUpUnreadyLessScale", 3, "srr", {300, 500, 700}, 30, 4, 60, {0}},
    {"ScaleUpUnreadyNoScale", 3, "rss", {400, 500, 700}, 30, 3, 40, {0}},
    {"ScaleDown", 5, "rrrrr", {100, 300, 500, 250, 250}, 50, 3, 28, {0}},
    {"ScaleDownExcludeUnreadyPods", 5, "rrrss", {100, 300, 500, 250, 250}, 50, 2, 30, {0}},
    {"ScaleDownExcludeUnscheduledPods", 5, "rpppp", {100}, 50, 1, 10, {0}},
    {"Tolerance", 3, "rrr", {1010, 1030, 1020}, 100, 3, 102, {900, 1000, 1100}},
    {"MissingMetrics", 4, "rrmm", {400, 95}, 100, 3, 24, {0}},
    {"MissingMetricsNoChangeEq", 2, "rm", {1000}, 100, 2, 100, {0}},
    {"MissingMetricsNoChangeGt", 2, "rm", {1900}, 100, 2, 190, {0}},
    {"MissingMetricsNoChangeLt", 2, "rm", {600}, 100, 2, 60, {0}},
    {"MissingMetricsUnreadyChange", 3, "srm", {100, 450}, 50, 3, 45, {0}},
    {"MissingMetricsUnreadyScaleUp", 3, "srm", {100, 2000}, 50, 4, 200, {0}},
    {"MissingMetricsUnreadyScaleDown", 4, "srrm", {100, 100, 100}, 50, 3, 10, {0}},
    {"MissingMetricsScaleDownTargetOver100",
     4,
     "srrm",
     {200, 100, 100},
     300,
     2,
     6,
     {1000, 1000, 2000, 2000}},
    {"DuringRollingUpdateWithMaxSurge", 2, "rrm", {100, 100}, 50, 2, 10, {0}},
    /* A pod that starts and is silent is missing, one that starts and speaks is not ready. */
    {"(groupPods)", 3, "rrx", {250, 250}, 100, 2, 25, {0}},
    {"(groupPods)", 3, "rrs", {250, 250, 250}, 100, 1, 25, {0}},
    /* Fewer pods than asked for: above the target nothing is taken away. */
    {"(change of metrics length)", 5, "rrm", {1800, 1800}, 100, 5, 180, {0}},
};

static const struct proposal_case averages[] = {
    {"ScaleUpCM", 3, "rrr", {20000, 10000, 30000}, 15000, 4, 20000, {0}},
    {"ScaleDownCM", 5, "rrrrr", {12000, 12000, 12000, 12000, 12000}, 20000, 3, 12000, {0}},
    {"ToleranceCM", 3, "rrr", {20000, 21000, 21000}, 20000, 3, 20666, {0}},
    {"PlainMetricMissingMetricsNoChangeEq",
     5,
     "rrrmm",
     {20000, 19000, 21000},
     20000,
     5,
     20000,
     {0}},
    {"DuringRollingUpdateWithMaxSurgeCM", 2, "rrm", {10000, 10000}, 17000, 2, 10000, {0}},
    /* Where we differ: HPA has 6 here, because it asks about readiness for cpu alone. */
    {"ScaleUpCMUnreadyHotCpuNoLessScale", 3, "rrs", {50000, 10000, 30000}, 15000, 4, 30000, {0}},
    /* The documentation's formula: ceil(current * measured / target); 200m for 100m doubles. */
    {"(documentation)", 3, "rrr", {200, 200, 200}, 100, 6, 200, {0}},
    {"(documentation)", 4, "rrrr", {50, 50, 50, 50}, 100, 2, 50, {0}},
    {"(tolerance's edge)",
     10,
     "rrrrrrrrrr",
     {1100, 1100, 1100, 1100, 1100, 1100, 1100, 1100, 1100, 1100},
     1000,
     10,
     1100,
     {0}},
    {"(over the edge)",
     10,
     "rrrrrrrrrr",
     {1101, 1101, 1101, 1101, 1101, 1101, 1101, 1101, 1101, 1101},
     1000,
     12,
     1101,
     {0}},
    {"(under the edge)",
     10,
     "rrrrrrrrrr",
     {899, 899, 899, 899, 899, 899, 899, 899, 899, 899},
     1000,
     9,
     899,
     {0}},
    {"(nothing to do)", 2, "rr", {0, 0}, 1000, 0, 0, {0}},
};

static void check(const struct proposal_case *c, enum scale_target_type type)
{
    struct scale_policy policy;
    struct scale_metric metric = {.signal = SCALE_CPU, .type = type, .target = c->target};
    struct scale_pod pods[16];
    struct scale_proposal got;

    scale_policy_default(&policy);
    struct scale_input input = {.current = c->current, .pods = pods};
    input.pod_count = pods_of(c->pods, c->values, c->ofs[0] ? c->ofs : NULL, SCALE_CPU, pods);
    cr_assert_eq(scale_propose(&policy, &metric, &input, &got), 0, "%s", c->name);
    cr_expect_eq(got.replicas, c->replicas, "%s: %d, expected %d", c->name, got.replicas,
                 c->replicas);
    cr_expect_eq(got.measured, c->measured, "%s: measured %ld", c->name, (long)got.measured);
}

Test(propose, as_hpa_does)
{
    for (size_t i = 0; i < sizeof(utilizations) / sizeof(utilizations[0]); i++)
        check(&utilizations[i], SCALE_UTILIZATION);
    for (size_t i = 0; i < sizeof(averages) / sizeof(averages[0]); i++)
        check(&averages[i], SCALE_AVERAGE_VALUE);
}

Test(propose, tolerance_of_each_direction)
{
    /* v1.34's behavior.scaleUp.tolerance: TestReplicaCalcConfigurableTolerance. */
    static const struct {
        double up, down;
        int64_t value;
        int32_t replicas;
    } cases[] = {{0.0, 0.1, 1001, 11}, {0.0, 0.1, 901, 10},  {0.1, 0.0, 999, 10},
                 {0.1, 0.0, 900, 9},   {0.5, 0.1, 1500, 10}, {0.5, 0.1, 1501, 16}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t values[10];
        struct scale_policy policy;
        struct scale_pod pods[10];
        struct scale_proposal got;
        struct scale_metric metric = {SCALE_IN_FLIGHT, SCALE_AVERAGE_VALUE, 1000};
        struct scale_input input = {.current = 10, .pods = pods};
        scale_policy_default(&policy);
        policy.up.tolerance = cases[i].up;
        policy.down.tolerance = cases[i].down;
        for (size_t j = 0; j < 10; j++)
            values[j] = cases[i].value;
        input.pod_count = pods_of("rrrrrrrrrr", values, NULL, SCALE_IN_FLIGHT, pods);
        cr_assert_eq(scale_propose(&policy, &metric, &input, &got), 0);
        cr_expect_eq(got.replicas, cases[i].replicas, "row %zu: %d", i, got.replicas);
    }
}

Test(propose, what_is_no_figure)
{
    struct scale_policy policy;
    struct scale_metric metric = {SCALE_QUEUE_OCCUPANCY, SCALE_UTILIZATION, 50};
    struct scale_pod pods[2];
    struct scale_proposal got = {.replicas = 77};
    static const int64_t half[] = {500, 500};
    struct scale_input input = {
        .current = 2, .pods = pods, .pod_count = 2, .now_ns = 100 * NS_PER_S};

    scale_policy_default(&policy);
    policy.figure_age_ns = 30 * NS_PER_S;
    pods_of("rr", half, NULL, SCALE_QUEUE_OCCUPANCY, pods);
    struct scale_figure *figure = &pods[0].figures[SCALE_QUEUE_OCCUPANCY];
    pods[1].figures[SCALE_QUEUE_OCCUPANCY].at_ns = 70 * NS_PER_S; /* just young enough */
    cr_assert_eq(scale_propose(&policy, &metric, &input, &got), 0);
    cr_expect(got.counted == 1 && got.missing == 1, "too old");
    figure->at_ns = 100 * NS_PER_S;
    cr_assert_eq(scale_propose(&policy, &metric, &input, &got), 0);
    cr_expect(got.counted == 2 && got.missing == 0 && got.replicas == 2);
    struct scale_figure whole = *figure;
    for (int i = 0; i < 4; i++) {
        *figure = whole;
        if (i == 0)
            figure->value_milli = -1;
        else if (i == 1)
            figure->value_milli = SCALE_TARGET_MAX_MILLI + 1;
        else if (i == 2)
            figure->of_milli = 0;
        else
            figure->of_milli = -5;
        cr_assert_eq(scale_propose(&policy, &metric, &input, &got), 0);
        cr_expect(got.missing == 1, "nonsense %d", i);
    }
    /* Nobody speaks: that is no opinion, and the output is left alone. */
    got.replicas = 77;
    input.pod_count = pods_of("mp", NULL, NULL, SCALE_QUEUE_OCCUPANCY, pods);
    cr_expect_eq(scale_propose(&policy, &metric, &input, &got), -ENODATA);
    input.pod_count = 0;
    cr_expect_eq(scale_propose(&policy, &metric, &input, &got), -ENODATA);
    cr_expect_eq(got.replicas, 77);
}

Test(propose, the_largest_figures_do_not_overflow)
{
    struct scale_policy policy;
    struct scale_pod *pods = calloc(SCALE_PODS_MAX, sizeof(*pods));
    struct scale_input input = {.current = 1000, .pods = pods, .pod_count = SCALE_PODS_MAX};
    struct scale_proposal got;

    scale_policy_default(&policy);
    for (size_t i = 0; i < SCALE_PODS_MAX; i++) {
        pods[i].phase = SCALE_POD_READY;
        pods[i].figures[SCALE_CPU] = (struct scale_figure){.known = i % 2,
                                                           .value_milli = SCALE_TARGET_MAX_MILLI,
                                                           .of_milli = SCALE_TARGET_MAX_MILLI};
    }
    for (int64_t target = 1; target <= 1000; target += 333) {
        struct scale_metric metric = {SCALE_CPU, SCALE_UTILIZATION, target};
        cr_assert_eq(scale_propose(&policy, &metric, &input, &got), 0);
        struct scale_metric average = {SCALE_CPU, SCALE_AVERAGE_VALUE, target};
        cr_assert_eq(scale_propose(&policy, &average, &input, &got), 0);
        cr_expect_eq(got.replicas, INT32_MAX);
    }
    free(pods);
}
