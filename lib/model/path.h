/*
 * A data path in virtual time: a client's core, on a DPU the Arm workers and DMA units of both
 * sides, the wire, a server's core, and the way back with its coalesced completions. An open loop
 * sends messages over a number of connections; each is followed to its end, and what host and DPU
 * spent on it is accounted apart.
 *
 *     struct path_result result;
 *     path_simulate(&profile, &load, &result);
 *
 * Pure: the result depends on the arguments alone (same seed, same result). path_estimate() gives
 * the means of the same model in closed form. Any thread.
 */
#ifndef DPUMESH_MODEL_PATH_H
#define DPUMESH_MODEL_PATH_H

#include <stdbool.h>
#include <stdint.h>

#include "model/account.h"
#include "model/profile.h"

struct path_load {
    double frame_bytes;    /* 1 to PROFILE_FRAME_MAX */
    double rate_per_s;     /* offered, above 0 */
    unsigned connections;  /* at least 1 */
    bool poisson;          /* arrivals; else paced: evenly apart */
    double duration_s;     /* virtual time */
    uint64_t messages_max; /* stop there; 0: no limit */
    uint64_t seed;
    unsigned policies; /* L7, that a message passes at the server's proxy */
};

/* The stations of a path, for path_result.accounts. */
enum path_station {
    PATH_CLIENT,     /* host: the client's core */
    PATH_CLIENT_ARM, /* DPU */
    PATH_CLIENT_DMA,
    PATH_SERVER_ARM,
    PATH_SERVER_DMA,
    PATH_SERVER,     /* host: the server's core */
    PATH_COMPLETION, /* DPU: coalesced completions, both directions */
    PATH_STATIONS
};

extern const char *const path_station_names[PATH_STATIONS];

struct path_result {
    double achieved_per_s;
    double client_cores, server_cores; /* of the host */
    double dpu_cores;                  /* Arm, both sides */
    double dma_busy;                   /* DMA units busy, both sides */
    double p50_us, p90_us, p99_us, p999_us, mean_us;
    double drop_fraction;
    uint64_t messages, events; /* simulated; events: arrivals, services, rounds, deliveries */
    double simulated_s;        /* virtual time that was run, at most the duration */
    struct account accounts[PATH_STATIONS];
};

/* Runs the path in virtual time. */
void path_simulate(const struct profile *profile, const struct path_load *load,
                   struct path_result *ret_result);

/* What path_estimate() knows without simulating. */
struct path_means {
    double ceiling_per_s;  /* the highest rate that the path carries */
    double achieved_per_s; /* at most that */
    double client_cores, server_cores, dpu_cores;
    double client_rounds_per_s, server_rounds_per_s;
};

/* Means for paced arrivals in closed form, for the fit (docs/model.md derives it). */
void path_estimate(const struct profile *profile, double frame_bytes, double rate_per_s,
                   struct path_means *ret_means);

/* CPU of the client's core (server: of the server's) for one message, without wake-ups, in ns. */
double path_host_ns(const struct profile *profile, double frame_bytes, bool server);

/* Part of a host core that the path can have with frames of this size, above 0, at most 1. */
double path_host_share(const struct profile *profile, double frame_bytes);

/* CPU of a wake-up of the client's core (server: of the server's), ns. */
double path_wake_ns(const struct profile *profile, bool server);

/* Mean time from one round of that core to the next at the earliest, ns. */
double path_holdoff_ns(const struct profile *profile, bool server);

/* Time of one Arm worker for one message, in ns. */
double path_arm_ns(const struct profile *profile, double frame_bytes);

#endif
