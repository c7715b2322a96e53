/* CPU workers and the application's thread: each job comes back exactly once with its own result,
 * a sleeping application is always woken, and the workers can be stopped at any moment.
 * ThreadSanitizer watches, AddressSanitizer sees a job that is freed twice or never; an alarm ends
 * a lost wake-up. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/job.h"
#include "base/memory.h"
#include "model/pi.h"
#include "model/random.h"

enum { JOBS = 20000, WINDOW = 48, DIGITS = 12, STOPS = 400, STOP_JOBS = 40, ALARM_S = 100 };

struct office {
    struct workers workers;
    struct doorbell bell;
    struct cpu_account cpu;
    struct metrics *metrics;
    struct metric *done;
    struct random_stream random;
    uint8_t returned[JOBS];
    uint32_t submitted, collected, cancelled, sleeps;
    uint64_t trials_submitted, trials_collected;
};

static uint32_t results[DIGITS + 1];

static void check(bool truth, const char *what)
{
    if (truth)
        return;
    fprintf(stderr, "race_workers: %s\n", what);
    exit(1);
}

static void office_open(struct office *o, unsigned limit, uint64_t seed)
{
    static const struct metric_spec spec = {"trials_total", "Trials.", .kind = METRIC_COUNTER};
    *o = (struct office){.metrics = metrics_new()};
    o->done = metric_series(metrics_family(o->metrics, &spec), NULL);
    random_seed(&o->random, seed, 0);
    check(doorbell_init(&o->bell, false, NULL) == 0, "no doorbell");
    cpu_account_init(&o->cpu);
    workers_init(&o->workers, limit, &o->bell, o->metrics, &o->cpu);
}

/* The doorbell goes right behind the workers: nobody may ring it any more. */
static double office_close(struct office *o)
{
    workers_stop(&o->workers);
    doorbell_destroy(&o->bell);
    cpu_account_destroy(&o->cpu);
    double trials = metric_value(o->done);
    metrics_free(o->metrics);
    return trials;
}

/* Takes a job back if nobody has begun it, as the application does with one that is late; it is
 * submitted again, so that each comes back once. */
static void cancel(struct office *o, struct worker_job *job)
{
    if (!workers_cancel(&o->workers, job))
        return;
    o->cancelled++;
    check(workers_submit(&o->workers, job) == 0, "no thread could be started");
}

static void submit(struct office *o, uint32_t trials)
{
    uint32_t digits = 1 + (uint32_t)random_range(&o->random, 0, DIGITS - 1);
    struct worker_job *job = pi_job_new(o->submitted, digits, trials, o->done, NULL);
    check(workers_submit(&o->workers, job) == 0, "no thread could be started");
    o->submitted++;
    o->trials_submitted += trials;
    /* It is ours to name until we collect again. */
    if (random_range(&o->random, 0, 3) == 0)
        cancel(o, job);
}

/* Takes what is done; the jobs taken. */
static uint32_t collect(struct office *o)
{
    uint32_t count = 0;
    for (struct worker_job *job = workers_finished(&o->workers), *next; job; job = next, count++) {
        const struct pi_job *pi = (const struct pi_job *)job;
        next = job->next;
        check(job->owner < o->submitted, "a job is not one of ours");
        check(!o->returned[job->owner], "a job came back twice");
        check(pi->check == results[pi->digits], "a job has not its own result");
        o->returned[job->owner] = 1;
        o->trials_collected += pi->trials;
        job->free(job);
    }
    o->collected += count;
    return count;
}

/* Sleeps as the application does, until something is done, and takes it. */
static void await(struct office *o)
{
    while (collect(o) == 0) {
        doorbell_arm(&o->bell);
        if (collect(o) > 0) {
            doorbell_disarm(&o->bell);
            return;
        }
        o->sleeps++;
        doorbell_wait(&o->bell, UINT64_MAX);
    }
}

/* Bursts of jobs; now and then all come home, so that the workers sleep too. */
static void run(unsigned limit)
{
    static struct office o;
    office_open(&o, limit, limit);
    while (o.collected < JOBS) {
        uint32_t burst = (uint32_t)random_range(&o.random, 1, WINDOW);
        while (burst-- > 0 && o.submitted < JOBS && o.submitted - o.collected < WINDOW)
            submit(&o, 1 + (uint32_t)random_range(&o.random, 0, 2));
        bool drain = random_range(&o.random, 0, 9) == 0 || o.submitted == JOBS;
        do
            await(&o);
        while (drain && o.collected < o.submitted);
    }
    check(!workers_finished(&o.workers), "a job too many came back");
    check(o.workers.started <= limit, "there are more threads than allowed");
    double trials = office_close(&o);
    check(trials == (double)o.trials_submitted, "a trial was not counted, or twice");
    check(o.cancelled > 0, "no job was taken back");
    printf("%u threads at most: %u jobs came back, slept %u times, %u were taken back\n", limit,
           o.collected, o.sleeps, o.cancelled);
}

/* The workers are stopped with jobs in the queue, under way, and finished but not taken; some would
 * take hours. */
static void run_stops(void)
{
    static struct office o;
    uint32_t left = 0;
    for (uint64_t i = 0; i < STOPS; i++) {
        office_open(&o, 1 + (unsigned)i % 4, i);
        uint64_t jobs = random_range(&o.random, 0, STOP_JOBS), some = 0;
        while (o.submitted < jobs)
            submit(&o, i % 3 == 0 && o.submitted % 8 == 7 ? UINT32_MAX : 1);
        /* Those up to the first that takes hours come back. */
        if (jobs > 0)
            some = random_range(&o.random, 0, i % 3 == 0 && jobs > 7 ? 7 : jobs);
        while (o.collected < some)
            await(&o);
        collect(&o);
        left += o.submitted - o.collected;
        double trials = office_close(&o);
        check(trials >= (double)o.trials_collected && trials <= (double)o.trials_submitted,
              "the trials of the jobs that came back are not among those counted");
    }
    check(left > STOPS, "hardly a job was left when the workers were stopped");
    printf("%u stops left %u jobs behind\n", (unsigned)STOPS, left);
}

int main(void)
{
    alarm(ALARM_S);
    for (uint32_t digits = 1; digits <= DIGITS; digits++)
        results[digits] = pi_digits(digits);
    run(1);
    run(4);
    run_stops();
    return 0;
}
