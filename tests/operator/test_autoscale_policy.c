/* What a DpuService asks for, in the words of lib/scale. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/memory.h"
#include "operator/autoscale_policy.h"

/* A DpuService with this spec, as YAML lines that are indented by two. */
static struct dpuservice *parse(const char *spec)
{
    cleanup_documents struct documents documents = DOCUMENTS_INIT;
    cleanup_problems struct problems problems = PROBLEMS_INIT;
    cleanup_free char *text = xasprintf("apiVersion: dpumesh.io/v1alpha1\nkind: DpuService\n"
                                        "metadata: {name: s0}\nspec:\n%s",
                                        spec);
    struct dpuservice *service = NULL;
    cr_assert_eq(documents_parse(text, strlen(text), "app.yaml", &documents, &problems), 0);
    cr_assert_eq(dpuservice_parse(&documents.items[0], &service, &problems), 0, "%s",
                 problems.count ? problems.texts[0] : "");
    return service;
}

/* What is not said is as HPA and Knative have it. */
Test(autoscale_policy, defaults)
{
    cleanup_dpuservice struct dpuservice *service =
        parse("  resources: {limits: {cpu: 1500m}}\n  autoscaling: {maxReplicas: 9}\n");
    struct scale_policy made, expected;
    scale_policy_default(&expected);
    expected.max_replicas = 9;
    expected.metric_count = 1;
    expected.metrics[0] = (struct scale_metric){SCALE_CPU, SCALE_UTILIZATION, 80};
    cr_assert_eq(autoscale_policy_make(service, &made, NULL), 0);
    cr_expect_eq(made.min_replicas, expected.min_replicas);
    cr_expect_eq(made.max_replicas, expected.max_replicas);
    cr_assert_eq(made.metric_count, 1);
    cr_expect_eq(made.metrics[0].signal, SCALE_CPU);
    cr_expect_eq(made.metrics[0].type, SCALE_UTILIZATION);
    cr_expect_eq(made.metrics[0].target, 80);
    const struct scale_rules *got[] = {&made.up, &made.down};
    const struct scale_rules *want[] = {&expected.up, &expected.down};
    for (size_t i = 0; i < 2; i++) {
        cr_expect_eq(got[i]->window_s, want[i]->window_s);
        cr_expect_eq(got[i]->select, want[i]->select);
        cr_expect_eq(got[i]->tolerance, want[i]->tolerance);
        cr_expect_eq(got[i]->step_count, want[i]->step_count);
    }
    cr_expect_eq(made.panic.stable_window_s, expected.panic.stable_window_s);
    cr_expect_eq(made.panic.window_percent, expected.panic.window_percent);
    cr_expect_eq(made.panic.threshold_percent, expected.panic.threshold_percent);
    cr_expect_eq(autoscale_cpu_milli(service), 1500, "a limit is the request where there is none");
}

/* A behavior that names one direction has the other's defaults, as the CRD's schema fills them in.
 */
Test(autoscale_policy, everything_said)
{
    cleanup_dpuservice struct dpuservice *service =
        parse("  resources: {requests: {cpu: 250m}, limits: {cpu: 1}}\n"
              "  autoscaling:\n"
              "    minReplicas: 2\n"
              "    maxReplicas: 20\n"
              "    metrics:\n"
              "    - {signal: requestsPerSecond, averageValue: 0.5k}\n"
              "    - {signal: inFlight, averageValue: 2500m}\n"
              "    - {signal: queueOccupancy, averageUtilization: 30}\n"
              "    - {signal: cpu, averageValue: 200m}\n"
              "    - {signal: cpu, averageUtilization: 70}\n"
              "    - {signal: dpuUtilization, averageUtilization: 60}\n"
              "    behavior:\n"
              "      scaleUp:\n"
              "        tolerance: 0\n"
              "        selectPolicy: Min\n"
              "        stabilizationWindowSeconds: 7\n"
              "        policies:\n"
              "        - {type: Percent, value: 50, periodSeconds: 30}\n"
              "        - {type: Pods, value: 3, periodSeconds: 60}\n"
              "    panic: {stableWindowSeconds: 0}\n");
    static const struct scale_metric metrics[] = {
        {SCALE_REQUESTS_PER_SECOND, SCALE_AVERAGE_VALUE, 500000},
        {SCALE_IN_FLIGHT, SCALE_AVERAGE_VALUE, 2500},
        {SCALE_QUEUE_OCCUPANCY, SCALE_UTILIZATION, 30},
        {SCALE_CPU, SCALE_AVERAGE_VALUE, 200},
        {SCALE_CPU, SCALE_UTILIZATION, 70},
        {SCALE_DPU_UTILIZATION, SCALE_UTILIZATION, 60},
    };
    struct scale_policy policy;
    cr_assert_eq(autoscale_policy_make(service, &policy, NULL), 0);
    cr_expect_eq(policy.min_replicas, 2);
    cr_assert_eq(policy.metric_count, sizeof metrics / sizeof metrics[0]);
    for (size_t i = 0; i < policy.metric_count; i++) {
        cr_expect_eq(policy.metrics[i].signal, metrics[i].signal, "%zu", i);
        cr_expect_eq(policy.metrics[i].type, metrics[i].type, "%zu", i);
        cr_expect_eq(policy.metrics[i].target, metrics[i].target, "%zu", i);
    }
    cr_expect_eq(policy.up.window_s, 7);
    cr_expect_eq(policy.up.select, SCALE_SELECT_MIN);
    cr_expect_eq(policy.up.tolerance, 0);
    cr_assert_eq(policy.up.step_count, 2);
    cr_expect_eq(policy.up.steps[0].type, SCALE_PERCENT);
    cr_expect_eq(policy.up.steps[0].value, 50);
    cr_expect_eq(policy.up.steps[1].type, SCALE_PODS);
    cr_expect_eq(policy.up.steps[1].period_s, 60);
    cr_expect_eq(policy.down.window_s, 300);
    cr_expect_eq(policy.down.tolerance, 0.1);
    cr_expect_eq(policy.down.step_count, 1);
    cr_expect_eq(policy.panic.stable_window_s, 0);
    cr_expect_eq(autoscale_cpu_milli(service), 250);
}
