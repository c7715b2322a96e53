#include "agent/resolver.h"

#include <ares.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "base/memory.h"

enum { SERVER_TIMEOUT_MS = 1500, SERVER_TRIES = 2 };

struct resolver {
    ares_channel channel;
    int epoll;
    uint64_t tag;
    unsigned running; /* lookups */
    bool closing;
    resolver_done *done;
    void *context;
};

struct lookup {
    struct resolver *resolver;
    uint32_t owner;
};

/* c-ares tells which sockets it waits for, and for what. */
static void watch(void *context, ares_socket_t fd, int readable, int writable)
{
    struct resolver *r = context;
    struct epoll_event event = {.data.u64 = r->tag | (uint32_t)fd,
                                .events = (readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u)};
    if (!readable && !writable)
        epoll_ctl(r->epoll, EPOLL_CTL_DEL, fd, NULL);
    else if (epoll_ctl(r->epoll, EPOLL_CTL_ADD, fd, &event) < 0 && errno == EEXIST)
        epoll_ctl(r->epoll, EPOLL_CTL_MOD, fd, &event);
}

int resolver_new(int epoll, uint64_t tag, resolver_done *done, void *context,
                 struct resolver **ret_resolver, struct error **err)
{
    struct resolver *r = xcalloc(1, sizeof *r);
    *r = (struct resolver){.epoll = epoll, .tag = tag, .done = done, .context = context};
    struct ares_options options = {.timeout = SERVER_TIMEOUT_MS,
                                   .tries = SERVER_TRIES,
                                   .sock_state_cb = watch,
                                   .sock_state_cb_data = r};
    int status = ares_init_options(&r->channel, &options,
                                   ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
    if (status != ARES_SUCCESS) {
        free(r);
        return error_make(err, EIO, "can't look names up: %s", ares_strerror(status));
    }
    *ret_resolver = r;
    return 0;
}

/* Copies the addresses of an answer; how many. */
static size_t copy_addresses(const struct ares_addrinfo *info, union resolver_address *addresses,
                             unsigned *ttl_s)
{
    size_t count = 0;
    for (const struct ares_addrinfo_node *node = info->nodes;
         node && count < RESOLVER_ADDRESSES_MAX; node = node->ai_next) {
        if (node->ai_addrlen > sizeof *addresses)
            continue;
        if (node->ai_ttl >= 0 && (unsigned)node->ai_ttl < *ttl_s)
            *ttl_s = (unsigned)node->ai_ttl;
        memset(&addresses[count], 0, sizeof *addresses);
        memcpy(&addresses[count++], node->ai_addr, node->ai_addrlen);
    }
    return count;
}

static void answered(void *context, int status, int timeouts, struct ares_addrinfo *info)
{
    struct lookup *lookup = context;
    struct resolver *r = lookup->resolver;
    union resolver_address addresses[RESOLVER_ADDRESSES_MAX];
    unsigned ttl_s = UINT32_MAX;
    size_t count = info ? copy_addresses(info, addresses, &ttl_s) : 0;
    uint32_t owner = lookup->owner;
    (void)timeouts;
    if (info)
        ares_freeaddrinfo(info);
    free(lookup);
    r->running--;
    if (r->closing)
        return;
    if (status == ARES_SUCCESS && count == 0)
        status = ARES_ENODATA;
    r->done(r->context, owner, status == ARES_SUCCESS ? NULL : ares_strerror(status), addresses,
            count, ttl_s);
}

void resolver_lookup(struct resolver *r, const char *name, uint32_t owner)
{
    struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct lookup *lookup = xmalloc(sizeof *lookup);
    *lookup = (struct lookup){r, owner};
    r->running++;
    ares_getaddrinfo(r->channel, name, NULL, &hints, answered, lookup);
}

void resolver_event(struct resolver *r, int fd, uint32_t events)
{
    bool failed = events & (EPOLLERR | EPOLLHUP);
    ares_process_fd(r->channel, failed || (events & EPOLLIN) ? fd : ARES_SOCKET_BAD,
                    events & EPOLLOUT ? fd : ARES_SOCKET_BAD);
}

void resolver_expire(struct resolver *r)
{
    ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

uint64_t resolver_wait_ns(const struct resolver *r)
{
    struct timeval left;
    if (r->running == 0 || !ares_timeout(r->channel, NULL, &left))
        return UINT64_MAX;
    return (uint64_t)left.tv_sec * NS_PER_S + (uint64_t)left.tv_usec * NS_PER_US;
}

void resolver_free(struct resolver *r)
{
    if (!r)
        return;
    r->closing = true;
    ares_destroy(r->channel);
    free(r);
}

int resolver_literal(const char *text, union resolver_address *ret_address)
{
    union resolver_address address;
    memset(&address, 0, sizeof address);
    if (inet_pton(AF_INET, text, &address.v4.sin_addr) == 1)
        address.any.sa_family = AF_INET;
    else if (inet_pton(AF_INET6, text, &address.v6.sin6_addr) == 1)
        address.any.sa_family = AF_INET6;
    else
        return 0;
    *ret_address = address;
    return 1;
}
