/*
 * What threads have in common: they take no signals (those are the program's main thread's
 * business), and they sleep on the monotonic clock until an instant or a word from others.
 *
 *     kube_bell_init(&bell);
 *     kube_bell_lock(&bell);
 *     while (nothing to do)
 *         kube_bell_wait(&bell, deadline_ns);      unlocked while it sleeps; may wake for nothing
 *     kube_bell_unlock(&bell);
 *
 * For the threads of this room, and of the programs on it.
 */
#ifndef DPUMESH_KUBE_THREAD_H
#define DPUMESH_KUBE_THREAD_H

#include <pthread.h>
#include <stdint.h>

#include "base/error.h"

/* A lock, and a condition that goes with it. */
struct kube_bell {
    pthread_mutex_t lock;
    pthread_cond_t rung;
};

void kube_bell_init(struct kube_bell *bell);
void kube_bell_destroy(struct kube_bell *bell);

static inline void kube_bell_lock(struct kube_bell *bell)
{
    pthread_mutex_lock(&bell->lock);
}

static inline void kube_bell_unlock(struct kube_bell *bell)
{
    pthread_mutex_unlock(&bell->lock);
}

/* Wakes all that wait; with the lock held. */
static inline void kube_bell_ring(struct kube_bell *bell)
{
    pthread_cond_broadcast(&bell->rung);
}

/* Waits with the lock held until somebody rings or the monotonic instant deadline_ns comes;
 * UINT64_MAX: for ever. */
void kube_bell_wait(struct kube_bell *bell, uint64_t deadline_ns);

/* Starts a thread with every signal blocked. what names it in the sentence of an error. */
int kube_thread_start(pthread_t *thread, const char *what, void *(*run)(void *context),
                      void *context, struct error **err);

#endif
