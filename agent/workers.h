/*
 * Workers: threads that compute, one job at a time, so that work which takes milliseconds never
 * stops the application's loop. Threads are started with the first jobs that need them. Jobs run in
 * the order of their submission; finished ones are handed back through a lock-free stack, and the
 * application's doorbell is rung.
 *
 * A job belongs to the workers from workers_submit() until workers_finished() returned it, or
 * workers_cancel() took it back. job.h has the kinds.
 */
#ifndef DPUMESH_AGENT_WORKERS_H
#define DPUMESH_AGENT_WORKERS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/cpu.h"
#include "agent/doorbell.h"
#include "obs/metric.h"

enum { WORKER_STACK = 1024 * 1024 };

/* Begins each kind of job. */
struct worker_job {
    struct worker_job *next, *previous; /* private to the workers until it is finished */
    bool waits;                         /* private: nobody has begun it; the lock */
    uint32_t owner;                     /* the submitter's */
    int kind;                           /* the submitter's */
    /* On a worker's thread. *stop becomes true when the workers are to end: then soon back. */
    void (*run)(struct worker_job *job, const bool *stop);
    void (*free)(struct worker_job *job); /* by whoever has it last */
};

struct workers {
    pthread_mutex_t lock; /* all but finished */
    pthread_cond_t more;
    struct worker_job *first, *last;
    unsigned started, idle, queued, limit;
    bool stop; /* atomic too */
    pthread_t *threads;
    struct worker_job *finished __attribute__((aligned(64))); /* stack, atomic */
    struct doorbell *bell;
    struct metrics *registry;
    struct cpu_account *cpu;
};

/* limit: threads at most, >= 1. bell: rung when a job is done. cpu: where the threads enter
 * themselves. */
void workers_init(struct workers *workers, unsigned limit, struct doorbell *bell,
                  struct metrics *registry, struct cpu_account *cpu);

/* Queues a job; one thread (the application's) calls this. 0, or -EAGAIN when not even one thread
 * could be started (the job stays the caller's). */
int workers_submit(struct workers *workers, struct worker_job *job);

/* Takes back a job that nobody has begun: true, and it is the caller's. Else it will come back from
 * workers_finished(). The same thread. */
bool workers_cancel(struct workers *workers, struct worker_job *job);

/* Takes all finished jobs, a list linked by next, or NULL. The same thread. */
struct worker_job *workers_finished(struct workers *workers);

/* Ends the threads, once each has done with its job; jobs that have not begun are freed. The same
 * thread. */
void workers_stop(struct workers *workers);

#endif
