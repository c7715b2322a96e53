/* Random numbers of a test: splitmix64, so that a seed gives the same run everywhere. */
#ifndef DPUMESH_TESTS_KUBE_DICE_H
#define DPUMESH_TESTS_KUBE_DICE_H

#include <stdint.h>

struct dice {
    uint64_t state;
};

static inline uint64_t dice_u64(struct dice *dice)
{
    uint64_t z = dice->state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

/* 0 to sides - 1. */
static inline unsigned dice_below(struct dice *dice, unsigned sides)
{
    return (unsigned)(dice_u64(dice) % sides);
}

/* True once in so many throws. */
static inline int dice_once_in(struct dice *dice, unsigned throws)
{
    return dice_below(dice, throws) == 0;
}

#endif
