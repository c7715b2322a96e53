/* Deleting all DpuServices of a cluster, in a way that leaves nothing of theirs. Blocks; one
 * thread. */
#ifndef DPUMESH_CTL_CLUSTER_REMOVE_H
#define DPUMESH_CTL_CLUSTER_REMOVE_H

#include <stdint.h>

#include "ctl/cluster/cluster.h"

/*
 * Deletes these DpuServices (an array of objects) and waits until their children are gone as well.
 * This has to be before the CRD goes: a garbage collector that does not watch the kind yet (it
 * looks for new ones every 30 s) can't judge owners of a kind that is gone, and leaves their
 * children for ever. 0, or -errno and a sentence; -ETIMEDOUT at the monotonic instant deadline_ns.
 */
int remove_services(const struct cluster *cluster, const json_t *services, uint64_t deadline_ns,
                    struct error **err);

#endif
