/*
 * The algorithm under loads of several shapes, on a virtual clock. DPUMESH_TRAJECTORY=FILE writes
 * every look: time, load, replicas, ready, desired, reason. The bounds are those of
 * docs/autoscaling.md.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/file.h"
#include "plant.h"
#include "scenarios.h"

enum { LOOK_S = 5, SIMULATED_S = 2400, MAX_REPLICAS = 50 };

struct outcome {
    int32_t most, fewest;
    uint64_t settle_s;
    int changes;
    double refused;
};

static struct scale_policy policy_of(const struct scenario *s)
{
    struct scale_policy policy;
    struct scale_metric *metric = &policy.metrics[0];

    scale_policy_default(&policy);
    policy.max_replicas = MAX_REPLICAS;
    policy.metric_count = 1;
    metric->signal = s->signal;
    metric->type = SCALE_AVERAGE_VALUE;
    metric->target = s->signal == SCALE_IN_FLIGHT ? 5000 : 50000;
    if (s->signal == SCALE_CPU || s->signal == SCALE_QUEUE_OCCUPANCY) {
        metric->type = SCALE_UTILIZATION;
        metric->target = s->signal == SCALE_CPU ? 50 : 20;
    }
    if (s->calm)
        policy.panic.stable_window_s = 0;
    return policy;
}

/* Whether the count is what the load asks for, give or take the tolerance. */
static bool right(double load, int32_t replicas)
{
    return replicas >= (int32_t)ceil(load / 50 * 0.9 - 1e-9) &&
           replicas <= (int32_t)ceil(load / 50 * 1.1 - 1e-9) + 1;
}

static uint64_t last_change_s(const struct plant_load *load)
{
    bool long_lasting = load->shape == PLANT_RAMP || load->shape == PLANT_BURST;
    return load->at_s + (long_lasting ? load->length_s : 0);
}

static void watch(struct outcome *o, const struct scenario *s, int32_t replicas, uint64_t now_s)
{
    uint64_t last_s = last_change_s(&s->load);

    if (now_s < s->load.at_s)
        return;
    o->most = replicas > o->most ? replicas : o->most;
    o->fewest = replicas < o->fewest ? replicas : o->fewest;
    if (now_s >= last_s && s->settle_s && !right(plant_load_at(&s->load, now_s), replicas))
        o->settle_s = now_s + 1 - last_s;
}

static struct outcome simulate(const struct scenario *s, FILE *log)
{
    struct scale_policy policy = policy_of(s);
    struct scale_state state = {.started = false};
    struct outcome o = {.fewest = PLANT_PODS_MAX};
    struct plant plant = {.load = s->load,
                          .start_s = s->start_s,
                          .silent = s->silent,
                          .silent_s = s->silent_s,
                          .silent_to_s = s->silent_to_s};

    plant_scale(&plant, (int32_t)ceil(plant_load_at(&s->load, 0) / 50), 0);
    for (uint64_t now_s = 0; now_s < SIMULATED_S; now_s++) {
        if (now_s < s->start_s)
            continue; /* the first pods start; the load comes then */
        plant_step(&plant, now_s);
        if (s->forget_s && now_s == s->forget_s)
            scale_state_free(&state);
        if (now_s % LOOK_S == 0) {
            struct scale_pod pods[PLANT_PODS_MAX];
            struct scale_decision d;
            size_t count = plant_look(&plant, now_s, pods);
            struct scale_input input = {plant.count, count, pods, now_s * NS_PER_S};
            scale_decide(&state, &policy, &input, &d);
            if (log)
                fprintf(log, "%5ju %6.0f %3d %3d %6.0f %3d %-24s %s\n", (uintmax_t)now_s,
                        plant_load_at(&s->load, now_s), plant.count, plant_ready(&plant, now_s),
                        plant.queued, d.desired, scale_reason_name(d.reason), d.message);
            if (d.desired != plant.count) {
                o.changes += now_s >= s->load.at_s;
                scale_applied(&state, &policy, plant.count, d.desired, input.now_ns);
                plant_scale(&plant, d.desired, now_s);
            }
            scale_decision_free(&d);
        }
        watch(&o, s, plant.count, now_s);
    }
    o.refused = 100 * plant.refused / (plant.served + plant.refused);
    scale_state_free(&state);
    return o;
}

static FILE *open_log(void)
{
    const char *path = getenv("DPUMESH_TRAJECTORY");
    return path && path[0] ? fopen(path, "we") : NULL;
}

Test(simulation, bounds_hold, .timeout = 60)
{
    cleanup_file FILE *log = open_log();

    for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
        const struct scenario *s = &scenarios[i];
        if (log)
            fprintf(log, "# %s\n# s load replicas ready queued desired reason message\n", s->name);
        struct outcome o = simulate(s, log);
        if (log)
            fprintf(log,
                    "# %s: %d to %d replicas, settled after %ju s, %d changes, %.2f%% refused\n",
                    s->name, o.fewest, o.most, (uintmax_t)o.settle_s, o.changes, o.refused);
        cr_expect_leq(o.most, s->most, "%s: %d replicas at most", s->name, o.most);
        cr_expect_geq(o.fewest, s->fewest, "%s: %d replicas at least", s->name, o.fewest);
        cr_expect_leq(o.settle_s, s->settle_s, "%s: settled after %ju s", s->name,
                      (uintmax_t)o.settle_s);
        cr_expect_leq(o.changes, s->changes, "%s: %d changes", s->name, o.changes);
        cr_expect_leq(o.refused, s->refused, "%s: %.2f percent refused", s->name, o.refused);
    }
}

/* The page says what is held here. */
Test(simulation, bounds_are_written_down)
{
    cleanup_buffer struct buffer page = BUFFER_INIT(1 << 20), row = BUFFER_INIT(1024);
    cr_assert_eq(file_read(AUTOSCALING_PAGE, &page, NULL), 0);

    for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
        const struct scenario *s = &scenarios[i];
        buffer_clear(&row);
        buffer_printf(&row, "| %s | %d to %d | ", s->name, s->fewest, s->most);
        if (s->settle_s)
            buffer_printf(&row, "%ju s | ", (uintmax_t)s->settle_s);
        else
            buffer_puts(&row, "- | ");
        buffer_printf(&row, "%d | %g%% |\n", s->changes, s->refused);
        cr_expect(strstr(buffer_terminate(&page), buffer_terminate(&row)), "not in the page: %s",
                  buffer_terminate(&row));
    }
}
