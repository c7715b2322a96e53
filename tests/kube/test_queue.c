#include "kube/queue.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/memory.h"
#include "tests/kube/dice.h"

enum { MANY = 100000, MODEL_KEYS = 20, MODEL_STEPS = 50000 };

static struct kube_queue *queue_new(void)
{
    const struct kube_queue_options options = {
        .name = "q", .backoff_first_ns = 10 * NS_PER_MS, .backoff_most_ns = 55 * NS_PER_MS};
    return kube_queue_new(&options);
}

/* Takes a key, which must be this one, and leaves it being worked on. */
static void expect_take(struct kube_queue *queue, const char *expected)
{
    cleanup_free char *key = kube_queue_take(queue);
    cr_assert_str_eq(key, expected);
}

static void expect(struct kube_queue *queue, const char *expected)
{
    expect_take(queue, expected);
    kube_queue_done(queue, expected);
}

Test(queue, holds_a_key_once)
{
    struct kube_queue *queue = queue_new();
    kube_queue_add(queue, "a", KUBE_LANE_HIGH);
    kube_queue_add(queue, "b", KUBE_LANE_HIGH);
    kube_queue_add(queue, "a", KUBE_LANE_HIGH);
    cr_assert_eq(kube_queue_depth(queue), 2);
    expect_take(queue, "a");
    cr_assert_eq(kube_queue_depth(queue), 1);

    /* Added while it is worked on: not given out, and comes again once when that is done. */
    kube_queue_add(queue, "a", KUBE_LANE_HIGH);
    kube_queue_add(queue, "a", KUBE_LANE_LOW);
    cr_assert_eq(kube_queue_depth(queue), 1);
    expect(queue, "b");
    cr_assert_eq(kube_queue_depth(queue), 0);
    kube_queue_done(queue, "a");
    cr_assert_eq(kube_queue_depth(queue), 1);
    expect(queue, "a");
    cr_assert_eq(kube_queue_depth(queue), 0);

    /* Done with what nobody works on is nothing. */
    kube_queue_done(queue, "a");
    kube_queue_done(queue, "never");
    kube_queue_add(queue, "w", KUBE_LANE_HIGH);
    kube_queue_done(queue, "w");
    expect(queue, "w");
    kube_queue_free(queue);
    kube_queue_free(NULL);
}

Test(queue, gives_every_tenth_to_the_low_lane)
{
    struct kube_queue *queue = queue_new();
    char key[24];
    for (int i = 0; i < 40; i++) {
        snprintf(key, sizeof(key), "low-%d", i);
        kube_queue_add(queue, key, KUBE_LANE_LOW);
        snprintf(key, sizeof(key), "high-%d", i);
        kube_queue_add(queue, key, KUBE_LANE_HIGH);
    }
    int taken[2] = {0};
    for (int i = 0; i < 80; i++) {
        /* Each lane in its own order; of any ten, one is low while both have some. */
        bool low = taken[0] >= 40 || i % 10 == 9;
        snprintf(key, sizeof(key), "%s-%d", low ? "low" : "high", taken[low]++);
        expect(queue, key);
    }
    cr_assert_eq(kube_queue_depth(queue), 0);

    /* A key moves up to the high lane, to its end, and never down. */
    kube_queue_add(queue, "x", KUBE_LANE_LOW);
    kube_queue_add(queue, "y", KUBE_LANE_LOW);
    kube_queue_add(queue, "z", KUBE_LANE_HIGH);
    kube_queue_add(queue, "y", KUBE_LANE_HIGH);
    kube_queue_add(queue, "z", KUBE_LANE_LOW);
    expect(queue, "z");
    expect(queue, "y");
    expect(queue, "x");

    /* The better of the lanes that it was added to while worked on. */
    kube_queue_add(queue, "x", KUBE_LANE_LOW);
    expect_take(queue, "x");
    kube_queue_add(queue, "x", KUBE_LANE_LOW);
    kube_queue_add(queue, "x", KUBE_LANE_HIGH);
    kube_queue_add(queue, "x", KUBE_LANE_LOW);
    kube_queue_add(queue, "low", KUBE_LANE_LOW);
    kube_queue_done(queue, "x");
    expect(queue, "x");
    expect(queue, "low");
    kube_queue_free(queue);
}

Test(queue, delays)
{
    struct kube_queue *queue = queue_new();
    uint64_t began_ns = clock_monotonic_ns();
    kube_queue_add_after(queue, "c", 90 * NS_PER_MS);
    kube_queue_add_after(queue, "a", 30 * NS_PER_MS);
    kube_queue_add_after(queue, "b", 60 * NS_PER_MS);
    kube_queue_add_after(queue, "far", UINT64_MAX);
    /* The earliest of several counts, whichever came first. */
    kube_queue_add_after(queue, "c", 500 * NS_PER_MS);
    kube_queue_add_after(queue, "d", 500 * NS_PER_MS);
    kube_queue_add_after(queue, "d", 120 * NS_PER_MS);
    cr_assert_eq(kube_queue_depth(queue), 0, "who is delayed does not wait to be taken");
    static const char *const order[] = {"a", "b", "c", "d"};
    for (unsigned i = 0; i < 4; i++) {
        expect(queue, order[i]);
        cr_assert_geq(clock_monotonic_ns() - began_ns, (i + 1) * 30 * NS_PER_MS);
    }

    /* Without a delay: now. A delayed key that is added comes twice. */
    kube_queue_add_after(queue, "now", 0);
    expect(queue, "now");
    kube_queue_add_after(queue, "twice", 20 * NS_PER_MS);
    kube_queue_add(queue, "twice", KUBE_LANE_HIGH);
    expect(queue, "twice");
    expect(queue, "twice");

    /* Unless the work in between said that all is well. */
    uint64_t again_ns = clock_monotonic_ns();
    kube_queue_add_after(queue, "well", 20 * NS_PER_MS);
    kube_queue_add_after(queue, "then", 40 * NS_PER_MS);
    kube_queue_add(queue, "well", KUBE_LANE_HIGH);
    expect_take(queue, "well");
    kube_queue_forget(queue, "well");
    kube_queue_done(queue, "well");
    expect(queue, "then");
    cr_assert_geq(clock_monotonic_ns() - again_ns, 40 * NS_PER_MS);

    /* A delay that ends while the key is worked on: again when that is done. */
    kube_queue_add(queue, "busy", KUBE_LANE_HIGH);
    expect_take(queue, "busy");
    kube_queue_add_after(queue, "busy", NS_PER_MS);
    kube_queue_add_after(queue, "later", 20 * NS_PER_MS);
    expect(queue, "later");
    cr_assert_eq(kube_queue_depth(queue), 0);
    kube_queue_done(queue, "busy");
    expect(queue, "busy");
    kube_queue_free(queue);
}

Test(queue, backs_off)
{
    struct kube_queue *queue = queue_new();
    static const uint64_t delays_ms[] = {10, 20, 40, 55, 55};
    kube_queue_add(queue, "a", KUBE_LANE_LOW);
    for (unsigned i = 0; i < 5; i++) {
        expect_take(queue, "a");
        uint64_t began_ns = clock_monotonic_ns();
        cr_assert_eq(kube_queue_failures(queue, "a"), i);
        cr_assert_eq(kube_queue_retry(queue, "a"), delays_ms[i] * NS_PER_MS);
        kube_queue_done(queue, "a");
        expect_take(queue, "a");
        cr_assert_geq(clock_monotonic_ns() - began_ns, delays_ms[i] * NS_PER_MS);
        kube_queue_add(queue, "a", KUBE_LANE_LOW);
        kube_queue_done(queue, "a");
    }
    cr_assert_eq(kube_queue_failures(queue, "a"), 5);
    expect_take(queue, "a");
    kube_queue_forget(queue, "a");
    cr_assert_eq(kube_queue_failures(queue, "a"), 0);
    cr_assert_eq(kube_queue_retry(queue, "a"), 10 * NS_PER_MS);
    kube_queue_done(queue, "a");
    /* A failure is remembered until it is forgotten, whatever becomes of the key meanwhile. */
    kube_queue_retry(queue, "quiet");
    expect(queue, "quiet");
    cr_assert_eq(kube_queue_failures(queue, "quiet"), 1);
    kube_queue_forget(queue, "quiet");
    cr_assert_eq(kube_queue_failures(queue, "quiet"), 0);
    kube_queue_forget(queue, "unknown");
    cr_assert_eq(kube_queue_failures(queue, "unknown"), 0);
    /* What failed comes back in the lane that it was in: a live change goes first. */
    struct timespec pause = {.tv_nsec = 15 * (long)NS_PER_MS};
    nanosleep(&pause, NULL);
    kube_queue_add(queue, "live", KUBE_LANE_HIGH);
    expect(queue, "live");
    expect(queue, "a");
    kube_queue_free(queue);

    /* client-go's numbers are what one gets without asking. */
    const struct kube_queue_options options = {.name = "q"};
    queue = kube_queue_new(&options);
    cr_assert_eq(kube_queue_retry(queue, "a"), 5 * NS_PER_MS);
    for (int i = 0; i < 100; i++)
        kube_queue_retry(queue, "a");
    cr_assert_eq(kube_queue_retry(queue, "a"), 1000 * NS_PER_S);
    kube_queue_free(queue);
}

Test(queue, stops_and_opens_again)
{
    struct kube_queue *queue = queue_new();
    kube_queue_add(queue, "working", KUBE_LANE_HIGH);
    expect_take(queue, "working");
    kube_queue_add(queue, "working", KUBE_LANE_HIGH);
    kube_queue_add(queue, "waiting", KUBE_LANE_LOW);
    kube_queue_add_after(queue, "delayed", NS_PER_MS);
    kube_queue_retry(queue, "failed");
    kube_queue_stop(queue);
    cr_assert_null(kube_queue_take(queue));
    cr_assert_eq(kube_queue_depth(queue), 0);
    kube_queue_add(queue, "late", KUBE_LANE_HIGH);
    kube_queue_add_after(queue, "late", 1);
    kube_queue_retry(queue, "late");
    kube_queue_done(queue, "working");
    cr_assert_null(kube_queue_take(queue));

    kube_queue_reopen(queue);
    cr_assert_eq(kube_queue_failures(queue, "failed"), 0);
    struct timespec pause = {.tv_nsec = 15 * (long)NS_PER_MS};
    nanosleep(&pause, NULL);
    kube_queue_add(queue, "new", KUBE_LANE_LOW);
    expect(queue, "new");
    cr_assert_eq(kube_queue_depth(queue), 0);
    kube_queue_free(queue);
}

Test(queue, is_quick)
{
    struct kube_queue *queue = queue_new();
    char key[32];
    uint64_t began_ns = clock_monotonic_ns();
    for (int i = 0; i < MANY; i++) {
        snprintf(key, sizeof(key), "namespace/name-%d", i);
        kube_queue_add(queue, key, KUBE_LANE_LOW);
        kube_queue_add_after(queue, key, NS_PER_S * 1000 + (unsigned)i * 7919 % MANY);
    }
    cr_assert_eq(kube_queue_depth(queue), MANY);
    for (int i = 0; i < MANY; i++) {
        snprintf(key, sizeof(key), "namespace/name-%d", i);
        expect(queue, key);
    }
    fprintf(stderr, "%d keys in and out: %.0f ms\n", MANY,
            (double)(clock_monotonic_ns() - began_ns) / (double)NS_PER_MS);
    cr_assert_lt(clock_monotonic_ns() - began_ns, 10 * NS_PER_S);
    kube_queue_free(queue);
}

/* Without time, a queue is: two lists and a set of keys that are worked on, of which some are to
 * come again. */
struct model {
    int lanes[2][MODEL_KEYS], lengths[2];
    int working[MODEL_KEYS]; /* 0 no, 1 yes, 2 again to the high lane, 3 to the low one */
    int run;
};

static void model_append(struct model *model, int key, enum kube_lane lane)
{
    model->lanes[lane][model->lengths[lane]++] = key;
}

static bool model_remove(struct model *model, int key, enum kube_lane lane)
{
    int *keys = model->lanes[lane], at = 0;
    while (at < model->lengths[lane] && keys[at] != key)
        at++;
    if (at == model->lengths[lane])
        return false;
    memmove(keys + at, keys + at + 1, sizeof(*keys) * (size_t)(model->lengths[lane] - at - 1));
    model->lengths[lane]--;
    return true;
}

static bool model_has(const struct model *model, int key, enum kube_lane lane)
{
    for (int i = 0; i < model->lengths[lane]; i++)
        if (model->lanes[lane][i] == key)
            return true;
    return false;
}

static void model_add(struct model *model, int key, enum kube_lane lane)
{
    if (model->working[key]) {
        if (lane == KUBE_LANE_HIGH || model->working[key] == 1)
            model->working[key] = lane == KUBE_LANE_HIGH ? 2 : 3;
        return;
    }
    if (model_has(model, key, KUBE_LANE_HIGH))
        return;
    if (model_has(model, key, KUBE_LANE_LOW)) {
        if (lane == KUBE_LANE_LOW)
            return;
        model_remove(model, key, KUBE_LANE_LOW);
    }
    model_append(model, key, lane);
}

static int model_take(struct model *model)
{
    bool both = model->lengths[0] && model->lengths[1];
    enum kube_lane lane = model->lengths[0] ? KUBE_LANE_HIGH : KUBE_LANE_LOW;
    if (both) {
        lane = model->run == 9 ? KUBE_LANE_LOW : KUBE_LANE_HIGH;
        model->run++;
    }
    if (lane == KUBE_LANE_LOW)
        model->run = 0;
    int key = model->lanes[lane][0];
    model_remove(model, key, lane);
    model->working[key] = 1;
    return key;
}

Test(queue, equals_a_naive_model)
{
    struct kube_queue *queue = queue_new();
    struct model model = {0};
    struct dice dice = {.state = 11};
    char text[24];
    for (int i = 0; i < MODEL_STEPS; i++) {
        int key = (int)dice_below(&dice, MODEL_KEYS);
        snprintf(text, sizeof(text), "%d", key);
        unsigned what = dice_below(&dice, 8);
        if (what < 4) {
            enum kube_lane lane = dice_below(&dice, 2) ? KUBE_LANE_LOW : KUBE_LANE_HIGH;
            kube_queue_add(queue, text, lane);
            model_add(&model, key, lane);
        } else if (what < 6 && model.working[key]) {
            int was = model.working[key];
            model.working[key] = 0;
            if (was > 1)
                model_append(&model, key, was == 2 ? KUBE_LANE_HIGH : KUBE_LANE_LOW);
            kube_queue_done(queue, text);
        } else if (model.lengths[0] + model.lengths[1] > 0) {
            snprintf(text, sizeof(text), "%d", model_take(&model));
            expect_take(queue, text);
        }
        cr_assert_eq(kube_queue_depth(queue), (size_t)(model.lengths[0] + model.lengths[1]));
    }
    kube_queue_free(queue);
}

static double value(struct metrics *metrics, const char *name)
{
    cleanup_buffer struct buffer text = BUFFER_INIT(1 << 20);
    char prefix[128];
    cr_assert_eq(metrics_expose(metrics, METRICS_PROMETHEUS_TEXT, &text), 0);
    snprintf(prefix, sizeof(prefix), "\n%s{name=\"q\"} ", name);
    const char *line = strstr(buffer_terminate(&text), prefix);
    cr_assert_not_null(line, "%s is not exposed", name);
    return strtod(line + strlen(prefix), NULL);
}

Test(queue, counts)
{
    struct metrics *metrics = metrics_new();
    metrics_thread_attach(metrics);
    const struct kube_queue_options options = {.name = "q", .metrics = metrics};
    struct kube_queue *queue = kube_queue_new(&options);
    kube_queue_add(queue, "a", KUBE_LANE_HIGH);
    kube_queue_add(queue, "a", KUBE_LANE_HIGH);
    kube_queue_add(queue, "b", KUBE_LANE_HIGH);
    cr_assert_eq(value(metrics, "workqueue_adds_total"), 2);
    cr_assert_eq(value(metrics, "workqueue_depth"), 2);
    cr_assert_eq(value(metrics, "workqueue_unfinished_work_seconds"), 0);
    cr_assert_eq(value(metrics, "workqueue_longest_running_processor_seconds"), 0);
    expect_take(queue, "a");
    expect_take(queue, "b");
    kube_queue_retry(queue, "b");
    struct timespec pause = {.tv_nsec = 50 * (long)NS_PER_MS};
    nanosleep(&pause, NULL);
    cr_assert_geq(value(metrics, "workqueue_unfinished_work_seconds"), 0.1);
    cr_assert_geq(value(metrics, "workqueue_longest_running_processor_seconds"), 0.05);
    cr_assert_leq(value(metrics, "workqueue_longest_running_processor_seconds"),
                  value(metrics, "workqueue_unfinished_work_seconds"));
    kube_queue_done(queue, "a");
    kube_queue_done(queue, "b");
    cr_assert_eq(value(metrics, "workqueue_depth"), 0);
    cr_assert_eq(value(metrics, "workqueue_retries_total"), 1);
    cr_assert_eq(value(metrics, "workqueue_queue_duration_seconds_count"), 2);
    cr_assert_eq(value(metrics, "workqueue_work_duration_seconds_count"), 2);
    cr_assert_geq(value(metrics, "workqueue_work_duration_seconds_sum"), 0.1);
    /* The registry outlives the queue, and does not ask it any more. */
    kube_queue_free(queue);
    value(metrics, "workqueue_depth");
    metrics_thread_detach();
    metrics_free(metrics);
}
