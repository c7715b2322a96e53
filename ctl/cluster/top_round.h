/*
 * One look at the services and all their replicas, for `dpumesh top`: who is there, and what each
 * replica's page says. Two rounds make rates (top_row.h).
 *
 *     cleanup_top_round struct top_round round = TOP_ROUND_INIT;
 *     if (top_round_make(&source, &round, &err) < 0)
 *         ...
 *
 * Where they are is a source: the supervisor of `dpumesh up` (top_local.h) or a cluster
 * (top_remote.h). A round belongs to one thread; the pages of its replicas are read by a few
 * threads of its own, which end before top_round_make() returns.
 */
#ifndef DPUMESH_CTL_CLUSTER_TOP_ROUND_H
#define DPUMESH_CTL_CLUSTER_TOP_ROUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "figures/figures.h"

enum { TOP_CONNECTIONS = 8, TOP_PAGE_BYTES = 4 << 20 };

/* A replica. */
struct top_agent {
    char *key;         /* the same as long as it is the same pod or process */
    char *page;        /* where its page is, for the source */
    bool known;        /* it answered with a page; else figures are unknown */
    char *why;         /* it is not: a sentence */
    uint64_t taken_ns; /* monotonic, when it did */
    struct agent_figures figures;
};

struct top_service {
    char *namespace; /* "" in local mode */
    char *name;
    long long ready, wanted;
    size_t agent_count;
    struct top_agent *agents;
};

struct top_round {
    size_t count;
    struct top_service *services;
};

#define TOP_ROUND_INIT                                                                             \
    {                                                                                              \
        .count = 0, .services = NULL                                                               \
    }

struct top_source {
    /* Fills in the services and their replicas (all but known, taken_ns and figures). 0, or -errno
     * and a sentence. */
    int (*list)(void *context, struct top_round *round, struct error **err);
    /* Reads a replica's page into an empty buffer; several threads at once. 0, or -errno and a
     * sentence. */
    int (*fetch)(void *context, const struct top_agent *agent, struct buffer *page,
                 struct error **err);
    /* Has both of them return soon, now and later. Any thread. */
    void (*cancel)(void *context);
    void *context;
};

/* Lists, and reads all pages. 0; or what list returned, and a sentence: then the round is empty. */
int top_round_make(const struct top_source *source, struct top_round *ret_round,
                   struct error **err);

/* "2 replicas do not answer: GET ...: 403 Forbidden ...", the reason of the first; NULL: all did.
 * Owned by the caller. */
char *top_round_silence(const struct top_round *round);

/* For sources: adds a service, or a replica to one. Texts are copied. */
struct top_service *top_round_add(struct top_round *round, const char *namespace, const char *name);
struct top_agent *top_service_add(struct top_service *service, const char *key, const char *page);

/* Frees what it holds; it is empty again. */
void top_round_free(struct top_round *round);
#define cleanup_top_round CLEANUP(top_round_free)

#endif
