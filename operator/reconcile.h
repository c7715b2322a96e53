/*
 * One DpuService made so: its children applied where they differ from what they should be, and its
 * status written where that changed. Level-triggered: it looks at the stores, never at what
 * happened; it can be killed after any call and goes on from what the API server has.
 *
 * docs/operator.md walks through it.
 */
#ifndef DPUMESH_OPERATOR_RECONCILE_H
#define DPUMESH_OPERATOR_RECONCILE_H

#include <stdatomic.h>

#include "kube/controller.h"
#include "kube/event.h"
#include "kube/lease.h"
#include "operator/callers.h"
#include "operator/trim.h"
#include "operator/written.h"

/* What a reconcile works with; all of it is the caller's and outlives the controller. */
struct autoscaler;
struct operator
{
    struct kube_client *client;
    struct kube_events *events;    /* NULL: none are recorded */
    struct kube_lease *lease;      /* NULL: no election, we always lead */
    struct autoscaler *autoscaler; /* NULL: none runs (yet) */
    atomic_bool standby; /* somebody else may lead: what is dropped now is looked at when we do */
    atomic_uint visits;  /* reconciles begun; wraps */
    struct written *written;
    struct callers *callers;
    struct metric *applied[CHILD_KINDS]; /* children applied, by kind; NULL: not counted */
    struct metric *statuses;             /* status writes */
};

/* Whether we may write at this instant. */
bool operator_may_write(const struct operator* operator);

/* Whether so much waits that status and events of new DpuServices come after their children. */
bool operator_busy(struct kube_controller *controller);

/* kube_controller_options.reconcile; context: struct operator. */
struct kube_outcome operator_reconcile(void *context, struct kube_controller *controller,
                                       const char *namespace, const char *name);

/* Fills in the sources to watch, in the order of enum operator_source. selector: of DpuServices,
 * NULL: all. They refer to static data; context: the struct operator is handed to their functions.
 */
void operator_sources(const char *selector,
                      struct kube_controller_source ret_sources[OPERATOR_SOURCES]);

#endif
