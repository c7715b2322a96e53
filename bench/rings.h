/*
 * The measurements behind bench/rings: two pinned threads, a ring or a doorbell between them. Each
 * call is one run and writes slot `run` of its result. Main thread only.
 */
#ifndef DPUMESH_BENCH_RINGS_H
#define DPUMESH_BENCH_RINGS_H

#include <stdbool.h>

enum { RINGS_RUNS_MAX = 31 };

struct rings_options {
    unsigned long messages; /* a throughput run */
    unsigned long hops;     /* a hop run, each direction */
    unsigned long bells;    /* a doorbell run */
    unsigned runs;
    int core[2];
    bool pause; /* spin with the pause instruction */
};

/* Of one ring, by run. */
struct rings_result {
    double mps[RINGS_RUNS_MAX];  /* million descriptors a second */
    double half[RINGS_RUNS_MAX]; /* half the mean round trip, ns */
    double p50[RINGS_RUNS_MAX], p99[RINGS_RUNS_MAX], p999[RINGS_RUNS_MAX]; /* one way, ns */
};

/* Of a doorbell, by run, in ns: until the sleeper runs, and what the write costs the waker. */
struct rings_bell {
    double wake50[RINGS_RUNS_MAX], wake99[RINGS_RUNS_MAX];
    double write50[RINGS_RUNS_MAX], write99[RINGS_RUNS_MAX];
};

/* Settles the options and measures the clock; returns what reading it costs, in ns. */
double rings_begin(const struct rings_options *options);

/* The name of ring i, or NULL past the last one. */
const char *rings_name(unsigned i);

/* Measures ring i. A ring that mixes up its descriptors ends the program. */
void rings_measure(unsigned i, unsigned run, struct rings_result *result);

/* Measures an eventfd between these two cores (which may be one). */
void rings_measure_bell(const int core[2], unsigned run, struct rings_bell *result);

#endif
