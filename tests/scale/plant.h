/*
 * A service to be scaled, as a model: pods that need a while to start, serve so many requests a
 * second and keep a queue, under a load that changes. Time is whole seconds from 0.
 */
#ifndef DPUMESH_TESTS_SCALE_PLANT_H
#define DPUMESH_TESTS_SCALE_PLANT_H

#include <stdbool.h>
#include <stdint.h>

#include "scale/decide.h"

enum {
    PLANT_PODS_MAX = 64,
    PLANT_CAPACITY = 100, /* requests a second that a pod can serve: 10 at once, 0.1 s each */
    PLANT_QUEUE = 256,    /* requests that wait at a pod; more are refused */
};

enum plant_shape {
    PLANT_STEP,        /* low before at_s, high from then on */
    PLANT_RAMP,        /* from low to high in length_s */
    PLANT_BURST,       /* high for length_s, low again */
    PLANT_OSCILLATION, /* a sine between low and high, length_s long */
};

struct plant_load {
    enum plant_shape shape;
    double low, high; /* requests a second */
    uint64_t at_s, length_s;
};

struct plant {
    struct plant_load load;
    uint64_t start_s;               /* from a pod's making to its readiness */
    uint64_t silent_s, silent_to_s; /* from when to when some pods do not answer */
    int32_t silent;                 /* how many: the oldest */
    int32_t count;
    uint64_t born_s[PLANT_PODS_MAX]; /* of each pod, oldest first */
    double queued;                   /* over all ready pods */
    double served, refused;          /* so far */
};

/* Requests a second at now_s. */
double plant_load_at(const struct plant_load *load, uint64_t now_s);

/* One second passes. */
void plant_step(struct plant *plant, uint64_t now_s);

/* Pods are made, or the youngest go. */
void plant_scale(struct plant *plant, int32_t replicas, uint64_t now_s);

/* How many pods are ready. */
int32_t plant_ready(const struct plant *plant, uint64_t now_s);

/* What the pods would show: fills pods (PLANT_PODS_MAX of them) and returns how many there are. */
size_t plant_look(const struct plant *plant, uint64_t now_s, struct scale_pod *pods);

#endif
