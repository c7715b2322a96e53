/*
 * The loads of test_simulation.c, and the bounds that the algorithm holds under them. At target a
 * replica has 50 requests a second, 5 in flight, half a processor: 1000 requests a second need 20
 * replicas.
 */
#ifndef DPUMESH_TESTS_SCALE_SCENARIOS_H
#define DPUMESH_TESTS_SCALE_SCENARIOS_H

#include "plant.h"

struct scenario {
    const char *name;
    struct plant_load load;
    enum scale_signal signal;
    bool calm; /* without panic mode */
    uint64_t start_s;
    int32_t silent;
    uint64_t silent_s, silent_to_s;
    uint64_t forget_s; /* when the operator is killed, and what it remembered is lost; 0: never */
    /* The bounds; all from the first change of the load on. */
    int32_t fewest, most; /* replicas */
    uint64_t settle_s;    /* after the load's last change the count is right; 0: it never settles */
    int changes;          /* of the count */
    double refused;       /* percent of all requests */
};

#define STEP_UP                                                                                    \
    {                                                                                              \
        PLANT_STEP, 100, 1000, 600, 0                                                              \
    }
#define STEP_DOWN                                                                                  \
    {                                                                                              \
        PLANT_STEP, 1000, 100, 600, 0                                                              \
    }
#define STEADY                                                                                     \
    {                                                                                              \
        PLANT_STEP, 500, 500, 600, 0                                                               \
    }
#define RPS SCALE_REQUESTS_PER_SECOND

static const struct scenario scenarios[] = {
    {.name = "step up",
     .load = STEP_UP,
     .signal = RPS,
     .start_s = 10,
     .fewest = 2,
     .most = 20,
     .settle_s = 10,
     .changes = 2,
     .refused = 1},
    {.name = "step up without panic",
     .load = STEP_UP,
     .signal = RPS,
     .calm = true,
     .start_s = 10,
     .fewest = 2,
     .most = 20,
     .settle_s = 30,
     .changes = 3,
     .refused = 1},
    {.name = "step up, slow starts",
     .load = STEP_UP,
     .signal = RPS,
     .start_s = 120,
     .fewest = 2,
     .most = 20,
     .settle_s = 10,
     .changes = 2,
     .refused = 6},
    {.name = "step up by inFlight",
     .load = STEP_UP,
     .signal = SCALE_IN_FLIGHT,
     .start_s = 10,
     .fewest = 2,
     .most = 50,
     .settle_s = 310,
     .changes = 4,
     .refused = 1},
    {.name = "step up by cpu",
     .load = STEP_UP,
     .signal = SCALE_CPU,
     .start_s = 10,
     .fewest = 2,
     .most = 25,
     .settle_s = 350,
     .changes = 8,
     .refused = 1},
    {.name = "step up by cpu, slow starts",
     .load = STEP_UP,
     .signal = SCALE_CPU,
     .start_s = 120,
     .fewest = 2,
     .most = 33,
     .settle_s = 780,
     .changes = 6,
     .refused = 11},
    {.name = "step up by queueOccupancy",
     .load = STEP_UP,
     .signal = SCALE_QUEUE_OCCUPANCY,
     .start_s = 10,
     .fewest = 1,
     .most = 26,
     .settle_s = 0,
     .changes = 20,
     .refused = 4},
    {.name = "step up, a pod silent",
     .load = STEP_UP,
     .signal = RPS,
     .start_s = 10,
     .silent = 1,
     .silent_s = 590,
     .silent_to_s = 700,
     .fewest = 2,
     .most = 20,
     .settle_s = 15,
     .changes = 5,
     .refused = 1},
    {.name = "step down",
     .load = STEP_DOWN,
     .signal = RPS,
     .start_s = 10,
     .fewest = 2,
     .most = 20,
     .settle_s = 300,
     .changes = 1,
     .refused = 0},
    {.name = "step down, pods silent",
     .load = STEP_DOWN,
     .signal = RPS,
     .start_s = 10,
     .silent = 5,
     .silent_s = 590,
     .silent_to_s = 1200,
     .fewest = 2,
     .most = 20,
     .settle_s = 900,
     .changes = 3,
     .refused = 0},
    {.name = "step down, operator killed",
     .load = STEP_DOWN,
     .signal = RPS,
     .start_s = 10,
     .forget_s = 720,
     .fewest = 2,
     .most = 20,
     .settle_s = 420,
     .changes = 1,
     .refused = 0},
    {.name = "ramp up in 10 minutes",
     .load = {PLANT_RAMP, 100, 1000, 600, 600},
     .signal = RPS,
     .start_s = 10,
     .fewest = 2,
     .most = 20,
     .settle_s = 5,
     .changes = 14,
     .refused = 0},
    {.name = "ramp down in 10 minutes",
     .load = {PLANT_RAMP, 1000, 100, 600, 600},
     .signal = RPS,
     .start_s = 10,
     .fewest = 2,
     .most = 20,
     .settle_s = 300,
     .changes = 18,
     .refused = 0},
    {.name = "burst of a minute",
     .load = {PLANT_BURST, 100, 1000, 600, 60},
     .signal = RPS,
     .start_s = 10,
     .fewest = 2,
     .most = 20,
     .settle_s = 300,
     .changes = 3,
     .refused = 3},
    {.name = "oscillation of 2 minutes",
     .load = {PLANT_OSCILLATION, 400, 600, 600, 120},
     .signal = RPS,
     .start_s = 10,
     .fewest = 10,
     .most = 12,
     .settle_s = 0,
     .changes = 1,
     .refused = 0},
    {.name = "oscillation of 20 minutes",
     .load = {PLANT_OSCILLATION, 200, 1000, 600, 1200},
     .signal = RPS,
     .start_s = 10,
     .fewest = 7,
     .most = 20,
     .settle_s = 0,
     .changes = 25,
     .refused = 0},
    {.name = "steady, 3 of 10 pods silent",
     .load = STEADY,
     .signal = RPS,
     .start_s = 10,
     .silent = 3,
     .silent_s = 700,
     .silent_to_s = 1300,
     .fewest = 10,
     .most = 10,
     .settle_s = 5,
     .changes = 0,
     .refused = 0},
    {.name = "steady, all pods silent",
     .load = STEADY,
     .signal = RPS,
     .start_s = 10,
     .silent = PLANT_PODS_MAX,
     .silent_s = 700,
     .silent_to_s = 1300,
     .fewest = 10,
     .most = 10,
     .settle_s = 5,
     .changes = 0,
     .refused = 0},
};

#endif
