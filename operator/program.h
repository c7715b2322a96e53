/*
 * The process: what it is made of. Made by program_start() (start.c), ended by main.c. Private to
 * the operator's main program.
 */
#ifndef DPUMESH_OPERATOR_PROGRAM_H
#define DPUMESH_OPERATOR_PROGRAM_H

#include <pthread.h>

#include "obs/server.h"
#include "operator/reconcile.h"
#include "operator/settings.h"

struct program {
    struct operator_settings settings;
    struct kube_config *config;
    struct kube_client *lease_client;
    struct kube_controller *controller;
    struct kube_controller_source sources[OPERATOR_SOURCES];
    struct metrics *metrics;
    struct server *server, *health_server;
    struct operator operator;
    char *identity;
    const char **namespaces; /* NULL-terminated, or NULL: all */
    bool working;            /* the workers run; the lease's thread */
    bool broken;             /* we lead and can't work; the lease's thread, read after it */
    pthread_mutex_t gate;    /* held while starting: nobody leads before all is in place */
    pthread_cond_t stopping; /* with gate: stopped was set */
    bool stopped;            /* all work is done */
};

/*
 * Makes all of it from program->settings and starts its threads; on standby until the lease is
 * ours. The caller holds program->gate. 0, or -errno and a sentence; either way what was made is
 * the program's, and main.c's to release.
 */
int program_start(struct program *program, struct error **err);

#endif
