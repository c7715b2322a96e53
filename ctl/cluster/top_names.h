/* Which services `dpumesh top NAME...` means. Pure; any thread. */
#ifndef DPUMESH_CTL_CLUSTER_TOP_NAMES_H
#define DPUMESH_CTL_CLUSTER_TOP_NAMES_H

#include "ctl/cluster/top_round.h"

/* Whether a service is shown: its name is among count names (each may begin with "dpu/"), or there
 * are none. */
bool top_is_named(char *const *names, size_t count, const char *service);

/* Whether the round has each name. 0, or -ENOENT and a sentence. */
int top_all_found(const struct top_round *round, char *const *names, size_t count,
                  struct error **err);

#endif
