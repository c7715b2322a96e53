/*
 * The status of a DpuService: a pure function of what is known of its children and pods. Conditions
 * follow kstatus (sigs.k8s.io/cli-utils): Ready is what people wait for; Reconciling is True while
 * something is still on its way; Stalled is True when it will not come right by itself. All three
 * are there from the first visit, each with a reason and observedGeneration.
 */
#ifndef DPUMESH_OPERATOR_STATUS_H
#define DPUMESH_OPERATOR_STATUS_H

#include <jansson.h>

#include "operator/trim.h"
#include "spec/dpuservice.h"

enum { STATUS_MESSAGE_MAX = 1024 }; /* bytes of a condition's message */

/* Why a DpuService can't be made so, found before its Deployment counts. */
struct status_obstacle {
    char reason[64]; /* CamelCase; "" for none */
    char *message;   /* a sentence in UTF-8; owned */
    bool stalled;    /* it will not go away by itself */
};

/* What status is made of. */
struct status_input {
    const struct dpuservice *service;       /* NULL: its spec can't be read */
    int64_t generation;                     /* of the DpuService */
    const struct status_obstacle *obstacle; /* NULL or reason "": none */
    const struct child_view *deployment;    /* NULL: not there (yet) */
    const struct child_view *front;         /* the Service; NULL: not there (yet) */
    const char *pod_cause;                  /* of a pod that does not run; "" */
    const char *pod_message;                /* "pod s0-dpu-x: ..." */
    unsigned pods_failing;                  /* how many do not run */
    bool pod_ended;                         /* that pod is over, and another takes its place */
    const char *scaling_reason;             /* of Autoscaling; NULL: not known now, as it was; "":
                                               nobody is to scale it, no such condition */
    const char *scaling_message;
    bool scaling_active; /* somebody decides, and can */
    const char *namespace, *name;
};

/*
 * The new status, owned by the caller. old: the one that stands (NULL: none): lastTransitionTime is
 * kept for conditions that stay. Conditions of others are not in it: it is applied, not put.
 * now_ns: since 1970.
 */
json_t *status_make(const struct status_input *input, const json_t *old, uint64_t now_ns);

/* Whether writing status would change nothing; old NULL: there is none. Conditions and members of
 * others in old count for nothing, nor does the order of conditions. */
bool status_same(const json_t *status, const json_t *old);

/* The reason of a condition of a status, "" when there is none; for events at transitions. */
const char *status_reason(const json_t *status, const char *type);
const char *status_message(const json_t *status, const char *type);
/* Whether a condition stands at "True". */
bool status_is_true(const json_t *status, const char *type);

/* Sets it; the message is cut and cleaned so that a condition can hold it. */
void status_obstacle_set(struct status_obstacle *obstacle, bool stalled, const char *reason,
                         const char *message);

/* Frees the message. */
void status_obstacle_free(struct status_obstacle *obstacle);

#endif
