/*
 * Kubernetes' timestamps (RFC 3339). An instant is CLOCK_REALTIME nanoseconds since 1970 here; what
 * lies before 1970 reads as 0 and what lies after July 2554 as UINT64_MAX, so that "0001-01-01"
 * (Go's zero time) and "9999-12-31" (never) stay before and after everything else. Any thread.
 */
#ifndef DPUMESH_KUBE_TIME_H
#define DPUMESH_KUBE_TIME_H

#include <stdint.h>

#include "base/error.h"

#define KUBE_TIME_TEXT_MAX 32

/* "2026-11-23T10:00:00Z" (metav1.Time), fractions cut off; returns text. */
char *kube_time_format(uint64_t unix_ns, char text[KUBE_TIME_TEXT_MAX]);

/* "2026-11-23T10:00:00.123456Z" (metav1.MicroTime), nanoseconds cut off; returns text. */
char *kube_micro_time_format(uint64_t unix_ns, char text[KUBE_TIME_TEXT_MAX]);

/*
 * Reads either form: years 1 to 9999, "T" and "Z" in upper case as Go writes and wants them, "Z" or
 * any offset, one to nine digits of fraction; the 60th second of a leap second reads as the 59th.
 * 0, or -EINVAL and a sentence.
 */
int kube_time_parse(const char *text, uint64_t *ret_unix_ns, struct error **err);

/* CLOCK_REALTIME now. */
uint64_t kube_time_now_ns(void);

#endif
