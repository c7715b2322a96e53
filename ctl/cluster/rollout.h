/* Waiting until what was applied is in force. Each call blocks; one thread. */
#ifndef DPUMESH_CTL_CLUSTER_ROLLOUT_H
#define DPUMESH_CTL_CLUSTER_ROLLOUT_H

#include <stdint.h>

#include "ctl/cluster/cluster.h"

/* Waits until the API server serves the CRD. 0, or -errno and a sentence; -ETIMEDOUT at the
 * monotonic instant deadline_ns. */
int rollout_wait_crd(const struct cluster *cluster, const char *name, uint64_t deadline_ns,
                     struct error **err);

/*
 * Waits until all replicas of a Deployment are of its present version and available, and tells how
 * far that is on standard error. 0, or -errno and a sentence. On -ETIMEDOUT (at deadline_ns) it has
 * printed why the pods that match selector do not run.
 */
int rollout_wait_deployment(const struct cluster *cluster, const char *namespace, const char *name,
                            const char *selector, uint64_t deadline_ns, struct error **err);

/* Whether a Deployment's status says so: all replicas are of the present version and available. */
bool rollout_is_complete(const json_t *deployment);

#endif
