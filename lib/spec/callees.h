/*
 * Where callees answer in a cluster. An agent that is told nothing calls http://NAME:8080 with its
 * own service's path; who knows the other DpuServices of the namespace tells it of those that
 * answer elsewhere:
 *
 *     static char *look(void *context, const char *name) { ... service_address(port, path) ... }
 *     callees_resolve(service, look, context);
 *     spec_children(service, &children);
 *
 * Pure; any thread.
 */
#ifndef DPUMESH_SPEC_CALLEES_H
#define DPUMESH_SPEC_CALLEES_H

#include "spec/dpuservice.h"

/* Where a service answers, behind the name of its host: ":8080/api/v1". Owned by the caller. */
char *service_address(unsigned http_port, const char *path);

/* Where agents look for a callee of which they are told nothing: the same, of the service itself.
 * Owned by the caller. */
char *callees_fallback(const struct dpuservice *service);

/*
 * Fills in service->callees. look is called once for each service to which real calls are made and
 * which has no URL in egress.destinations, in the order of the names; it returns what
 * service_address() made of it, owned by us, or NULL when it is not known.
 */
void callees_resolve(struct dpuservice *service, char *(*look)(void *context, const char *name),
                     void *context);

#endif
