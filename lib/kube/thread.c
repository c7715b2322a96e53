/* Threads without signals, and sleeping on the monotonic clock. */
#include "kube/thread.h"

#include <signal.h>
#include <string.h>

#include "base/clock.h"

void kube_bell_init(struct kube_bell *bell)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&bell->lock, NULL);
    pthread_cond_init(&bell->rung, &attributes);
    pthread_condattr_destroy(&attributes);
}

void kube_bell_destroy(struct kube_bell *bell)
{
    pthread_cond_destroy(&bell->rung);
    pthread_mutex_destroy(&bell->lock);
}

void kube_bell_wait(struct kube_bell *bell, uint64_t deadline_ns)
{
    struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / NS_PER_S),
                                .tv_nsec = (long)(deadline_ns % NS_PER_S)};
    if (deadline_ns == UINT64_MAX)
        pthread_cond_wait(&bell->rung, &bell->lock);
    else
        pthread_cond_timedwait(&bell->rung, &bell->lock, &deadline);
}

int kube_thread_start(pthread_t *thread, const char *what, void *(*run)(void *context),
                      void *context, struct error **err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(thread, NULL, run, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed)
        return error_make(err, failed, "can't start the thread of %s: %s", what, strerror(failed));
    return 0;
}
