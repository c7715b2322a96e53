/* Seeded numbers for tests; splitmix64 (Steele, Lea and Flood, 2014). */
#ifndef DPUMESH_TESTS_SCALE_DICE_H
#define DPUMESH_TESTS_SCALE_DICE_H

#include <stdint.h>

static inline uint64_t dice_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* From low to high, both included; the bias of the remainder does not matter here. */
static inline int64_t dice(uint64_t *state, int64_t low, int64_t high)
{
    return low + (int64_t)(dice_next(state) % (uint64_t)(high - low + 1));
}

#endif
