/* The verbs that ask a cluster, for main.c's table; ctl/verb.h has the rules. */
#ifndef DPUMESH_CTL_CLUSTER_VERBS_H
#define DPUMESH_CTL_CLUSTER_VERBS_H

#include "base/option.h"

extern const struct option_command verb_install;
extern const struct option_command verb_uninstall;
extern const struct option_command verb_status;
extern const struct option_command verb_top;

#endif
