/*
 * The loader's work on memory and disk, as muBench's loader does it. Both return early once *stop
 * is true, and leave nothing behind, however they end. Any thread that may wait.
 */
#ifndef DPUMESH_AGENT_STRESS_H
#define DPUMESH_AGENT_STRESS_H

#include <stdbool.h>
#include <stdint.h>

enum { STRESS_BLOCK_BYTES = 1000 /* what muBench calls a kB */ };

/*
 * Takes `blocks` blocks of STRESS_BLOCK_BYTES, writes all of them, then reads and writes a byte
 * `operations` times, in the next block each time and again from the first one after the last; and
 * gives the memory back to the system. *ret_check: made of the bytes that were read, so that the
 * work can't be optimised away. 0, or -ENOMEM.
 */
int stress_memory(uint32_t blocks, uint32_t operations, const bool *stop, uint32_t *ret_check);

/*
 * Writes `blocks` random blocks of block_bytes to a temporary file in `directory`, makes the disk
 * keep them (fsync), and reads each of them once in random order. The file has no name; where the
 * file system can't do that, it has one that begins with `name` until the next system call. So it
 * is gone when the function, or the process, ends in whatever way. 0, or -errno, -EIO also when a
 * block reads back short. -ECANCELED: stopped.
 */
int stress_disk(const char *directory, const char *name, uint32_t blocks, uint32_t block_bytes,
                uint64_t seed, const bool *stop);

#endif
