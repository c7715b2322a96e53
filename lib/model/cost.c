#include "model/cost.h"

#include <math.h>

double cost_copies(const struct cost *cost, double frame_bytes)
{
    if (cost->segment_bytes > 0 && frame_bytes < cost->segment_bytes)
        return frame_bytes / cost->segment_bytes;
    if (cost->largest_bytes > 0 && frame_bytes > cost->largest_bytes)
        return frame_bytes / cost->largest_bytes;
    return 1;
}

double cost_bytes(const struct cost *cost, double frame_bytes)
{
    return cost->touched_bytes > 0 ? fmin(cost->touched_bytes, frame_bytes) : frame_bytes;
}

double cost_ns(const struct cost *cost, double frame_bytes)
{
    return cost->message_ns + cost->copy_ns * cost_copies(cost, frame_bytes) +
           cost->byte_ns * cost_bytes(cost, frame_bytes);
}
