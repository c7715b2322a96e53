#include "model/random.h"

#include <math.h>

static uint64_t mix64(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t random_splitmix64(uint64_t *state)
{
    return mix64(*state += UINT64_C(0x9e3779b97f4a7c15));
}

void random_seed(struct random_stream *stream, uint64_t seed, uint64_t purpose)
{
    /* mix64(0) is 0, so purpose 0 starts where the published seeding does; others start far away.
     */
    uint64_t state = seed ^ mix64(purpose);

    /* splitmix64 is a bijection of its counter: four successive outputs are never all zero. */
    for (unsigned i = 0; i < 4; i++)
        stream->state[i] = random_splitmix64(&state);
}

static inline uint64_t rotate_left(uint64_t x, int bits)
{
    return (x << bits) | (x >> (64 - bits));
}

uint64_t random_u64(struct random_stream *stream)
{
    uint64_t *s = stream->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9, t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

double random_unit(struct random_stream *stream)
{
    return (double)(random_u64(stream) >> 11) * 0x1.0p-53;
}

uint64_t random_range(struct random_stream *stream, uint64_t low, uint64_t high)
{
    uint64_t span = high - low + 1;

    if (span == 0) /* all of uint64_t */
        return random_u64(stream);
    unsigned __int128 product = (unsigned __int128)random_u64(stream) * span;
    if ((uint64_t)product < span) {
        /* The lowest 2^64 mod span fractions would be hit once too often: draw again there. */
        uint64_t threshold = -span % span;
        while ((uint64_t)product < threshold)
            product = (unsigned __int128)random_u64(stream) * span;
    }
    return low + (uint64_t)(product >> 64);
}

double random_exponential(struct random_stream *stream, double mean)
{
    /* 1 - u lies in (0, 1], so the logarithm is finite. */
    return -mean * log1p(-random_unit(stream));
}
