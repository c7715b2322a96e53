#include "ctl/score.h"

#include <math.h>

#include "base/memory.h"

struct score score_row(const struct profile *profile, const struct measurement *row,
                       const struct score_settings *settings)
{
    struct score score = {.row = row, .timed = row->clean};
    struct path_load load = {.frame_bytes = row->frame_bytes,
                             .rate_per_s = row->offered_per_s,
                             .connections = settings->connections,
                             .duration_s = 10,
                             .messages_max = settings->messages,
                             .seed = settings->seed};
    struct path_result *got = &score.predicted;

    path_simulate(profile, &load, got);
    score.host_error =
        (got->client_cores + got->server_cores) / (row->client_cores + row->server_cores) - 1;
    score.client_error = got->client_cores / row->client_cores - 1;
    score.server_error = got->server_cores / row->server_cores - 1;
    score.achieved_error = got->achieved_per_s / row->achieved_per_s - 1;
    score.p99_factor = got->p99_us / row->p99_us;
    return score;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double score_quantile(double *values, size_t count, double q)
{
    if (count == 0)
        return NAN;
    qsort(values, count, sizeof *values, compare);
    double position = q * (double)(count - 1);
    size_t below = (size_t)position;
    if (below + 1 >= count)
        return values[count - 1];
    return values[below] + (position - (double)below) * (values[below + 1] - values[below]);
}

void score_list_add(struct score_list *list, double value)
{
    /* Doubled at each power of two, so that adding stays cheap. */
    if ((list->count & (list->count - 1)) == 0)
        list->values =
            xreallocarray(list->values, list->count ? 2 * list->count : 1, sizeof *list->values);
    list->values[list->count++] = value;
}

void score_list_free(struct score_list *list)
{
    free(list->values);
    *list = (struct score_list)SCORE_LIST_INIT;
}
