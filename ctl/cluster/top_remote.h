/*
 * The DpuServices of a cluster as a source of rounds. Their pods' pages come through the API
 * server's proxy (pods/proxy): a laptop does not reach the addresses of pods.
 */
#ifndef DPUMESH_CTL_CLUSTER_TOP_REMOTE_H
#define DPUMESH_CTL_CLUSTER_TOP_REMOTE_H

#include "ctl/cluster/cluster.h"
#include "ctl/cluster/top_round.h"

struct top_remote {
    struct cluster lists, pages; /* each with its own deadline */
    const char *namespace;       /* NULL: all; borrowed */
    char *const *names;          /* DpuServices that are shown; borrowed */
    size_t name_count;           /* 0: all */
};

/* Reads the configuration; page_ns: the deadline of a page. *ret_source borrows remote. 0, or
 * -errno and a sentence. */
int top_remote_open(const struct cluster_options *options, bool all_namespaces, uint64_t page_ns,
                    struct top_remote *remote, struct top_source *ret_source, struct error **err);

/* Frees the clients. */
void top_remote_close(struct top_remote *remote);

#endif
