/*
 * `dpumesh load TARGET`: sends requests to a bridge or an HTTP service and measures the answers.
 * ctl/main.c calls load_main() for the verb; everything else is private to ctl/load_*.c:
 *
 *     load_plan     options to a plan          load_conn    one connection
 *     load_target   where to                   load_answer  reading the answers
 *     load_worker   a thread's event loop      load_report  what is shown
 *     load_arrival  an open loop's schedule    load_stats   what is counted
 *     load_team     a test's workers
 */
#ifndef DPUMESH_CTL_LOAD_H
#define DPUMESH_CTL_LOAD_H

#include <jansson.h>

#include "base/option.h"

/* Where and how a test runs that does not run here; NULL: not given. */
struct load_cluster_options {
    const char *kubeconfig, *context, *namespace, *image;
    bool in_cluster;
};

/* A test to be run in a pod. */
struct load_cluster_test {
    const struct load_cluster_options *options;
    const char *target;      /* "dpu/NAME", or a URL as the pod sees it */
    const json_t *arguments; /* of `dpumesh load` there, but for the target: texts */
    uint64_t longest_ns;     /* that it can take; 0: not known */
};

/*
 * Runs a test in the cluster, prints what it prints, and returns its exit status. Set by the
 * program that has the cluster's verbs (ctl/cluster/load.c); NULL: it has none.
 */
extern int (*load_cluster_run)(const struct load_cluster_test *test);

/* The verb's options, for the program's own help, man page and completions; its run is load_run. */
extern const struct option_command load_command;

/*
 * Runs the verb; argv[0] is "load". Exit status: 0 every request was answered below 400; 1 one was
 * not; 2 the command line is wrong; 3 the target was never reached.
 */
int load_main(int argc, char **argv);

#endif
