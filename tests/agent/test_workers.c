#include <criterion/criterion.h>
#include <unistd.h>

#include "agent/job.h"
#include "base/clock.h"
#include "base/memory.h"
#include "model/pi.h"

static const struct metric_spec spec = {"jobs_total", "Jobs.", .kind = METRIC_COUNTER};

struct fixture {
    struct workers workers;
    struct doorbell bell;
    struct cpu_account cpu;
    struct metrics *metrics;
    struct metric *jobs;
};

static void setup(struct fixture *f, unsigned limit)
{
    f->metrics = metrics_new();
    f->jobs = metric_series(metrics_family(f->metrics, &spec), NULL);
    cr_assert_eq(doorbell_init(&f->bell, false, NULL), 0);
    cpu_account_init(&f->cpu);
    workers_init(&f->workers, limit, &f->bell, f->metrics, &f->cpu);
}

static void teardown(struct fixture *f)
{
    workers_stop(&f->workers);
    doorbell_destroy(&f->bell);
    cpu_account_destroy(&f->cpu);
    metrics_free(f->metrics);
}

static void submit(struct fixture *f, uint32_t owner, uint32_t digits, uint32_t trials)
{
    struct worker_job *job = pi_job_new(owner, digits, trials, f->jobs, NULL);
    cr_assert_eq(workers_submit(&f->workers, job), 0);
}

/* Sleeps as the application does, until a job is done; owners in the order of their ends. */
static uint32_t collect(struct fixture *f, uint32_t *owners, uint32_t count)
{
    struct worker_job *list = NULL;
    while (!(list = workers_finished(&f->workers))) {
        doorbell_arm(&f->bell);
        if ((list = workers_finished(&f->workers))) {
            doorbell_disarm(&f->bell);
            break;
        }
        cr_assert(doorbell_wait(&f->bell, clock_monotonic_ns() + 20 * NS_PER_S),
                  "the doorbell was not rung");
    }
    /* A stack: the last one that ended comes first. */
    uint32_t batch = 0;
    for (struct worker_job *job = list; job; job = job->next)
        batch++;
    for (uint32_t at = count + batch; list; at--) {
        struct worker_job *next = list->next;
        const struct pi_job *pi = (const struct pi_job *)list;
        cr_assert_eq(pi->check, pi_digits(pi->digits));
        owners[at - 1] = list->owner;
        list->free(list);
        list = next;
    }
    return count + batch;
}

/* Until all threads wait for a job. */
static void settle(struct fixture *f)
{
    unsigned idle = 0;
    for (unsigned i = 0; i < 5000; i++) {
        pthread_mutex_lock(&f->workers.lock);
        idle = f->workers.started - f->workers.idle;
        pthread_mutex_unlock(&f->workers.lock);
        if (idle == 0)
            return;
        usleep(1000);
    }
    cr_assert_fail("%u threads did not come to rest", idle);
}

Test(workers, one_thread_works_in_order, .timeout = 60)
{
    enum { JOBS = 200 };
    struct fixture f;
    uint32_t owners[JOBS], count = 0, trials = 0;
    setup(&f, 1);
    cr_assert_null(workers_finished(&f.workers));
    cr_assert_eq(f.workers.started, 0, "threads start with the first job");
    for (uint32_t i = 0; i < JOBS; i++) {
        submit(&f, i, 1 + i % 40, 1 + i % 3);
        trials += 1 + i % 3;
    }
    while (count < JOBS)
        count = collect(&f, owners, count);
    cr_assert_eq(count, JOBS);
    for (uint32_t i = 0; i < JOBS; i++)
        cr_assert_eq(owners[i], i);
    settle(&f);
    cr_assert_eq(f.workers.started, 1);
    /* Each of a job's trials counts. */
    cr_assert_eq(metric_value(f.jobs), trials);
    teardown(&f);
}

/* Each job that finds nobody free starts a thread, up to the limit. */
Test(workers, as_many_threads_as_jobs_at_once, .timeout = 60)
{
    struct fixture f;
    uint32_t owners[16], count = 0;
    setup(&f, 3);
    submit(&f, 1, 50, 1);
    while (count < 1)
        count = collect(&f, owners, count);
    settle(&f);
    cr_assert_eq(f.workers.started, 1);
    for (uint32_t i = 0; i < 10; i++)
        submit(&f, i, 400, 2);
    while (count < 11)
        count = collect(&f, owners, count);
    settle(&f);
    cr_assert_eq(f.workers.started, 3);
    teardown(&f);
}

/* A second job is queued while the only thread still sleeps: it was signalled, yet another thread
 * must begin. The lock keeps the first one from waking in between. */
Test(workers, a_thread_that_was_woken_is_not_idle, .timeout = 60)
{
    struct fixture f;
    uint32_t owners[2], count = 0;
    setup(&f, 4);
    submit(&f, 0, 10, 1);
    while (count < 1)
        count = collect(&f, owners, count);
    settle(&f);
    /* As if the signal had not reached the thread: a job lies there already. */
    struct worker_job *first = pi_job_new(8, 10, 1, f.jobs, NULL);
    first->waits = true;
    pthread_mutex_lock(&f.workers.lock);
    f.workers.first = f.workers.last = first;
    f.workers.queued = 1;
    pthread_mutex_unlock(&f.workers.lock);
    submit(&f, 9, 10, 1);
    cr_assert_eq(f.workers.started, 2);
    count = 0;
    while (count < 2)
        count = collect(&f, owners, count);
    cr_assert_eq(owners[0] + owners[1], 17);
    teardown(&f);
}

/* The end comes soon although hours of work are queued, and nothing leaks. */
Test(workers, stop_leaves_what_has_not_begun, .timeout = 60)
{
    struct fixture f;
    setup(&f, 2);
    for (uint32_t i = 0; i < 50; i++)
        submit(&f, i, 1000, 1000000);
    usleep(20000);
    uint64_t before = clock_monotonic_ns();
    teardown(&f);
    cr_assert_lt(clock_monotonic_ns() - before, 10 * NS_PER_S);

    /* Without a job there is nobody to stop. */
    setup(&f, 2);
    teardown(&f);
}

/* What nobody has begun can be taken back, from anywhere in the queue; what runs can't. */
Test(workers, a_job_that_waits_is_taken_back, .timeout = 60)
{
    enum { JOBS = 5 };
    struct fixture f;
    struct worker_job *jobs[JOBS];
    uint32_t owners[JOBS + 1], count = 0;
    setup(&f, 1);
    struct worker_job *long_one = pi_job_new(100, 3000, 1, f.jobs, NULL);
    cr_assert_eq(workers_submit(&f.workers, long_one), 0);
    while (__atomic_load_n(&long_one->waits, __ATOMIC_RELAXED))
        usleep(100);
    for (uint32_t i = 0; i < JOBS; i++) {
        jobs[i] = pi_job_new(i, 10, 1, f.jobs, NULL);
        cr_assert_eq(workers_submit(&f.workers, jobs[i]), 0);
    }
    cr_assert_not(workers_cancel(&f.workers, long_one), "it runs");
    static const uint32_t taken[] = {2, 0, 4}; /* the middle, the first, the last */
    for (unsigned i = 0; i < 3; i++) {
        cr_assert(workers_cancel(&f.workers, jobs[taken[i]]));
        jobs[taken[i]]->free(jobs[taken[i]]);
    }
    while (count < JOBS + 1 - 3)
        count = collect(&f, owners, count);
    cr_assert(owners[0] == 100 && owners[1] == 1 && owners[2] == 3);
    settle(&f);
    cr_assert(f.workers.queued == 0 && !f.workers.first && !f.workers.last);
    teardown(&f);
}
