/* How `dpumesh top` shows rounds: a table for people, JSON for programs. Any thread. */
#ifndef DPUMESH_CTL_CLUSTER_TOP_PRINT_H
#define DPUMESH_CTL_CLUSTER_TOP_PRINT_H

#include <jansson.h>
#include <stdio.h>

#include "ctl/cluster/top_row.h"

/*
 * Prints a row a service, with its namespace when namespaces. "-" stands for what no replica tells
 * (an older agent, or no rate yet), "?" for replicas that do not answer, "12?" for a figure that is
 * of some of the replicas only.
 */
void top_print_table(const struct top_round *now, const struct top_round *before, bool namespaces,
                     FILE *file);

/* {"services": [...]}, owned by the caller; unknown figures are null. elapsed_s: between the
 * rounds. */
json_t *top_print_json(const struct top_round *now, const struct top_round *before,
                       double elapsed_s);

#endif
