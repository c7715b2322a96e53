/* The internal work of a request: jobs of the workers, a sleep; one stage after another. */
#include <errno.h>
#include <string.h>

#include "agent/app_private.h"
#include "base/clock.h"

static bool submit(struct app *app, struct app_request *r, struct worker_job *job)
{
    if (workers_submit(&app->workers, job) == 0) {
        r->jobs_running++;
        return true;
    }
    job->free(job);
    r->reason = REJECT_INTERNAL_ERROR;
    return false;
}

/* One of a request's jobs, followed by so many; each draws a complexity of its own (muBench,
 * Loader). */
static bool submit_pi(struct app *app, uint32_t index, unsigned following)
{
    struct app_request *r = app_request_at(app, index);
    const struct internal_service *internal = app_behavior_of(r)->internal;
    const struct agent_metrics *metrics = &app->agent->metrics;
    uint32_t trials = internal->kind == INTERNAL_LOADER ? internal->cpu_trials : 1;
    struct random_stream dice = app_dice(app, index, CHANCE_COMPLEXITY, following);
    uint32_t digits =
        (uint32_t)random_range(&dice, internal->complexity_min, internal->complexity_max);
    return submit(app, r, pi_job_new(index, digits, trials, metrics->jobs, metrics->digits));
}

/* No more jobs of a request are there than could run; the others follow as these are done. So what
 * waits in the queue is bounded by threads and requests, whatever threadPoolSize says. */
static void compute(struct app *app, uint32_t index)
{
    struct app_request *r = app_request_at(app, index);
    const struct internal_service *internal = app_behavior_of(r)->internal;
    unsigned jobs = internal->kind == INTERNAL_COMPUTE_PI                    ? 1
                    : internal->kind == INTERNAL_LOADER && internal->cpu_run ? internal->cpu_threads
                                                                             : 0;
    unsigned at_once = jobs < app->workers.limit ? jobs : app->workers.limit;
    r->groups_left = (uint16_t)(jobs - at_once);
    for (unsigned i = 0; i < at_once && submit_pi(app, index, jobs - 1 - i); i++)
        ;
}

static void list_add(struct app *app, struct plugin_job *job)
{
    struct plugin_job *before = app->plugin_last;
    while (before && before->deadline_ns > job->deadline_ns)
        before = before->earlier;
    job->earlier = before;
    job->later = before ? before->later : app->plugin_first;
    *(before ? &before->later : &app->plugin_first) = job;
    *(job->later ? &job->later->earlier : &app->plugin_last) = job;
}

static void list_remove(struct app *app, struct plugin_job *job)
{
    *(job->earlier ? &job->earlier->later : &app->plugin_first) = job->later;
    *(job->later ? &job->later->earlier : &app->plugin_last) = job->earlier;
    job->earlier = job->later = NULL;
}

static void call_plugin(struct app *app, uint32_t index)
{
    struct app_request *r = app_request_at(app, index);
    const struct internal_service *internal = app_behavior_of(r)->internal;
    size_t most = app->agent->reverse.size / 16;
    if (internal->plugin_response_bytes < most)
        most = internal->plugin_response_bytes;
    struct plugin_job *job =
        plugin_job_new(index, app_behavior_of(r)->plugin, r->config->config->service,
                       app_message_of(app, r), most, app->now_ns + internal->plugin_timeout_ns);
    if (submit(app, r, &job->job))
        list_add(app, job);
}

static void stress(struct app *app, uint32_t index)
{
    struct app_request *r = app_request_at(app, index);
    const struct internal_service *internal = app_behavior_of(r)->internal;
    if (internal->kind == INTERNAL_LOADER && (internal->memory_run || internal->disk_run)) {
        struct random_stream dice = app_dice(app, index, CHANCE_STRESS, 0);
        submit(app, r, stress_job_new(index, internal, r->config->scratch, random_u64(&dice)));
    } else if (internal->kind == INTERNAL_PLUGIN) {
        call_plugin(app, index);
    }
}

/* Whether it sleeps now. */
static bool sleeps(struct app *app, uint32_t index)
{
    struct app_request *r = app_request_at(app, index);
    const struct internal_service *internal = app_behavior_of(r)->internal;
    if (internal->kind != INTERNAL_LOADER || !internal->sleep_run || internal->sleep_ns == 0)
        return false;
    r->node.deadline_ns = app->now_ns + internal->sleep_ns;
    wheel_add(&app->sleeping, index);
    return true;
}

/* Begins stages until one has to be waited for, or a job failed. */
static void advance(struct app *app, uint32_t index)
{
    struct app_request *r = app_request_at(app, index);
    while (r->jobs_running == 0) {
        if (r->reason) {
            app_refuse(app, index, r->reason);
            return;
        }
        switch ((enum internal_stage)r->stage++) {
        case STAGE_COMPUTE:
            compute(app, index);
            break;
        case STAGE_STRESS:
            stress(app, index);
            break;
        case STAGE_SLEEP:
            if (sleeps(app, index))
                return;
            break;
        case STAGE_CALLS:
            app_begin_calls(app, index);
            return;
        }
    }
}

void app_begin_internal(struct app *app, uint32_t index)
{
    advance(app, index);
}

void app_sleep_done(struct app *app, uint32_t index)
{
    advance(app, index);
}

static void count(struct app *app, enum work_kind kind, enum work_result result)
{
    metric_add(app->agent->metrics.work[kind][result], 1);
}

static void stress_done(struct app *app, struct app_request *r, const struct stress_job *job)
{
    if (job->memory_blocks)
        count(app, WORK_MEMORY, job->memory_result < 0 ? WORK_FAILED : WORK_DONE);
    if (job->disk_blocks && job->memory_result == 0)
        count(app, WORK_DISK, job->disk_result < 0 ? WORK_FAILED : WORK_DONE);
    if (job->memory_result < 0 || job->disk_result < 0)
        r->reason = REJECT_INTERNAL_ERROR;
}

/* Keeps its answer in registered memory until the calls are done. */
static void plugin_done(struct app *app, struct app_request *r, const struct plugin_job *job)
{
    bool late = job->ended_ns >= job->deadline_ns;
    count(app, WORK_PLUGIN, late ? WORK_LATE : job->result ? WORK_FAILED : WORK_DONE);
    if (late || job->result) {
        r->reason = REJECT_INTERNAL_ERROR;
        return;
    }
    size_t length = job->answer.length;
    uint32_t offset = arena_alloc(&app->agent->reverse, length ? length : 1);
    if (offset == ARENA_NONE) {
        r->reason = REJECT_MEMORY_FULL;
        return;
    }
    if (length > 0)
        memcpy(arena_at(&app->agent->reverse, offset), job->answer.data, length);
    app_keep_body(r, offset, (uint32_t)length);
}

void app_job_done(struct app *app, struct worker_job *job)
{
    uint32_t index = job->owner;
    struct app_request *r = app_request_at(app, index);
    if (job->kind == JOB_PLUGIN) {
        struct plugin_job *plugin = (struct plugin_job *)job;
        if (plugin->abandoned) { /* answered already: the request may be another one by now */
            job->free(job);
            return;
        }
        list_remove(app, plugin);
        plugin_done(app, r, plugin);
    } else if (job->kind == JOB_STRESS) {
        stress_done(app, r, (const struct stress_job *)job);
    } else if (r->groups_left > 0 && !r->reason) {
        r->groups_left--;
        submit_pi(app, index, r->groups_left);
    }
    job->free(job);
    r->jobs_running--;
    advance(app, index);
}

bool app_plugins_late(struct app *app)
{
    bool any = false;
    struct plugin_job *next;
    for (struct plugin_job *job = app->plugin_first; job && job->deadline_ns <= app->now_ns;
         job = next) {
        next = job->later;
        bool waits = workers_cancel(&app->workers, &job->job);
        if (!waits && !plugin_job_abandon(job, &app->agent->plugins_late))
            continue; /* it is on its way back */
        list_remove(app, job);
        uint32_t index = job->job.owner;
        struct app_request *r = app_request_at(app, index);
        if (waits)
            job->job.free(&job->job);
        else
            job->abandoned = true;
        count(app, WORK_PLUGIN, WORK_LATE);
        r->reason = REJECT_INTERNAL_ERROR;
        r->jobs_running--;
        advance(app, index);
        any = true;
    }
    return any;
}

uint64_t app_plugins_next_ns(const struct app *app)
{
    return app->plugin_first ? app->plugin_first->deadline_ns : UINT64_MAX;
}
