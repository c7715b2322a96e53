/* The work of muBench's cpu_stress and compute_pi: digits of pi. The agent does it, and `dpumesh
 * predict` measures what it takes. */
#ifndef DPUMESH_MODEL_PI_H
#define DPUMESH_MODEL_PI_H

#include <stdint.h>

/*
 * Computes the first `digits` decimal digits of pi ("3", "1", "4", ...) with the spigot of
 * Rabinowitz and Wagon (1995), in O(digits^2) time and 13.3 bytes a digit, and returns the last
 * nine of them as a number (all of them when there are fewer). digits: 1 to 100000. Any thread.
 */
uint32_t pi_digits(uint32_t digits);

#endif
