/*
 * A small world on a virtual clock for lease_state: an API server that keeps one Lease, candidates
 * with clocks that differ in offset and rate, a network that delays and loses, and accidents drawn
 * from a seed: outages, frozen processes, restarts with and without giving the lease back,
 * annotations, spoiled fields, deletion. One thread.
 */
#ifndef DPUMESH_TESTS_KUBE_LEASE_WORLD_H
#define DPUMESH_TESTS_KUBE_LEASE_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "kube/lease_state.h"

enum { CANDIDATES_MAX = 3, REQUESTS_MAX = 64 };

#define WORLD_TICK_NS (20 * NS_PER_MS)
#define CALL_NS       (4 * NS_PER_S) /* timeout of a candidate's calls */

enum request_kind { REQUEST_LOOK, REQUEST_CREATE, REQUEST_WRITE, REQUEST_RELEASE };

/* On its way; it reaches the server even when who sent it has given up on it. */
struct request {
    bool used, done, answered_well;
    enum request_kind kind;
    int sender;
    unsigned life;             /* of the sender */
    uint64_t arrives, returns; /* UINT64_MAX: lost */
    unsigned version;          /* that a write replaces; or that the answer tells; 0: none */
    char holder[16];           /* to write, or of the answer */
    uint64_t duration_ns;      /* of the answer */
};

struct candidate {
    struct lease_state state;
    char identity[16];
    double rate; /* of its clock */
    uint64_t offset;
    uint64_t frozen_until;
    unsigned life;
    struct request *pending;
    uint64_t sent; /* by its own clock */
};

struct world {
    uint64_t now, random;
    struct candidate candidates[CANDIDATES_MAX];
    int count;
    struct request requests[REQUESTS_MAX];
    uint64_t down_until;
    bool exists;
    unsigned version;
    char holder[16];
    uint64_t duration_ns;
    /* What happened, so that a test can tell that something did. */
    unsigned takeovers, failovers, lost;
    int leader; /* last seen; -1: none yet */
};

extern const struct lease_times world_times; /* 15 s, 10 s, 2 s */

void world_init(struct world *world, int count, uint64_t seed);
void world_free(struct world *world);

uint64_t world_random(struct world *world, uint64_t below);

/* The clock of a candidate. */
uint64_t world_local(const struct world *world, const struct candidate *candidate);

/* How many lead at this instant. */
int world_leaders(const struct world *world);

/* One tick; bad: how bad the network is, in hundredths of requests that are delayed or lost. */
void world_tick(struct world *world, unsigned bad);

/* A new life of a candidate; same: under the same identity. gracefully: the lease is given back. */
void world_restart(struct world *world, int index, bool same, bool gracefully);

/* Somebody edits the object: its version changes; spoil: and its duration goes. */
void world_edit(struct world *world, bool spoil);

#endif
