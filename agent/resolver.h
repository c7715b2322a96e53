/*
 * Names to addresses by DNS and /etc/hosts, as c-ares does it: on the caller's epoll set, without a
 * thread, never blocking on a server. (/etc/hosts and /etc/resolv.conf are small local files, read
 * in place.) One thread.
 */
#ifndef DPUMESH_AGENT_RESOLVER_H
#define DPUMESH_AGENT_RESOLVER_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum { RESOLVER_ADDRESSES_MAX = 16 }; /* of one name; further ones are left out */

union resolver_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct resolver;

/* reason: why there is none, NULL when there are addresses (their port is 0). ttl_s: how long they
 * may be used. */
typedef void resolver_done(void *context, uint32_t owner, const char *reason,
                           const union resolver_address *addresses, size_t count, unsigned ttl_s);

/* epoll: borrowed; events of ours carry tag | socket. 0 and a resolver owned by the caller, or
 * -errno and a sentence. */
int resolver_new(int epoll, uint64_t tag, resolver_done *done, void *context,
                 struct resolver **ret_resolver, struct error **err);

/* Looks a name up. done() is called once, maybe before this returns. */
void resolver_lookup(struct resolver *resolver, const char *name, uint32_t owner);

/* A socket of ours has events. */
void resolver_event(struct resolver *resolver, int fd, uint32_t events);

/* Gives up what servers did not answer in time. */
void resolver_expire(struct resolver *resolver);

/* In how many ns resolver_expire() is next needed; UINT64_MAX while nothing is looked up. */
uint64_t resolver_wait_ns(const struct resolver *resolver);

/* Forgets what is under way; done() is not called any more. NULL is fine. */
void resolver_free(struct resolver *resolver);

/* An IPv4 or IPv6 address as text; whether it is one. The port is 0. */
int resolver_literal(const char *text, union resolver_address *ret_address);

#endif
