/*
 * Why pods do not run, in the words of those who try: the container runtime, the scheduler, the
 * quota. Pure but for troubles_of_deployment(); any thread.
 */
#ifndef DPUMESH_CTL_CLUSTER_TROUBLE_H
#define DPUMESH_CTL_CLUSTER_TROUBLE_H

#include <jansson.h>
#include <stdbool.h>

#include "ctl/cluster/cluster.h"

/*
 * One sentence on what keeps a pod from running ("ImagePullBackOff: Back-off pulling image
 * \"x\""), or NULL when nothing does, or not for long yet. Owned by the caller.
 */
char *trouble_of_pod(const json_t *pod);

/* Whether the pod is ready, and not about to go. */
bool pod_is_ready(const json_t *pod);

/*
 * Sentences, each beginning with what it is about ("pod dpumesh-operator-5c4: ..."), for a
 * Deployment that is not available: an array of texts owned by the caller. Empty when nobody says
 * anything.
 */
json_t *troubles_of_deployment(const struct cluster *cluster, const json_t *deployment,
                               const char *selector);

#endif
