/*
 * The agent's listening sockets: inherited ones by systemd's protocol (LISTEN_PID, LISTEN_FDS,
 * LISTEN_FDNAMES with the names bridge, http and admin), or bound to the addresses of the
 * configuration. Main thread, at start.
 */
#ifndef DPUMESH_AGENT_SOCKETS_H
#define DPUMESH_AGENT_SOCKETS_H

#include "agent/io.h"

/*
 * Fills listeners (room for max of them) and *ret_count. 0; -EADDRINUSE when a port is taken;
 * another -errno; with a sentence that names the address and who should change what. On failure no
 * socket stays open.
 */
int sockets_open(const struct agent_config *config, struct listener *listeners, size_t max,
                 size_t *ret_count, struct error **err);

#endif
