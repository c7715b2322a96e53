/*
 * Lease objects (coordination.k8s.io/v1) as JSON: what they say, and what they are to say. What we
 * do not know in an object stays as it is. Any thread. Private to lib/kube.
 */
#ifndef DPUMESH_KUBE_LEASE_RECORD_H
#define DPUMESH_KUBE_LEASE_RECORD_H

#include <jansson.h>
#include <stdint.h>

#include "kube/lease_state.h"

/* Reads object; texts are borrowed from it. What is missing or of the wrong type in its spec reads
 * as not there. 0, or -EPROTO when it has no resourceVersion: then nothing may be written. */
int lease_record_read(const json_t *object, struct lease_record *ret_record);

/* A new object that is ours. duration_ns is rounded up to seconds; unix_ns: now, for people. */
json_t *lease_record_new(const char *namespace, const char *name, const char *identity,
                         uint64_t duration_ns, uint64_t unix_ns);

/* What object becomes when we take or renew it: acquireTime and leaseTransitions change only if it
 * was not ours. */
json_t *lease_record_held(const json_t *object, const char *identity, uint64_t duration_ns,
                          uint64_t unix_ns);

/* What object becomes when we give it back: nobody's, as client-go leaves it. */
json_t *lease_record_released(const json_t *object, uint64_t unix_ns);

#endif
