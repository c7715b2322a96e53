/*
 * How long a dead replica stays dead: kubelet's crash-loop back-off, scaled to one machine. The
 * first restart waits 100 ms, each further one twice as long, at most 10 s; a process that lived
 * for 30 s begins again at 100 ms. (kubelet: 10 s, doubling, 5 min, reset after 10 min; the ratio
 * of the reset to the cap is ours, 3 instead of 2, so that a process that dies at the cap's pace is
 * not taken for healthy.) Jitter of a quarter each way keeps replicas that died together apart.
 *
 * Pure: time and randomness are arguments. A backoff belongs to its replica.
 */
#ifndef DPUMESH_CTL_LOCAL_BACKOFF_H
#define DPUMESH_CTL_LOCAL_BACKOFF_H

#include <stdint.h>

#include "base/clock.h"

#define BACKOFF_FIRST_NS (100 * NS_PER_MS)
#define BACKOFF_MAX_NS   (10 * NS_PER_S)
#define BACKOFF_RESET_NS (30 * NS_PER_S)

struct backoff {
    unsigned deaths; /* in a row, each within BACKOFF_RESET_NS of its start */
};

/*
 * The delay before the next start, in ns, and counts this death.
 * lived_ns: how long the process ran. random: uniform in [0, 1), for the jitter.
 */
uint64_t backoff_next_ns(struct backoff *backoff, uint64_t lived_ns, double random);

#endif
