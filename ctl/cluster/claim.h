/* A cluster has one ClusterRole and one ClusterRoleBinding of the operator's name: whose they are.
 */
#ifndef DPUMESH_CTL_CLUSTER_CLAIM_H
#define DPUMESH_CTL_CLUSTER_CLAIM_H

#include <stdbool.h>

#include "ctl/cluster/cluster.h"

/*
 * Finds the namespace of the operator that the ClusterRoleBinding gives its rights to. 0 and
 * *ret_other, owned by the caller; NULL when that is the given namespace, or nobody has them. Or
 * -errno and a sentence.
 */
int claim_find(const struct cluster *cluster, const char *namespace, char **ret_other,
               struct error **err);

/* Whether it is of those kinds. */
bool claim_is_of(const struct kube_resource *resource);

#endif
