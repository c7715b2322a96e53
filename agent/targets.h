/*
 * The names of callees, numbered: a call's descriptor names its callee by a number that stays the
 * same whatever configuration is in force. Numbers are never given back, so what clients can name
 * in traces is capped.
 *
 * One table a process. Any thread; a lock inside guards it. A number may be looked up without it by
 * a thread that got the number from one that holds it, through a queue.
 */
#ifndef DPUMESH_AGENT_TARGETS_H
#define DPUMESH_AGENT_TARGETS_H

#include <stddef.h>
#include <stdint.h>

enum { TARGETS_MAX = 4096, TARGET_NONE = 0xffff };

/* The number of a name of `length` bytes; TARGET_NONE when it is no service's name (a DNS label of
 * at most SERVICE_NAME_MAX bytes), or when the table is full. */
uint16_t target_number(const char *name, size_t length);

/* The name of a number that target_number() gave; static. */
const char *target_name(uint16_t number);

#endif
