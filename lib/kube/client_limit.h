/*
 * The client's own rate limit: a token bucket of `burst` tokens that fills at qps. Who asks first
 * goes first: a reservation is a place in time, given in the order of asking (as Go's
 * golang.org/x/time/rate, which client-go uses). Pure: time is an argument. The lock is the
 * caller's.
 */
#ifndef DPUMESH_KUBE_CLIENT_LIMIT_H
#define DPUMESH_KUBE_CLIENT_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

struct kube_limit {
    uint64_t interval_ns; /* between requests in the long run; 0: no limit */
    uint64_t slack_ns;    /* how far ahead of that a burst may run */
    uint64_t next_ns;     /* when the next request would be due at the even pace */
};

/* qps 0: no limit. burst 0: twice qps; at least 1. */
void kube_limit_init(struct kube_limit *limit, double qps, unsigned burst);

/* Takes the next place: *ret_at_ns is when the request may go (now_ns or later). False, and nothing
 * taken, when that is after latest_ns. */
bool kube_limit_take(struct kube_limit *limit, uint64_t now_ns, uint64_t latest_ns,
                     uint64_t *ret_at_ns);

#endif
