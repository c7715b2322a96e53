#include "model/coalescer.h"

#include <math.h>

void coalescer_init(struct coalescer *coalescer, double count_max, double timer_ns)
{
    *coalescer =
        (struct coalescer){.count_max = count_max, .limit = floor(count_max), .timer_ns = timer_ns};
}

/* Waiting is the integral of the queue's length over time (Little's law). */
static void count_waiting(struct coalescer *coalescer, double now_ns)
{
    coalescer->account.wait_ns += coalescer->waiting * (now_ns - coalescer->counted_ns);
    coalescer->counted_ns = now_ns;
}

bool coalescer_offer(struct coalescer *coalescer, double now_ns, double bytes)
{
    struct account *account = &coalescer->account;

    count_waiting(coalescer, now_ns);
    if (coalescer->waiting == 0)
        coalescer->oldest_ns = now_ns;
    coalescer->waiting++;
    account->bytes += bytes;
    if (coalescer->waiting > (double)account->high_water)
        account->high_water = (size_t)coalescer->waiting;
    if (coalescer->waiting < coalescer->limit) {
        account->waits++;
        return false;
    }
    return true;
}

double coalescer_due_ns(const struct coalescer *coalescer)
{
    return coalescer->waiting > 0 ? coalescer->oldest_ns + coalescer->timer_ns : INFINITY;
}

unsigned coalescer_deliver(struct coalescer *coalescer, double now_ns)
{
    unsigned count = (unsigned)coalescer->waiting;

    /* Of a count that is no whole number, what is missing goes to the next. */
    if (coalescer->waiting >= coalescer->limit) {
        coalescer->missing += coalescer->count_max - coalescer->limit;
        coalescer->limit = floor(coalescer->count_max + coalescer->missing);
    }
    count_waiting(coalescer, now_ns);
    coalescer->account.operations++;
    coalescer->account.messages += count;
    coalescer->waiting = 0;
    return count;
}
