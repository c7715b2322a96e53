/* Private to application.c: calls that never come to an end. */
#ifndef DPUMESH_SPEC_APPLICATION_RING_H
#define DPUMESH_SPEC_APPLICATION_RING_H

#include "spec/application.h"

/*
 * A problem for a ring of calls that are always made (s0 calls s1, s1 calls s0): a request would
 * never be answered. Calls that dice decide may go in a ring: they end. One ring is told for the
 * workloads as they are, and one for each name of an alternative behaviour, which travels on with
 * the query string. Callees that do not exist, and services that call themselves, are other
 * checks' problems and no ring here.
 */
void application_check_rings(const struct application *application, struct problems *problems);

#endif
