/*
 * A station of several servers that serve first come, first served: Arm workers, DMA units. Who
 * arrives is told at once when it will be done, so no event has to be kept; a service costs
 * O(log servers).
 *
 *     struct station workers;
 *     station_init(&workers, 8);
 *     double done_ns = station_serve(&workers, now_ns, service_ns, bytes);
 *
 * Time is an argument and never goes back. Plain memory, one thread.
 */
#ifndef DPUMESH_MODEL_STATION_H
#define DPUMESH_MODEL_STATION_H

#include "model/account.h"

enum { STATION_SERVERS_MAX = 256 };

struct station {
    unsigned servers;
    struct account account;
    double free_ns[STATION_SERVERS_MAX]; /* a heap, the first to be free on top */
};

/* Makes an idle station of 1 to STATION_SERVERS_MAX servers. */
void station_init(struct station *station, unsigned servers);

/* Serves one message that arrives now, touching that many bytes; returns when it is done, ns. */
double station_serve(struct station *station, double now_ns, double service_ns, double bytes);

/* When a message that arrives now would be begun. */
double station_begin(const struct station *station, double now_ns);

#endif
