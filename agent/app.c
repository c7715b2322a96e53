#include "agent/app.h"

#include <string.h>

#include "agent/app_private.h"
#include "agent/thread.h"
#include "base/clock.h"
#include "base/memory.h"

enum {
    APP_STACK = 256 * 1024,
    APP_BATCH = 256, /* descriptors taken from one queue before the others are looked at */
};

static bool drain_egress(struct app *app)
{
    struct ring *ring = &app->agent->egress_cq;
    struct descriptor *d;
    unsigned n = 0;
    while (n < APP_BATCH && (d = ring_pop(ring))) {
        __builtin_prefetch(pool_at(&app->requests, ring_tag_ahead(ring, 4) & TAG_REQUEST_MASK), 1);
        app_call_done(app, d);
        n++;
    }
    ring_release(ring);
    return n > 0;
}

/*
 * Whether new requests have to wait because the egress queue is nearly full and the I/O thread has
 * just not come to it yet (on one core it can't while we run). When it is full because all workers
 * of the outside world are busy, they do not wait: they are refused.
 */
static bool hold_ingress(struct app *app)
{
    struct agent *agent = app->agent;
    uint32_t reserve = ring_capacity(&agent->egress_sq) / 4;
    return (app->blocked.count || ring_room(&agent->egress_sq, reserve) < reserve) &&
           !__atomic_load_n(&agent->egress_capped, __ATOMIC_RELAXED);
}

static bool drain_ingress(struct app *app)
{
    struct ring *ring = &app->agent->ingress_sq;
    struct descriptor *d;
    unsigned n = 0;
    while (n < APP_BATCH && !hold_ingress(app) && (d = ring_pop(ring))) {
        app_begin(app, d);
        n++;
    }
    ring_release(ring);
    return n > 0;
}

static bool drain_jobs(struct app *app)
{
    struct worker_job *job = workers_finished(&app->workers);
    bool any = job != NULL;
    while (job) {
        struct worker_job *next = job->next;
        app_job_done(app, job);
        job = next;
    }
    return any;
}

static bool drain_sleeps(struct app *app)
{
    bool any = false;
    if (app->sleeping.count == 0)
        return false;
    wheel_advance(&app->sleeping, app->now_ns);
    for (uint32_t index; (index = wheel_pop(&app->sleeping)) != POOL_NONE; any = true)
        app_sleep_done(app, index);
    return any;
}

/* "app": apart from the egress simulator's streams of the same seed. */
static void app_seed(struct app *app, uint64_t seed)
{
    app->dice = (seed ? seed : clock_monotonic_ns()) ^ UINT64_C(0x617070);
    app->begun = 0;
}

struct random_stream app_dice(const struct app *app, uint32_t index, enum app_chance chance,
                              uint32_t which)
{
    struct random_stream stream;
    uint64_t state = app->dice;
    random_seed(&stream, random_splitmix64(&state) ^ app->numbers[index],
                (uint64_t)which << 8 | (chance + 1));
    return stream;
}

static void take_config(struct app *app)
{
    if (!__atomic_load_n(&app->agent->app_next, __ATOMIC_RELAXED))
        return;
    struct config_ref *next = __atomic_exchange_n(&app->agent->app_next, NULL, __ATOMIC_ACQ_REL);
    if (next) {
        uint64_t seed = next->config->egress.seed;
        if (seed != app->config->config->egress.seed)
            app_seed(app, seed);
        config_ref_drop(app->config);
        app->config = next;
        /* Their labels hold the path, the zone and the name. */
        memset(app->series, 0, (size_t)2 * app->source_limit * sizeof *app->series);
    }
}

bool app_work(struct app *app)
{
    struct agent *agent = app->agent;
    app->now_ns = clock_monotonic_ns();
    take_config(app);
    hostwork_settle(&app->hostwork, &app->config->config->datapath);
    arena_collect(&agent->reverse);
    bool any = drain_egress(app);
    any |= drain_ingress(app);
    any |= drain_jobs(app);
    any |= drain_sleeps(app);
    any |= app_plugins_late(app);
    if (app->blocked.count || app->answered_first != POOL_NONE)
        any |= app_retry(app);
    if (any && doorbell_ring(&agent->io_bell))
        metric_add(agent->metrics.doorbells[SIDE_IO], 1);
    if (!app->own_thread)
        cpu_guest_worked(&agent->cpu, clock_monotonic_ns() - app->now_ns);
    return any;
}

/*
 * Whether something waits for the I/O thread to make room. Then that thread is told that somebody
 * waits, and everything is looked at once more: the same two fences as the doorbell's, the other
 * half is in ring_application() of io.c.
 */
static bool still_waits(struct app *app)
{
    struct agent *agent = app->agent;
    if (!app->blocked.count && app->answered_first == POOL_NONE && !hold_ingress(app))
        return false;
    __atomic_store_n(&agent->app_waits, 1, __ATOMIC_RELAXED);
    doorbell_fence(&agent->app_waits);
    return !(app->blocked.count && ring_room(&agent->egress_sq, 1)) &&
           !(app->answered_first != POOL_NONE && ring_room(&agent->ingress_cq, 1));
}

uint64_t app_next_ns(const struct app *app)
{
    uint64_t sleep_ns = wheel_next_ns(&app->sleeping), plugin_ns = app_plugins_next_ns(app);
    return sleep_ns < plugin_ns ? sleep_ns : plugin_ns;
}

bool app_has_work(struct app *app)
{
    struct agent *agent = app->agent;
    bool waits = still_waits(app);
    return (!waits && (app->blocked.count || app->answered_first != POOL_NONE)) ||
           (!hold_ingress(app) && ring_peek(&agent->ingress_sq)) || ring_peek(&agent->egress_cq) ||
           __atomic_load_n(&app->workers.finished, __ATOMIC_RELAXED) ||
           __atomic_load_n(&agent->app_next, __ATOMIC_RELAXED) ||
           __atomic_load_n(&agent->stop, __ATOMIC_RELAXED);
}

static void sleep_until_rung(struct app *app)
{
    struct agent *agent = app->agent;
    doorbell_arm(&agent->app_bell);
    if (app_has_work(app))
        doorbell_disarm(&agent->app_bell);
    else if (doorbell_wait(&agent->app_bell, app_next_ns(app)))
        metric_add(agent->metrics.wakes[SIDE_APPLICATION], 1);
}

static void *run(void *argument)
{
    struct app *app = argument;
    struct agent *agent = app->agent;
    struct cpu_thread self;
    metrics_thread_attach(agent->registry);
    cpu_enter(&agent->cpu, &self, CPU_APPLICATION);
    uint64_t last_work_ns = 0;
    while (!__atomic_load_n(&agent->stop, __ATOMIC_ACQUIRE)) {
        if (app_work(app)) {
            last_work_ns = app->now_ns;
            continue;
        }
        if (app->now_ns - last_work_ns >= app->config->config->queues.poll_ns)
            sleep_until_rung(app);
    }
    cpu_leave(&agent->cpu, &self);
    metrics_thread_detach();
    return NULL;
}

static int start_thread(struct app *app, struct error **err)
{
    int failed = thread_start(&app->thread, APP_STACK, run, app);
    return failed
               ? error_make(err, failed, "can't start the application thread: %s", strerror(failed))
               : 0;
}

int app_start(struct agent *agent, bool own_thread, struct app **ret_app, struct error **err)
{
    struct agent_config *config = agent->running->config;
    struct app *app = xcalloc(1, sizeof *app);
    app->agent = agent;
    app->hostwork.agent = agent;
    app->answered_first = app->answered_last = POOL_NONE;
    app->source_limit = config->limits.sources + 1;
    app->series = xcalloc((size_t)2 * app->source_limit, sizeof *app->series);
    app->numbers = xcalloc(config->limits.requests, sizeof *app->numbers);
    app_seed(app, config->egress.seed);
    int result =
        pool_init(&app->requests, sizeof(struct app_request), config->limits.requests, err);
    if (result == 0) {
        wheel_init(&app->sleeping, &app->requests, clock_monotonic_ns());
        workers_init(&app->workers, config->workload.threads,
                     own_thread ? &agent->app_bell : &agent->io_bell, agent->registry, &agent->cpu);
        app->config = agent->running;
        config_ref_take(app->config);
        app->own_thread = own_thread;
        agent->cpu.has_guest = !own_thread;
        result = own_thread ? start_thread(app, err) : 0;
        if (result < 0) {
            workers_stop(&app->workers);
            config_ref_drop(app->config);
            pool_destroy(&app->requests);
        }
    }
    if (result < 0) {
        free(app->numbers);
        free(app->series);
        free(app);
        return result;
    }
    *ret_app = app;
    return 0;
}

void app_stop(struct app *app)
{
    if (!app)
        return;
    __atomic_store_n(&app->agent->stop, 1, __ATOMIC_RELEASE);
    doorbell_ring(&app->agent->app_bell);
    if (app->own_thread)
        pthread_join(app->thread, NULL);
    workers_stop(&app->workers);
    config_ref_drop(app->config);
    pool_destroy(&app->requests);
    tag_fifo_free(&app->blocked);
    free(app->numbers);
    free(app->series);
    free(app);
}
