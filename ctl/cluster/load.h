/* `dpumesh load dpu/NAME`: a load test in a pod of the cluster. */
#ifndef DPUMESH_CTL_CLUSTER_LOAD_H
#define DPUMESH_CTL_CLUSTER_LOAD_H

#include "ctl/load.h"

/*
 * For load_cluster_run. Makes the Job, prints the pod's log as it comes, and deletes the Job at the
 * end, whatever that is. The first interrupt ends the test there, and its result is still printed;
 * the second ends this program. The exit status of dpumesh in the pod; 1 when the cluster refused
 * or the pod did not come to run; 2 when no cluster is configured; 130 after an interrupt without a
 * result.
 */
int cluster_load(const struct load_cluster_test *test);

#endif
