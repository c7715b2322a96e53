/* The operator: wires lib/kube's runtime to the reconcile, and lives until it is told to end. */
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "kube/config.h"
#include "operator/autoscaler.h"
#include "operator/program.h"

/* Of SIGTERM: when calls that still run are cut off, and when the process ends whatever it is at.
 * The kubelet kills after 30 s by default. */
enum { CANCEL_AFTER_S = 20, END_WITHIN_S = 28 };

/* How often it is looked whether a burst of work is over, and what counts as one. */
enum { LOOK_S = 5, BURST_VISITS = 50 };

/* When the caches stand, what it took to fill them goes. */
static void settle(const struct program *p, const sigset_t *ends, int *ret_signal)
{
    struct timespec moment = {.tv_nsec = 200 * NS_PER_MS};
    memory_trim();
    while (*ret_signal <= 0 && !kube_controller_synced(p->controller))
        *ret_signal = sigtimedwait(ends, NULL, &moment);
    moment.tv_sec = 2;
    if (*ret_signal <= 0)
        *ret_signal = sigtimedwait(ends, NULL, &moment);
    memory_trim();
}

/*
 * Waits for a signal. What a burst of work took stays with the process otherwise, as free heap and
 * as pages of programs' text: it goes once all is quiet again.
 */
static int live(struct program *p, const sigset_t *ends)
{
    const struct timespec look = {.tv_sec = LOOK_S};
    unsigned trimmed = atomic_load(&p->operator.visits), last = trimmed;
    int which = -1;
    while (which <= 0) {
        which = sigtimedwait(ends, NULL, &look);
        unsigned now = atomic_load(&p->operator.visits);
        if (now == last && now - trimmed >= BURST_VISITS) {
            memory_trim();
            trimmed = now;
        }
        last = now;
    }
    return which;
}

/* Cuts calls off that take too long for the time that is left. A thread of its own. */
static void *cancel_late(void *context)
{
    struct program *p = context;
    struct timespec until;
    int waited = 0;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += CANCEL_AFTER_S;
    pthread_mutex_lock(&p->gate);
    while (!p->stopped && waited == 0)
        waited = pthread_cond_timedwait(&p->stopping, &p->gate, &until);
    bool late = !p->stopped;
    pthread_mutex_unlock(&p->gate);
    if (late)
        kube_client_cancel(p->operator.client);
    return NULL;
}

/* Running reconciles finish while we lead; then the lease is given back. */
static void end_work(struct program *p)
{
    pthread_t canceller;
    alarm(END_WITHIN_S); /* SIGALRM ends a process that can't end itself */
    bool watched = pthread_create(&canceller, NULL, cancel_late, p) == 0;
    kube_controller_stop(p->controller); /* no reconcile asks the autoscaler any more */
    autoscaler_stop(STEAL_POINTER(p->operator.autoscaler));
    kube_events_stop(STEAL_POINTER(p->operator.events));
    pthread_mutex_lock(&p->gate);
    p->stopped = true;
    pthread_cond_signal(&p->stopping);
    pthread_mutex_unlock(&p->gate);
    if (watched)
        pthread_join(canceller, NULL);
    kube_lease_stop(STEAL_POINTER(p->operator.lease));
}

static void release(struct program *p)
{
    kube_lease_stop(p->operator.lease); /* it still runs when something failed to start */
    server_stop(p->server);
    server_stop(p->health_server);
    if (p->controller)
        kube_controller_stop(p->controller);
    autoscaler_stop(p->operator.autoscaler);
    kube_controller_free(p->controller);
    kube_events_stop(p->operator.events);
    kube_client_free(p->lease_client);
    kube_client_free(p->operator.client);
    kube_config_free(p->config);
    metrics_free(p->metrics);
    written_free(p->operator.written);
    callers_free(p->operator.callers);
    free(p->namespaces);
    free(p->identity);
    operator_settings_free(&p->settings);
}

static void block_signals(sigset_t *ret_ends)
{
    sigemptyset(ret_ends);
    sigaddset(ret_ends, SIGTERM);
    sigaddset(ret_ends, SIGINT);
    pthread_sigmask(SIG_BLOCK, ret_ends, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int main(int argc, char **argv)
{
    /* A heap a thread would be mostly air: threads here wait for the network. */
    mallopt(M_ARENA_MAX, 2);
    struct program program = {.gate = PTHREAD_MUTEX_INITIALIZER,
                              .stopping = PTHREAD_COND_INITIALIZER};
    cleanup_error struct error *err = NULL;
    sigset_t ends;
    int status = 0, which = 0;
    if (operator_settings_read(argc, argv, &program.settings, &status) < 0)
        return status;
    log_set_level((enum log_level)program.settings.log_level);
    log_set_format((enum log_format)program.settings.log_format);
    block_signals(&ends);
    pthread_mutex_lock(&program.gate);
    int failed_to_start = program_start(&program, &err);
    pthread_mutex_unlock(&program.gate);
    if (failed_to_start < 0) {
        log_error("can't start", LOG_STR("why", error_message(err)));
        status = 2;
    } else {
        settle(&program, &ends, &which);
        if (which <= 0)
            which = live(&program, &ends);
        log_info("ending", LOG_STR("signal", which == SIGTERM ? "SIGTERM" : "SIGINT"));
        end_work(&program);
        status = program.broken;
    }
    release(&program);
    log_flush();
    return status;
}
