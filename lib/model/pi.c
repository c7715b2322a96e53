#include "model/pi.h"

#include "base/cleanup.h"
#include "base/memory.h"

/* Collects digits; the last nine are kept. */
struct sink {
    uint32_t wanted, got, last;
};

static void put(struct sink *sink, unsigned digit)
{
    if (sink->got++ < sink->wanted)
        sink->last = (uint32_t)(((uint64_t)sink->last * 10 + digit) % 1000000000);
}

uint32_t pi_digits(uint32_t digits)
{
    /* Ten more than asked: the last ones may still be waiting for a carry, longest behind the six
     * nines at the 762nd place, the longest run of nines in the first 100,000. */
    const uint32_t produced = digits + 10, length = produced * 10 / 3 + 2;
    cleanup_free uint32_t *remainders = xmalloc(length * sizeof *remainders);
    struct sink sink = {.wanted = digits};
    unsigned nines = 0, held = 0;
    for (uint32_t i = 0; i < length; i++)
        remainders[i] = 2;
    for (uint32_t step = 0; step <= produced && sink.got < digits; step++) {
        uint64_t carry = 0;
        for (uint32_t i = length - 1; i > 0; i--) {
            uint64_t value = (uint64_t)remainders[i] * 10 + carry;
            remainders[i] = (uint32_t)(value % (2 * (uint64_t)i + 1));
            carry = value / (2 * (uint64_t)i + 1) * i;
        }
        uint64_t value = (uint64_t)remainders[0] * 10 + carry;
        remainders[0] = (uint32_t)(value % 10);
        unsigned digit = (unsigned)(value / 10);
        /* A digit is held back until no carry can reach it any more. */
        if (digit == 9) {
            nines++;
            continue;
        }
        if (step > 0)
            put(&sink, digit == 10 ? held + 1 : held);
        for (; nines > 0; nines--)
            put(&sink, digit == 10 ? 0 : 9);
        held = digit == 10 ? 0 : digit;
    }
    return sink.last;
}
