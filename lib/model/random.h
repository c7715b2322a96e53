/*
 * A seeded random stream: the same seed gives the same sequence on every machine.
 * xoshiro256** 1.0 (Blackman and Vigna, 2018), seeded by splitmix64 (Steele, Lea and Flood, 2014).
 *
 *     struct random_stream stream;
 *     random_seed(&stream, seed, PURPOSE_LATENCY);
 *     uint64_t die = random_range(&stream, 1, 6);
 *
 * A stream is plain memory without a destructor and belongs to one thread. Not for secrets.
 */
#ifndef DPUMESH_MODEL_RANDOM_H
#define DPUMESH_MODEL_RANDOM_H

#include <stdint.h>

struct random_stream {
    uint64_t state[4]; /* never all zero once seeded */
};

/*
 * Starts a stream. purpose tells streams of one seed apart (any constant of the caller's); purpose
 * 0 is the published seeding: four outputs of splitmix64 that starts at seed.
 */
void random_seed(struct random_stream *stream, uint64_t seed, uint64_t purpose);

/* The next 64 uniform bits. */
uint64_t random_u64(struct random_stream *stream);

/* Uniform in [0, 1), 53 bits. */
double random_unit(struct random_stream *stream);

/* Uniform in [low, high] for low <= high, without bias (Lemire, 2019). */
uint64_t random_range(struct random_stream *stream, uint64_t low, uint64_t high);

/* Exponential with this mean (mean >= 0), by inversion. */
double random_exponential(struct random_stream *stream, double mean);

/* One step of splitmix64: advances *state and returns 64 mixed bits. Also a good hash of a counter.
 */
uint64_t random_splitmix64(uint64_t *state);

#endif
