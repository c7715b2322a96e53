/*
 * What computing n digits of pi costs: a table of some measurements, between which the logarithm of
 * the cost is a straight line in that of the digits. Plain memory, any thread.
 */
#ifndef DPUMESH_MODEL_WORK_H
#define DPUMESH_MODEL_WORK_H

#include <stddef.h>

enum { WORK_POINTS_MAX = 32 };

struct work_point {
    double digits, cpu_ns; /* both above 0 */
};

struct work_cost {
    size_t count;                             /* 0: computing costs nothing */
    struct work_point point[WORK_POINTS_MAX]; /* digits rise */
};

/*
 * CPU time of so many digits (at least 1) in ns. Outside of the table the cost goes on as between
 * its last two points; of one point, as the square of the digits, as the spigot of model/pi.h does.
 */
double work_cost_ns(const struct work_cost *cost, double digits);

#endif
