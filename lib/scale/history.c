#include "scale/history.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static void append(struct scale_points *points, int32_t value, uint64_t at_ns)
{
    if (points->count == points->capacity) {
        points->capacity = points->capacity ? 2 * points->capacity : 8;
        points->points = xreallocarray(points->points, points->capacity, sizeof(*points->points));
    }
    points->points[points->count++] = (struct scale_point){.at_ns = at_ns, .value = value};
}

static void drop_first(struct scale_points *points, size_t count)
{
    if (count == 0)
        return;
    points->count -= count;
    memmove(points->points, points->points + count, points->count * sizeof(*points->points));
}

int32_t scale_extreme(struct scale_points *points, bool highest, int32_t value, uint64_t now_ns,
                      uint64_t window_ns)
{
    size_t old = 0;

    while (old < points->count && points->points[old].at_ns + window_ns <= now_ns)
        old++;
    drop_first(points, old);
    if (points->count == 0)
        return value;
    int32_t first = points->points[0].value; /* the extreme: each later one is less so */
    return (highest ? first > value : first < value) ? first : value;
}

void scale_extreme_record(struct scale_points *points, bool highest, int32_t value, uint64_t now_ns)
{
    while (points->count > 0) {
        int32_t last = points->points[points->count - 1].value;
        if (highest ? last > value : last < value)
            break;
        points->count--;
    }
    append(points, value, now_ns);
}

void scale_changes_add(struct scale_points *changes, int32_t replicas, uint64_t now_ns,
                       uint64_t keep_ns)
{
    size_t old = 0;

    while (old < changes->count && changes->points[old].at_ns + keep_ns < now_ns)
        old++;
    drop_first(changes, old);
    if (changes->count == SCALE_CHANGES_MAX) {
        changes->points[1].value += changes->points[0].value;
        drop_first(changes, 1);
    }
    append(changes, replicas, now_ns);
}

int64_t scale_changes_sum(const struct scale_points *changes, uint64_t now_ns, uint64_t period_ns)
{
    int64_t sum = 0;

    for (size_t i = changes->count; i > 0; i--) {
        const struct scale_point *change = &changes->points[i - 1];
        if (change->at_ns + period_ns <= now_ns)
            break;
        sum += change->value;
    }
    return sum;
}

void scale_points_free(struct scale_points *points)
{
    free(points->points);
    *points = (struct scale_points){.count = 0};
}
