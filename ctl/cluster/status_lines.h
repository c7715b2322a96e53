/* What `dpumesh status` finds wrong with a DpuService. Pure; any thread. */
#ifndef DPUMESH_CTL_CLUSTER_STATUS_LINES_H
#define DPUMESH_CTL_CLUSTER_STATUS_LINES_H

#include <jansson.h>
#include <stddef.h>

/* One condition that is not fine; texts are borrowed from the DpuService, or static. */
struct status_line {
    const char *condition; /* "Stalled", "Not ready", "Not seen", "Autoscaling" */
    const char *reason, *message, *since;
};

enum { STATUS_LINES_MAX = 2 };

/*
 * Fills the lines for one DpuService and returns how many there are; 0: it is fine. Ready, Stalled
 * and Reconciling tell of one state of affairs, so at most one of them is a line.
 */
size_t status_lines(const json_t *service, struct status_line ret_lines[STATUS_LINES_MAX]);

#endif
