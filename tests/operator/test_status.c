#include <criterion/criterion.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "operator/status.h"

static const struct dpuservice service = {
    .replicas = 2,
    .service = {.bridge_port = 5005},
    .egress.latency = {.kind = DISTRIBUTION_CONSTANT, .value_ns = 50 * NS_PER_MS}};

#define NOW  (UINT64_C(1700000000) * NS_PER_S)
#define THEN "2023-11-14T22:13:20Z"

static struct status_input input_of(const struct child_view *deployment)
{
    return (struct status_input){.service = &service,
                                 .generation = 4,
                                 .deployment = deployment,
                                 .pod_cause = "",
                                 .pod_message = "",
                                 .namespace = "shop",
                                 .name = "s0"};
}

/* A Deployment whose rollout has ended well. */
static struct child_view whole(void)
{
    return (struct child_view){.generation = 3,
                               .observed_generation = 3,
                               .wanted = 2,
                               .replicas = 2,
                               .updated = 2,
                               .ready = 2,
                               .available = 2,
                               .scaler = "",
                               .message = "",
                               .template_hash = ""};
}

/* Each of the three conditions as one letter: R, r, ... */
static void expect_conditions(const json_t *status, const char *letters, const char *reason,
                              const char *message)
{
    char got[4] = {status_is_true(status, "Ready") ? 'R' : '-',
                   status_is_true(status, "Reconciling") ? 'c' : '-',
                   status_is_true(status, "Stalled") ? 'S' : '-', '\0'};
    cr_expect_str_eq(got, letters, "%s: %s, expected %s", reason, got, letters);
    cr_expect_str_eq(status_reason(status, "Ready"), reason);
    cr_expect_str_eq(status_message(status, "Ready"), message, "%s",
                     status_message(status, "Ready"));
    cr_expect_str_eq(status_reason(status, "Reconciling"), got[1] == 'c' ? reason : "Settled");
    cr_expect_str_eq(status_reason(status, "Stalled"), got[2] == 'S' ? reason : "NoObstacle");
    size_t i;
    const json_t *condition;
    json_array_foreach(json_object_get(status, "conditions"), i, condition)
    {
        cr_expect_eq(json_integer_value(json_object_get(condition, "observedGeneration")), 4);
        cr_expect_str_eq(json_string_value(json_object_get(condition, "lastTransitionTime")), THEN);
    }
}

struct rollout {
    const char *letters, *reason, *message;
    struct child_view view; /* scaler, message and template_hash are filled in */
    const char *said;       /* by the Deployment */
    const char *cause;      /* of a pod */
    bool pod_ended;
    unsigned failing;
};

/* Figures of a Deployment whose controller is at its generation: wanted, replicas, updated, ready,
 * available. */
#define FIGURES(w, r, u, y, a)                                                                     \
    .wanted = (w), .replicas = (r), .updated = (u), .ready = (y), .available = (a)
#define POD(cause_, failing_) .cause = (cause_), .failing = (failing_)

static const struct rollout rollouts[] = {
    {.letters = "R--",
     .reason = "AllReplicasReady",
     .message = "2 of 2 replicas are ready",
     .view = {FIGURES(2, 2, 2, 2, 2)}},
    {.letters = "R--",
     .reason = "ScaledToZero",
     .message = "0 of 0 replicas are ready",
     .view = {FIGURES(0, 0, 0, 0, 0)}},
    /* Ready counts more than what was said on the way. */
    {.letters = "R--",
     .reason = "AllReplicasReady",
     .message = "1 of 1 replicas are ready",
     .view = {FIGURES(1, 1, 1, 1, 1), .late = true, .replica_failure = true},
     .said = "exceeded quota",
     POD("CrashLoopBackOff", 1)},
    {.letters = "-c-",
     .reason = "RollingOut",
     .message = "the Deployment's change has not been taken up yet",
     .view = {FIGURES(2, 2, 2, 2, 2), .generation = 4, .observed_generation = 3}},
    /* What an earlier version suffers from is no standstill of this one. */
    {.letters = "-c-",
     .reason = "RollingOut",
     .message = "the Deployment's change has not been taken up yet",
     .view = {FIGURES(2, 2, 2, 0, 0), .generation = 4, .observed_generation = 3, .late = true,
              .replica_failure = true},
     .said = "exceeded quota",
     POD("CrashLoopBackOff", 1)},
    {.letters = "-c-",
     .reason = "RollingOut",
     .message = "0 of 2 replicas are ready, 0 of the current version",
     .view = {FIGURES(2, 0, 0, 0, 0)}},
    {.letters = "-c-",
     .reason = "RollingOut",
     .message = "2 of 2 replicas are ready, 1 of the current version",
     .view = {FIGURES(2, 3, 1, 2, 2)}},
    {.letters = "-c-",
     .reason = "RollingOut",
     .message = "2 of 2 replicas are ready, 2 of the current version",
     .view = {FIGURES(2, 3, 2, 2, 2)}},
    {.letters = "-c-",
     .reason = "RollingOut",
     .message = "2 of 2 replicas are ready, 2 of the current version",
     .view = {FIGURES(2, 2, 2, 2, 1)}},
    {.letters = "-c-",
     .reason = "RollingOut",
     .message = "3 of 2 replicas are ready, 3 of the current version",
     .view = {FIGURES(2, 3, 3, 3, 3)}},
    {.letters = "--S",
     .reason = "QuotaExceeded",
     .message = "pods can't be made: pods \"x\" is forbidden: exceeded quota: few",
     .view = {FIGURES(2, 0, 0, 0, 0), .replica_failure = true},
     .said = "pods \"x\" is forbidden: exceeded quota: few"},
    {.letters = "--S",
     .reason = "PodsRefused",
     .message = "pods can't be made: violates PodSecurity",
     .view = {FIGURES(2, 0, 0, 0, 0), .replica_failure = true},
     .said = "violates PodSecurity"},
    {.letters = "--S",
     .reason = "ImagePullBackOff",
     .message = "0 of 2 replicas are ready; pod p: why",
     .view = {FIGURES(2, 2, 2, 0, 0), .late = true},
     .said = "too late",
     POD("ImagePullBackOff", 1)},
    {.letters = "--S",
     .reason = "CrashLoopBackOff",
     .message = "1 of 2 replicas are ready; pod p: why (and others)",
     .view = {FIGURES(2, 2, 2, 1, 1)},
     POD("CrashLoopBackOff", 2)},
    {.letters = "--S",
     .reason = "Unschedulable",
     .message = "0 of 2 replicas are ready; pod p: why",
     .view = {FIGURES(2, 2, 2, 0, 0)},
     POD("Unschedulable", 1)},
    {.letters = "--S",
     .reason = "PodFailed",
     .message = "0 of 2 replicas are ready; pod p: why",
     .view = {FIGURES(2, 2, 2, 0, 0)},
     POD("some words of a runtime", 1)},
    {.letters = "-c-",
     .reason = "Evicted",
     .message = "1 of 2 replicas are ready; pod p: why",
     .view = {FIGURES(2, 2, 2, 1, 1)},
     POD("Evicted", 1),
     .pod_ended = true},
    {.letters = "--S",
     .reason = "ProgressDeadlineExceeded",
     .message = "0 of 2 replicas are ready; has timed out progressing.",
     .view = {FIGURES(2, 2, 2, 0, 0), .late = true},
     .said = "has timed out progressing."},
};

Test(status, of_a_deployment)
{
    for (size_t i = 0; i < sizeof(rollouts) / sizeof(rollouts[0]); i++) {
        const struct rollout *r = &rollouts[i];
        struct child_view view = r->view;
        view.scaler = view.template_hash = "";
        view.message = r->said ? r->said : "";
        struct status_input input = input_of(&view);
        input.pod_cause = r->cause ? r->cause : "";
        input.pod_message = "pod p: why";
        input.pods_failing = r->failing;
        input.pod_ended = r->pod_ended;
        json_auto_t *status = status_make(&input, NULL, NOW);
        expect_conditions(status, r->letters, r->reason, r->message);
        cr_expect(status_same(status, status));
    }
}

/* A pod whose volumes can't be mounted says nothing: what it needs is told with the figures. */
Test(status, of_pods_that_need_secrets)
{
    char secret[] = "a", map[] = "b";
    struct dpuservice needy = service;
    needy.egress.forward.tls.secret = secret;
    needy.tracing.ca_from.object = KEY_OF_CONFIG_MAP;
    needy.tracing.ca_from.refs[KEY_OF_CONFIG_MAP].name = map;
    struct child_view view = whole();
    struct status_input input = input_of(&view);
    input.service = &needy;
    for (int late = 0; late < 2; late++) {
        view.ready = view.available = 1;
        view.late = late;
        view.message = "has timed out progressing.";
        json_auto_t *status = status_make(&input, NULL, NOW);
        expect_conditions(status, late ? "--S" : "-c-",
                          late ? "ProgressDeadlineExceeded" : "RollingOut",
                          late ? "1 of 2 replicas are ready; a pod waits until there are Secret a "
                                 "and ConfigMap b; has timed out progressing."
                               : "1 of 2 replicas are ready, 2 of the current version; a pod "
                                 "waits until there are Secret a and ConfigMap b");
    }
    view = whole();
    json_auto_t *status = status_make(&input, NULL, NOW);
    expect_conditions(status, "R--", "AllReplicasReady", "2 of 2 replicas are ready");
}

Test(status, of_an_obstacle)
{
    struct child_view view = whole();
    struct status_obstacle obstacle = {.message = NULL};
    for (int stalled = 0; stalled < 2; stalled++) {
        status_obstacle_set(&obstacle, stalled, "NameTaken", "Service s0 exists");
        for (int there = 0; there < 2; there++) {
            struct status_input input = input_of(there ? &view : NULL);
            input.obstacle = &obstacle;
            json_auto_t *status = status_make(&input, NULL, NOW);
            expect_conditions(status, stalled ? "--S" : "-c-", "NameTaken", "Service s0 exists");
            /* What runs is told all the same. */
            cr_expect_eq(json_integer_value(json_object_get(status, "readyReplicas")),
                         there ? 2 : 0);
        }
    }
    status_obstacle_free(&obstacle);
    cr_expect_null(obstacle.message);
    cr_expect_str_empty(obstacle.reason);
    struct status_input input = input_of(NULL);
    input.obstacle = &obstacle;
    json_auto_t *status = status_make(&input, NULL, NOW);
    expect_conditions(status, "-c-", "CreatingChildren", "the Deployment is not seen yet");
}

Test(status, of_a_spec_that_can_not_be_read)
{
    struct status_obstacle obstacle = {.message = NULL};
    struct child_view view = whole();
    status_obstacle_set(&obstacle, true, "InvalidSpec", "spec.replicas: give 0 to 1000");
    struct status_input input = input_of(&view);
    input.service = NULL;
    input.obstacle = &obstacle;
    json_auto_t *status = status_make(&input, NULL, NOW);
    expect_conditions(status, "--S", "InvalidSpec", "spec.replicas: give 0 to 1000");
    cr_expect_null(json_object_get(status, "endpoint"));
    cr_expect_eq(json_integer_value(json_object_get(status, "replicas")), 2);
    input.deployment = NULL;
    json_auto_t *without = status_make(&input, NULL, NOW);
    cr_expect_str_eq(json_string_value(json_object_get(without, "ready")), "0/0");
    status_obstacle_free(&obstacle);
}

Test(status, figures)
{
    struct child_view view = whole(), front = {.node_ports = {30005, 30080}};
    view.replicas = 3;
    view.ready = 1;
    view.wanted = 5;
    struct status_input input = input_of(&view);
    json_auto_t *status = status_make(&input, NULL, NOW);
    json_auto_t *expected =
        json_pack("{s:i, s:i, s:i, s:i, s:s, s:s, s:s, s:s}", "observedGeneration", 4, "replicas",
                  3, "readyReplicas", 1, "desiredReplicas", 5, "ready", "1/5", "selector",
                  "app.kubernetes.io/instance=s0,app.kubernetes.io/name=dpumesh-agent", "endpoint",
                  "s0.shop.svc:5005", "latencyAsked", "50ms");
    json_t *conditions = json_object_get(status, "conditions");
    cr_expect_eq(json_array_size(conditions), 3);
    json_object_set(expected, "conditions", conditions);
    cr_expect(json_equal(status, expected));

    input.front = &front;
    json_auto_t *with_port = status_make(&input, NULL, NOW);
    cr_expect_str_eq(json_string_value(json_object_get(with_port, "endpoint")),
                     "s0.shop.svc:5005,NODE:30005");
    front.node_ports[0] = 0;
    json_auto_t *without = status_make(&input, NULL, NOW);
    cr_expect(status_same(without, status));

    input.deployment = NULL;
    json_auto_t *first = status_make(&input, NULL, NOW);
    cr_expect_eq(json_integer_value(json_object_get(first, "desiredReplicas")), 2);
    cr_expect_str_eq(json_string_value(json_object_get(first, "ready")), "0/2");
}

Test(status, scaled_by_others)
{
    struct child_view view = whole();
    view.scaler = "horizontal-pod-autoscaler";
    struct status_input input = input_of(&view);
    json_auto_t *status = status_make(&input, NULL, NOW);
    cr_expect(status_is_true(status, "Scaling"));
    cr_expect_str_eq(status_reason(status, "Scaling"), "ScaledByOthers");
    cr_expect_str_eq(status_message(status, "Scaling"),
                     "horizontal-pod-autoscaler scales the Deployment itself; spec.replicas is not "
                     "applied");
    view.scaler = "";
    json_auto_t *again = status_make(&input, status, NOW);
    cr_expect_str_empty(status_reason(again, "Scaling"));
    cr_expect_not(status_same(again, status));
}

/* The autoscaler's word; as it was while it is not known, and gone when nobody is to scale. */
Test(status, autoscaling)
{
    struct child_view view = whole();
    struct status_input input = input_of(&view);
    json_auto_t *before = status_make(&input, NULL, NOW);
    cr_expect_str_empty(status_reason(before, "Autoscaling"), "nothing known, nothing said");

    input.scaling_active = true;
    input.scaling_reason = "DesiredWithinRange";
    input.scaling_message = "cpu is 80%\xff";
    json_auto_t *status = status_make(&input, before, NOW);
    cr_expect(status_is_true(status, "Autoscaling"));
    cr_expect_str_eq(status_reason(status, "Autoscaling"), "DesiredWithinRange");
    cr_expect_str_eq(status_message(status, "Autoscaling"), "cpu is 80%?");
    cr_expect_not(status_same(status, before));

    input.scaling_active = false;
    input.scaling_reason = "ScalingDisabled";
    json_auto_t *stopped = status_make(&input, status, NOW);
    cr_expect_not(status_is_true(stopped, "Autoscaling"));

    input.scaling_reason = NULL;
    json_auto_t *unknown = status_make(&input, stopped, NOW);
    cr_expect_str_eq(status_reason(unknown, "Autoscaling"), "ScalingDisabled");
    cr_expect(status_same(unknown, stopped));

    input.scaling_reason = "";
    json_auto_t *without = status_make(&input, stopped, NOW);
    cr_expect_str_empty(status_reason(without, "Autoscaling"));
    cr_expect_not(status_same(without, stopped));
}

static const char *time_of(const json_t *status, const char *type)
{
    size_t i;
    const json_t *condition;
    json_array_foreach(json_object_get(status, "conditions"), i, condition)
    {
        if (strcmp(json_string_value(json_object_get(condition, "type")), type) == 0)
            return json_string_value(json_object_get(condition, "lastTransitionTime"));
    }
    return "";
}

/* A condition's time is when its status changed, not its reason or message. */
Test(status, times)
{
    struct child_view view = whole();
    view.ready = 0;
    struct status_input input = input_of(&view);
    json_auto_t *first = status_make(&input, NULL, NOW);
    view.ready = 1;
    input.pod_cause = "CrashLoopBackOff";
    json_auto_t *second = status_make(&input, first, NOW + 60 * NS_PER_S);
    cr_expect_str_eq(time_of(second, "Ready"), THEN);
    cr_expect_str_eq(time_of(second, "Reconciling"), "2023-11-14T22:14:20Z");
    cr_expect_str_eq(time_of(second, "Stalled"), "2023-11-14T22:14:20Z");
    view.ready = 2;
    json_auto_t *third = status_make(&input, second, NOW + 120 * NS_PER_S);
    cr_expect_str_eq(time_of(third, "Ready"), "2023-11-14T22:15:20Z");
    cr_expect_str_eq(time_of(third, "Reconciling"), "2023-11-14T22:14:20Z");
    json_auto_t *fourth = status_make(&input, third, NOW + 180 * NS_PER_S);
    cr_expect(status_same(fourth, third), "later, and nothing happened");
    /* Whatever stands there. */
    json_auto_t *odd =
        json_pack("{s:[{s:s}, {s:s, s:i}, n, {s:s, s:s}]}", "conditions", "type", "Ready", "type",
                  "Stalled", "lastTransitionTime", 5, "type", "Reconciling", "status", "False");
    json_auto_t *fifth = status_make(&input, odd, NOW);
    expect_conditions(fifth, "R--", "AllReplicasReady", "2 of 2 replicas are ready");
}

static json_t *changed(const json_t *status, const char *key, json_t *value)
{
    json_t *copy = json_deep_copy(status);
    if (value)
        json_object_set_new(copy, key, value);
    else
        json_object_del(copy, key);
    return copy;
}

Test(status, same)
{
    static const char *const ours[] = {"observedGeneration", "replicas",     "readyReplicas",
                                       "desiredReplicas",    "ready",        "selector",
                                       "endpoint",           "latencyAsked", "conditions"};
    struct child_view view = whole();
    struct status_input input = input_of(&view);
    json_auto_t *status = status_make(&input, NULL, NOW);
    cr_expect_not(status_same(status, NULL));
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        json_auto_t *without = changed(status, ours[i], NULL);
        json_auto_t *other = changed(status, ours[i], json_string("other"));
        cr_expect_not(status_same(status, without), "%s is gone", ours[i]);
        cr_expect_not(status_same(status, other), "%s is another", ours[i]);
        /* What we do not say any more goes, but for conditions, of which others may have some. */
        if (strcmp(ours[i], "conditions") != 0)
            cr_expect_not(status_same(without, status), "%s is too much", ours[i]);
    }
    json_auto_t *theirs = changed(status, "weather", json_string("fine"));
    cr_expect(status_same(status, theirs), "members of others");

    json_auto_t *turned = json_deep_copy(status);
    json_t *conditions = json_object_get(turned, "conditions");
    json_t *first = json_incref(json_array_get(conditions, 0));
    json_array_remove(conditions, 0);
    json_array_append_new(conditions, json_pack("{s:s, s:s}", "type", "Healthy", "status", "True"));
    json_array_append_new(conditions, first);
    cr_expect(status_same(status, turned), "conditions of others, and any order");
    json_array_remove(conditions, 0);
    cr_expect_not(status_same(status, turned), "one of ours is gone");
}

Test(status, messages_are_such_as_a_condition_holds)
{
    static const struct {
        const char *text, *cleaned;
    } cases[] = {
        {"plain", "plain"},
        {"caf\xc3\xa9", "caf\xc3\xa9"},
        {"bad \xff byte", "bad ? byte"},
        {"cut \xe2\x82", "cut ??"},
        {"", ""},
    };
    struct status_obstacle obstacle = {.message = NULL};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        status_obstacle_set(&obstacle, true, "Rejected", cases[i].text);
        cr_expect_str_eq(obstacle.message, cases[i].cleaned, "%s", obstacle.message);
    }
    char text[4096];
    for (size_t offset = 0; offset < 4; offset++) {
        memset(text, 'a', sizeof(text));
        for (size_t at = offset; at + 4 < sizeof(text); at += 3)
            memcpy(text + at, "\xe2\x82\xac", 3);
        text[sizeof(text) - 1] = '\0';
        status_obstacle_set(&obstacle, true, "Rejected", text);
        size_t length = strlen(obstacle.message);
        cr_expect_leq(length, STATUS_MESSAGE_MAX);
        cr_expect_gt(length, STATUS_MESSAGE_MAX - 4);
        cr_expect(text_utf8_valid(obstacle.message, length));
        cr_expect_null(strchr(obstacle.message, '?'));
    }
    status_obstacle_free(&obstacle);
}
