/* What decide.c tells message.c. */
#ifndef DPUMESH_SCALE_DECIDE_PRIVATE_H
#define DPUMESH_SCALE_DECIDE_PRIVATE_H

#include "scale/decide.h"

struct scale_draft {
    const struct scale_policy *policy;
    const struct scale_input *input;
    const struct scale_panic *panic;
    struct scale_proposal proposal; /* of the metric that decided */
    unsigned silent;                /* metrics without an opinion */
    int first_silent;
    int32_t stabilized; /* what the windows made of the recommendation */
    double worth;       /* of the metric whose load is highest */
};

/* The figures behind the decision as a new string. */
char *scale_message(const struct scale_draft *draft, const struct scale_decision *decision);

#endif
