/*
 * CPU workers: threads that compute, one job at a time, so that work which takes milliseconds never
 * stops the application's loop. Threads are started with the first jobs that need them. Jobs run in
 * the order of their submission; finished ones are handed back through a lock-free stack, and the
 * application's doorbell is rung.
 *
 * A job belongs to the workers from workers_submit() until workers_finished() returned it.
 */
#ifndef DPUMESH_AGENT_WORKERS_H
#define DPUMESH_AGENT_WORKERS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/cpu.h"
#include "agent/doorbell.h"
#include "obs/metric.h"

struct cpu_job {
    struct cpu_job *next; /* private to the workers */
    uint32_t owner;       /* the submitter's */
    uint32_t digits;      /* of pi to compute */
    uint32_t trials;      /* how many times */
    uint32_t check;       /* out: last digits, so that the work can't be optimised away */
};

struct workers {
    pthread_mutex_t lock; /* all but finished */
    pthread_cond_t more;
    struct cpu_job *first, *last;
    unsigned started, idle, queued, limit;
    bool stop;
    pthread_t *threads;
    struct cpu_job *finished __attribute__((aligned(64))); /* stack, atomic */
    struct doorbell *bell;
    struct metrics *registry;
    struct metric *jobs;
    struct cpu_account *cpu;
};

/* limit: threads at most, >= 1. bell: rung when a job is done. jobs: counter of finished jobs.
 * cpu: where the threads enter themselves. */
void workers_init(struct workers *workers, unsigned limit, struct doorbell *bell,
                  struct metrics *registry, struct metric *jobs, struct cpu_account *cpu);

/* Queues a job; one thread (the application's) calls this. 0, or -EAGAIN when not even one thread
 * could be started (the job stays the caller's). */
int workers_submit(struct workers *workers, struct cpu_job *job);

/* Takes all finished jobs, a list linked by next, or NULL. The same thread. */
struct cpu_job *workers_finished(struct workers *workers);

/* Ends the threads; jobs that have not begun are freed. The same thread. */
void workers_stop(struct workers *workers);

#endif
