/* What load.c (the Job and interrupts) and load_pod.c (its pod) share; private to them. */
#ifndef DPUMESH_CTL_CLUSTER_LOAD_PRIVATE_H
#define DPUMESH_CTL_CLUSTER_LOAD_PRIVATE_H

#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "ctl/cluster/cluster.h"

enum { LOAD_POD_GONE = -ECHILD };

struct load_run {
    struct cluster cluster;
    const char *namespace;
    char *job, *pod; /* NULL until they are known; under lock, as what follows */
    bool interrupted;
    json_t *ended; /* of the pod's container: state.terminated; NULL: not seen */
    bool stop;     /* atomic: ends the watch of the pod */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t watcher;
    sigset_t signals, old_signals;
};

/* Whether an interrupt came. */
bool load_is_interrupted(struct load_run *run);

/* Waits until dpumesh runs in the pod. 0; -EINTR after an interrupt; or -errno and a sentence. */
int load_pod_wait_started(struct load_run *run, struct error **err);

/* Prints the pod's log to its end. The exit status of dpumesh in the pod; LOAD_POD_GONE; or another
 * -errno and a sentence. */
int load_pod_see(struct load_run *run, struct error **err);

#endif
