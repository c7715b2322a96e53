#include "model/breaker.h"

static void become(struct breaker *breaker, enum breaker_state state)
{
    breaker->state = (uint8_t)state;
    breaker->epoch = breaker->epoch + 1 < BREAKER_REFUSED ? breaker->epoch + 1 : 0;
    breaker->failures = breaker->begun = breaker->good = 0;
}

static void open_it(struct breaker *breaker, const struct breaker_settings *settings,
                    uint64_t now_ns)
{
    become(breaker, BREAKER_OPEN);
    breaker->until_ns = now_ns + settings->open_ns;
}

uint32_t breaker_admit(struct breaker *breaker, const struct breaker_settings *settings,
                       uint64_t now_ns)
{
    if (breaker->state == BREAKER_OPEN) {
        if (now_ns < breaker->until_ns)
            return BREAKER_REFUSED;
        become(breaker, BREAKER_HALF_OPEN);
    }
    if (breaker->state == BREAKER_HALF_OPEN && breaker->begun++ >= settings->probes) {
        breaker->begun--;
        return BREAKER_REFUSED;
    }
    return breaker->epoch;
}

void breaker_tell(struct breaker *breaker, const struct breaker_settings *settings, uint32_t pass,
                  bool failed, uint64_t now_ns)
{
    if (pass != breaker->epoch)
        return;
    if (breaker->state == BREAKER_HALF_OPEN) {
        if (failed)
            open_it(breaker, settings, now_ns);
        else if (++breaker->good >= settings->probes)
            become(breaker, BREAKER_CLOSED);
        return;
    }
    breaker->failures = failed ? breaker->failures + 1 : 0;
    if (failed && breaker->failures >= settings->failures)
        open_it(breaker, settings, now_ns);
}
