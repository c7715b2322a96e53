/* How long ago something was, as kubectl prints it: "12s", "5m30s", "3h", "12d". Pure; any thread.
 */
#ifndef DPUMESH_CTL_CLUSTER_AGE_H
#define DPUMESH_CTL_CLUSTER_AGE_H

#include <stdint.h>

enum { AGE_TEXT_MAX = 32 };

/* Of a duration in ns; returns text. */
char *age_format(uint64_t ns, char text[AGE_TEXT_MAX]);

/* Since a Kubernetes timestamp, "?" when it is none; now_ns: CLOCK_REALTIME. Returns text. */
char *age_since(const char *timestamp, uint64_t now_ns, char text[AGE_TEXT_MAX]);

#endif
