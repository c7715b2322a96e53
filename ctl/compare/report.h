/*
 * A comparison as people read it: the table, and a page of HTML with nothing outside it. Both are
 * made of the JSON that `dpumesh compare --json` writes (docs/compare.md has its members).
 */
#ifndef DPUMESH_CTL_COMPARE_REPORT_H
#define DPUMESH_CTL_COMPARE_REPORT_H

#include <jansson.h>
#include <stdio.h>

#include "base/buffer.h"

/*
 * What the DPU saves against the sidecar, from their runs; owned by the caller:
 *   host_cores, host_us_per_request   measured: sidecar less dpu
 *   host_share                        of the sidecar's cores; null without any
 *   datapath_cores, network_cores     what the stages datapath and io have of host_cores
 *   modelled_cores                    datapath_cores as the profiles have it
 *   p50_us, p99_us                    latency: dpu less sidecar; null without answers
 * JSON null when one of the two did not run.
 */
json_t *compare_saving(const json_t *runs);

/* Where host_cores come from, as a part of a sentence; owned by the caller. */
char *compare_saving_parts(const json_t *saving);

/* The run of this mode, or NULL; borrowed. */
const json_t *compare_run_of(const json_t *runs, const char *mode);

/* Prints the table, what is saved, and the mark of runs that the host was too busy for. */
void compare_print(const json_t *comparison, FILE *file);

/* Appends the page. 0 or -ENOBUFS. */
int compare_page(const json_t *comparison, struct buffer *out);

#endif
