/*
 * Starting the agent's threads: with a small stack of their own and every signal blocked, for
 * signals are the main thread's business.
 */
#ifndef DPUMESH_AGENT_THREAD_H
#define DPUMESH_AGENT_THREAD_H

#include <pthread.h>
#include <stddef.h>

/* Starts run(context) on a stack of stack_bytes. 0, or the positive errno of pthread_create(). Any
 * thread. */
int thread_start(pthread_t *thread, size_t stack_bytes, void *(*run)(void *context), void *context);

#endif
