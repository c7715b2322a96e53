#include "model/station.h"

void station_init(struct station *station, unsigned servers)
{
    *station = (struct station){.servers = servers};
}

double station_begin(const struct station *station, double now_ns)
{
    return station->free_ns[0] > now_ns ? station->free_ns[0] : now_ns;
}

/* Puts done_ns on top of the heap in place of what is there, and lets it sink. */
static void replace_top(struct station *station, double done_ns)
{
    double *heap = station->free_ns;
    unsigned hole = 0;

    for (;;) {
        unsigned child = 2 * hole + 1;
        if (child >= station->servers)
            break;
        if (child + 1 < station->servers && heap[child + 1] < heap[child])
            child++;
        if (heap[child] >= done_ns)
            break;
        heap[hole] = heap[child];
        hole = child;
    }
    heap[hole] = done_ns;
}

double station_serve(struct station *station, double now_ns, double service_ns, double bytes)
{
    double begin_ns = station_begin(station, now_ns), done_ns = begin_ns + service_ns;
    struct account *account = &station->account;

    if (begin_ns > now_ns) {
        account->waits++;
        account->wait_ns += begin_ns - now_ns;
    }
    account->busy_ns += service_ns;
    account->operations++;
    account->messages++;
    account->bytes += bytes;
    replace_top(station, done_ns);
    return done_ns;
}
