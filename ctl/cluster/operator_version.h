/* Which version of the operator answers: what its page says, whatever its image is called. */
#ifndef DPUMESH_CTL_CLUSTER_OPERATOR_VERSION_H
#define DPUMESH_CTL_CLUSTER_OPERATOR_VERSION_H

#include "ctl/cluster/cluster.h"

/* The label version of dpumesh_build_info on a page of metrics, owned by the caller; NULL: it is
 * not there, or the page is none. */
char *operator_version_read(const char *page, size_t length);

/* Each of an array of texts once, as in "0.1.0, 0.2.0"; owned by the caller, NULL: there is none.
 */
char *operator_versions_join(const json_t *versions);

/*
 * The versions of the operator's ready pods, through the API server's proxy: "0.1.0", or
 * "0.1.0, 0.2.0" when they differ. Owned by the caller; NULL when no pod tells.
 */
char *operator_versions(const struct cluster *cluster, const json_t *pods);

#endif
