#include "model/work.h"

#include <math.h>

double work_cost_ns(const struct work_cost *cost, double digits)
{
    const struct work_point *point = cost->point;
    size_t i = 0;

    if (cost->count == 0)
        return 0;
    if (cost->count == 1)
        return point[0].cpu_ns * (digits / point[0].digits) * (digits / point[0].digits);
    while (i + 2 < cost->count && digits > point[i + 1].digits)
        i++;
    double slope =
        log(point[i + 1].cpu_ns / point[i].cpu_ns) / log(point[i + 1].digits / point[i].digits);
    return point[i].cpu_ns * pow(digits / point[i].digits, slope);
}
