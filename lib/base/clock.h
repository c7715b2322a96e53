/*
 * Time. Durations and monotonic instants are uint64_t nanoseconds everywhere in this project and
 * carry _ns in their names. Any thread.
 */
#ifndef DPUMESH_BASE_CLOCK_H
#define DPUMESH_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#include "base/error.h"

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)

/* CLOCK_MONOTONIC now, in ns. */
static inline uint64_t clock_monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* CPU time of the calling thread, in ns. */
static inline uint64_t clock_thread_cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/*
 * Reads a duration such as "50ms", "1.5s", "200us", "10ns", "2m", "1h"; a number without a unit is
 * refused, but "0" is fine. Negative values and values over 2^63 ns are refused.
 * 0 and *ret_ns, or -EINVAL and a sentence that tells the form.
 */
int duration_parse(const char *text, uint64_t *ret_ns, struct error **err);

/* Longest text of duration_format() with its NUL. */
#define DURATION_TEXT_MAX 32

/* Prints ns in the largest unit that keeps at most three decimals ("50ms", "1.5s"); returns text.
 */
char *duration_format(uint64_t ns, char text[DURATION_TEXT_MAX]);

#endif
