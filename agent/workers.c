#include "agent/workers.h"

#include <errno.h>

#include "agent/thread.h"
#include "base/memory.h"

static void push_finished(struct workers *w, struct worker_job *job)
{
    struct worker_job *top = __atomic_load_n(&w->finished, __ATOMIC_RELAXED);
    do
        job->next = top;
    while (!__atomic_compare_exchange_n(&w->finished, &top, job, 1, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED));
    doorbell_ring(w->bell);
}

/* With the lock held. */
static void unlink_job(struct workers *w, struct worker_job *job)
{
    struct worker_job **before = job->previous ? &job->previous->next : &w->first;
    struct worker_job **after = job->next ? &job->next->previous : &w->last;
    *before = job->next;
    *after = job->previous;
    job->waits = false;
    w->queued--;
}

/* Waits for a job; NULL when the workers stop. */
static struct worker_job *next_job(struct workers *w)
{
    pthread_mutex_lock(&w->lock);
    w->idle++;
    while (!w->first && !w->stop)
        pthread_cond_wait(&w->more, &w->lock);
    w->idle--;
    struct worker_job *job = w->stop ? NULL : w->first;
    if (job)
        unlink_job(w, job);
    pthread_mutex_unlock(&w->lock);
    return job;
}

static void *work(void *argument)
{
    struct workers *w = argument;
    struct worker_job *job;
    struct cpu_thread self;
    metrics_thread_attach(w->registry);
    cpu_enter(w->cpu, &self, CPU_WORKERS);
    while ((job = next_job(w))) {
        job->run(job, &w->stop);
        push_finished(w, job);
    }
    cpu_leave(w->cpu, &self);
    metrics_thread_detach();
    return NULL;
}

void workers_init(struct workers *w, unsigned limit, struct doorbell *bell,
                  struct metrics *registry, struct cpu_account *cpu)
{
    *w = (struct workers){.limit = limit, .bell = bell, .registry = registry, .cpu = cpu};
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->more, NULL);
    w->threads = xcalloc(limit, sizeof *w->threads);
}

/* With the lock held. */
static void start_one(struct workers *w)
{
    if (thread_start(&w->threads[w->started], WORKER_STACK, work, w) == 0)
        w->started++;
}

int workers_submit(struct workers *w, struct worker_job *job)
{
    int result = 0;
    job->next = NULL;
    pthread_mutex_lock(&w->lock);
    /* An idle thread may have been woken for an earlier job already. */
    if (w->queued + 1 > w->idle && w->started < w->limit)
        start_one(w);
    if (w->started == 0) {
        result = -EAGAIN;
    } else {
        job->previous = w->last;
        job->waits = true;
        if (w->last)
            w->last->next = job;
        else
            w->first = job;
        w->last = job;
        w->queued++;
        pthread_cond_signal(&w->more);
    }
    pthread_mutex_unlock(&w->lock);
    return result;
}

bool workers_cancel(struct workers *w, struct worker_job *job)
{
    pthread_mutex_lock(&w->lock);
    bool mine = job->waits;
    if (mine)
        unlink_job(w, job);
    pthread_mutex_unlock(&w->lock);
    return mine;
}

struct worker_job *workers_finished(struct workers *w)
{
    if (!__atomic_load_n(&w->finished, __ATOMIC_RELAXED))
        return NULL;
    return __atomic_exchange_n(&w->finished, NULL, __ATOMIC_ACQUIRE);
}

static void free_list(struct worker_job *job)
{
    while (job) {
        struct worker_job *next = job->next;
        job->free(job);
        job = next;
    }
}

void workers_stop(struct workers *w)
{
    pthread_mutex_lock(&w->lock);
    __atomic_store_n(&w->stop, true, __ATOMIC_RELAXED);
    pthread_cond_broadcast(&w->more);
    pthread_mutex_unlock(&w->lock);
    for (unsigned i = 0; i < w->started; i++)
        pthread_join(w->threads[i], NULL);
    free_list(w->first);
    free_list(workers_finished(w));
    free(w->threads);
    pthread_cond_destroy(&w->more);
    pthread_mutex_destroy(&w->lock);
}
