/*
 * The supervisor's own page for Prometheus: /metrics (dpumesh_local_*, process_*), /targets
 * (http_sd: the admin endpoint of each replica), /healthz, /readyz. Served by lib/obs's server on a
 * thread of its own, from values that the loop's thread leaves in atomics and under a lock: the
 * page never looks at the supervisor.
 */
#ifndef DPUMESH_CTL_LOCAL_ADMIN_PAGE_H
#define DPUMESH_CTL_LOCAL_ADMIN_PAGE_H

#include "base/error.h"

struct admin_page;
struct supervisor;

/* Binds address ("127.0.0.1:0" takes any free port) and serves. Call it when up knows its services,
 * and before anything runs. 0 and *ret_page, or -errno. */
int admin_page_new(const char *address, const struct supervisor *up, struct admin_page **ret_page,
                   struct error **err);

/* Leaves the current numbers and targets for the next scrape. Loop's thread. */
void admin_page_update(struct admin_page *page, const struct supervisor *up);

/* "127.0.0.1:41234"; valid until admin_page_free(). */
const char *admin_page_address(const struct admin_page *page);

/* Stops serving. NULL is fine. */
void admin_page_free(struct admin_page *page);

#endif
