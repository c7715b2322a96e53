/*
 * GET of one page of a replica of ours, over its own listener on this machine: HTTP/1.1, one
 * connection, the whole of it within a deadline. Blocks; any thread.
 */
#ifndef DPUMESH_CTL_LOCAL_FETCH_H
#define DPUMESH_CTL_LOCAL_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

/*
 * url: "http://127.0.0.1:41001", an address in numbers; path: "/metrics". The page's body replaces
 * the content of out, whose cap counts for head and body. stop (may be NULL) is looked at ten times
 * a second; true ends it with -ECANCELED. 0, or -errno and a sentence: -ETIMEDOUT, -EPROTO for
 * another status than 200 and for what breaks off, what connect() said.
 */
int fetch_page(const char *url, const char *path, uint64_t timeout_ns, const bool *stop,
               struct buffer *out, struct error **err);

#endif
