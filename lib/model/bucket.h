/*
 * A token bucket: `rate` tokens a second flow in until it holds `burst`; a request takes one, or is
 * refused. What is kept is how many are missing, so that zeroed memory is a full bucket, and a
 * reload that changes rate or burst keeps what was taken. Time is an argument, and may stand still.
 */
#ifndef DPUMESH_MODEL_BUCKET_H
#define DPUMESH_MODEL_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

struct bucket {
    double missing; /* tokens, at at_ns */
    uint64_t at_ns;
};

/* Takes a token; false when there is none. rate: tokens a second, above 0; burst: at least 1. */
static inline bool bucket_take(struct bucket *bucket, double rate, double burst, uint64_t now_ns)
{
    double missing = bucket->missing;
    if (now_ns > bucket->at_ns) {
        missing -= (double)(now_ns - bucket->at_ns) * rate / 1e9;
        bucket->at_ns = now_ns;
    }
    missing = missing > 0 ? missing : 0;
    /* A sum of many parts of a second may fall short of a whole token by its rounding. */
    bool passes = missing + 1 <= burst + 1e-9;
    bucket->missing = passes ? missing + 1 : missing;
    return passes;
}

/* Gives back a token that was taken for nothing. */
static inline void bucket_give(struct bucket *bucket)
{
    bucket->missing = bucket->missing > 1 ? bucket->missing - 1 : 0;
}

/* After a refusal: when there will be a token again, in whole seconds, at least 1. */
static inline uint32_t bucket_retry_s(const struct bucket *bucket, double rate, double burst)
{
    double s = (bucket->missing + 1 - burst) / rate;
    if (!(s > 1))
        return 1;
    return s < 1e6 ? (uint32_t)s + ((double)(uint32_t)s < s) : 1000000;
}

#endif
