/*
 * The hash of lib/kube's tables: SipHash-1-3 (Aumasson and Bernstein, 2012) under a key that each
 * process draws, because names come from whoever may create objects: nobody can choose ones that
 * all fall into one chain. Not the same in two processes. Any thread.
 */
#ifndef DPUMESH_KUBE_HASH_H
#define DPUMESH_KUBE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Of length bytes; seed tells hashes of the same text apart (0 will do). */
uint64_t kube_hash(const void *data, size_t length, uint64_t seed);

/* Of a NUL-terminated text. */
uint64_t kube_hash_text(const char *text, uint64_t seed);

/* 64 bits that differ at each call and in each process, for jitter. Not for secrets. */
uint64_t kube_hash_random(void);

#endif
