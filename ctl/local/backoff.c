#include "ctl/local/backoff.h"

uint64_t backoff_next_ns(struct backoff *backoff, uint64_t lived_ns, double random)
{
    if (lived_ns >= BACKOFF_RESET_NS)
        backoff->deaths = 0;

    uint64_t delay_ns = BACKOFF_FIRST_NS;
    for (unsigned i = 0; i < backoff->deaths && delay_ns < BACKOFF_MAX_NS; i++)
        delay_ns *= 2;
    if (delay_ns > BACKOFF_MAX_NS)
        delay_ns = BACKOFF_MAX_NS;
    if (backoff->deaths < UINT32_MAX)
        backoff->deaths++;

    double jitter = 0.75 + random / 2;
    return (uint64_t)((double)delay_ns * jitter);
}
