/*
 * Leader election on a coordination.k8s.io/v1 Lease, as client-go's leaderelection: the holder
 * renews every retry period; others take over when the lease was not renewed for its duration, as
 * observed on their own monotonic clock (no clock of another machine is trusted). A holder that
 * could not renew for the renew deadline, counted from when it sent its last successful renewal,
 * counts as not leading from then on, before anybody else can: renew deadline < duration. Without
 * the API server the state stays what it is until then, and the thread goes on trying, however
 * long. lease_state.h has the rules and why no two lead at one instant.
 *
 *     struct kube_lease_options options = {.namespace = "dpumesh-system",
 *         .name = "dpumesh-operator", .identity = "pod-1_4f2c", .changed = leading_changed};
 *     struct kube_client_options few = {.timeout_ns = kube_lease_timeout_ns(&options), ...};
 *     kube_client_new(config, &few, &lease_client, &err);
 *     kube_lease_start(lease_client, &options, &lease, &err);
 *     if (kube_lease_leading(lease)) write();
 *     kube_lease_stop(lease);       gives the lease back when it is ours
 *
 * The lease wants a client of its own: a renewal must not wait behind other calls and their rate
 * limit, and its calls must end early enough to be tried again before the renew deadline.
 *
 * A write that is sent in the last instant of our leading is under way after it. Another replica
 * can lead duration - renew_deadline after that instant at the earliest, so the client that writes
 * should have a timeout below that (5 s by default), or its writes must bear it.
 *
 * Metrics: leader_election_master_status{name}, leader_election_transitions_total{name} (this
 * replica began or ended to lead).
 */
#ifndef DPUMESH_KUBE_LEASE_H
#define DPUMESH_KUBE_LEASE_H

#include <stdbool.h>

#include "kube/client.h"

struct kube_lease_options {
    const char *namespace, *name, *identity; /* copied; no two processes may have one identity */
    uint64_t duration_ns;                    /* 0: 15 s */
    uint64_t renew_deadline_ns;              /* 0: 10 s */
    uint64_t retry_ns;                       /* 0: 2 s */
    /* In the lease's thread, when it begins or ends to lead; kube_lease_leading() has changed
     * already. Nothing is renewed meanwhile, so it must return soon. When it ends, it should return
     * only once nothing is written any more: the lease is given up after it. A leader that can't
     * renew is told at most one call's timeout after it ceased to be one. */
    void (*changed)(void *context, bool leading);
    /* An attempt failed; a sentence. In the lease's thread. */
    void (*failed)(void *context, const char *message);
    void *context;
    struct metrics *metrics;
};

struct kube_lease;

/* The timeout for the lease's client: two attempts fit into the renew deadline after the pause that
 * precedes them. */
uint64_t kube_lease_timeout_ns(const struct kube_lease_options *options);

/* Starts the thread. 0, or -errno and a sentence (-EINVAL for times that do not fit each other).
 * *ret_lease is set before changed() is called for the first time. */
int kube_lease_start(struct kube_client *client, const struct kube_lease_options *options,
                     struct kube_lease **ret_lease, struct error **err);

/* Whether we lead at this instant: also false once the renew deadline passed, whatever the thread
 * is at. Any thread, cheap: to be asked before every write. */
bool kube_lease_leading(const struct kube_lease *lease);

/* The monotonic instant at which we cease to lead unless there is another renewal; 0 when not
 * leading. */
uint64_t kube_lease_until_ns(const struct kube_lease *lease);

/* Ends the thread (after the call that it is at); a lease that we hold is given back
 * (holderIdentity empty), so that another replica takes over at once. NULL is fine. */
void kube_lease_stop(struct kube_lease *lease);

#endif
