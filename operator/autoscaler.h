/*
 * The builtin autoscaler: one thread that looks at the agents of each DpuService with
 * spec.autoscaling.engine builtin every few seconds, asks lib/scale how many there should be, and
 * sets spec.replicas through the DpuService's scale subresource, as a HorizontalPodAutoscaler
 * would. The reconcile then makes the Deployment so. docs/autoscaling.md tells what it does when.
 *
 *     autoscaler_start(&options, &autoscaler, &err);
 *     ...in the reconcile: autoscaler_view(autoscaler, namespace, name, uid, &view)...
 *     autoscaler_stop(autoscaler);
 *
 * It acts only while we lead. What it remembers of a service lives in its thread; what it thinks of
 * it is behind one lock, for the reconciles.
 */
#ifndef DPUMESH_OPERATOR_AUTOSCALER_H
#define DPUMESH_OPERATOR_AUTOSCALER_H

#include "operator/reconcile.h"

/* Under which name spec.replicas is set. */
#define AUTOSCALER_MANAGER "dpumesh-autoscaler"

struct autoscaler;

struct autoscaler_options {
    struct operator* operator;          /* outlives the autoscaler */
    struct kube_controller *controller; /* the same */
    struct metrics *metrics;            /* the same */
    uint64_t interval_ns;               /* between the beginnings of two looks; > 0 */
    uint64_t page_timeout_ns;           /* of one agent's page as a whole; 0: 2 s */
    unsigned connections;               /* pages at once; 0: 16 */
};

/* What the autoscaler thinks of a DpuService, for its condition Autoscaling. */
struct autoscaler_view {
    bool active;     /* it decides, and can */
    char reason[64]; /* CamelCase */
    char *message;   /* a sentence with the figures; owned by the caller */
};

/* Declares metrics and starts the thread. 0 and *ret_autoscaler, or -errno and a sentence. */
int autoscaler_start(const struct autoscaler_options *options, struct autoscaler **ret_autoscaler,
                     struct error **err);

/*
 * What it last thought of the DpuService of this uid's digest (trim_uid()); true and *ret_view,
 * else false: it has not looked twice yet, so nothing is known. The figures in the message are
 * those of when the decision last changed, and at most a minute old: a status that changed with
 * every look would be written for ever. Any thread.
 */
bool autoscaler_view(struct autoscaler *autoscaler, const char *namespace, const char *name,
                     uint64_t uid, struct autoscaler_view *ret_view);

/* Ends a look that is under way (a write of it is waited for), and frees it; NULL is fine. */
void autoscaler_stop(struct autoscaler *autoscaler);

#endif
